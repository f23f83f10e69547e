"""The two-point problem: the geodesic between two points."""

from collections.abc import Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, as_alike, as_floating
from .._functions import explained_derivatives
from .._numbers import number
from .._verdicts import or_raise
from ..metrics import AbstractMetric
from ._checks import Diagnostics, check_meter, check_metric, derivative_remedy
from ._curve import check_init, resample
from ._default import solver_and_rule
from ._diagnosis import diagnosed
from ._iterate import AbstractSolver, one_segment
from ._problem import TwoPointProblem
from ._rules import AbstractRule
from ._second_order import stop_gradients
from ._solution import GeodesicSolution

DISCRETISATION_TOLERANCE = 0.05  # largest discretisation error of a successful solve


def geodesic(
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
) -> GeodesicSolution:
    """Find the geodesic from `x0` to `x1`: the path of least energy, as a cubic spline.

    It is one solve from one start, for `jax.jit` and `jax.vmap`. Where it fails,
    [`geojax.robust_geodesic`][] tries several starts, finer meshes and weaker metrics, on the host.

    **Arguments:**

    - `x0`, `x1`: points of one shape (any), computed in float32 or float64. For batches use
      `jax.vmap` with `throw=False` and read the results lane by lane, or
      [`geojax.geodesic_batch`][].
    - `args`: passed to the score (a label, a prompt).
    - `solver`: [`geojax.GaussNewton`][] for metrics whose energy is a sum of squares (the default
      there); [`geojax.Newton`][] for any other metric of few coordinates (the default up to 100);
      [`geojax.PathEnergy`][] with L-BFGS (the default beyond); [`geojax.Georce`][] or
      [`geojax.Shooting`][]. All can be wrapped in [`geojax.CoarseToFine`][] and
      [`geojax.LambdaContinuation`][].
    - `init`: nodes of an initial path. Its ends are replaced by x0 and x1, and it is resampled to
      `num_segments`. Default: the straight line. A list of such paths: each one is a start, and the
      result with the lowest fine energy is returned. `stats` then have `start`, the index of that
      path, and `start_energies`; counts are sums over all starts.
    - `ts`: parameters of the nodes, rising from 0 to 1, shape (num_segments + 1,); default equal
      steps. A geodesic has constant speed, so short steps put nodes close together.
      `robust_geodesic` finds where that is needed.
    - `rule`: the curve through the nodes and the quadrature of its energy; default
      [`geojax.SplineGauss`][].
    - `max_steps`: the largest number of iterations. With 0 the initial path is evaluated and judged
      as it is.
    - `discretisation_tolerance`: the largest relative difference between the minimised energy and
      the fine energy.
    - `diagnostics`: "full"; "price" leaves out the saddle check; "none" leaves out the fine energy
      and the bounds too. The saddle check looks for negative curvature with at most 200 products
      with the exact Hessian, forward over reverse. `GaussNewton` and `Newton` have their own, and
      move on from a saddle.
    - `throw`: raise when the solve did not succeed; else read `solution.result`.
    - `progress_meter`: a diffrax meter, for example `diffrax.TextProgressMeter()`.

    **Returns:**

    A [`geojax.GeodesicSolution`][]. Energy, length, velocities and nodes can be differentiated,
    forward and reverse, by the end-points, `args` and every number in the metric and its score.
    This uses the implicit function theorem at the path found, whatever the solver. The energy's
    gradient takes no linear solve (envelope theorem). `stats` and `ts` are constants. The `stats`
    are:

    - `num_steps`: iterations.
    - `score_evaluations`: forward evaluations of a score, including those inside a VJP and those of
      the final check. `score_products`: JVPs and VJPs.
    - `counts_are_lower_bounds` (True): only where a solver cannot count all of its evaluations.
      These are `Shooting`, and `PathEnergy` with a minimiser other than BFGS and LBFGS.
    - `decrement`: an estimate of the relative energy still to be gained, by the solver's measure.
    - `energy_fine`: the fine energy, which is that of the solution's curve with points that the
      solver has not used. For `SplineGauss` these are the ends and the middle of every segment.
    - `discretisation_error`: the relative difference of `energy_fine` from `energy`.
    - `rounding_error`: an estimate of the relative rounding error of the energy. The solve ends
      where less than that is left to gain: it has then converged to working precision, and
      `limits["decrement"]` is this figure instead of the solver's tolerance.
    - `missed_saddle`: a bound on the probability that the path is a saddle of the energy and the
      check has missed it. It is at most 1 % where the verdict is "successful". The probability is
      over the check's random probe. NaN where nothing was checked.
    - `speed_defect`: the largest relative deviation of the speed from its mean.
    - `lower_bound`: no path is shorter than this if s is a gradient. It is the chord in the graph
      of the log-density, `sqrt(b |x1 - x0|^2 + sum lam (f(x1) - f(x0))^2)`. Where f is unknown, the
      line integral of s replaces its difference: the smaller one in size of those along the path
      and along the straight line. NaN for metrics without such a bound.
    - `path_dependence`: how far these two integrals differ, relative to the larger of the total
      variations `integral |s . x'|`. It is 0 for a score that is a gradient and resolved by both.

    **Raises:**

    - `ValueError`: on mismatched shapes or dtypes, or impossible options.
    - [`geojax.GeodesicError`][]: with the figures and the remedy, when the solve did not succeed
      and `throw` is True.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(geojax.Shell(radius=2.0, width=0.25), lam=1.0)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> solution = geojax.geodesic(metric, a, b)
    >>> print(f"length {solution.length:.2f} >= {solution.stats['lower_bound']:.2f}")
    length 3.02 >= 2.83
    """
    x0, x1 = check_points(metric, x0=x0, x1=x1)
    check_counts(num_segments, max_steps)
    starts = list(init) if isinstance(init, Sequence) else [init]
    if not starts:
        raise ValueError("init must hold at least one path to start from, got an empty list.")
    solver, rule = solver_and_rule(metric, x0, args, solver, rule, diagnostics)
    ts = _check_mesh(ts, num_segments, x0.dtype)
    problem = TwoPointProblem(metric, rule, args, x0, x1, ts)
    paths = [start_offsets(problem, start, num_segments) for start in starts]
    meter = diffrax.NoProgressMeter() if progress_meter is None else progress_meter
    check_meter(meter)
    tolerance = number("discretisation_tolerance", discretisation_tolerance).astype(x0.dtype)
    settings = solver, max_steps, tolerance, diagnostics, meter
    with explained_derivatives(derivative_remedy(metric)):
        if len(paths) == 1:
            solution = _solve(problem, paths[0], *settings)
        else:
            solution = _best(problem, jnp.stack(paths), settings)
    return or_raise(solution) if throw else solution


