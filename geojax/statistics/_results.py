"""The verdicts of fits."""

import equinox as eqx

from .._verdicts import Notice, Verdicts

_NOTICES = {
    "max_evaluations_reached": Notice(
        "The fit used up its evaluations[ ({num_evaluations} of {num_evaluations_limit})] before "
        "its gradient met rtol[: its norm is {gradient_norm}, allowed {gradient_norm_limit}].",
        "Raise max_evaluations or rtol, or start from a better place (init=..., mean=...).",
        "Raise the number of evaluations.",
    ),
    "stalled": Notice(
        "No step along the direction of descent lowers the sum of squared distances any further, "
        "but its gradient is above rtol[: its norm is {gradient_norm}, allowed "
        "{gradient_norm_limit}]. The geodesics are not solved exactly enough, or jump between "
        "paths of equal length.",
        "Give the solver a lower rtol, raise the fit's, or use float64.",
        "Use --x64.",
    ),
    "geodesics_failed": Notice(
        "Not every geodesic to a point succeeded[ ({num_failed} of {num_geodesics} did not, the "
        "first at point {first_failed})], so the sum of squared distances cannot be trusted.",
        "Read solutions.messages, point by point.[ That one: {first_message}]",
        "Raise --segments.",
    ),
    "max_swaps_reached": Notice(
        "The clusters used up their swaps[ ({num_swaps} of {num_swaps_limit})] although "
        "another swap would still lower the cost.",
        "Raise max_swaps.",
        "Raise the number of swaps.",
    ),
    "non_finite": Notice(
        "The sum of squared distances or its gradient is not finite at the start.",
        "Check the points and the metric there, or start elsewhere.",
        "Check the points and the model.",
    ),
}


def _alone(name: str) -> str:
    """The text of a verdict without the figures of a fit."""
    return _NOTICES[name].filled().text()


class FIT_RESULTS(eqx.Enumeration):
    """The verdict of a fit; every value but `FIT_RESULTS.successful` has a cause and a remedy.

    `FIT_RESULTS[result]` is the text without figures; `fit.message` includes them. The verdicts on
    the single geodesics are `RESULTS`, one a point, in `fit.solutions.result`.
    """

    successful = ""
    max_evaluations_reached = _alone("max_evaluations_reached")
    stalled = _alone("stalled")
    geodesics_failed = _alone("geodesics_failed")
    max_swaps_reached = _alone("max_swaps_reached")
    non_finite = _alone("non_finite")


FIT_VERDICTS = Verdicts(FIT_RESULTS, _NOTICES)
