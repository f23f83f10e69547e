"""Checks of options that are objects (a solver, a rule, a method)."""

import inspect
from typing import Any


def check_option(name: str, value: Any, kind: Any, wanted: str, remedy: str = "") -> None:
    """Raise a `ValueError` unless `value` is a `kind`.

    The message has the option, its value and the remedy; `wanted` describes the kind with an
    example.
    """
    if isinstance(value, kind):
        return
    if inspect.isclass(value) and issubclass(value, kind):
        remedy = f"Pass an instance of it: {name}={value.__name__}()."
    elif isinstance(value, str):
        remedy = "Pass the object, not its name."
    raise ValueError(f"{name} must be {wanted}, got {described(value)}. {remedy}".rstrip())


def described(value: Any) -> str:
    """`value` in a message: small values as they are, others by their type."""
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if isinstance(value, str | int | float | None):
        return repr(value)
    return type(value).__name__
