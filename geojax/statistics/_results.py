"""How a fit ended."""

import equinox as eqx


class FIT_RESULTS(eqx.Enumeration):
    """The verdict of a fit; anything but ``FIT_RESULTS.successful`` says what to do.

    The verdicts on the single geodesics are `RESULTS`, one a point, in ``fit.solutions.result``.
    """

    successful = ""
    max_evaluations_reached = (
        "The fit used up its evaluations before its gradient met rtol. Raise max_evaluations, or "
        "start from a better place."
    )
    stalled = (
        "No step along the direction of descent lowers the sum of squared distances any further "
        "although its gradient is above rtol: the geodesics are not solved exactly enough, or jump "
        "between paths of equal length. Give the solver a lower rtol, raise the fit's, or use "
        "float64."
    )
    geodesics_failed = (
        "Not every geodesic to a point succeeded, so the sum of squared distances is not to be "
        "trusted: read solutions.result point by point; each verdict says what to do."
    )
    non_finite = (
        "The sum of squared distances or its gradient is not finite at the start. Check the points "
        "and the metric there, or start elsewhere."
    )