def start_offsets(
    problem: TwoPointProblem, init, num_segments: int
) -> Float[Array, "nodes *shape"]:
    """The offsets of an initial path; of the straight line where `init` is None."""
    x0 = problem.x0
    init = check_init(init, x0)
    if init is None:
        return jnp.zeros((num_segments + 1, *x0.shape), x0.dtype)
    return problem.offsets(resample(init, num_segments))


def check_counts(num_segments: int, max_steps: int) -> None:
    """Raise a `ValueError` for a number that is too small."""
    if num_segments < 1:
        raise ValueError(f"num_segments must be at least 1, got {num_segments}.")
    if max_steps < 0:
        raise ValueError(f"max_steps must be at least 0, got {max_steps}.")


def _check_mesh(ts, num_segments: int, dtype):
    if ts is None:
        return None
    ts = as_floating("ts", ts, dtype=dtype)
    if ts.shape != (num_segments + 1,):
        raise ValueError(
            f"ts must hold the parameters of the num_segments + 1 = {num_segments + 1} nodes, got "
            f"shape {ts.shape}."
        )
    eps = float(jnp.finfo(dtype).eps)
    bad = (ts[0] != 0) | (jnp.abs(ts[-1] - 1) > 8 * eps) | ~jnp.all(jnp.diff(ts) > 0)
    return eqx.error_if(ts, bad, "ts must rise from 0 to 1.")


@eqx.filter_jit
def _best(problem, paths, settings) -> GeodesicSolution:
    """Solve from each start in turn; return the solution of the lowest fine energy."""
    all_of_them = jax.lax.map(lambda path: _solve(problem, path, *settings), paths)
    fine = all_of_them.stats["energy_fine"]
    fine = jnp.where(jnp.isnan(fine), all_of_them.energy, fine)  # without diagnostics
    best = jnp.argmin(jnp.where(jnp.isfinite(fine), fine, jnp.inf))
    solution = jax.tree.map(lambda leaf: leaf[best], all_of_them)
    totals = {
        name: jnp.sum(all_of_them.stats[name])
        for name in ("num_steps", "score_evaluations", "score_products")
    }
    stats = {**solution.stats, **totals, "start": best, "start_energies": fine}
    limits = {**solution.limits, "num_steps": jnp.sum(all_of_them.limits["num_steps"])}
    return eqx.tree_at(lambda s: (s.stats, s.limits), solution, (stats, limits))


def check_points(metric, **points) -> tuple[Array, ...]:
    """The points as arrays of one shape and dtype, or a `ValueError` with the reason."""
    check_metric(metric)
    return as_alike(**points)


@eqx.filter_jit
def _solve(problem, offsets, solver, max_steps, tolerance, diagnostics, meter) -> GeodesicSolution:
    if len(offsets) == 2:
        output = one_segment(stop_gradients(problem), stop_gradients(offsets))
    else:
        output = solver.solve(stop_gradients(problem), stop_gradients(offsets), max_steps, meter)
    return diagnosed(problem, output, max_steps, tolerance, diagnostics)
