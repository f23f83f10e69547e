"""Scores: what we know of a density p.

A score is the gradient of a log-density, ``s(x, t) = grad_x log p_t(x)``: the true score, with
the factor 1 / sigma kept, whatever a network was trained to predict. ``score.at(t)`` closes over
the noise level and gives the callable ``(x, args) -> s`` that metrics take; metrics never see t.
A point has any one shape; batches are for `jax.vmap`.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Real

from .._arrays import ConvertsArrays, takes_arrays
from ._schedule import AbstractSchedule


class AbstractScore(ConvertsArrays, eqx.Module):
    """The score of a noised density at every time in [0, 1].

    ``args`` carries what the score is conditioned on (a label, a prompt), untouched.
    """

    schedule: eqx.AbstractVar[AbstractSchedule]

    @abc.abstractmethod
    @takes_arrays("x")
    def __call__(
        self, x: Float[Array, "*shape"], t: Real[Array, ""] | float, args: Any = None
    ) -> Float[Array, "*shape"]:
        """grad log p_t at ``x``, of the shape of ``x``."""

    def at(self, t: Real[Array, ""] | float) -> "ScoreAt":
        """The score at one noise level, a callable ``(x, args) -> s`` for a metric.

        **Raises:** `ValueError` when ``t`` is a number outside [0, 1].
        """
        return ScoreAt(self, _checked_time(t))

    @takes_arrays("x")
    def predicted_noise(self, x, t, args: Any = None):
        """The predicted noise ``-sigma s``, of the shape of ``x``."""
        return -self.schedule.sigma(t).astype(x.dtype) * self(x, t, args)

    @takes_arrays("x")
    def denoised(self, x, t, args: Any = None):
        """The predicted clean point ``(x + sigma^2 s) / alpha`` (Tweedie's formula)."""
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)
        return (x + sigma**2 * self(x, t, args)) / alpha


class AbstractDensity(AbstractScore):
    """A score whose log-density is known too, at every time."""

    @abc.abstractmethod
    @takes_arrays("x")
    def log_density(
        self, x: Float[Array, "*shape"], t: Real[Array, ""] | float, args: Any = None
    ) -> Float[Array, ""]:
        """log p_t at ``x``, a scalar."""

    def at(self, t: Real[Array, ""] | float) -> "DensityAt":
        """The score at one noise level, with its ``log_density(x, args)``."""
        return DensityAt(self, _checked_time(t))


class ScoreAt(eqx.Module):
    """A score at a fixed noise level: ``(x, args) -> s``."""

    score: AbstractScore
    t: Real[Array, ""] | float

    @takes_arrays("x")
    def __call__(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, "*shape"]:
        return self.score(x, self.t, args)


class DensityAt(eqx.Module):
    """A score at a fixed noise level whose log-density is known."""

    score: AbstractDensity
    t: Real[Array, ""] | float

    @takes_arrays("x")
    def __call__(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, "*shape"]:
        return self.score(x, self.t, args)

    @takes_arrays("x")
    def log_density(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, ""]:
        return self.score.log_density(x, self.t, args)


def _checked_time(t):
    if np.ndim(t):
        raise ValueError(f"t must be a scalar, got shape {np.shape(t)}. Several are for jax.vmap.")
    try:
        known = float(t)
    except jax.errors.ConcretizationTypeError:  # traced: it cannot be judged
        return t
    if not 0 <= known <= 1:
        raise ValueError(
            f"t must lie in [0, 1], got {t}. Step k of T is t = k / T: step 400 of 1000 is t=0.4."
        )
    return float(t) if isinstance(t, int) else t
