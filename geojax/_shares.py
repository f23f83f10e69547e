"""Pieces of work that the processes of `jax.distributed` share through files."""

import random
from collections.abc import Sequence
from typing import TypeVar

import jax
from jax.sharding import Mesh

Piece = TypeVar("Piece")


def own_and_others(pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The pieces of this process, in order, and those of the others, in a random order.

    A process does its own pieces, and then the missing pieces of the others. No process waits for
    another, and the others do the work of one that died. At the end two processes may do the same
    piece. So each piece must give the same result in every process, and its file must be written
    whole.

    >>> own_and_others("abc")  # in a single process
    (['a', 'b', 'c'], [])
    """
    index, count = jax.process_index(), jax.process_count()
    others = [piece for i, piece in enumerate(pieces) if i % count != index]
    random.Random(index).shuffle(others)  # so that two processes seldom take the same piece
    return list(pieces[index::count]), others


def spans_processes(devices: Mesh | None) -> bool:
    """Whether a mesh has devices of other processes: all must then make the same calls."""
    if devices is None:
        return False
    return any(device.process_index != jax.process_index() for device in devices.devices.flat)


def writes_files(devices: Mesh | None = None) -> bool:
    """Whether this process writes the common result: the first one, or each that works alone."""
    return jax.process_index() == 0 or not spans_processes(devices)
