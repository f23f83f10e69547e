"""Riemannian and sectional curvature, matrix-free."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._functions import checked, explained_derivatives
from .._linalg import dot, matmul
from ..metrics import AbstractLowRankMetric, AbstractMetric


@explained_derivatives()
@takes_arrays("x", "u", "v", "w")
def riemann_curvature(
    metric: AbstractMetric,
    x: Float[Array, "*shape"],
    u: Float[Array, "*shape"],
    v: Float[Array, "*shape"],
    w: Float[Array, "*shape"],
    args: Any = None,
) -> Float[Array, "*shape"]:
    """The Riemannian curvature `R(u, v) w = D_u D_v w - D_v D_u w - D_[u, v] w`.

    With this sign `<R(u, v) v, u>_g` is positive on a sphere; do Carmo's sign is the opposite.

    A low-rank metric `b I + sum_k lam_k s_k s_k^T` whose scores are all gradients,
    `s_k = grad f_k`, is that of the graph `x -> (sqrt(b) x, sqrt(lam_k) f_k(x))`. Gauss' equation
    gives R from its second fundamental form, with two JVPs a score for every D. For any other
    metric R comes from JVPs of products with its Christoffel symbols, which needs second
    derivatives of the score. Neither way forms anything of size D^2.

    **Arguments:**

    - `metric`: any geojax metric.
    - `x`: a point of any shape.
    - `u`, `v`, `w`: vectors of that shape.
    - `args`: passed to the score.

    **Returns:**

    An array of the shape of `x`, in units of w / length^2. NaN where the metric is NaN.

    >>> import jax.numpy as jnp, geojax
    >>> half_plane = geojax.DenseMetric(lambda x, args: jnp.eye(2) / x[1] ** 2)  # K = -1
    >>> x, u, v = jnp.array([0.0, 2.0]), jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> geojax.riemann_curvature(half_plane, x, u, v, v).round(6).tolist()
    [-2.0, 0.0]
    """
    return metric.sharp(x, lowered(metric, x, u, v, w, args), args)


@explained_derivatives()
@takes_arrays("x", "u", "v")
def sectional_curvature(
    metric: AbstractMetric,
    x: Float[Array, "*shape"],
    u: Float[Array, "*shape"],
    v: Float[Array, "*shape"],
    args: Any = None,
) -> Float[Array, ""]:
    """The Gaussian curvature of the surface of geodesics tangent to `u` and `v`.

    `K = <R(u, v) v, u>_g / (g(u, u) g(v, v) - g(u, v)^2)`, at the cost of
    [`geojax.riemann_curvature`][]. It is positive where geodesics converge and negative where they
    spread. For a metric of scores that are gradients it is formula [(4)][eq-curvature] of the
    theory page.

    **Arguments:**

    - `metric`: any geojax metric.
    - `x`: a point.
    - `u`, `v`: vectors of the same shape.
    - `args`: passed to the score.

    **Returns:**

    A scalar, in 1 / length^2. NaN when u and v are parallel to within the square root of the
    rounding error, because they then span no plane.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=4.0, conservative=True)
    >>> u, v = jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0])
    >>> print(geojax.sectional_curvature(metric, jnp.zeros(2), u, v))  # a paraboloid at its top
    4.0
    """
    flat_u, flat_v = jax.vmap(lambda w: metric.flat(x, w, args))(jnp.stack([u, v]))
    norm, size = dot(u, flat_u), dot(v, flat_v)
    share = dot(v, flat_u) / jnp.where(norm > 0, norm, 1.0)
    across = v - share * u
    height = dot(across, flat_v - share * flat_u)
    plane = (norm > 0) & (height > float(jnp.finfo(x.dtype).eps) * size)
    bent = dot(lowered(metric, x, u, across, across, args), u)
    return jnp.where(plane, bent / jnp.where(plane, norm * height, 1.0), jnp.nan)


def lowered(metric: AbstractMetric, x, u, v, w, args: Any) -> Float[Array, "*shape"]:
    """The covector `g R(u, v) w`."""
    if isinstance(metric, AbstractLowRankMetric) and all(metric.terms().conservative):
        return _by_gauss(metric, x, u, v, w, args)
    return _by_christoffel(metric, x, u, v, w, args)


def _by_gauss(metric: AbstractLowRankMetric, x, u, v, w, args):
    """`<R(u, v) w, z> = II(v, w).II(u, z) - II(u, w).II(v, z)`, II the second fundamental form.

    `II(u, v).II(w, z) = B(u, v)^T W M B(w, z)` with `B_k(u, v) = u^T J_k v`, W the diagonal of the
    weights and M the inverse of `I + F F^T W / b`, where F stacks the s_k: the inner product of the
    graph's normal space. All terms are differentiable with respect to a weight of 0.
    """
    base, weights, scores, _ = metric.terms()
    if not scores:
        return jnp.zeros_like(x)
    factors, along_u, along_v = [], [], []
    for score in map(checked, scores):
        s, product = jax.linearize(lambda y, score=score: score(y, args), x)
        ju, jv = jax.vmap(product)(jnp.stack([u, v]))
        factors.append(s.reshape(-1))
        along_u.append(ju.reshape(-1))
        along_v.append(jv.reshape(-1))
    stacked, ju, jv = jnp.stack(factors), jnp.stack(along_u), jnp.stack(along_v)
    gram = matmul(stacked, stacked.T)
    lams = jnp.stack(weights).astype(x.dtype)
    normal = jnp.eye(len(scores), dtype=x.dtype) + gram * lams[None, :] / jnp.asarray(base, x.dtype)
    bends = jnp.stack([matmul(jv, w.reshape(-1)), matmul(ju, w.reshape(-1))], axis=1)
    by_v, by_u = lams[None, :] * jnp.linalg.solve(normal, bends).T
    return (matmul(by_v, ju) - matmul(by_u, jv)).reshape(x.shape)


def _by_christoffel(metric: AbstractMetric, x, u, v, w, args):
    """`g R(u, v) w` from `R(u, v) w = D_u Gamma(v, w) + Gamma(u, Gamma(v, w)) - (u <-> v)`.

    `g D_u Gamma = D_u (g Gamma) - (D_u g) Gamma`, so that g^-1 is applied but never differentiated.
    """

    def half(u, v):
        first = lambda y: metric.christoffel_first(y, v, w, args)  # noqa: E731
        value, slope = jax.jvp(first, (x,), (u,))
        gamma = metric.sharp(x, value, args)
        _, change = jax.jvp(lambda y: metric.flat(y, gamma, args), (x,), (u,))
        return slope - change + metric.christoffel_first(x, u, gamma, args)

    # One vmap for both, so that the score is compiled once.
    one, other = jax.vmap(half)(jnp.stack([u, v]), jnp.stack([v, u]))
    return one - other
