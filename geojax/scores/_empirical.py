"""A data set as a density: the exact score that a network trained on it would approach."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, as_floating
from ._base import AbstractDensity
from ._schedule import AbstractSchedule, VPLinear


class Empirical(AbstractDensity):
    """The density of a noised data set: the mixture of `N(alpha x_i, sigma^2 I)` over its points.

    Use it as an exact diffusion model of a data set, at every t > 0. The score is
    `E[alpha x_i - x] / sigma^2`, where the mean is over the posterior of the point given `x`
    (Karras et al. 2022, appendix B.3). An evaluation reads the data once, in chunks, with a
    streaming log-sum-exp. Distances are sums of squared differences, not expanded products, so that
    float32 keeps its digits. The Jacobian keeps about three digits where `x` is hundreds of sigma
    from all data.

    An evaluation needs memory for one chunk, chunk_size x D numbers, besides the data. Under
    `jax.vmap` that is multiplied by the batch: prefer `jax.lax.map` there, or a smaller chunk.
    Forward derivatives of any order need as much, and so does one reverse pass over or under them.
    A second reverse pass over the first keeps up to two copies of the data.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, Empirical
    >>> density = Empirical(jnp.array([[-1.0], [1.0]]), VE(0.5, 5.0))
    >>> density(jnp.array([0.0]), 0.0).tolist()
    [0.0]
    """

    data: Float[Array, "n *shape"]
    schedule: AbstractSchedule
    chunk_size: int = eqx.field(static=True)

    def __init__(
        self,
        data: Numbers,
        schedule: AbstractSchedule | None = None,
        chunk_size: int = 256,
    ):
        """**Arguments:**

        - `data`: shape `(n, *shape)`.
        - `schedule`: by default [`geojax.VPLinear`][].
        - `chunk_size`: the number of points evaluated together; it need not divide n.

        **Raises:**

        - `ValueError`: when there are no data or `chunk_size` is below 1.
        """
        data = as_floating("data", data, "n *shape")
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {chunk_size}.")
        self.data = data
        self.schedule = VPLinear() if schedule is None else schedule
        self.chunk_size = chunk_size

    @property
    def needs_noise(self) -> str:
        return "a set of points has no density there"

    def _sums(self, x, t):
        """Streaming sums over the data: the peak, the sum of e_i, the sum of e_i (alpha x_i - x),
        and sigma.

        e_i is the exponential of minus the squared distance over 2 sigma^2, relative to exp(peak).
        """
        if x.shape != self.data.shape[1:]:
            raise ValueError(f"x must have shape {self.data.shape[1:]}, got {x.shape}.")
        n = self.data.shape[0]
        chunk = min(self.chunk_size, n)
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)

        def step(sums, start):
            peak, total, moment = sums
            # The last chunk starts early, to end with the data; repeated points are masked.
            first = jnp.minimum(start, n - chunk)
            points = jax.lax.dynamic_slice_in_dim(self.data, first, chunk).astype(x.dtype)
            offsets = (alpha * points - x[None]).reshape(chunk, -1)
            logs = -jnp.sum(offsets**2, axis=1) / (2 * sigma**2)
            logs = jnp.where(first + jnp.arange(chunk) >= start, logs, -jnp.inf)
            # Except for rounding the sums do not depend on the peak, so it needs no derivative.
            new_peak = jax.lax.stop_gradient(jnp.maximum(peak, jnp.max(logs)))
            decay, weights = jnp.exp(peak - new_peak), jnp.exp(logs - new_peak)
            moment = decay * moment + jnp.sum(weights[:, None] * offsets, axis=0)
            return (new_peak, decay * total + jnp.sum(weights), moment), None

        zero = jnp.zeros((), x.dtype)
        empty = (jnp.full((), -jnp.inf, x.dtype), zero, jnp.zeros(x.size, x.dtype))
        # Without the checkpoint, reverse mode would keep the offsets of every chunk.
        step = jax.checkpoint(step, prevent_cse=False)
        (peak, total, moment), _ = jax.lax.scan(step, empty, jnp.arange(0, n, chunk))
        return peak, total, moment.reshape(x.shape), sigma

    def evaluate(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, "*shape"]:
        _, total, moment, sigma = self._sums(x, t)
        return moment / (total * sigma**2)

    def evaluate_log_density(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, ""]:
        peak, total, _, sigma = self._sums(x, t)
        n = self.data.shape[0]
        return peak + jnp.log(total / n) - x.size * jnp.log(2 * jnp.pi * sigma**2) / 2
