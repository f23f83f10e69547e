"""Distance and logarithmic map, from the two-point problem."""

import dataclasses
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers
from .._functions import explained_derivatives
from .._linalg import norm, safe_sqrt, tensordot
from .._verdicts import or_raise
from ..metrics import AbstractMetric, AbstractSumOfSquaresMetric
from ._checks import Diagnostics
from ._gauss_newton import GaussNewton
from ._geodesic import DISCRETISATION_TOLERANCE, check_points, geodesic
from ._iterate import AbstractSolver
from ._results import RESULTS
from ._rules import AbstractRule
from ._second_order import stop_gradients
from ._shot import differentiated, displacement

_MEMORY = 4  # earlier rounds that the corrections of `log_map` combine


class _Correction(NamedTuple):
    target: Array
    miss: Array
    xs: Array
    targets: Array  # changes of target over the last rounds, latest first
    misses: Array  # changes of miss, likewise
    velocity: Array
    best: Array
    rounds: Array


def distance(
    metric: AbstractMetric,
    x0: Numbers,
    x1: Numbers,
    args: Any = None,
    *,
    solver: AbstractSolver | None = None,
    init: Numbers | None = None,
    num_segments: int = 16,
    ts: Numbers | None = None,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    diagnostics: Diagnostics = "full",
    throw: bool = True,
    progress_meter: diffrax.AbstractProgressMeter | None = None,
) -> Float[Array, ""]:
    """Compute the length of the geodesic that `geodesic` finds.

    It is the root of twice the energy. This is the length where the speed is constant, as it is for
    a minimiser except for the discretisation, and otherwise more than the length. So its gradient,
    by the end-points, `args` and every number in the metric, takes no linear solve (envelope
    theorem). At distance 0 the gradient is 0.

    **Arguments:**

    - all are those of [`geojax.geodesic`][].

    **Returns:**

    A scalar. With `throw=False` a solve that did not succeed gives NaN, never a number that may be
    wrong.

    **Raises:**

    - as `geodesic` does.

    >>> import jax.numpy as jnp, geojax
    >>> print(geojax.distance(geojax.Euclidean(), jnp.zeros(2), jnp.array([3.0, 4.0])))
    5.0
    """
    solution = geodesic(
        metric,
        x0,
        x1,
        args,
        solver=solver,
        init=init,
        num_segments=num_segments,
        ts=ts,
        rule=rule,
        max_steps=max_steps,
        discretisation_tolerance=discretisation_tolerance,
        diagnostics=diagnostics,
        throw=throw,
        progress_meter=progress_meter,
    )
    length = safe_sqrt(2 * solution.energy)
    return jnp.where(solution.result == RESULTS.successful, length, jnp.nan)


