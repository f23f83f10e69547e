"""Single numbers as arguments, as scalar arrays.

A Python number in a field of a module is a constant of the compiled program: another number
compiles the program again. As an array it is an argument of the program.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def known(value: Any) -> float | None:
    """`value` as a Python number; None where it is traced, or not one real number."""
    try:
        return None if np.ndim(value) else float(value)
    except (TypeError, ValueError):  # jax.errors.ConcretizationTypeError is a TypeError
        return None


def surely(comparison: Callable[[], Any]) -> bool:
    """Whether `comparison()` holds, inside `jax.jit` too; False where it is traced.

    A value unknown at tracing is no error.
    """
    try:
        with jax.ensure_compile_time_eval():
            return bool(comparison())
    except jax.errors.ConcretizationTypeError:
        return False


def number(name: str, value: Any) -> Float[Array, ""]:
    """`value` as a scalar array of the default floating dtype.

    Raise a `ValueError` when it is not one real number.
    """
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}.") from None
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ValueError(f"{name} must be a real number, got {value}.")
    if array.ndim:
        raise ValueError(
            f"{name} must be a scalar, got shape {array.shape}. For several values use jax.vmap."
        )
    return array.astype(jnp.result_type(float))


def scalar(name: str, value: Any, *, positive: bool = False) -> Float[Array, ""]:
    """`value` as `number` converts it, which must not be negative.

    A traced value is not checked. Raise a `ValueError` when it is not a scalar, or a number that is
    not finite, negative, or zero although it must be `positive`.
    """
    if refused(value, positive=positive):
        bound = "> 0" if positive else ">= 0"
        raise ValueError(f"{name} must be a finite number {bound}, got {value}.")
    return number(name, value)


def refused(value: Any, *, positive: bool) -> bool:
    """Whether `value` is a number that is negative, not finite, or zero although `positive`.

    Traced values are not checked. An array that is not finite is accepted, because it may be the
    result of a computation: results from it are reported as not finite.
    """
    value_known = known(value)
    if value_known is None:
        return False
    if not np.isfinite(value_known):
        return isinstance(value, int | float | np.number)
    return value_known < 0 or (positive and value_known == 0)
