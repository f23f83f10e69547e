"""Adapters from what a network predicts to the true score.

Every foreign parameterisation is wrapped once, here. A network is a callable
``(x, t, args) -> prediction`` of the shape of x, with t in [0, 1].
"""

from collections.abc import Callable
from typing import Any

from ._base import AbstractScore
from ._schedule import AbstractSchedule


class NoisePrediction(AbstractScore):
    """A network that predicts the noise eps (DDPM): ``s = -eps / sigma``."""

    network: Callable[..., Any]
    schedule: AbstractSchedule

    def __call__(self, x, t, args=None):
        return -self.network(x, t, args) / self.schedule.sigma(t).astype(x.dtype)


class DataPrediction(AbstractScore):
    """A network that predicts the clean point x_0: ``s = (alpha x_0 - x) / sigma^2``."""

    network: Callable[..., Any]
    schedule: AbstractSchedule

    def __call__(self, x, t, args=None):
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)
        return (alpha * self.network(x, t, args) - x) / sigma**2


class VelocityPrediction(AbstractScore):
    """A network that predicts ``v = alpha eps - sigma x_0`` (Salimans & Ho 2022).

    ``eps = (sigma x + alpha v) / (alpha^2 + sigma^2)`` and ``s = -eps / sigma``.
    """

    network: Callable[..., Any]
    schedule: AbstractSchedule

    def __call__(self, x, t, args=None):
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)
        eps = (sigma * x + alpha * self.network(x, t, args)) / (alpha**2 + sigma**2)
        return -eps / sigma


PREDICTIONS = {"noise": NoisePrediction, "data": DataPrediction, "velocity": VelocityPrediction}
