"""A condition that changes from one point to another."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import as_floating
from .._linalg import dot
from ._base import AbstractScore, check_timed
from ._schedule import AbstractSchedule


class ConditionBetween(AbstractScore):
    """A score with one condition at a point A, another at B, and mixtures between them.

    Use it for paths between images of different labels or prompts. `args` is the pair of
    conditions: floating arrays, or pytrees of them, of the same shapes. At `x` the condition is
    `(1 - u) args[0] + u args[1]`. u in [0, 1] is the parameter of the point nearest to `x` on the
    straight line from A to B at the noise level t; on that line it is the parameter of the path. So
    the condition depends on the place of a point, not on the path to it. A metric made of this
    score is a metric like any other: every solver, rule and exponential map takes it. Beyond B the
    condition stays that of B.

    Because it depends on x through u, it is not exactly a gradient, even where the given score is.
    A rule that assumes a gradient ([`geojax.Quadrature`][]) may stall before the tolerance where
    the conditions are far apart; [`geojax.Midpoint`][] does not.

    **Arguments:**

    - `score`: the score for one condition.
    - `clean`: A and B without noise, shape `(2, *shape)`.
    - `noise`: the noises of A and B, shape `(2, *shape)`. At level t the points are
      `alpha(t) clean + sigma(t) noise`.

    **Raises:**

    - `ValueError`: when shapes do not fit, or `args` is no pair of conditions of the same
      structure, shapes and floating dtypes.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import VE, ConditionBetween, NoisePrediction
    >>> score = NoisePrediction(lambda x, t, args: args, VE(1.0, 2.0))
    >>> ends = jnp.asarray([[0.0, 0.0], [4.0, 0.0]])
    >>> between = ConditionBetween(score, ends, jnp.zeros((2, 2)))
    >>> between(jnp.asarray([1.0, 5.0]), 0.0, (jnp.zeros(2), jnp.ones(2)))
    Array([-0.25, -0.25], dtype=...)
    """

    score: AbstractScore
    clean: Float[Array, "2 *shape"] = eqx.field(converter=functools.partial(as_floating, "clean"))
    noise: Float[Array, "2 *shape"] = eqx.field(converter=functools.partial(as_floating, "noise"))

    def __check_init__(self):
        check_timed(self.score)
        if self.clean.shape != self.noise.shape or self.clean.shape[:1] != (2,):
            raise ValueError(
                "clean and noise must have one shape (2, *shape), those of A and B, got "
                f"{self.clean.shape} and {self.noise.shape}."
            )

    @property
    def schedule(self) -> AbstractSchedule:
        """The schedule of the score."""
        return self.score.schedule

    @property
    def needs_noise(self) -> str | None:
        return self.score.needs_noise

    @property
    def network_evaluations(self) -> int:
        return self.score.network_evaluations

    def evaluate(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, "*shape"]:
        if not isinstance(args, tuple) or len(args) != 2:
            raise ValueError(
                "args must be the pair of conditions, got "
                f"{type(args).__name__}. Pass args=(condition_a, condition_b)."
            )
        a, b = self.schedule.add_noise(self.clean, self.noise, t).astype(x.dtype)
        if x.shape != a.shape:
            raise ValueError(f"x must have the shape of A and B, {a.shape}, got {x.shape}.")
        square = dot(b - a, b - a)
        u = dot(x - a, b - a) / jnp.where(square > 0, square, 1.0)
        u = jnp.clip(u, 0, 1)

        def mix(first, second):
            first, second = jnp.asarray(first), jnp.asarray(second)
            if first.shape != second.shape or not jnp.issubdtype(first.dtype, jnp.floating):
                raise ValueError(
                    "the conditions of args must be floating arrays of the same shapes, got "
                    f"{first.shape} of {first.dtype} and {second.shape} of {second.dtype}. Labels "
                    "cannot be mixed: pass their embeddings."
                )
            share = u.astype(first.dtype)
            return (1 - share) * first + share * second

        if jax.tree.structure(args[0]) != jax.tree.structure(args[1]):
            raise ValueError(
                "the conditions of args must be pytrees of the same structure, got "
                f"{jax.tree.structure(args[0])} and {jax.tree.structure(args[1])}."
            )
        return self.score(x, t, jax.tree.map(mix, *args))
