"""Paths from one class to another: the class of the score changes on the way."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..scores import AbstractSchedule, AbstractScore


class BetweenLabels(AbstractScore):
    """The mean of the scores of two classes, weighted by the share `args` of the second one.

    Classes are numbers and cannot be mixed as the vectors of prompts can. Their scores can.
    """

    score: AbstractScore
    labels: Array = eqx.field(converter=jnp.asarray)

    @property
    def schedule(self) -> AbstractSchedule:
        """The schedule of the score."""
        return self.score.schedule

    @property
    def needs_noise(self) -> str | None:
        return self.score.needs_noise

    @property
    def network_evaluations(self) -> int:
        return 2 * self.score.network_evaluations

    def evaluate(self, x, t, args: Any = None):
        first, second = jax.vmap(lambda label: self.score(x, t, label))(self.labels)
        share = jnp.asarray(args).astype(x.dtype)
        return (1 - share) * first + share * second


def chosen_labels(
    label: int | None, label_a: int | None, label_b: int | None
) -> int | tuple[int, int] | None:
    """One class for both images, or one for each; `ValueError` when only one of two is given."""
    pair = label_a, label_b
    if pair == (None, None):
        return label
    if label is not None or label_a is None or label_b is None:
        raise ValueError("give --label for both images, or --label-a and --label-b.")
    return label_a if label_a == label_b else (label_a, label_b)
