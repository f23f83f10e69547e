"""The verdicts of a solve, with their texts."""

import equinox as eqx

from .._verdicts import GeodesicError as GeodesicError
from .._verdicts import Notice, Verdicts

# By name: the cause, the remedy in Python, the remedy on the command line.
_NOTICES = {
    "max_steps_reached": Notice(
        "The solver used up its steps before the decrement met the tolerance[: it is {decrement}, "
        "tolerance {decrement_limit}, after {num_steps} of {num_steps_limit} steps].",
        "Raise max_steps, start from a better path (init=...), wrap the solver in CoarseToFine or "
        "LambdaContinuation, or call robust_geodesic.",
        "Raise --max-steps, or use --solver coarse-to-fine or --solver lambda-continuation.",
    ),
    "interrupted": Notice(
        "The search was stopped before it ended[: after {num_steps} steps the decrement is "
        "{decrement}, tolerance {decrement_limit}].",
        "Start from the path so far (init=solution.curve.xs) to go on.",
        "Give the folder of this run to the same command as --init to go on.",
    ),
    "stalled": Notice(
        "The solver could not lower the energy any further although the decrement is above the "
        "tolerance[: it is {decrement}, tolerance {decrement_limit}].",
        "In float32 the energy may have met its rounding error: raise rtol or use float64. "
        "Otherwise use LambdaContinuation, or call robust_geodesic.",
        "In float32 the energy may have met its rounding error: raise --rtol or use --x64. "
        "Otherwise use --solver lambda-continuation.",
    ),
    "saddle_point": Notice(
        "The path is a saddle of the energy, not a minimum: a shorter one is nearby.",
        "Use GaussNewton, which moves on from saddles that it finds, start from a path moved aside "
        "(init=...), or call robust_geodesic with other starts.",
        "Use --solver gauss-newton, which moves on from saddles that it finds.",
    ),
    "unverified": Notice(
        "The path is stationary, but it could not be verified that it is a minimum of the energy: "
        "conjugate gradients with the exact Hessian did not converge[, and miss a saddle with a "
        "probability of up to {missed_saddle:%}, allowed {missed_saddle_limit:%}].",
        "Raise curvature_steps of GaussNewton, use float64, or start from a path moved aside "
        "(init=...) and compare the energies; diagnostics='price' leaves the check out.",
        "Use --x64, or compare with a path from another start (--init).",
    ),
    "under_resolved": Notice(
        "The path is under-resolved, it needs more nodes: the minimised energy differs from the "
        "energy at finer points[ by {discretisation_error:%}, allowed "
        "{discretisation_error_limit:%}].",
        "Raise num_segments[ to {more_segments}], lower lam, or call robust_geodesic, which puts "
        "nodes where they are needed.",
        "Raise --segments[ to {more_segments}], or lower --lam.",
    ),
    "not_closed": Notice(
        "The shots do not meet: the root finder ended with gaps above rtol[ (twice the largest is "
        "{decrement} of |x1 - x0|, tolerance {decrement_limit})].",
        "Start nearer to a geodesic (init=..., another solver's path), use more shots, or wrap the "
        "solver in LambdaContinuation.",
        "Use another --solver.",
    ),
    "not_shortest": Notice(
        "The curve is a geodesic but not the shortest one: its energy is above that of the path "
        "that the solver started from.",
        "Start from a better path (init=..., another solver's), use more shots, or call "
        "robust_geodesic.",
        "Use another --solver.",
    ),
    "non_finite": Notice(
        "The metric or its derivative, and so the energy of the path or its velocity, is not "
        "finite.",
        "Check the score at the end-points and along the path (solution.curve.xs).",
        "Check the model and both pictures, or lower --lam.",
    ),
    "energy_drift": Notice(
        "g(v, v), which is constant along a geodesic, changes along the integrated one[ by "
        "{energy_drift:%}, allowed {energy_drift_limit:%}].",
        "Lower rtol and atol, or use float64.",
        "Use --x64, or lower --lam.",
    ),
    "integration_stopped": Notice(
        "The integration used up its steps before the end[ ({num_steps} of {num_steps_limit})]: "
        "the geodesic is stiff or leaves the region where the metric is defined.",
        "Raise max_steps, loosen rtol and atol, lower lam, or shorten the initial velocity.",
        "Lower --lam, or extrapolate less (--extent).",
    ),
    "missed": Notice(
        "The geodesic integrated from x0 with the velocity found misses x1[ by {miss} of "
        "|x1 - x0|, tolerance {miss_limit}, after {rounds} of {rounds_limit} corrections].",
        "Raise num_segments or max_corrections, or raise rtol (float32 may not reach it).",
        "Raise --segments.",
    ),
    "transport_drift": Notice(
        "The length of the transported vector, which parallel transport keeps, changes[ by "
        "{norm_drift:%}, allowed {norm_drift_limit:%}].",
        "Lower rtol and atol, give PoleLadder more rungs, or use float64. If the metric calls its "
        "score conservative and it is not exactly a gradient, set conservative=False.",
        "Use --x64.",
    ),
    "rungs_too_far": Notice(
        "A local logarithm of the pole ladder misses its target[ by {log_miss} of its length]: "
        "neighbouring rungs are too far apart for the curvature between "
        "them.",
        "Give PoleLadder more rungs, or the curve more nodes.",
        "Raise --segments.",
    ),
    "not_converged": Notice(
        "Descent used up its steps before the gradient met its tolerance[: its norm is "
        "{gradient_norm}, gtol {gradient_norm_limit}, after {num_steps} steps].",
        "Raise max_steps, learning_rate or gtol.",
        "Raise the number of steps.",
    ),
    "no_descent": Notice(
        "No step along the negative gradient, however short, lowered the objective[ (at a gradient "
        "of norm {gradient_norm})]: it is not smooth there, or its rounding error was met.",
        "Raise gtol, or use float64.",
        "Use --x64.",
    ),
    "negative_energy": Notice(
        "Segments of the path have negative energy: the posterior moments from this score are not "
        "those of any density there.",
        "Raise t, use more probes or none, or train the score longer.",
        "Raise --t, or take another of --methods.",
    ),
    "no_path": Notice(
        "Points of the path are not finite: the method has no path between these two, as SLERP has "
        "none between opposite points, or its score is not finite along the path.",
        "Move one of the points aside, use another interpolator, or check the score.",
        "Use other pictures, or another of --methods.",
    ),
}


