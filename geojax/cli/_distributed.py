"""`--distributed`: one command in many processes, by `jax.distributed`."""

from typing import Annotated

import jax
from jax.sharding import Mesh

from ..geodesics import device_mesh
from ._console import show_only_errors
from ._settings import MACHINE, option

Distributed = Annotated[
    str | None,
    option(
        "Many processes run this command, and share its work. auto reads the variables of Slurm, "
        "Kubernetes, Open MPI or a Cloud TPU. HOST:PORT,COUNT,INDEX has the address of process 0, "
        "the number of processes, and the index of this one, from 0. All must see the same "
        "folders. Process 0 writes to the terminal.",
        panel=MACHINE,
    ),
]
_FORM = "must be auto or HOST:PORT,COUNT,INDEX, as in 10.0.0.1:1234,4,0"
_HEARTBEAT = 30  # seconds without a heartbeat after which a process counts as dead


def join(distributed: str | None, *, together: bool) -> None:
    """Make this process one of many. Call it before anything uses the devices of jax.

    If the processes compute `together`, jax ends all of them when one dies. Otherwise each works
    alone. All but process 0 then leave `jax.distributed` as soon as they know their index, so that
    a process that was killed can be started again alone.

    **Raises:**

    - `ValueError`: when the text has another form, or auto finds no such job.
    """
    if distributed is None:
        return
    address, count, index = _read(distributed)
    jax.config.update("jax_enable_recoverability", not together)
    try:
        jax.distributed.initialize(address, count, index, heartbeat_timeout_seconds=_HEARTBEAT)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"--distributed {distributed}: jax finds no job of many processes here ({error}). "
            "Give HOST:PORT,COUNT,INDEX."
        ) from None
    if jax.process_index() > 0:
        show_only_errors(f"process {jax.process_index()}")
        if not together:
            jax.distributed.shutdown()


def all_devices() -> Mesh | None:
    """A mesh over the devices of all processes; None if there is one device."""
    return device_mesh() if jax.device_count() > 1 else None


def writes() -> bool:
    """Whether this process writes the common result."""
    return jax.process_index() == 0


def _read(text: str) -> tuple[str | None, int | None, int | None]:
    """Address, count and index; all None for "auto"."""
    if text.casefold() == "auto":
        return None, None, None
    parts = text.split(",")
    host, _, port = parts[0].rpartition(":")
    if len(parts) != 3 or not host or not all(map(_is_whole, (port, *parts[1:]))):
        raise ValueError(f"--distributed {_FORM}, got {text}.")
    count, index = int(parts[1]), int(parts[2])
    if not 0 < int(port) < 65536:
        raise ValueError(f"--distributed {text}: the port must be in 1 ... 65535, got {port}.")
    if not 0 <= index < count:
        raise ValueError(
            f"--distributed {text}: INDEX must be in 0 ... COUNT - 1, got {index} of {count}."
        )
    return parts[0], count, index


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit()
