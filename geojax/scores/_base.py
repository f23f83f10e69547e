"""Scores: gradients of the log-density of a density p.

A score is `s(x, t) = grad_x log p_t(x)`. It is the true score, with the factor 1 / sigma kept,
whatever a network was trained to predict. `score.at(t)` fixes the noise level and gives the
callable `(x, args) -> s` that metrics take; metrics do not depend on t. A point has one shape,
which may be any; batches are for `jax.vmap`.
"""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, ArrayLike, Float, Real

from .._arrays import Numbers, as_floating
from .._functions import as_output, as_scalar_output
from ._schedule import AbstractSchedule, as_time, check_signal, is_noise_free


class AbstractScore(eqx.Module):
    """The interface of scores: the score of a noised density at every time in [0, 1].

    Subclass it for a score of your own: define `evaluate`, and a field or property `schedule`. It
    is called as `score(x, t, args)`, which checks the input and the output. `args` is what the
    score is conditioned on (a label, a prompt), passed on unchanged. For a network, use
    [`geojax.NoisePrediction`][] or its siblings.

    **Arguments:**

    - `schedule`: the noise schedule, an [`geojax.AbstractSchedule`][].

    >>> import jax.numpy as jnp, geojax
    >>> class Normal(geojax.AbstractScore):  # of N(0, I) data
    ...     schedule: geojax.VE = geojax.VE(0.5, 2.0)
    ...
    ...     def evaluate(self, x, t, args):
    ...         return -x / (1 + self.schedule.sigma(t).astype(x.dtype) ** 2)
    >>> Normal()(jnp.array([1.25, 0.0]), 0.0).tolist()
    [-1.0, 0.0]
    """

    schedule: eqx.AbstractVar[AbstractSchedule]

    @abc.abstractmethod
    def evaluate(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, "*shape"]:
        """grad log p_t at `x`, of the shape of `x`.

        `x` has dtype float32 or float64, and `t` is a scalar array of the same dtype. The result
        may have a narrower dtype: it is cast to that of `x`.
        """

    @property
    def needs_noise(self) -> str | None:
        """The reason why there is no score where sigma is zero; None where there is one."""
        return None

    @property
    def network_evaluations(self) -> int:
        """The number of network evaluations in one evaluation of this score."""
        return 1

    def __call__(
        self, x: Numbers, t: Real[ArrayLike, ""], args: Any = None
    ) -> Float[Array, "*shape"]:
        """Evaluate grad log p_t at `x`, of the shape and dtype of `x`.

        **Raises:**

        - `ValueError`: when `t` is a number outside [0, 1], or without noise where noise is needed;
          or when `evaluate` returns an array of another shape.
        """
        x, t = self._checked(x, t)
        return as_output(f"{type(self).__name__}.evaluate", self.evaluate(x, t, args), x)

    def at(self, t: Real[ArrayLike, ""]) -> "ScoreAt":
        """The score at one noise level, a callable `(x, args) -> s` for a metric.

        Its `t` is an array: a program that is compiled for one level serves all.

        **Raises:**

        - `ValueError`: when `t` is a number outside [0, 1], or without noise where noise is needed.
        """
        return ScoreAt(self, t)

    def predicted_noise(
        self, x: Numbers, t: Real[ArrayLike, ""], args: Any = None
    ) -> Float[Array, "*shape"]:
        """The predicted noise `-sigma s`, of the shape of `x`."""
        x, t = self._checked(x, t)
        return -self.schedule.sigma(t).astype(x.dtype) * self(x, t, args)

    def denoised(
        self, x: Numbers, t: Real[ArrayLike, ""], args: Any = None
    ) -> Float[Array, "*shape"]:
        """The predicted clean point `(x + sigma^2 s) / alpha` (Tweedie's formula).

        **Raises:**

        - `ValueError`: as a call does, and where alpha is 0.
        """
        check_signal(self.schedule, t, "a clean point is (x + sigma^2 s) / alpha")
        x, t = self._checked(x, t)
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)
        return (x + sigma**2 * self(x, t, args)) / alpha

    def checked_time(self, t: Real[ArrayLike, ""]) -> Float[Array, ""]:
        """`t` as a scalar array. Raise a `ValueError` as `at` does."""
        time = as_time("t", t)
        reason = self.needs_noise
        if reason is not None and is_noise_free(self.schedule, t):
            raise ValueError(
                f"t = {t} has no noise, and {reason}. Take t > 0, or a schedule that starts from "
                "sigma > 0, as geojax.VE does."
            )
        return time

    def _checked(self, x, t) -> tuple[Array, Array]:
        x = as_floating("x", x)
        return x, self.checked_time(t).astype(x.dtype)


class AbstractDensity(AbstractScore):
    """The interface of scores whose log-density is also known, at every time.

    A subclass defines `evaluate` and `evaluate_log_density`.
    """

    @abc.abstractmethod
    def evaluate_log_density(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, ""]:
        """log p_t at `x`, a scalar; arguments as for `evaluate`."""

    def log_density(self, x: Numbers, t: Real[ArrayLike, ""], args: Any = None) -> Float[Array, ""]:
        """log p_t at `x`, a scalar.

        **Raises:**

        - `ValueError`: as a call of the score does.
        """
        x, t = self._checked(x, t)
        value = self.evaluate_log_density(x, t, args)
        return as_scalar_output(f"{type(self).__name__}.evaluate_log_density", value, x)

    def at(self, t: Real[ArrayLike, ""]) -> "DensityAt":
        """The score at one noise level, with its `log_density(x, args)`."""
        return DensityAt(self, t)


class ScoreAt(eqx.Module):
    """A score at a fixed noise level: a callable `(x, args) -> s`, made by `score.at(t)`."""

    score: AbstractScore
    t: Float[Array, ""]

    def __init__(self, score: AbstractScore, t: Real[ArrayLike, ""]):
        self.score = score
        self.t = score.checked_time(t)

    def __call__(self, x: Numbers, args: Any = None) -> Float[Array, "*shape"]:
        return self.score(x, self.t, args)


class DensityAt(eqx.Module):
    """A score at a fixed noise level whose log-density is known, made by `score.at(t)`."""

    score: AbstractDensity
    t: Float[Array, ""]

    def __init__(self, score: AbstractDensity, t: Real[ArrayLike, ""]):
        self.score = score
        self.t = score.checked_time(t)

    def __call__(self, x: Numbers, args: Any = None) -> Float[Array, "*shape"]:
        return self.score(x, self.t, args)

    def log_density(self, x: Numbers, args: Any = None) -> Float[Array, ""]:
        return self.score.log_density(x, self.t, args)


def check_timed(score: Any) -> None:
    """Raise a `ValueError` unless `score` is a score at every time."""
    if isinstance(score, AbstractScore):
        return
    kind = type(score).__name__
    if isinstance(score, ScoreAt | DensityAt):
        remedy = "It is a score at one noise level; pass the score that it was made of."
    else:
        remedy = "Wrap a network: NoisePrediction(network, schedule), or subclass AbstractScore."
    raise ValueError(f"score must be a geojax score (AbstractScore), got {kind}. {remedy}")