def _alone(name: str) -> str:
    """The text of a verdict without the figures of a solve."""
    return _NOTICES[name].filled().text()


class RESULTS(eqx.Enumeration):
    """The verdict of a solve; any verdict but `RESULTS.successful` comes with a remedy.

    `RESULTS[result]` is the text without figures; `solution.message` has them.

    >>> import jax.numpy as jnp, geojax
    >>> solution = geojax.geodesic(geojax.Euclidean(), jnp.zeros(2), jnp.ones(2))
    >>> bool(solution.result == geojax.RESULTS.successful)
    True
    """

    successful = ""
    max_steps_reached = _alone("max_steps_reached")
    interrupted = _alone("interrupted")
    stalled = _alone("stalled")
    saddle_point = _alone("saddle_point")
    unverified = _alone("unverified")
    under_resolved = _alone("under_resolved")
    not_closed = _alone("not_closed")
    not_shortest = _alone("not_shortest")
    non_finite = _alone("non_finite")
    energy_drift = _alone("energy_drift")
    integration_stopped = _alone("integration_stopped")
    missed = _alone("missed")
    transport_drift = _alone("transport_drift")
    rungs_too_far = _alone("rungs_too_far")
    not_converged = _alone("not_converged")
    no_descent = _alone("no_descent")
    negative_energy = _alone("negative_energy")
    no_path = _alone("no_path")


VERDICTS = Verdicts(RESULTS, _NOTICES)
