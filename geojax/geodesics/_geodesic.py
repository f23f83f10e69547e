"""The two-point problem: the geodesic between two points."""

from collections.abc import Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._arrays import Numbers, as_alike, as_floating
from .._functions import explained_derivatives
from .._linalg import einsum, matmul
from .._numbers import number
from .._verdicts import or_raise
from ..metrics import AbstractLowRankMetric, AbstractMetric
from ._checks import check_meter, check_metric, derivative_remedy
from ._curve import Polyline, start_path, straight_line
from ._default import solver_and_rule
from ._devices import map_points
from ._iterate import AbstractSolver, one_segment
from ._problem import TwoPointProblem
from ._results import RESULTS
from ._rules import AbstractRule, gauss_points
from ._second_order import attach, envelope, held, path, preparing
from ._second_order import certify as _certify
from ._solution import GeodesicSolution

DISCRETISATION_TOLERANCE = 0.05  # what `successful` allows, everywhere
_FINE_ORDER = 5  # Gauss-Legendre points a segment when a path is priced finely
_ROUNDED = 0.01  # share of the energy that the rounding of the nodes may make up


def geodesic(
    metric: AbstractMetric,
    x0: Numbers,
    x1: Numbers,
    args: Any = None,
    *,
    solver: AbstractSolver | None = None,
    init: Numbers | None = None,
    num_segments: int = 32,
    ts: Numbers | None = None,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    certify: bool = True,
    throw: bool = True,
    progress_meter: diffrax.AbstractProgressMeter | None = None,
) -> GeodesicSolution:
    """The geodesic from ``x0`` to ``x1``: the path of least energy, as a polyline.

    One solve from one start, for `jax.jit` and `jax.vmap`. Where it fails, `robust_geodesic` tries
    several starts, finer meshes and weaker metrics, on the host.

    - ``x0``, ``x1``: points of one shape (any), computed in float32 or float64. Batches: `jax.vmap`
      with ``throw=False``, results lane by lane.
    - ``solver``: `GaussNewton` for metrics whose energy is a sum of squares (the default there),
      else `Georce` (the default for a `DenseMetric` of up to 512 coordinates and for other metrics
      of up to 64), `PathEnergy` (the default beyond, with L-BFGS) or `Shooting`; all can be wrapped
      in `CoarseToFine` and `LambdaContinuation`.
    - ``args``: handed to the score (a label, a prompt).
    - ``init``: nodes of a path to start from; its ends are replaced by x0 and x1 and it is
      resampled to ``num_segments``. Default: the straight line. A list of such paths: every one is
      started from, and what has the lowest finely priced energy is returned (``stats`` then hold
      ``start``, which one that was, and ``start_energies``; counts are sums over all).
    - ``ts``: parameters of the nodes, rising from 0 to 1, shape (num_segments + 1,); default equal
      steps. A geodesic has constant speed, so short steps put nodes close together:
      `robust_geodesic` finds where that is needed.
    - ``rule``: how a segment is priced; default `Midpoint`.
    - ``max_steps``: iterations at most. With 0 the initial path is priced and judged as it is.
    - ``discretisation_tolerance``: how far the finely priced energy may differ, relatively.
    - ``certify``: look for negative curvature with at most 20 products with the exact Hessian,
      forward over reverse; a path that has some is a saddle. In tens of thousands of coordinates
      a weak direction can be missed. `GaussNewton` does so itself, and moves on from a saddle.
    - ``throw``: raise when the solve did not succeed; else read ``solution.result``.
    - ``progress_meter``: a diffrax meter, for example ``diffrax.TextProgressMeter()``.

    **Returns:** a `GeodesicSolution`, with ``stats``:

    - ``num_steps``; ``score_evaluations`` (forward evaluations of a score, those inside a VJP and
      those of the final check included) and ``score_products`` (JVPs and VJPs);
      ``counts_are_lower_bounds`` (True) only where a solver cannot count all of its own:
      `Shooting`, and `PathEnergy` with a minimiser other than BFGS and LBFGS;
    - ``decrement``: estimate of the relative energy still to be gained, by the solver's measure;
    - ``energy_fine``: the same polyline priced with five Gauss-Legendre points a segment, and
      ``discretisation_error``: its relative difference from ``energy``;
    - ``rounding_error``: what rounding the nodes to the dtype adds to the energy, an estimate,
      relative. Above 1 % (end-points almost equal, or far from the origin) the solve is not
      successful: with ``num_segments=1`` the chord has no such error;
    - ``speed_defect``: largest relative deviation of a segment's length from the mean;
    - ``lower_bound``: the chord in the graph of the log-density,
      ``sqrt(b |x1 - x0|^2 + sum lam (f(x1) - f(x0))^2)``; no path is shorter if s is a gradient.
      Where f is unknown it is the line integral of s, the smaller one in size of those along the
      path and along the straight line. NaN for metrics without such a bound;
    - ``path_dependence``: how far these two integrals differ, relative to the larger of the total
      variations ``integral |s . x'|``: 0 for a score that is a gradient and resolved by both.

    Energy, length, velocities and nodes can be differentiated, forward and reverse, by the
    end-points, ``args`` and every number in the metric and its score: by the implicit function
    theorem at the path found, whatever the solver did. The energy's gradient takes no linear
    solve (envelope theorem). ``stats`` and ``ts`` are constants.

    **Raises:** `ValueError` on mismatched shapes or dtypes or impossible options; `GeodesicError`
    with the figures and the remedy when the solve did not succeed and ``throw`` is True.

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
    paths = [start_path(x0, x1, start, num_segments) for start in starts]
    solver, rule = solver_and_rule(metric, x0, args, solver, rule)
    problem = TwoPointProblem(metric, rule, args, _check_mesh(ts, num_segments, x0.dtype))
    meter = diffrax.NoProgressMeter() if progress_meter is None else progress_meter
    check_meter(meter)
    tolerance = number("discretisation_tolerance", discretisation_tolerance).astype(x0.dtype)
    settings = solver, max_steps, tolerance, certify, meter
    with explained_derivatives(derivative_remedy(metric)):
        if len(paths) == 1:
            solution = _solve(problem, paths[0], *settings)
        else:
            solution = _best(problem, jnp.stack(paths), settings)
    return or_raise(solution) if throw else solution


def check_counts(num_segments: int, max_steps: int) -> None:
    """**Raises:** `ValueError` on a number that is too small."""
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
    """One solution a start, one after the other; the one of the lowest finely priced energy."""
    all_of_them = jax.lax.map(lambda xs: _solve(problem, xs, *settings), paths)
    fine = all_of_them.stats["energy_fine"]
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
    """The points as arrays of one shape and dtype, or a `ValueError` that says what is wrong."""
    check_metric(metric)
    return as_alike(**points)


@eqx.filter_jit
def _solve(
    problem, xs, solver, max_steps, discretisation_tolerance, certified, meter
) -> GeodesicSolution:
    n = len(xs) - 1
    if n == 1:
        output = one_segment(held(problem), held(xs))
    else:
        output = solver.solve(held(problem), held(xs), max_steps, meter)
    result, evaluations, products = output.result, output.score_evaluations, output.score_products
    if certified and not solver.certifies and n > 1:
        saddle, count = _certify(held(problem), output.xs, result == RESULTS.successful)
        result = RESULTS.where(saddle, RESULTS.saddle_point, result)
        evaluations, products = (
            sofar + once + count * each
            for sofar, once, each in zip(
                (evaluations, products),
                preparing(problem, n),
                problem.curvature_cost(n),
                strict=True,
            )
        )
    # `Shooting` ends near x1, not at it: what it misses by stays in the path.
    ends = xs[0], xs[-1] + held(output.xs[-1] - xs[-1])
    inner = output.xs[1:-1]
    if n == 1:
        energy = problem.energy(path(inner, ends))
    else:
        energy = envelope(output.energy, inner, problem, ends)
        inner = attach(inner, problem, ends)
    xs, taus = path(inner, ends), problem.taus(xs)
    fine, extra = _fine_figures(held(problem), held(xs))
    safe = jnp.where(energy > 0, energy, 1.0)
    rounding = extra.pop("rounded_energy") / safe
    result = RESULTS.where(
        (result == RESULTS.successful) & (rounding > _ROUNDED), RESULTS.too_near, result
    )
    discretisation_error = jnp.abs(fine - energy) / safe
    result = RESULTS.where(
        (result == RESULTS.successful) & ~(discretisation_error <= discretisation_tolerance),
        RESULTS.under_resolved,
        result,
    )
    initial, final, at_ends = _end_velocities(problem, xs)
    finite = jnp.isfinite(energy) & jnp.isfinite(fine)
    finite &= jnp.all(jnp.isfinite(initial)) & jnp.all(jnp.isfinite(final))
    result = RESULTS.where(finite, result, RESULTS.non_finite)
    length, defect = _speed(problem.segment_energies(xs), taus)
    evaluations = evaluations + extra.pop("score_evaluations")
    evaluations = evaluations + problem.energy_cost(n) + at_ends[0]
    stats = {
        "num_steps": output.num_steps,
        "score_evaluations": evaluations,
        "score_products": products + at_ends[1],
        "decrement": output.decrement,
        "energy_fine": fine,
        "discretisation_error": discretisation_error,
        "rounding_error": rounding,
        "speed_defect": defect,
        **extra,
    }
    if output.counts_are_lower_bounds:
        stats["counts_are_lower_bounds"] = jnp.asarray(True)
    limits = {
        "num_steps": jnp.asarray(max_steps),
        "discretisation_error": jnp.asarray(discretisation_tolerance, xs.dtype),
        "rounding_error": jnp.asarray(_ROUNDED, xs.dtype),
        **output.limits,
    }
    curve = Polyline(held(problem.mesh(xs)), xs)
    return GeodesicSolution(
        curve=curve,
        energy=energy,
        length=length,
        initial_velocity=initial,
        final_velocity=final,
        result=result,
        stats=held(stats),
        limits=held(limits),
    )


def _speed(energies, taus):
    """The length, and the largest relative deviation of a segment's speed from it."""
    moving = energies > 0  # the root has no derivative at 0
    speeds = jnp.where(moving, jnp.sqrt(2 * jnp.where(moving, energies, 1.0) / taus), 0.0)
    length = jnp.sum(taus * speeds)
    return length, jnp.max(jnp.abs(speeds - length)) / jnp.where(length > 0, length, 1.0)


