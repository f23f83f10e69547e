"""The error of a path against a known one, and against data: γ-RMSE and D-RMSE."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._linalg import norm, safe_sqrt


@takes_arrays("xs", "truth", one_shape=False)
def gamma_rmse(
    xs: Float[Array, "nodes *shape"],
    truth: Float[Array, "others *shape"],
    *,
    num_points: int = 101,
) -> Float[Array, ""]:
    """γ-RMSE, the root mean squared distance of a path from the true one at equal arc length.

    It is `sqrt(mean_k |x(s_k) - y(s_k)|^2)` with both polylines evaluated at the same fractions s_k
    of their Euclidean lengths. So neither their speeds nor their numbers of nodes matter. It is in
    units of length, as [`geojax.evaluation.path_error`][], which compares node by node. Across
    spaces only its ratio to that of the straight line is comparable.

    **Arguments:**

    - `xs`, `truth`: the nodes of the two paths, at least two each, of points (such as latents) or
      images.
    - `num_points`: how many fractions from 0 to 1 are compared.

    **Raises:**

    - `ValueError`: on fewer than two nodes or points, or points of two shapes.

    Source: the name for the error of a path is that of Béthune et al. 2025, arXiv 2505.18230.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import gamma_rmse
    >>> truth = jnp.array([[0.0, 1.0], [9.0, 1.0]])
    >>> print(gamma_rmse(jnp.array([[0.0, 0.0], [1.0, 0.0], [9.0, 0.0]]), truth))
    1.0
    """
    for name, nodes in (("xs", xs), ("truth", truth)):
        if nodes.ndim < 2 or len(nodes) < 2:
            raise ValueError(
                f"{name} must hold at least two nodes, shape (nodes, *shape), got {nodes.shape}."
            )
    _check_points(xs, "truth", truth)
    if num_points < 2:
        raise ValueError(f"num_points must be at least 2, got {num_points}.")
    first, second = _by_arc_length(xs), _by_arc_length(truth)
    fractions = jnp.linspace(0, 1, num_points, dtype=xs.dtype)
    squares = jax.lax.map(lambda s: jnp.sum((first(s) - second(s)) ** 2), fractions)
    return safe_sqrt(jnp.mean(squares))


@takes_arrays("xs", "data", one_shape=False)
def data_rmse(
    xs: Float[Array, "nodes *shape"], data: Float[Array, "points *shape"]
) -> Float[Array, ""]:
    """D-RMSE, the root mean squared distance of the nodes of a path from their nearest data.

    It is `sqrt(mean_i min_j |x_i - d_j|^2)`, in units of length. It measures whether the path stays
    with the data, not whether it is the right path. Where `data` are sparse it cannot become 0.

    **Arguments:**

    - `xs`: the nodes, of points (such as latents) or images, shape `(nodes, *shape)`.
    - `data`: shape `(points, *shape)`.

    **Raises:**

    - `ValueError`: when there are no nodes, or points of two shapes.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import data_rmse
    >>> print(data_rmse(jnp.array([[0.0, 3.0], [4.0, 3.0]]), jnp.array([[0.0, 0.0], [4.0, 0.0]])))
    3.0
    """
    if xs.ndim < 2:
        raise ValueError(f"xs must hold at least one node, shape (nodes, *shape), got {xs.shape}.")
    _check_points(xs, "data", data)
    axes = tuple(range(1, data.ndim))
    nearest = jax.lax.map(lambda x: jnp.min(jnp.sum((data - x[None]) ** 2, axis=axes)), xs)
    return safe_sqrt(jnp.mean(nearest))


def _by_arc_length(xs):
    """The function from a fraction of the length of a polyline to its point."""
    lengths = jax.vmap(norm)(xs[1:] - xs[:-1])
    walked = jnp.concatenate([jnp.zeros(1, xs.dtype), jnp.cumsum(lengths)])

    def point(fraction):
        s = fraction * walked[-1]
        i = jnp.clip(jnp.searchsorted(walked, s, side="right") - 1, 0, len(xs) - 2)
        length = lengths[i]
        w = jnp.clip((s - walked[i]) / jnp.where(length > 0, length, 1.0), 0.0, 1.0)
        return xs[i] + w * (xs[i + 1] - xs[i])

    return point


def _check_points(xs, name: str, others) -> None:
    if others.shape[1:] != xs.shape[1:]:
        raise ValueError(
            f"{name} must hold points of the shape of those of xs, {xs.shape[1:]}, got "
            f"{others.shape[1:]}."
        )
