"""Options that are objects (a solver, a rule, a method): whether one is of the right kind."""

import inspect
from typing import Any


def check_option(name: str, value: Any, kind: Any, wanted: str, remedy: str = "") -> None:
    """Whether ``value`` is a ``kind``; ``wanted`` says in words what that is, with an example.

    **Raises:** `ValueError` that names the option, its value and the remedy.
    """
    if isinstance(value, kind):
        return
    if inspect.isclass(value) and issubclass(value, kind):
        remedy = f"Pass an instance of it: {name}={value.__name__}()."
    elif isinstance(value, str):
        remedy = "Pass the object, not its name."
    raise ValueError(f"{name} must be {wanted}, got {described(value)}. {remedy}".rstrip())


def described(value: Any) -> str:
    """``value`` in a message: small ones as they are, others by their type."""
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if isinstance(value, str | int | float | None):
        return repr(value)
    return type(value).__name__
