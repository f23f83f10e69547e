"""Filling a network from a component's files: every key is accounted for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax

from ._files import tensors_of

_Network = TypeVar("_Network", bound=eqx.Module)
_BUFFERS = {"embeddings.position_ids"}  # 0, 1, 2, ...: old checkpoints carry it
_SHOWN = 8  # names of each kind in a message


def parameter_names(network: eqx.Module) -> dict[str, Any]:
    """The parameters of a network by their keys in a checkpoint.

    >>> from geojax.models.stable_diffusion._layers import Linear
    >>> {name: array.shape for name, array in parameter_names(Linear(2, 3)).items()}
    {'weight': (3, 2), 'bias': (3,)}
    """
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(network, _is_parameter))
    return {_key(path): leaf for path, leaf in leaves}


def fill(make: Callable[[], _Network], folder: Path, dtype: Any) -> _Network:
    """The network with the weights of ``folder``, in ``dtype``; ``make`` makes an empty one.

    **Raises:** `ValueError` that lists the keys that are missing, unexpected or of another shape;
    else as `tensors_of`.
    """
    # Nothing is allocated for the empty network.
    network = eqx.filter_eval_shape(make)
    wanted, tensors = parameter_names(network), tensors_of(folder)
    given = {name: tensor for name, tensor in tensors.items() if name not in _BUFFERS}
    faults = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": [
            f"{name} {given[name].shape} where config.json says {leaf.shape}"
            for name, leaf in wanted.items()
            if name in given and given[name].shape != leaf.shape
        ],
    }
    if any(faults.values()):
        told = "; ".join(f"{kind}: {_listed(names)}" for kind, names in faults.items() if names)
        raise ValueError(f"the weights in {folder} do not fit its config.json. {told}.")

    def read(path, leaf):
        return given.pop(_key(path)).read(dtype) if _is_parameter(leaf) else leaf

    return jax.tree_util.tree_map_with_path(read, network)


def _key(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _is_parameter(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
