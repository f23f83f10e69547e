"""Checks of the scores that users pass to metrics, with the remedy in the message."""

from typing import Any

from .._functions import check_function
from ..scores import AbstractScore


def check_score(score: Any) -> None:
    """Raise a `ValueError` when `score` is no function of (x, args), or takes a time."""
    if isinstance(score, AbstractScore):
        raise ValueError(
            f"score must be a callable (x, args) -> s, got {type(score).__name__}, which takes a "
            "time. Pass it at one noise level: score.at(0.4)."
        )
    remedy = "For a score that depends on time pass score.at(t)."
    check_function("score", score, "(x, args) -> s", remedy)
