"""Fill a network from the files of a component; every key must match."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ._files import tensors_of

_Network = TypeVar("_Network", bound=eqx.Module)
_BUFFERS = {"embeddings.position_ids"}  # 0, 1, 2, ..., in old checkpoints
# The names in safetensors and in NumPy.
_FLOATS = {"f16", "bf16", "f32", "f64", "float16", "bfloat16", "float32", "float64"}
_SHOWN = 8  # names of each kind in a message


def parameter_names(network: eqx.Module) -> dict[str, Any]:
    """The parameters of a network by their keys in a checkpoint, and with their axes there.

    >>> from geojax.models.diffusers._layers import Linear
    >>> {name: array.shape for name, array in parameter_names(Linear(2, 3)).items()}
    {'weight': (3, 2), 'bias': (3,)}
    """
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(network, _is_parameter))
    return {_key(path): _as_saved(leaf) for path, leaf in leaves}


def _as_saved(leaf: Any) -> Any:
    """A parameter with the axes of a checkpoint.

    The weight of a convolution is saved as (c_out, c_in, k, k), and used as (k, k, c_in, c_out).
    """
    if len(leaf.shape) != 4:
        return leaf
    if isinstance(leaf, jax.ShapeDtypeStruct):
        height, width, c_in, c_out = leaf.shape
        return jax.ShapeDtypeStruct((c_out, c_in, height, width), leaf.dtype)
    return leaf.transpose(3, 2, 0, 1)


def _as_used(weights: Any) -> Any:
    """The inverse of `_as_saved`."""
    return weights.transpose(2, 3, 1, 0) if weights.ndim == 4 else weights


def fill(network: _Network, folder: Path, dtype: Any) -> _Network:
    """The network with the weights of `folder`, in `dtype`.

    `network` is an empty one, from `equinox.filter_eval_shape`. `ValueError` lists the keys that
    are missing, unexpected, of another shape or not floats, or names a weight that is not finite.
    Other errors are those of `tensors_of`.
    """
    wanted, tensors = parameter_names(network), tensors_of(folder)
    given = {name: tensor for name, tensor in tensors.items() if name not in _BUFFERS}
    faults = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": [
            f"{name} {given[name].shape} instead of {leaf.shape}"
            for name, leaf in wanted.items()
            if name in given and given[name].shape != leaf.shape
        ],
        "not of 16, 32 or 64 bit floats": [
            f"{name} ({given[name].dtype})"
            for name in wanted
            if name in given and given[name].dtype.lower() not in _FLOATS
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{kind}: {_listed(names)}" for kind, names in faults.items() if names)
        raise ValueError(f"the weights in {folder} do not fit its config.json. {listed}.")

    def read(name: str):
        weights = given.pop(name).read(dtype)
        # Not with NumPy: its view of an array would keep a second copy on another device.
        if not jnp.all(jnp.isfinite(weights)):
            raise ValueError(
                f"{name} in {folder} has entries that are not finite in {jnp.dtype(dtype)}: get "
                "the file again, or load another dtype."
            )
        return weights

    return with_tensors(network, read)


def with_tensors(network: _Network, read: Callable[[str], Any]) -> _Network:
    """The network with `read(key)`, a tensor of the checkpoint, for every parameter."""

    def filled(path, leaf):
        return _as_used(read(_key(path))) if _is_parameter(leaf) else leaf

    return jax.tree_util.tree_map_with_path(filled, network)


def _key(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _is_parameter(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
