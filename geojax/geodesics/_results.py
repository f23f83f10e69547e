"""How a solve ended."""

import equinox as eqx


class RESULTS(eqx.Enumeration):
    """The verdict of a solve; anything but ``RESULTS.successful`` says what to do.

    >>> import jax.numpy as jnp, geojax
    >>> solution = geojax.geodesic(geojax.Euclidean(), jnp.zeros(2), jnp.ones(2))
    >>> bool(solution.result == geojax.RESULTS.successful)
    True
    """

    successful = ""
    max_steps_reached = (
        "The solver used up its steps before the decrement met the tolerance. Raise max_steps, "
        "start from a better path (init=...), or wrap the solver in CoarseToFine or "
        "LambdaContinuation."
    )
    stalled = (
        "The solver could not lower the energy any further although the decrement is above the "
        "tolerance. In float32 the energy may have met its rounding error: raise rtol or use "
        "float64. Otherwise try LambdaContinuation."
    )
    saddle_point = (
        "The path is a saddle of the energy, not a minimum: a shorter one is nearby. Use "
        "GaussNewton, which moves on from saddles, or start from a path moved aside (init=...)."
    )
    under_resolved = (
        "The path is under-resolved: its energy priced finely along the segments differs from the "
        "energy that was minimised by more than discretisation_tolerance, so motion hides between "
        "the nodes. Raise num_segments, or lower lam."
    )
    not_closed = (
        "The shots do not meet: the root finder ended with gaps above rtol. Start nearer to a "
        "geodesic (init=..., another solver's path), use more shots, or wrap the solver in "
        "LambdaContinuation."
    )
    not_shortest = (
        "The curve is a geodesic but not the shortest one: its energy is above that of the path "
        "that the solver started from. Start from a better path (init=..., another solver's), or "
        "use more shots."
    )
    non_finite = (
        "The metric or its derivative, and so the energy of the path or its velocity, is not "
        "finite. Check the score at the end-points and along the path (solution.curve.xs)."
    )
    energy_drift = (
        "g(v, v) is not constant along the integrated geodesic: lower rtol and atol, or use "
        "float64."
    )
    integration_stopped = (
        "The integration used up its steps before the end. The geodesic is stiff or leaves the "
        "region where the metric is defined: raise max_steps, loosen rtol and atol, lower lam, or "
        "shorten the initial velocity."
    )
    transport_drift = (
        "The length of the transported vector, which parallel transport keeps, is not constant: "
        "lower rtol and atol, give PoleLadder more rungs, or use float64. If the metric calls its "
        "score conservative and it is not exactly a gradient, set conservative=False."
    )
    rungs_too_far = (
        "A local logarithm of the pole ladder misses its target: neighbouring rungs are too far "
        "apart for the curvature between them. Give PoleLadder more rungs, or the curve more nodes."
    )
    not_converged = (
        "Descent used up its steps before the gradient met its tolerance: raise num_steps or "
        "learning_rate, or gtol."
    )
    no_descent = (
        "No step along the negative gradient, however short, lowered the objective: it is not "
        "smooth there, or its rounding error was met. Raise gtol, or use float64."
    )
