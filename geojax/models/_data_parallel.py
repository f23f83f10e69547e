"""Training over the devices of a mesh: each has all of the model and its share of a batch."""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

Tree = TypeVar("Tree")


def on_all(tree: Tree, devices: Mesh | None) -> Tree:
    """The arrays of a tree, whole on every device. Without a mesh the tree itself.

    **Raises:** `ValueError` where the processes of a mesh hold different ones.
    """
    if devices is None:
        return tree
    everywhere = NamedSharding(devices, PartitionSpec())
    try:
        return jax.tree.map(lambda a: jax.device_put(a, everywhere) if eqx.is_array(a) else a, tree)
    except AssertionError:  # of jax
        raise ValueError(
            "the processes of devices hold different data or saved states: all must be given the "
            "same data, and see the same folder."
        ) from None


def shared_out(batch: Shaped[Array, "batch ..."], devices: Mesh | None):
    """A batch in a compiled program, a share on each device; what is made of it follows."""
    if devices is None:
        return batch
    share = NamedSharding(devices, PartitionSpec(devices.axis_names))
    return jax.lax.with_sharding_constraint(batch, share)


def here(tree: Tree, devices: Mesh | None) -> Tree:
    """What is on all devices, as arrays of this process alone."""
    if devices is None:
        return tree
    return jax.tree.map(lambda a: jnp.asarray(np.asarray(a)) if eqx.is_array(a) else a, tree)
