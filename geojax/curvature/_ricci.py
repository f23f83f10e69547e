"""Ricci and scalar curvature: traces of the Riemannian curvature."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, takes_arrays
from .._functions import explained_derivatives
from .._linalg import dot
from ..metrics import AbstractMetric
from ._probes import TraceEstimate, basis_sum, check_probes, mean_estimate
from ._riemann import riemann_curvature


@explained_derivatives()
@takes_arrays("x", "v")
def ricci_curvature(
    metric: AbstractMetric,
    x: Float[Array, "*shape"],
    v: Float[Array, "*shape"],
    args: Any = None,
    *,
    probes: Numbers | None = None,
) -> TraceEstimate:
    """The Ricci curvature `Ric(v, v) = trace(u -> R(u, v) v)`.

    It measures how fast a bundle of geodesics along v contracts: g(v, v) times the sum of the
    sectional curvatures of v with the D - 1 directions orthogonal to it.

    **Arguments:**

    - `metric`: any geojax metric.
    - `x`: a point.
    - `v`: a vector of the same shape.
    - `args`: passed to the score.
    - `probes`: fixed vectors from [`geojax.trace_probes`][]. The trace is then estimated from one
      [`geojax.riemann_curvature`][] a probe. Default: exact, from D of them, for small D.

    **Returns:**

    A [`geojax.TraceEstimate`][], value and standard error.

    **Raises:**

    - `ValueError`: when the probes do not have the shape of `x`.

    >>> import jax, jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, conservative=True)
    >>> x, v = jnp.zeros(50), jnp.zeros(50).at[0].set(1.0)
    >>> probes = geojax.curvature.trace_probes((50,), 16, key=jax.random.key(0))
    >>> print(geojax.ricci_curvature(metric, x, v, probes=probes).value)  # 49 planes of K = 1
    49.0
    """

    def term(e):
        return dot(e, riemann_curvature(metric, x, e, v, v, args))

    if probes is None:
        return TraceEstimate(basis_sum(term, x), jnp.zeros((), x.dtype))
    probes = check_probes(probes, x)
    return mean_estimate(jax.vmap(term)(probes))


@explained_derivatives()
@takes_arrays("x")
def scalar_curvature(
    metric: AbstractMetric,
    x: Float[Array, "*shape"],
    args: Any = None,
    *,
    probes: Numbers | None = None,
) -> TraceEstimate:
    """The trace of the Ricci curvature with respect to g; in two dimensions twice Gauss' K.

    **Arguments:**

    - `metric`: any geojax metric.
    - `x`: a point.
    - `args`: passed to the score.
    - `probes`: 2 n fixed vectors from [`geojax.trace_probes`][]. Each of the first n is paired with
      one of the others, and a pair costs one [`geojax.riemann_curvature`][]. Default: exact, from
      D^2 of them, one at a time, for small D.

    **Returns:**

    A [`geojax.TraceEstimate`][], value and standard error.

    **Raises:**

    - `ValueError`: when the probes do not have the shape of `x` or their number is odd.

    >>> import jax.numpy as jnp, geojax
    >>> half_plane = geojax.DenseMetric(lambda x, args: jnp.eye(2) / x[1] ** 2)
    >>> print(geojax.scalar_curvature(half_plane, jnp.array([0.0, 2.0])).value.round(6))
    -2.0
    """

    def term(e, f):
        return dot(e, riemann_curvature(metric, x, e, f, metric.sharp(x, f, args), args))

    if probes is None:
        exact = basis_sum(lambda f: basis_sum(lambda e: term(e, f), x), x)
        return TraceEstimate(exact, jnp.zeros((), x.dtype))
    probes = check_probes(probes, x, least=2)
    if len(probes) % 2:
        raise ValueError(f"probes must come in pairs: an even number of them, got {len(probes)}.")
    half = len(probes) // 2
    return mean_estimate(jax.vmap(term)(probes[:half], probes[half:]))
