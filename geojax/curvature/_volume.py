"""The volume element of a metric."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, takes_arrays
from .._linalg import dot, matmul
from ..metrics import AbstractMetric
from ._probes import TraceEstimate, check_probes, mean_estimate


@takes_arrays("x")
def log_volume_element(
    metric: AbstractMetric, x: Float[Array, "*shape"], args: Any = None
) -> Float[Array, ""]:
    """The logarithm of the volume element, `1/2 log det g(x)`.

    It is the log-volume of a unit cube of coordinates in the metric. Low-rank metrics have a closed
    form. Other metrics form their D x D matrix; [`geojax.estimate_log_volume_element`][] does not.

    **Arguments:**

    - `metric`: any geojax metric.
    - `x`: a point.
    - `args`: passed to the score.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=3.0)
    >>> print(jnp.exp(geojax.log_volume_element(metric, jnp.array([1.0, 0.0]))).round(6))
    2.0
    """
    return metric.log_det(x, args) / 2


@takes_arrays("x")
def volume_element(
    metric: AbstractMetric, x: Float[Array, "*shape"], args: Any = None
) -> Float[Array, ""]:
    """The volume element `sqrt(det g(x))`, the weight of integrals with respect to the metric.

    In many dimensions it leaves the floating-point range: use [`geojax.log_volume_element`][].

    **Arguments:**

    - `metric`: any geojax metric.
    - `x`: a point.
    - `args`: passed to the score.

    >>> import jax.numpy as jnp, geojax
    >>> half_plane = geojax.DenseMetric(lambda x, args: jnp.eye(2) / x[1] ** 2)
    >>> print(geojax.volume_element(half_plane, jnp.array([0.0, 2.0])))
    0.25
    """
    return jnp.exp(log_volume_element(metric, x, args))


@takes_arrays("x")
def estimate_log_volume_element(
    metric: AbstractMetric,
    x: Float[Array, "*shape"],
    probes: Numbers,
    args: Any = None,
    *,
    num_steps: int = 30,
) -> TraceEstimate:
    """`log_volume_element` of any metric from products g v, by stochastic Lanczos quadrature.

    `log det g = trace log g`, and `e^T (log g) e` of each probe is a Gauss quadrature from
    `num_steps` steps of Lanczos' method. Its error falls geometrically, at a rate set by the square
    root of g's condition number. The standard error is that of the probes only. Memory: O(num_steps
    D) a probe.

    **Arguments:**

    - `metric`: any geojax metric.
    - `x`: a point.
    - `probes`: fixed vectors from [`geojax.trace_probes`][].
    - `args`: passed to the score.
    - `num_steps`: of Lanczos' method, at least 1.

    **Returns:**

    A [`geojax.TraceEstimate`][].

    **Raises:**

    - `ValueError`: when the probes do not have the shape of `x` or `num_steps` is below 1.

    Source: Ubaru, Chen & Saad (2017).

    >>> import jax, jax.numpy as jnp, geojax
    >>> from geojax.curvature import estimate_log_volume_element, trace_probes
    >>> metric = geojax.DenseMetric(lambda x, args: 4.0 * jnp.eye(8))
    >>> probes = trace_probes((8,), 4, key=jax.random.key(0))
    >>> print(estimate_log_volume_element(metric, jnp.zeros(8), probes).value / jnp.log(2))
    8.0
    """
    probes = check_probes(probes, x)
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}.")
    steps = min(num_steps, x.size)

    def quadrature(probe):
        alphas, betas = _lanczos(lambda v: metric.flat(x, v, args), probe, steps)
        offset = jnp.diag(betas, 1)
        values, vectors = jnp.linalg.eigh(jnp.diag(alphas) + offset + offset.T)
        return jnp.sum(probe**2) * jnp.sum(vectors[0] ** 2 * jnp.log(values)) / 2

    return mean_estimate(jax.vmap(quadrature)(probes))


def _lanczos(product, start: Array, steps: int) -> tuple[Array, Array]:
    """The diagonals of the tridiagonal matrix of a symmetric map, fully reorthogonalised.

    If the Krylov space ends early, the rest is decoupled: ones on the diagonal, zeros beside it.
    """
    tiny = float(jnp.finfo(start.dtype).eps) * start.size**0.5

    def step(carry, i):
        basis, q, scale = carry
        basis = basis.at[i].set(q)
        going = jnp.any(q != 0)
        image = product(q.reshape(start.shape)).reshape(-1)
        alpha = jnp.where(going, dot(q, image), 1.0)
        for _ in range(2):  # once is not enough in finite precision (Kahan)
            image = image - matmul(basis.T, matmul(basis, image))
        beta = jnp.linalg.norm(image)
        scale = jnp.maximum(scale, jnp.abs(alpha) + beta)
        more = beta > tiny * scale
        beta = jnp.where(more, beta, 0.0)
        following = jnp.where(more, image / jnp.where(more, beta, 1.0), jnp.zeros_like(image))
        return (basis, following, scale), (alpha, beta)

    flat = start.reshape(-1)
    first = flat / jnp.linalg.norm(flat)
    basis = jnp.zeros((steps, start.size), start.dtype)
    carry = (basis, first, jnp.zeros((), start.dtype))
    _, (alphas, betas) = jax.lax.scan(step, carry, jnp.arange(steps))
    return alphas, betas[:-1]
