"""Checks of what users hand to metrics, with the remedy in the message."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._arrays import as_floating
from ..scores import AbstractScore


def scalar(name: str, value: Any, *, positive: bool = False) -> Float[Array, ""]:
    """``value`` as a scalar array of the default floating dtype.

    A traced value cannot be judged: it is taken as it is.

    **Raises:** `ValueError` when it is not a scalar, or a number that is not finite, negative, or
    zero although it must be ``positive``.
    """
    bound = "> 0" if positive else ">= 0"
    if refused(value, positive=positive):
        raise ValueError(f"{name} must be a finite number {bound}, got {value}.")
    array = as_floating(name, value, dtype=jnp.result_type(float))
    if array.ndim:
        raise ValueError(
            f"{name} must be a scalar, got shape {array.shape}. For several values use jax.vmap "
            "over metrics."
        )
    return array


def refused(value: Any, *, positive: bool) -> bool:
    """Whether ``value`` is a number that is negative, not finite, or zero although ``positive``.

    Traced values are not judged, and an array that is not finite, the outcome of a computation
    perhaps, is let through: what is computed from it is reported as not finite.
    """
    try:
        number = float("nan") if np.ndim(value) else float(value)
    except TypeError:
        return False
    if not np.isfinite(number):
        return isinstance(value, int | float | np.number)
    return number < 0 or (positive and number == 0)


def check_callable(name: str, value: Any, signature: str, remedy: str = "") -> None:
    """**Raises:** `ValueError` when ``value`` cannot be called."""
    if not callable(value):
        message = f"{name} must be a callable {signature}, got {type(value).__name__}."
        raise ValueError(f"{message} {remedy}".rstrip())


def check_score(score: Any) -> None:
    """**Raises:** `ValueError` when ``score`` cannot be called, or still wants a time."""
    remedy = "For a score that depends on time pass score.at(t)."
    check_callable("score", score, "(x, args) -> s", remedy)
    if isinstance(score, AbstractScore):
        raise ValueError(
            f"score must be a callable (x, args) -> s, got {type(score).__name__}, which takes a "
            "time. Pass it at one noise level: score.at(0.4)."
        )