@explained_derivatives()
def log_map(
    metric: AbstractMetric,
    x0: Numbers,
    x1: Numbers,
    args: Any = None,
    *,
    solver: AbstractSolver | None = None,
    rtol: float | None = None,
    max_corrections: int = 10,
    init: Numbers | None = None,
    num_segments: int = 16,
    ts: Numbers | None = None,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    diagnostics: Diagnostics = "full",
    throw: bool = True,
    progress_meter: diffrax.AbstractProgressMeter | None = None,
) -> Float[Array, "*shape"]:
    """Find the initial velocity v for which `exponential_map(metric, x0, v)` ends at `x1`.

    The two-point solver's velocity is exact to second order in 1 / num_segments. It is then
    corrected: the two-point problem is solved again for a target that is moved by the miss of the
    integrated geodesic (with Anderson acceleration). A round contracts the miss by
    O(1 / num_segments^2). No Jacobian of the exponential map is formed.

    **Arguments:**

    - `solver`: default [`geojax.GaussNewton`][] with a decrement of 1e-13 in float64 (a path is as
      exact as the root of its decrement), else that of [`geojax.geodesic`][].
    - `rtol`: bound on the miss relative to |x1 - x0|; default 1e-6 in float64, 1e-3 in float32. The
      tolerances of the integration are a hundredth of it (at most 1e-5), relative to the motion.
    - `max_corrections`: the largest number of rounds; with 0 the uncorrected velocity is returned.
    - the other options are those of `geodesic`.

    **Returns:**

    An array of the shape of `x0`. With `throw=False` a failure gives NaNs.

    It can be differentiated by the points, `args` and every number in the metric and its score,
    forward and reverse, by the implicit function theorem. This takes GMRES with products of the
    derivative of the exponential map: about D of them or 40, whichever is less. Each product is one
    integration (in reverse mode a pass back through it). First derivatives only; NaN at conjugate
    points. With `max_corrections=0` the derivative is that of `geodesic`.

    **Raises:**

    - as `geodesic` does.
    - [`geojax.GeodesicError`][]: also when the miss stays above `rtol`.

    >>> import jax.numpy as jnp, geojax
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([3.0, 4.0])
    >>> print(geojax.log_map(geojax.Euclidean(), a, b, num_segments=8))
    [2. 4.]
    """
    x0, x1 = check_points(metric, x0=x0, x1=x1)
    if max_corrections < 0:
        raise ValueError(f"max_corrections must be at least 0, got {max_corrections}.")
    if rtol is None:
        rtol = 1e-6 if x0.dtype == jnp.float64 else 1e-3
    least_squares = isinstance(metric, AbstractSumOfSquaresMetric)
    if solver is None and least_squares and x0.dtype == jnp.float64:
        solver = GaussNewton(rtol=1e-13)
    given = metric, x0, x1, args
    if max_corrections:  # else velocity and derivative are those of the two-point problem
        metric, x0, x1, args = stop_gradients(given)
    options = {
        "num_segments": num_segments,
        "ts": ts,
        "rule": rule,
        "max_steps": max_steps,
        "discretisation_tolerance": discretisation_tolerance,
        "diagnostics": diagnostics,
    }
    start = {"init": init, "throw": throw, "progress_meter": progress_meter}
    first = geodesic(metric, x0, x1, args, solver=solver, **start, **options)
    solved = first.result == RESULTS.successful
    if max_corrections == 0:
        return jnp.where(solved, first.initial_velocity, jnp.nan)
    tol = min(1e-2 * rtol, 1e-5)
    velocity, miss, scale, rounds = _corrected(
        metric, x0, x1, solver, args, first, rtol, tol, max_corrections, options
    )
    hit = (miss <= rtol * scale) & solved
    velocity = jnp.where(hit, _differentiated(velocity, given, tol), jnp.nan)
    if not throw:
        return velocity
    miss = miss / jnp.where(scale > 0, scale, 1.0)
    judged = dataclasses.replace(
        first,
        result=RESULTS.where(solved & ~hit, RESULTS.missed, first.result),
        stats={**first.stats, "miss": miss, "rounds": rounds},
        limits={**first.limits, "miss": rtol, "rounds": max_corrections},
    )
    return or_raise(judged, velocity)


@eqx.filter_jit
def _differentiated(velocity, given, tol):
    return differentiated(velocity, *given, tol)


@eqx.filter_jit
def _corrected(
    metric, x0, x1, solver, args, first, rtol, tol, max_corrections, options
) -> tuple[Array, Array, Array, Array]:
    """The best velocity found, the norm of its miss, that of x1 - x0, and the number of rounds."""
    scale = norm(x1 - x0)

    def miss_of(v):
        return x1 - x0 - displacement(metric, x0, v, args, tol, diffrax.ForwardMode())

    def going(state):
        size = norm(state.miss)
        return (size > rtol * scale) & jnp.isfinite(size) & (state.rounds < max_corrections)

    def correct(state):
        # Anderson's combination of the last rounds: the plain iteration target + miss converges
        # slowly along the few directions in which the discrete path is too stiff.
        changes = state.misses.reshape(_MEMORY, -1)
        weights = jnp.linalg.lstsq(changes.T, state.miss.reshape(-1))[0]
        mixed = tensordot(weights, state.targets + state.misses, axes=1)
        target = state.target + state.miss - mixed
        again = geodesic(
            metric,
            x0,
            target,
            args,
            solver=solver,
            init=state.xs,
            throw=False,
            **options,
        )
        miss = miss_of(again.initial_velocity)
        size = norm(miss)
        better = size < state.best
        return _Correction(
            target,
            miss,
            again.curve.xs,
            jnp.roll(state.targets, 1, axis=0).at[0].set(target - state.target),
            jnp.roll(state.misses, 1, axis=0).at[0].set(miss - state.miss),
            jnp.where(better, again.initial_velocity, state.velocity),
            jnp.where(better, size, state.best),
            state.rounds + 1,
        )

    velocity, miss = first.initial_velocity, miss_of(first.initial_velocity)
    none = jnp.zeros((_MEMORY, *x0.shape), x0.dtype)
    size = norm(miss)
    start = _Correction(
        x1, miss, first.curve.xs, none, none, velocity, size, jnp.zeros((), jnp.int32)
    )
    end = jax.lax.while_loop(going, correct, start)
    return end.velocity, end.best, scale, end.rounds
