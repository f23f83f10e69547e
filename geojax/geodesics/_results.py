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
    under_resolved = (
        "The path is under-resolved: its energy priced finely along the segments differs from the "
        "energy that was minimised by more than resolution_tolerance, so motion hides between the "
        "nodes. Raise num_segments, or lower lam."
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
