"""Classifier-free guidance, defined once (Ho & Salimans 2022)."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from ._base import AbstractScore
from ._schedule import AbstractSchedule


class ClassifierFreeGuidance(AbstractScore):
    """``uncond + scale (cond - uncond)``: two evaluations of ``score``.

    The conditional score is ``score(x, t, args)``, the unconditional one
    ``score(x, t, null_args)``. A scale of 0 is unconditional, of 1 conditional, above 1
    sharpened. With ``args=None`` it is the unconditional score, at one evaluation.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, ClassifierFreeGuidance, NoisePrediction
    >>> score = NoisePrediction(lambda x, t, args: x - args, VE(0.5, 5.0))
    >>> guided = ClassifierFreeGuidance(score, scale=3.0, null_args=0.0)
    >>> guided(jnp.zeros(2), 0.0, 1.0).tolist()  # as if the label were 3
    [6.0, 6.0]
    """

    score: AbstractScore
    scale: Real[Array, ""] | float
    null_args: Any = None

    @property
    def schedule(self) -> AbstractSchedule:
        """The schedule of the score that is guided."""
        return self.score.schedule

    def __call__(
        self, x: Float[Array, "*shape"], t: Real[Array, ""] | float, args: Any = None
    ) -> Float[Array, "*shape"]:
        unconditional = self.score(x, t, self.null_args)
        if args is None:
            return unconditional
        conditional = self.score(x, t, args)
        scale = jnp.asarray(self.scale, dtype=x.dtype)
        return unconditional + scale * (conditional - unconditional)
