"""Work divided over the devices of a mesh, and into batches on each of them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array


def device_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """Make a mesh with one axis over `devices`, by default all devices of all processes.

    As `devices` of a quadrature rule it divides the points of a path; in
    [`geojax.geodesic_batch`][] it divides the lanes. The same code runs on one device and on many.
    Under `jax.distributed` it runs in every process: each makes the same calls and holds the whole
    result.

    **Arguments:**

    - `devices`: a sequence of JAX devices, or None.

    **Returns:**

    A `jax.sharding.Mesh`.

    >>> import jax.numpy as jnp, geojax
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> rule = geojax.Midpoint(devices=geojax.device_mesh())
    >>> print(f"{geojax.distance(geojax.Euclidean(), a, b, rule=rule):.2f}")
    2.83
    """
    chosen = jax.devices() if devices is None else list(devices)
    return jax.make_mesh((len(chosen),), ("shares",), (AxisType.Auto,), devices=chosen)


def over_devices(function: Callable[[Any], Any], arrays: Any, devices: Mesh | None) -> Any:
    """Apply `function` to a pytree with a common leading axis, which is divided over the devices.

    An incomplete last share is filled with copies of the last entry. Every device ends with the
    whole result. Values that `function` closes over are on all devices.
    """
    if devices is None:
        return function(arrays)
    count = len(jax.tree.leaves(arrays)[0])
    index = jnp.minimum(jnp.arange(count + -count % devices.size), count - 1)
    share = PartitionSpec(devices.axis_names)
    # Unchecked, because a user's score may contain loops that start from constants.
    mapped = jax.shard_map(
        function, mesh=devices, in_specs=share, out_specs=share, check_vma=False
    )(jax.tree.map(lambda a: a[index], arrays))
    everywhere = NamedSharding(devices, PartitionSpec())
    return jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, everywhere)[:count], mapped)


def map_lanes(function: Callable[[Any], Any], lanes: Any, batch_size: int | None) -> Any:
    """Map `function` over the leading axis of a pytree, `batch_size` lanes at a time.

    Like `jax.lax.map`, but the last batch is filled with copies of the last lane, so that the
    program contains the function once.
    """
    num_lanes = len(jax.tree.leaves(lanes)[0])
    size = num_lanes if batch_size is None else min(batch_size, num_lanes)
    if size == num_lanes:
        return jax.vmap(function)(lanes)
    batches = -(-num_lanes // size)
    index = jnp.minimum(jnp.arange(batches * size), num_lanes - 1).reshape(batches, size)

    def batch(which):
        return jax.vmap(function)(jax.tree.map(lambda leaf: leaf[which], lanes))

    mapped = jax.lax.map(batch, index)
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:num_lanes], mapped)


def map_points(
    function: Callable[..., Any], *arrays: Array, batch_size: int | None, devices: Mesh | None
) -> Any:
    """Map `function` over leading axes: divided over devices, `batch_size` at a time on each."""

    def share(given):
        return map_lanes(lambda point: function(*point), given, batch_size)

    return over_devices(share, arrays, devices if len(arrays[0]) > 1 else None)
