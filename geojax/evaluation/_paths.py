"""Figures of a path given by its nodes at equal steps of the parameter."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._functions import check_function, checked
from .._linalg import dot
from .._quadrature import gauss_points
from ..metrics import AbstractMetric, Euclidean

_ORDER = 5  # Gauss-Legendre points a segment


class PathFigures(NamedTuple):
    """The result of `path_figures`.

    **Arguments:**

    - `length`: in the metric.
    - `energy`: `1/2 integral g(x', x') dt` over [0, 1]. It is at least length^2 / 2, and equal to
      that at constant speed.
    - `speed_defect`: the largest relative deviation of a segment's length from the mean.
    - `segment_lengths`: shape `(segments,)`.
    """

    length: Float[Array, ""]
    energy: Float[Array, ""]
    speed_defect: Float[Array, ""]
    segment_lengths: Float[Array, " segments"]


@takes_arrays("xs")
def path_figures(
    xs: Float[Array, "nodes *shape"], metric: AbstractMetric | None = None, args: Any = None
) -> PathFigures:
    """Length, energy and evenness of the polyline `xs`, by five Gauss-Legendre points a segment.

    The figures do not depend on the rule that the path was found with.

    **Arguments:**

    - `xs`: at least two nodes, shape `(nodes, *shape)`, at equal steps of a parameter from 0 to 1.
    - `metric`: default Euclidean.
    - `args`: passed to its score.

    **Returns:**

    A [`geojax.evaluation.PathFigures`][].

    **Raises:**

    - `ValueError`: on fewer than two nodes.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import path_figures
    >>> figures = path_figures(jnp.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]]))
    >>> print(figures.length, figures.energy)
    6.0 26.0
    """
    _check_nodes(xs)
    metric = Euclidean() if metric is None else metric
    places, weights = gauss_points(_ORDER, xs.dtype)

    def segment(a, b):
        def squared(place):
            return metric.inner(a + place * (b - a), b - a, b - a, args)

        rates = jax.vmap(squared)(places)
        return dot(weights, jnp.sqrt(rates)), dot(weights, rates)

    lengths, squares = jax.lax.map(lambda pair: segment(*pair), (xs[:-1], xs[1:]))
    count, length = len(lengths), jnp.sum(lengths)
    mean = jnp.where(length > 0, length, 1.0) / count
    defect = jnp.max(jnp.abs(lengths - length / count)) / mean
    return PathFigures(length, count * jnp.sum(squares) / 2, defect, lengths)


@takes_arrays("xs")
def log_density_profile(
    score: Callable[..., Any], xs: Float[Array, "nodes *shape"], args: Any = None
) -> Float[Array, " nodes"]:
    """log p along the path, less its value at the first node, shape `(nodes,)`.

    **Arguments:**

    - `score`: a callable `(x, args) -> s`, such as `score.at(t)`. With a method
      `log_density(x, args)` the values are exact. Otherwise they are line integrals of s (five
      Gauss-Legendre points a segment), which depend on the path if s is not a gradient.
    - `xs`: at least two nodes, shape `(nodes, *shape)`.
    - `args`: passed to the score.

    **Raises:**

    - `ValueError`: on fewer than two nodes.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import log_density_profile
    >>> print(log_density_profile(lambda x, args: -x, jnp.array([[0.0], [1.0], [2.0]])))
    [ 0.  -0.5 -2. ]
    """
    _check_nodes(xs)
    check_function("score", score, "(x, args) -> s")
    score = checked(score)
    if hasattr(score, "log_density"):
        values = jax.lax.map(lambda x: score.log_density(x, args), xs)
        return values - values[0]
    places, weights = gauss_points(_ORDER, xs.dtype)

    def segment(a, b):
        rates = jax.vmap(lambda u: dot(score(a + u * (b - a), args), b - a))(places)
        return dot(weights, rates)

    steps = jax.lax.map(lambda pair: segment(*pair), (xs[:-1], xs[1:]))
    return jnp.concatenate([jnp.zeros(1, steps.dtype), jnp.cumsum(steps)])


class DistanceToSet(NamedTuple):
    """The mean and the largest distance of the nodes of a path from a manifold."""

    mean: Float[Array, ""]
    largest: Float[Array, ""]


@takes_arrays("xs")
def distance_to(
    project: Callable[[Array], Array], xs: Float[Array, "nodes *shape"]
) -> DistanceToSet:
    """The mean and the largest Euclidean distance of the nodes from a known manifold.

    **Arguments:**

    - `project`: the nearest point of the manifold, `x -> point`, for one point. For the manifolds
      of `geojax.evaluation` it is `manifold.project`.
    - `xs`: the nodes, shape `(nodes, *shape)`.

    **Returns:**

    A [`geojax.evaluation.DistanceToSet`][].

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import distance_to
    >>> found = distance_to(lambda x: x / jnp.linalg.norm(x), jnp.array([[1.0, 0.0], [0.0, 3.0]]))
    >>> print(found.mean, found.largest)
    1.0 2.0
    """
    _check_nodes(xs, least=1)
    gaps = xs - jax.vmap(project)(xs)
    distances = jnp.linalg.norm(gaps.reshape(len(xs), -1), axis=1)
    return DistanceToSet(jnp.mean(distances), jnp.max(distances))


@takes_arrays("xs", "truth")
def path_error(
    xs: Float[Array, "nodes *shape"], truth: Float[Array, "nodes *shape"]
) -> Float[Array, ""]:
    """The root mean squared distance from a known geodesic, node by node at equal parameters.

    It is `sqrt(mean_i |x_i - y_i|^2)`, in units of length and not of a pixel.

    **Arguments:**

    - `xs`, `truth`: the nodes, shape `(nodes, *shape)`.

    **Raises:**

    - `ValueError`: when the shapes differ.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import path_error
    >>> print(path_error(jnp.zeros((4, 2)), jnp.tile(jnp.array([3.0, 4.0]), (4, 1))))
    5.0
    """
    _check_nodes(xs, least=1)
    return jnp.sqrt(jnp.mean(jnp.sum((xs - truth).reshape(len(xs), -1) ** 2, axis=1)))


def _check_nodes(xs, least: int = 2) -> None:
    if xs.ndim < 2 or len(xs) < least:
        count = "two nodes" if least == 2 else "one node"
        raise ValueError(f"xs must hold at least {count}, shape (nodes, *shape), got {xs.shape}.")
