"""Adapters from what a network predicts to the true score.

Every foreign parameterisation is wrapped once, here. A network is a callable
``(x, t, args) -> prediction`` of the shape of x; t in [0, 1] is a scalar array of the dtype of x.
What it returns is cast to that dtype: a network may compute in bfloat16.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from .._functions import as_output, check_function
from ._base import AbstractScore
from ._schedule import AbstractSchedule


class _AbstractPrediction(AbstractScore):
    """The score from what a network predicts."""

    network: eqx.AbstractVar[Callable[..., Any]]

    def __check_init__(self):
        check_function("network", self.network, "(x, t, args) -> prediction")

    @property
    def needs_noise(self) -> str:
        return "the score is a prediction divided by sigma"

    @abc.abstractmethod
    def from_prediction(
        self,
        prediction: Float[Array, "*shape"],
        x: Float[Array, "*shape"],
        alpha: Float[Array, ""],
        sigma: Float[Array, ""],
    ) -> Float[Array, "*shape"]:
        """The score from a prediction at ``x``, at the level of ``alpha`` and ``sigma``."""

    def evaluate(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, "*shape"]:
        prediction = as_output("network", self.network(x, t, args), x)
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)
        return self.from_prediction(prediction, x, alpha, sigma)


class NoisePrediction(_AbstractPrediction):
    """A network that predicts the noise eps (DDPM): ``s = -eps / sigma``.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, NoisePrediction
    >>> score = NoisePrediction(lambda x, t, args: x, VE(0.5, 5.0))
    >>> score(jnp.array([1.0, -2.0]), 0.0).tolist()
    [-2.0, 4.0]
    """

    network: Callable[..., Any]
    schedule: AbstractSchedule

    def from_prediction(self, prediction, x, alpha, sigma):
        return -prediction / sigma


class DataPrediction(_AbstractPrediction):
    """A network that predicts the clean point x_0: ``s = (alpha x_0 - x) / sigma^2``.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, DataPrediction
    >>> score = DataPrediction(lambda x, t, args: jnp.ones(2), VE(0.5, 5.0))
    >>> score(jnp.array([1.0, -2.0]), 0.0).tolist()
    [0.0, 12.0]
    """

    network: Callable[..., Any]
    schedule: AbstractSchedule

    def from_prediction(self, prediction, x, alpha, sigma):
        return (alpha * prediction - x) / sigma**2


class VelocityPrediction(_AbstractPrediction):
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

    def from_prediction(self, prediction, x, alpha, sigma):
        eps = (sigma * x + alpha * prediction) / (alpha**2 + sigma**2)
        return -eps / sigma


PREDICTIONS = {"noise": NoisePrediction, "data": DataPrediction, "velocity": VelocityPrediction}
