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
    """``Ric(v, v) = trace(u -> R(u, v) v)``: how fast a bundle of geodesics along v shrinks.

    It is g(v, v) times the sum of the sectional curvatures of v with the D - 1 directions
    orthogonal to it.

    - ``probes``: fixed vectors from `trace_probes`: the trace is estimated from one
      `riemann_curvature` a probe. Default: exact, by D of them, for small D.

    **Returns:** a `TraceEstimate`, value and standard error.
    **Raises:** `ValueError` when the probes have not the shape of ``x``.

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
    """The trace of the Ricci curvature with respect to g: in two dimensions twice Gauss' K.

    - ``probes``: 2 n fixed vectors from `trace_probes`; each of the first n is paired with one of
      the others, and a pair costs one `riemann_curvature`. Default: exact, by D^2 of them, one
      at a time, for small D.

    **Returns:** a `TraceEstimate`, value and standard error.
    **Raises:** `ValueError` when the probes have not the shape of ``x`` or their number is odd.

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
