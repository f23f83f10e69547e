"""A shifted score: `x -> s(x + shift)`."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float


class ShiftedScore(eqx.Module):
    """The score `(x, args) -> s(x + shift)`."""

    score: Callable[..., Any]
    shift: Float[Array, "*shape"]

    def __call__(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, "*shape"]:
        return self.score(_moved(x, self.shift), args)


class ShiftedDensity(eqx.Module):
    """A shifted score whose log-density is known."""

    score: Any
    shift: Float[Array, "*shape"]

    def __call__(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, "*shape"]:
        return self.score(_moved(x, self.shift), args)

    def log_density(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, ""]:
        return self.score.log_density(_moved(x, self.shift), args)


def _moved(x, shift):
    if shift.shape != x.shape:
        raise ValueError(f"x must have the shape of a probe, {shift.shape}, got {x.shape}.")
    return x + shift.astype(x.dtype)


def shifted(score: Callable[..., Any], shift: Float[Array, "*shape"]):
    """`score` at `x + shift`, with its log-density where it has one."""
    known = hasattr(score, "log_density")
    return ShiftedDensity(score, shift) if known else ShiftedScore(score, shift)


def is_same_score(left, right) -> bool:
    """Whether two scores are one score at two shifts."""
    kinds = (ShiftedScore, ShiftedDensity)
    return isinstance(left, kinds) and isinstance(right, kinds) and left.score is right.score