def fine_energies(problem: TwoPointProblem, xs) -> Array:
    """The energy of each segment by five Gauss-Legendre points, shape (N,)."""
    points, quadrature = gauss_points(xs, _FINE_ORDER)
    deltas = jnp.repeat(xs[1:] - xs[:-1], _FINE_ORDER, axis=0)
    inner = _squares(problem, points, deltas)
    return matmul(inner.reshape(len(xs) - 1, -1), quadrature) / (2 * problem.taus(xs))


def _squares(problem: TwoPointProblem, points, vectors) -> Array:
    """``<v, v>_g`` of each vector at its point."""
    one = lambda x, v: problem.metric.inner(x, v, v, problem.args)  # noqa: E731
    return problem.rule.map(one, points, vectors)


def _variances(xs) -> Array:
    """Of the steps between neighbours, as the rounding of the interior nodes makes them: (N, D)."""
    spread = (jnp.finfo(xs.dtype).eps * xs.reshape(len(xs), -1)) ** 2 / 20
    spread = spread.at[0].set(0.0).at[-1].set(0.0)
    return spread[1:] + spread[:-1]


def _fine_figures(problem: TwoPointProblem, xs) -> tuple[Array, dict[str, Any]]:
    """The finely priced energy, the lower bound of the length, and how far s is from a gradient."""
    metric, args, rule = problem.metric, problem.args, problem.rule
    n = len(xs) - 1
    points, quadrature = gauss_points(xs, _FINE_ORDER)
    deltas, taus = (xs[1:] - xs[:-1]).reshape(n, -1), problem.taus(xs)
    variances = _variances(xs)
    if not isinstance(metric, AbstractLowRankMetric):
        nan = jnp.full((), jnp.nan, xs.dtype)
        # A generic vector in the middle tells what rounding costs; after the path, so that the
        # metric stands in the program once.
        generic = jax.random.rademacher(jax.random.key(0), xs.shape[1:], xs.dtype)[None]
        points = jnp.concatenate([points, xs[n // 2][None]])
        vectors = jnp.concatenate([jnp.repeat(xs[1:] - xs[:-1], _FINE_ORDER, axis=0), generic])
        inner = _squares(problem, points, vectors)
        rounded = inner[-1] * jnp.sum(variances / taus[:, None]) / (2 * xs[0].size)
        extra = {"lower_bound": nan, "path_dependence": nan, "rounded_energy": rounded}
        fine = jnp.sum(matmul(inner[:-1].reshape(n, -1), quadrature) / (2 * taus))
        return fine, {**extra, "score_evaluations": n * _FINE_ORDER + 1}

    def rates(score):
        """s . Delta at the fine points of the path and of the straight line; what rounding adds to
        its square on average.
        """
        size = rule.batch_size or n * _FINE_ORDER
        s = map_points(lambda x: score(x, args), points, batch_size=size, devices=rule.devices)
        s = s.reshape(2 * n, _FINE_ORDER, -1)
        return einsum("nqd,nd->nq", s, both), einsum("nqd,nd->nq", s[:n] ** 2, variances)

    # The straight line after the path, so that the score stands in the program once.
    line = straight_line(xs[0], xs[-1], n)
    points = jnp.concatenate([points, gauss_points(line, _FINE_ORDER)[0]])
    both = jnp.concatenate([deltas, (line[1:] - line[:-1]).reshape(n, -1)])

    def of_score(weight, score, _):
        """What it adds to the fine energy and to the squared bound, and its path dependence."""
        weight = weight.astype(xs.dtype)
        changes, rounded = rates(score)
        along, across = jnp.split(changes, 2)
        by_path = jnp.sum(matmul(along, quadrature))
        by_line = jnp.sum(matmul(across, quadrature))
        larger = jnp.maximum(*(jnp.sum(matmul(jnp.abs(r), quadrature)) for r in (along, across)))
        gap = jnp.abs(by_path - by_line) / jnp.where(larger > 0, larger, 1.0)
        change = jnp.minimum(jnp.abs(by_path), jnp.abs(by_line))
        if hasattr(score, "log_density"):
            change = score.log_density(xs[-1], args) - score.log_density(xs[0], args)
        square, rounded = (jnp.sum(matmul(a, quadrature) / taus) for a in (along**2, rounded))
        return weight * square, weight * change**2, gap, weight * rounded

    terms = metric.terms()
    base = jnp.asarray(terms.base, xs.dtype)
    fine = base * jnp.sum(deltas**2 / taus[:, None])
    bound = base * jnp.sum((xs[-1] - xs[0]) ** 2)
    dependence, rounded = jnp.zeros((), xs.dtype), base * jnp.sum(variances / taus[:, None])
    parts = terms.each(of_score)
    if parts is not None:
        fine, bound = fine + jnp.sum(parts[0]), bound + jnp.sum(parts[1])
        dependence, rounded = jnp.max(parts[2]), rounded + jnp.sum(parts[3])
    evaluations = len(terms.scores) * 2 * n * _FINE_ORDER
    extra = {"lower_bound": jnp.sqrt(bound), "path_dependence": dependence}
    extra["rounded_energy"] = rounded / 2
    return fine / 2, {**extra, "score_evaluations": evaluations}


def _end_velocities(problem: TwoPointProblem, xs):
    """x' at both ends, and what that cost in score evaluations and derivative products.

    From the first variation of the energy, ``dE = <x'(1), dx1> - <x'(0), dx0>``: exact momenta of
    the discrete path, hence second-order accurate velocities.
    """
    metric, args = problem.metric, problem.args
    one_segment = problem._replace(ts=None)

    def momenta(pair):
        if not isinstance(metric, AbstractLowRankMetric):
            gradient = jax.grad(one_segment.energy)(pair)
            return -gradient[0], gradient[1]
        terms = metric.terms()
        start = end = jnp.asarray(terms.base, xs.dtype) * (pair[1] - pair[0])

        def of_score(weight, score, _):
            h, differences, sums = (a[0] for a in problem.rule.linearise(score, pair, args))
            momentum = weight.astype(xs.dtype) * h
            return momentum * (differences - sums), momentum * (differences + sums)

        parts = terms.each(of_score)
        if parts is not None:
            start, end = start + jnp.sum(parts[0], axis=0), end + jnp.sum(parts[1], axis=0)
        return start, end

    # Both ends at once, so that the score stands in the program once.
    starts, ends = jax.vmap(momenta)(jnp.stack([xs[:2], xs[-2:]]))
    taus = problem.taus(xs)
    outward = jnp.stack([starts[0] / taus[0], ends[1] / taus[-1]])
    initial, final = jax.vmap(lambda x, w: metric.sharp(x, w, args))(
        xs[jnp.array([0, -1])], outward
    )
    low_rank = isinstance(metric, AbstractLowRankMetric)
    evaluations, products = problem.cost(1) if low_rank else problem.gradient_cost(1)
    return initial, final, (2 * (evaluations + problem.rank), 2 * products)
