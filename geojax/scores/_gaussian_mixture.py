"""A mixture of Gaussians with every noised score and density in closed form."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Key, Real

from .._arrays import Numbers, as_floating
from .._linalg import matmul, tensordot
from ._base import AbstractDensity
from ._schedule import AbstractSchedule, VPLinear


class GaussianMixture(AbstractDensity):
    """A mixture of Gaussians, noised exactly.

    Use it as a diffusion model without training, for examples and tests. Component k at time t is
    `N(alpha m_k, alpha^2 Sigma_k + sigma^2 I)`, with `Sigma_k = diag(scale_k^2) + F_k^T F_k`. Score
    and density are closed forms, finite down to t = 0 where every scale is positive. Woodbury's
    identity inverts the low-rank part: nothing of size D^2 is made.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import GaussianMixture
    >>> density = GaussianMixture(jnp.array([[-1.0, 0.0], [1.0, 0.0]]), scales=0.5)
    >>> density(jnp.array([0.0, 1.0]), 0.0).tolist()
    [0.0, -4.0]
    """

    means: Float[Array, "components *shape"]
    scales: Float[Array, "components *shape_or_ones"]
    factors: Float[Array, "components rank *shape"] | None
    logits: Float[Array, " components"]
    schedule: AbstractSchedule

    def __init__(
        self,
        means: Numbers,
        scales: Numbers = 1.0,
        factors: Numbers | None = None,
        weights: Numbers | None = None,
        schedule: AbstractSchedule | None = None,
    ):
        """**Arguments:**

        - `means`: shape `(K, *shape)`.
        - `scales`: standard deviations. One number; shape (K,), one per component; `*shape`, one
          per coordinate; `(K, *shape)`, or with axes of length 1 along which they are the same. A
          shape that is both (K,) and `*shape` is refused: pass (K, 1) or (1, D) to distinguish
          them.
        - `factors`: shape `(K, rank, *shape)`, or None.
        - `weights`: shape (K,), not negative, of any positive sum; None for equal ones.
        - `schedule`: by default [`geojax.VPLinear`][].

        **Raises:**

        - `ValueError`: when the shapes do not fit.
        - `RuntimeError`: on bad weights.
        """
        means = as_floating("means", means, "K *shape")
        count, shape = means.shape[0], means.shape[1:]
        self.means = means
        self.scales = _component_scales(
            as_floating("scales", scales, dtype=means.dtype), count, shape
        )
        self.factors = (
            None if factors is None else as_floating("factors", factors, dtype=means.dtype)
        )
        if self.factors is not None and (
            self.factors.ndim < 2 or (self.factors.shape[0], *self.factors.shape[2:]) != means.shape
        ):
            raise ValueError(
                f"factors must have shape (K, rank, *shape) with K, *shape = {means.shape}, got "
                f"{self.factors.shape}."
            )
        self.logits = _logits(weights, count, means.dtype)
        self.schedule = VPLinear() if schedule is None else schedule

    def _components(self, x, t):
        """The log of weight times density of each component at `x`, and each component's score."""
        if x.shape != self.means.shape[1:]:
            raise ValueError(f"x must have shape {self.means.shape[1:]}, got {x.shape}.")
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)
        own = self.means, self.scales, self.factors, self.logits
        means, scales, factors, logits = jax.tree.map(lambda a: a.astype(x.dtype), own)

        def one(mean, scale, factors):
            base = jnp.sqrt((alpha * scale) ** 2 + sigma**2)
            white = (x - alpha * mean) / base
            square, log_root = 0.0, jnp.sum(jnp.log(jnp.broadcast_to(base, x.shape)))
            if factors is not None:
                # The ridge regression of white on the factors: y^T (I + B^T B)^-1 y is the
                # minimum of |y - B^T w|^2 + |w|^2, a sum of squares in which nothing cancels.
                white, square, log_det_root = _ridge(alpha * factors / base[None], white)
                log_root = log_root + log_det_root
            return -(jnp.sum(white**2) + square) / 2 - log_root, -white / base

        logs, scores = jax.vmap(one)(means, scales, factors)
        return jax.nn.log_softmax(logits) + logs, scores

    def evaluate(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, "*shape"]:
        logs, scores = self._components(x, t)
        return tensordot(jax.nn.softmax(logs), scores, axes=1)

    def evaluate_log_density(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, ""]:
        logs, _ = self._components(x, t)
        return jax.nn.logsumexp(logs) - x.size * math.log(2 * math.pi) / 2

    def sample(self, t: Real[ArrayLike, ""] = 0.0, *, key: Key[Array, ""]) -> Array:
        """One point of the density at time `t`, of shape `*shape`."""
        pick_key, scale_key, factor_key, noise_key = jax.random.split(key, 4)
        k = jax.random.categorical(pick_key, self.logits)
        dtype, shape = self.means.dtype, self.means.shape[1:]
        x = self.means[k] + self.scales[k] * jax.random.normal(scale_key, shape, dtype)
        if self.factors is not None:
            codes = jax.random.normal(factor_key, self.factors.shape[1:2], dtype)
            x = x + tensordot(codes, self.factors[k], axes=1)
        return self.schedule.add_noise(x, jax.random.normal(noise_key, shape, dtype), t)


def _component_scales(scales: Array, count: int, shape: tuple[int, ...]) -> Array:
    """`scales` as `(K, *shape)`, with axes of length 1 along which they are the same."""
    ones = (1,) * len(shape)
    if scales.shape == shape == (count,) and count > 1:
        raise ValueError(
            f"scales of shape {scales.shape} may be one per component or per coordinate, as there "
            f"are {count} of both. Pass scales[:, None] for one per component, scales[None] for "
            "one per coordinate."
        )
    if scales.shape in ((), (count,)):
        return jnp.broadcast_to(scales, (count,)).reshape(count, *ones)
    if scales.shape == shape:
        return jnp.broadcast_to(scales[None], (count, *shape))
    if scales.ndim == 1 + len(shape) and all(
        size in (1, full) for size, full in zip(scales.shape, (count, *shape), strict=True)
    ):
        return jnp.broadcast_to(scales, (count, *scales.shape[1:]))
    raise ValueError(
        f"scales must have shape (), (K,), *shape or (K, *shape) with K, *shape = "
        f"{(count, *shape)}, got {scales.shape}."
    )


def _logits(weights: Numbers | None, count: int, dtype: Any) -> Array:
    """The logarithms of the weights, zero where all are equal."""
    if weights is None:
        return jnp.zeros(count, dtype)
    weights = as_floating("weights", weights, dtype=dtype)
    if weights.shape != (count,):
        raise ValueError(f"weights must have shape {(count,)}, got {weights.shape}.")
    bad = ~(jnp.all(weights >= 0) & (jnp.sum(weights) > 0))
    message = "weights must not be negative and must have a positive sum."
    return jnp.log(eqx.error_if(weights, bad, message))


def _ridge(factors: Array, y: Array) -> tuple[Array, Array, Array]:
    """`(I + B^T B)^-1 y`, the square of the codes, and half the log-determinant."""
    rows = factors.reshape(factors.shape[0], -1)
    gram = matmul(rows, rows.T)
    root = jnp.linalg.cholesky(gram + jnp.eye(len(rows), dtype=y.dtype))
    projected = matmul(rows, y.ravel())
    codes = jax.scipy.linalg.cho_solve((root, True), projected)
    rest = y - matmul(codes, rows).reshape(y.shape)
    return rest, jnp.sum(codes**2), jnp.sum(jnp.log(jnp.diagonal(root)))
