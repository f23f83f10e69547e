"""Classifier-free guidance (Ho & Salimans 2022)."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._numbers import number
from ._base import AbstractScore, check_timed
from ._schedule import AbstractSchedule


class ClassifierFreeGuidance(AbstractScore):
    """The guided score `uncond + scale (cond - uncond)`, two evaluations of `score`.

    The conditional score is `score(x, t, args)`, the unconditional one `score(x, t, null_args)`.
    With `args=None` it is the unconditional score, at one evaluation. Where both conditions are
    arrays, or pytrees of arrays of the same shapes, they are evaluated as one batch of two, so that
    the program contains the network once.

    **Arguments:**

    - `score`: the score of one condition, an [`geojax.AbstractScore`][].
    - `scale`: a number; 0 is unconditional, 1 conditional, above 1 sharpened.
    - `null_args`: the condition that stands for none.

    **Raises:**

    - `ValueError`: when `scale` is not a number.

    Source: Ho & Salimans 2022.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, ClassifierFreeGuidance, NoisePrediction
    >>> score = NoisePrediction(lambda x, t, args: x - args, VE(0.5, 5.0))
    >>> guided = ClassifierFreeGuidance(score, scale=3.0, null_args=0.0)
    >>> guided(jnp.zeros(2), 0.0, 1.0).tolist()  # as if the label were 3
    [6.0, 6.0]
    """

    score: AbstractScore
    scale: Float[Array, ""] = eqx.field(converter=functools.partial(number, "scale"))
    null_args: Any = None

    def __check_init__(self):
        check_timed(self.score)

    @property
    def schedule(self) -> AbstractSchedule:
        """The schedule of the guided score."""
        return self.score.schedule

    @property
    def needs_noise(self) -> str | None:
        return self.score.needs_noise

    @property
    def network_evaluations(self) -> int:
        return 2 * self.score.network_evaluations

    def evaluate(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, "*shape"]:
        if args is None:
            return self.score(x, t, self.null_args)
        if _alike(self.null_args, args):
            both = jax.tree.map(lambda *pair: jnp.stack(pair), self.null_args, args)
            unconditional, conditional = jax.vmap(lambda given: self.score(x, t, given))(both)
        else:
            unconditional = self.score(x, t, self.null_args)
            conditional = self.score(x, t, args)
        return unconditional + self.scale.astype(x.dtype) * (conditional - unconditional)


def _alike(first: Any, second: Any) -> bool:
    """Whether both are pytrees of arrays that can be stacked."""
    leaves, others = jax.tree.leaves(first), jax.tree.leaves(second)
    if not leaves or jax.tree.structure(first) != jax.tree.structure(second):
        return False
    return all(
        isinstance(a, jax.Array | np.ndarray)
        and isinstance(b, jax.Array | np.ndarray)
        and (a.shape, a.dtype) == (b.shape, b.dtype)
        for a, b in zip(leaves, others, strict=True)
    )
