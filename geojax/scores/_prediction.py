"""Adapters from what a network predicts to the true score.

Every foreign parameterisation is wrapped once, here. A network is a callable
``(x, t, args) -> prediction`` of the shape of x, with t in [0, 1].
"""

from collections.abc import Callable
from typing import Any

from ._base import AbstractScore
from ._schedule import AbstractSchedule


class NoisePrediction(AbstractScore):
    """A network that predicts the noise eps (DDPM): ``s = -eps / sigma``.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, NoisePrediction
    >>> score = NoisePrediction(lambda x, t, args: x, VE(0.5, 5.0))
    >>> score(jnp.array([1.0, -2.0]), 0.0).tolist()
    [-2.0, 4.0]
    """

    network: Callable[..., Any]
    schedule: AbstractSchedule

    def __call__(self, x, t, args=None):
        return -self.network(x, t, args) / self.schedule.sigma(t).astype(x.dtype)


class DataPrediction(AbstractScore):
    """A network that predicts the clean point x_0: ``s = (alpha x_0 - x) / sigma^2``.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, DataPrediction
    >>> score = DataPrediction(lambda x, t, args: jnp.ones(2), VE(0.5, 5.0))
    >>> score(jnp.array([1.0, -2.0]), 0.0).tolist()
    [0.0, 12.0]
    """

    network: Callable[..., Any]
    schedule: AbstractSchedule

    def __call__(self, x, t, args=None):
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)
        return (alpha * self.network(x, t, args) - x) / sigma**2


class VelocityPrediction(AbstractScore):
    """A network that predicts ``v = alpha eps - sigma x_0`` (Salimans & Ho 2022).

    ``eps = (sigma x + alpha v) / (alpha^2 + sigma^2)`` and ``s = -eps / sigma``.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, VelocityPrediction
    >>> score = VelocityPrediction(lambda x, t, args: 2 * x, VE(0.5, 5.0))
    >>> score(jnp.array([1.0, -2.0]), 0.0).tolist()
    [-4.0, 8.0]
    """

    network: Callable[..., Any]
    schedule: AbstractSchedule

    def __call__(self, x, t, args=None):
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)
        eps = (sigma * x + alpha * self.network(x, t, args)) / (alpha**2 + sigma**2)
        return -eps / sigma


PREDICTIONS = {"noise": NoisePrediction, "data": DataPrediction, "velocity": VelocityPrediction}
