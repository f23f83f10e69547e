"""Adapters from the prediction of a network to the true score.

Every foreign parameterisation is converted once, here. A network is a callable
`(x, t, args) -> prediction` of the shape of x; t in [0, 1] is a scalar array of the dtype of x. The
prediction is cast to that dtype: a network may compute in bfloat16.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, ArrayLike, Float, Real

from .._arrays import Numbers
from .._functions import as_pytree, check_function
from ._base import AbstractScore
from ._network import predicted
from ._schedule import AbstractSchedule, RectifiedFlow


class _AbstractPrediction(AbstractScore):
    """The score from the prediction of a network."""

    network: eqx.AbstractVar[Callable[..., Any]]

    def __check_init__(self):
        check_function("network", self.network, "(x, t, args) -> prediction")

    @property
    def needs_noise(self) -> str:
        return "the score is a prediction divided by sigma"

    @abc.abstractmethod
    def from_prediction(
        self, prediction: Float[Array, "*shape"], x: Float[Array, "*shape"], t: Float[Array, ""]
    ) -> Float[Array, "*shape"]:
        """The score from the network's `prediction` at `x` and `t`."""

    def evaluate(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, "*shape"]:
        return self.from_prediction(self._predicted(x, t, args), x, t)

    def _predicted(self, x, t, args):
        return predicted(self.network, x, t, args)

    def _level(self, x, t):
        """alpha and sigma in the dtype of `x`."""
        return self.schedule.alpha(t).astype(x.dtype), self.schedule.sigma(t).astype(x.dtype)


class NoisePrediction(_AbstractPrediction):
    """The score of a network that predicts the noise eps (DDPM): `s = -eps / sigma`.

    Formula [(12)][eq-noise] of the theory page.

    **Arguments:**

    - `network`: a callable `(x, t, args) -> eps` of one point; for a network of batches see
      [`geojax.from_batched`][].
    - `schedule`: the noise schedule it was trained with.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, NoisePrediction
    >>> score = NoisePrediction(lambda x, t, args: x, VE(0.5, 5.0))
    >>> score(jnp.array([1.0, -2.0]), 0.0).tolist()
    [-2.0, 4.0]
    """

    network: Callable[..., Any] = eqx.field(converter=as_pytree)
    schedule: AbstractSchedule

    def from_prediction(self, prediction, x, t):
        return -prediction / self._level(x, t)[1]


class DataPrediction(_AbstractPrediction):
    """The score of a network that predicts the clean point x_0: `s = (alpha x_0 - x) / sigma^2`.

    **Arguments:**

    - `network`: a callable `(x, t, args) -> x_0` of one point; for a network of batches see
      [`geojax.from_batched`][].
    - `schedule`: the noise schedule it was trained with.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, DataPrediction
    >>> score = DataPrediction(lambda x, t, args: jnp.ones(2), VE(0.5, 5.0))
    >>> score(jnp.array([1.0, -2.0]), 0.0).tolist()
    [0.0, 12.0]
    """

    network: Callable[..., Any] = eqx.field(converter=as_pytree)
    schedule: AbstractSchedule

    def from_prediction(self, prediction, x, t):
        alpha, sigma = self._level(x, t)
        return (alpha * prediction - x) / sigma**2


class VelocityPrediction(_AbstractPrediction):
    """The score of a network that predicts `v = alpha eps - sigma x_0`.

    This is the "v-prediction" of variance-preserving diffusion models, such as Stable Diffusion 2.
    For the velocity of flow matching use [`geojax.FlowPrediction`][].
    `eps = (sigma x + alpha v) / (alpha^2 + sigma^2)` and `s = -eps / sigma`.

    **Arguments:**

    - `network`: a callable `(x, t, args) -> v` of one point; for a network of batches see
      [`geojax.from_batched`][].
    - `schedule`: the noise schedule it was trained with.

    Source: Salimans & Ho 2022.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, VelocityPrediction
    >>> score = VelocityPrediction(lambda x, t, args: 2 * x, VE(0.5, 5.0))
    >>> score(jnp.array([1.0, -2.0]), 0.0).tolist()
    [-4.0, 8.0]
    """

    network: Callable[..., Any] = eqx.field(converter=as_pytree)
    schedule: AbstractSchedule

    def from_prediction(self, prediction, x, t):
        alpha, sigma = self._level(x, t)
        eps = (sigma * x + alpha * prediction) / (alpha**2 + sigma**2)
        return -eps / sigma


class FlowPrediction(_AbstractPrediction):
    """The score of a network that predicts the velocity of flow matching, `v = eps - x_0`.

    Rectified flows, Stable Diffusion 3, Flux and SiT predict this velocity. It is not
    `alpha eps - sigma x_0`, which [`geojax.VelocityPrediction`][] takes. The noised point
    `x = (1 - t) x_0 + t eps` moves with the velocity `dx/dt = eps - x_0`, and the network has
    learned its mean at `x`. Then `E[x_0 | x] = x - t v` and `s = -(x + (1 - t) v) / t`. With
    another schedule the velocity is `alpha' x_0 + sigma' eps`, with derivatives by geojax's t.
    `denoised` is also defined at level 1.

    **Arguments:**

    - `network`: a callable `(x, t, args) -> v` of one point. For a network whose time runs from
      noise at 0 to data at 1, and whose velocity is `x_0 - eps`, pass
      `lambda x, t, args: -network(x, 1 - t, args)`.
    - `schedule`: by default [`geojax.RectifiedFlow`][], the straight line.

    Source: Lipman et al. 2023; Liu et al. 2023.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import FlowPrediction
    >>> score = FlowPrediction(lambda x, t, args: (x - 1) / t)  # all data are 1
    >>> x = jnp.array([1.0, -2.0])
    >>> print(score(x, 0.5), score.denoised(x, 1.0))
    [-2. 10.] [1. 1.]
    """

    network: Callable[..., Any] = eqx.field(converter=as_pytree)
    schedule: AbstractSchedule = eqx.field(default_factory=RectifiedFlow)

    def from_prediction(self, prediction, x, t):
        alpha, sigma, alpha_rate, _, turned = self._rates(x, t)
        return (alpha_rate * x - alpha * prediction) / (turned * sigma)

    def denoised(
        self, x: Numbers, t: Real[ArrayLike, ""], args: Any = None
    ) -> Float[Array, "*shape"]:
        """The predicted clean point, `x - t v` on the straight line."""
        x, t = self._checked(x, t)
        _, sigma, _, sigma_rate, turned = self._rates(x, t)
        return (sigma_rate * x - sigma * self._predicted(x, t, args)) / turned

    def _rates(self, x, t):
        """alpha, sigma, their derivatives, and the determinant of the equations for x_0 and eps."""
        alpha, sigma = self._level(x, t)
        alpha_rate, sigma_rate = (rate.astype(x.dtype) for rate in self.schedule.rates(t))
        return alpha, sigma, alpha_rate, sigma_rate, alpha * sigma_rate - sigma * alpha_rate


PREDICTIONS = {
    "noise": NoisePrediction,
    "data": DataPrediction,
    "velocity": VelocityPrediction,
    "flow": FlowPrediction,
}
