"""A score for clean points: a noised score averaged over fixed noise probes."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Key, Real

from .._arrays import Numbers, as_floating
from ._base import AbstractDensity, AbstractScore, check_timed
from ._schedule import check_signal


class _Probes(eqx.Module):
    """The noised points at which the score of a clean point is averaged."""

    t: Float[Array, ""]
    probes: Float[Array, "probes *shape"]
    unit_free: bool = eqx.field(static=True)

    def noised(self, schedule, x):
        """`alpha x + sigma eps_k` and `alpha x - sigma eps_k`, shape `(2 K, *shape)`."""
        if self.probes.shape[1:] != x.shape:
            raise ValueError(
                f"x must have the shape of a probe, {self.probes.shape[1:]}, got {x.shape}."
            )
        alpha = schedule.alpha(self.t).astype(x.dtype)
        sigma = schedule.sigma(self.t).astype(x.dtype)
        shifts = sigma * self.probes.astype(x.dtype)
        both = jnp.concatenate([shifts, -shifts])
        return jax.vmap(lambda shift: alpha * x + shift)(both)

    def factor(self, schedule, dtype):
        sigma = schedule.sigma(self.t).astype(dtype)
        return sigma if self.unit_free else jnp.ones_like(sigma)


class ProbeAveragedScore(eqx.Module):
    """The averaged score `s(x) = 1 / 2K sum_k [s_t(alpha x + sigma eps_k) + s_t(alpha x - sigma
    eps_k)]`.

    A callable `(x, args) -> s` of *clean* points, as metrics take it. [`geojax.probe_averaged`][]
    makes it.
    """

    score: AbstractScore
    probes: _Probes

    def __call__(self, x: Numbers, args: Any = None) -> Float[Array, "*shape"]:
        return _average(self.score, self.probes, as_floating("x", x), args)


class ProbeAveragedDensity(eqx.Module):
    """A `ProbeAveragedScore` whose log-density is known, made by `probe_averaged`."""

    score: AbstractDensity
    probes: _Probes

    def __call__(self, x: Numbers, args: Any = None) -> Float[Array, "*shape"]:
        return _average(self.score, self.probes, as_floating("x", x), args)

    def log_density(self, x: Numbers, args: Any = None) -> Float[Array, ""]:
        """The average of `log p_t` over the noised points, divided by alpha.

        It is not normalised; its gradient is the averaged score.
        """
        x, schedule, probes = as_floating("x", x), self.score.schedule, self.probes
        values = jax.vmap(lambda y: self.score.log_density(y, probes.t, args))(
            probes.noised(schedule, x)
        )
        alpha = schedule.alpha(probes.t).astype(x.dtype)
        return probes.factor(schedule, x.dtype) / alpha * jnp.mean(values)


def probe_averaged(
    score: AbstractScore,
    t: Real[ArrayLike, ""],
    shape: tuple[int, ...],
    num_probes: int = 8,
    *,
    key: Key[Array, ""],
    unit_free: bool = False,
) -> ProbeAveragedScore | ProbeAveragedDensity:
    """Average a noised score over fixed probes, to get a score of clean points.

    Use it to take the geometry at clean points instead of noised ones. A network is trained on
    noised points only: at a clean point x its score at time t is out of distribution. At x with
    noise added, 783 of 784 components of the score come from the noise. Averaged over antithetic
    pairs `alpha x +- sigma eps_k` the score is in distribution and the noise cancels to first
    order.

    The result is the gradient of the smoothed log-density
    `x -> mean log p_t(alpha x +- sigma eps_k)` *divided by alpha*, the factor from the chain rule.
    At low noise alpha is close to 1; elsewhere lam absorbs it as alpha^2. Formula
    [(13)][eq-probes] of the theory page.

    **Arguments:**

    - `score`: any [`geojax.AbstractScore`][].
    - `t`: the noise level in [0, 1].
    - `shape`: the shape of a point.
    - `num_probes`: K; an evaluation costs 2 K scores, in one batch.
    - `key`: draws the probes, once.
    - `unit_free`: multiply by sigma(t), so that lam has no unit and the same meaning at every t
      (with the true score lam is sigma^2 times as large).

    **Returns:**

    A callable `(x, args) -> s`, with `log_density(x, args)` where the score is an
    [`geojax.AbstractDensity`][].

    **Raises:**

    - `ValueError`: when t or `num_probes` is out of range, or alpha is 0 at t.

    >>> import jax, jax.numpy as jnp
    >>> from geojax.scores import VE, GaussianMixture, probe_averaged
    >>> density = GaussianMixture(jnp.zeros((1, 2)), schedule=VE(1.0, 10.0))
    >>> score = probe_averaged(density, 0.0, (2,), key=jax.random.key(0))
    >>> print(score(jnp.array([2.0, -4.0])))  # -x / (1 + sigma^2)
    [-1.  2.]
    """
    check_timed(score)
    if num_probes < 1:
        raise ValueError(f"num_probes must be at least 1, got {num_probes}.")
    check_signal(score.schedule, t, "all clean points are alike there")
    probes = jax.random.normal(key, (num_probes, *shape), jnp.result_type(float))
    fixed = _Probes(score.checked_time(t), probes, unit_free)
    if isinstance(score, AbstractDensity):
        return ProbeAveragedDensity(score, fixed)
    return ProbeAveragedScore(score, fixed)


def _average(score, probes: _Probes, x, args):
    points = probes.noised(score.schedule, x)
    values = jax.vmap(lambda y: score(y, probes.t, args))(points)
    return probes.factor(score.schedule, x.dtype) * jnp.mean(values, axis=0)
