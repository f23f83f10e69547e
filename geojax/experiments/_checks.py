"""Checks that the plans of all experiments share."""

from collections.abc import Iterable
from typing import Any


def check_known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """`ValueError` for a name that is not a known one."""
    known = tuple(known)
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}. Known: {', '.join(known)}.")


def check_least(plan: Any, **least: int) -> None:
    """`ValueError` for a number of the plan below its least value."""
    for name, smallest in least.items():
        if getattr(plan, name) < smallest:
            raise ValueError(f"{name} must be at least {smallest}, got {getattr(plan, name)}.")
