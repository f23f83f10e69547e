"""An initial path: the shortest one through samples."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Float

from .._arrays import Numbers, as_alike, as_one_dtype
from .._linalg import matmul, norm
from ..metrics import AbstractMetric
from ._geodesic import check_points

_CHUNK = 512  # points whose distances to all others are in memory at once
_SPARE = 16  # candidates beyond twice the neighbours


def neighbour_path(
    samples: Numbers,
    x0: Numbers,
    x1: Numbers,
    metric: AbstractMetric | None = None,
    args: Any = None,
    *,
    neighbours: int = 10,
    power: float = 2.0,
) -> Float[Array, "nodes *shape"]:
    """Find the shortest path from `x0` to `x1` in the neighbour graph of `samples`.

    Use it as a start. From a straight line a solver ends in the nearest local minimum, and at low
    noise levels a straight line between two images crosses nothing that looks like data. A path
    through samples (a data set, draws from a model, or both) is near a good one from the beginning.
    Pass it to [`geojax.geodesic`][] as `init`, or pass the samples to [`geojax.robust_geodesic`][].

    The search runs on the host, by scipy. Distances are computed in chunks: O(M^2 D) time and
    O(M neighbours) memory.

    **Arguments:**

    - `samples`: shape `(M, *shape)`, points of the space of the metric (at one noise level).
    - `metric`, `args`: weigh an edge by this metric at its middle; None: by Euclidean length.
    - `neighbours`: each point is joined to this number of nearest ones (in Euclidean distance). It
      is doubled until the ends are joined, as the modes of a density may be far apart.
    - `power`: the weight of an edge is its length to this power. Above 1, many short edges are
      preferred to a long one, so the path stays where samples are dense (the Fermat distance of a
      sample, Groisman, Jonckheere & Sapienza 2022); 1 is Isomap's path.

    **Returns:**

    The nodes, ends included, shape `(nodes, *shape)`.

    **Raises:**

    - `ValueError`: when shapes do not fit, an edge length or a point is not finite, or `neighbours`
      is below 1.

    >>> import jax.numpy as jnp, geojax
    >>> angles = jnp.linspace(0.0, 3.14, 30)
    >>> ring = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    >>> path = geojax.neighbour_path(ring, ring[0], ring[-1], neighbours=2)
    >>> path.shape
    (30, 2)
    """
    samples, x0, x1 = as_one_dtype(samples=samples, x0=x0, x1=x1)
    x0, x1 = as_alike(x0=x0, x1=x1)
    if samples.ndim != x0.ndim + 1 or samples.shape[1:] != x0.shape or len(samples) == 0:
        raise ValueError(
            f"samples must have shape (M, *shape) with shape {x0.shape} and M >= 1, got "
            f"{samples.shape}."
        )
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}.")
    if metric is not None:
        check_points(metric, x0=x0, x1=x1)
    points = jnp.concatenate([x0[None], x1[None], samples])
    path = None
    while path is None:
        neighbours = min(neighbours, len(points) - 1)
        path = _shortest(points, neighbours, power, metric, args)
        neighbours *= 2
    return points[jnp.asarray(path)]


def _shortest(points, neighbours: int, power: float, metric, args) -> list[int] | None:
    """The indices of the path from the first point to the second; None where nothing joins them."""
    lengths, others = _nearest(points.reshape(len(points), -1), neighbours)
    if metric is not None:
        lengths = _priced(metric, args, points, others)
    lengths = np.asarray(lengths, np.float64).reshape(-1)
    if not np.all(np.isfinite(lengths)):
        raise ValueError("samples, x0, x1 and the lengths between them must be finite.")
    rows = np.repeat(np.arange(len(points)), neighbours)
    # scipy takes a weight of 0 for a missing edge.
    weights = np.maximum(lengths**power, np.finfo(np.float64).tiny)
    shape = (len(points), len(points))
    graph = scipy.sparse.csr_array((weights, (rows, np.asarray(others).reshape(-1))), shape)
    _, before = scipy.sparse.csgraph.dijkstra(
        graph, directed=False, indices=0, return_predecessors=True
    )
    if before[1] < 0:
        return None
    path = [1]
    while path[-1] != 0:
        path.append(int(before[path[-1]]))
    return path[::-1]


def _nearest(points: Float[Array, "m d"], count: int):
    """The distances to the nearest other points, and their indices: (M, count) each.

    Candidates come from the expanded square `|x|^2 + |y|^2 - 2 x.y` about the mean, which is a
    matrix product. They are ordered by the distances themselves. Where rounding could hide a nearer
    point among the others, all distances of that point are computed.
    """
    points = points - jnp.mean(points, axis=0)[None]
    lengths, others, certain = (np.array(a) for a in _by_products(points, count))
    doubtful = np.flatnonzero(~certain)
    if len(doubtful):
        exact = _by_differences(points, jnp.asarray(doubtful), count)
        lengths[doubtful], others[doubtful] = (np.asarray(a) for a in exact)
    return lengths, others


@functools.partial(jax.jit, static_argnums=1)
def _by_products(points, count: int):
    """Lengths and indices, and whether there is certainly no nearer point than these."""
    width = min(len(points) - 1, 2 * count + _SPARE)
    squares = jnp.sum(points**2, axis=1)
    # The rounding error of a sum of D products that are as large as the squares.
    share = 4 * (points.shape[1] ** 0.5 + 1) * jnp.finfo(points.dtype).eps
    largest = jnp.max(squares)

    def of(index):
        products = matmul(points, points[index])
        own = jnp.arange(len(points)) == index
        far = jnp.where(own, jnp.inf, squares - 2 * products + squares[index])
        negative, candidates = jax.lax.top_k(-far, width)
        apart = jax.vmap(lambda other: norm(points[other] - points[index]))(candidates)
        lengths, order = jax.lax.top_k(-apart, count)
        error = share * (squares[index] + largest)
        certain = (width == len(points) - 1) | (lengths[-1] ** 2 < -negative[-1] - error)
        return -lengths, candidates[order], certain

    return jax.lax.map(of, jnp.arange(len(points)), batch_size=_CHUNK)


@functools.partial(jax.jit, static_argnums=2)
def _by_differences(points, indices, count: int):
    """Lengths and indices of the nearest others of some points."""

    def of(index):
        squares = jnp.sum((points - points[index][None]) ** 2, axis=1)
        squares = jnp.where(jnp.arange(len(points)) == index, jnp.inf, squares)
        negative, nearest = jax.lax.top_k(-squares, count)
        return jnp.sqrt(-negative), nearest

    return jax.lax.map(of, indices)


def _priced(metric, args, points, others):
    """The lengths of the edges in the metric at their middles."""

    def length(a, b):
        return metric.norm((a + b) / 2, b - a, args)

    def of(pair):
        point, index = pair
        return jax.vmap(lambda other: length(point, points[other]))(index)

    both = points, jnp.asarray(others)
    return jax.jit(lambda pairs: jax.lax.map(of, pairs, batch_size=_CHUNK))(both)
