"""From an image of one class to an image of another: the score changes its class on the way."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..interpolation import Comparison, compare_latents
from ..scores import AbstractSchedule, AbstractScore
from ._settings import Settings


class BetweenLabels(AbstractScore):
    """The mean of the scores of two classes, by the share of the second one, which is ``args``.

    A class is a number that cannot be mixed, as a prompt's vectors can; its scores can.
    """

    score: AbstractScore
    labels: tuple[int, int] = eqx.field(static=True)

    @property
    def schedule(self) -> AbstractSchedule:
        """The schedule of the score."""
        return self.score.schedule

    def evaluate(self, x, t, args: Any = None):
        first, second = jax.vmap(lambda label: self.score(x, t, label))(jnp.asarray(self.labels))
        share = jnp.asarray(args).astype(x.dtype)
        return (1 - share) * first + share * second


def compare_labels(
    score: AbstractScore,
    labels: tuple[int, int],
    images: tuple[Array, Array],
    settings: Settings,
    **options: Any,
) -> Comparison:
    """`compare`, with A under the first class and B under the second."""
    ends = jnp.stack(images)
    return compare_latents(
        BetweenLabels(score, labels),  # pyright: ignore[reportCallIssue]
        ends,
        ends,
        decode=lambda image: image,
        conditions=(jnp.zeros((), ends.dtype), jnp.ones((), ends.dtype)),
        t=settings.t,
        lam=settings.lam,
        num_segments=settings.segments,
        max_steps=settings.steps,
        noising=settings.noising.value,
        denoising=settings.denoising.value,
        num_steps=settings.denoise_steps,
        frames=settings.frames,
        evaluations=2,
        **options,
    )


def chosen_labels(
    label: int | None, label_a: int | None, label_b: int | None
) -> int | tuple[int, int] | None:
    """One class for both images, or one for each. **Raises:** `ValueError` on half of that."""
    pair = label_a, label_b
    if pair == (None, None):
        return label
    if label is not None or label_a is None or label_b is None:
        raise ValueError("give --label for both images, or --label-a and --label-b.")
    return label_a if label_a == label_b else (label_a, label_b)
