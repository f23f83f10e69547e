"""After a solve: derivatives, fine energy, bounds, saddle check, end velocities and verdict."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import einsum
from ..metrics import AbstractLowRankMetric
from . import _path_hessian as ph
from ._basis import BETWEEN, Basis, basis, gauss
from ._certificate import ODDS
from ._checks import Diagnostics
from ._problem import PathFigures, SolverOutput, TwoPointProblem
from ._results import RESULTS
from ._second_order import (
    certify,
    certify_cost,
    implicit_energy,
    implicit_nodes,
    stop_gradients,
    with_derivatives,
    with_ends,
)
from ._solution import GeodesicSolution
from ._spline import CubicSpline

_LINE = gauss(2, spline=False)


def diagnosed(
    problem: TwoPointProblem,
    output: SolverOutput,
    max_steps: int,
    tolerance: Array,
    diagnostics: Diagnostics,
) -> GeodesicSolution:
    """The solution from a solver's output, with its verdict."""
    n, dtype = len(output.offsets) - 1, output.energy.dtype
    costs: list[tuple[Any, Any]] = [(output.score_evaluations, output.score_products)]
    result, missed = output.result, output.missed_saddle
    if missed is None and diagnostics == "full":
        saddle, missed, count = certify(
            stop_gradients(problem), output.offsets, result == RESULTS.successful
        )
        result = _unless_failed(result, saddle, RESULTS.saddle_point)
        costs.append(certify_cost(problem, n, count))
    if missed is None:
        missed = jnp.full((), jnp.nan, dtype)
    elif diagnostics == "full":
        unknown = ~(missed <= ODDS * (1 + 1e-3))
        result = _unless_failed(result, unknown, RESULTS.unverified)
    energy, offsets = _differentiable(problem, output)
    known = output.figures
    if known is None:
        known = _evaluated(*stop_gradients((problem, offsets)))
        costs.append((problem.energy_cost(n), 0))
    speeds = with_derivatives(
        stop_gradients(known.squared_speeds), _squared_speeds, offsets, problem
    )
    length, defect = _speed(speeds, problem.basis(offsets).weights)
    momenta = known.momenta
    if momenta is None:
        momenta = _momenta(*stop_gradients((problem, offsets)))
        costs.append(_momenta_cost(problem, n))
    momenta = with_derivatives(stop_gradients(momenta), _momenta, offsets, problem)
    initial, final = _velocities(problem, momenta)
    costs.append((2 * problem.rank, 0))
    at_path = stop_gradients((problem, offsets, energy, known))
    figures = _unpriced(energy) if diagnostics == "none" else _priced(*at_path)
    costs.append((figures.evaluations, 0))
    finite = jnp.isfinite(energy) & (jnp.isfinite(figures.energy) | (diagnostics == "none"))
    finite &= jnp.all(jnp.isfinite(initial)) & jnp.all(jnp.isfinite(final))
    if diagnostics != "none":
        unresolved = ~(figures.error <= tolerance)
        result = _unless_failed(result, unresolved, RESULTS.under_resolved)
    result = RESULTS.where(finite, result, RESULTS.non_finite)
    stats = {
        "num_steps": output.num_steps,
        "score_evaluations": sum(evaluations for evaluations, _ in costs),
        "score_products": sum(products for _, products in costs),
        "decrement": output.decrement,
        "energy_fine": figures.energy,
        "discretisation_error": figures.error,
        "rounding_error": _rounding(output),
        "missed_saddle": missed,
        "speed_defect": defect,
        "lower_bound": figures.lower_bound,
        "path_dependence": figures.path_dependence,
    }
    if output.counts_are_lower_bounds:
        stats["counts_are_lower_bounds"] = jnp.asarray(True)
    limits = {
        "num_steps": jnp.asarray(max_steps),
        "discretisation_error": jnp.asarray(tolerance, dtype),
        "missed_saddle": jnp.asarray(ODDS, dtype),
        **output.limits,
    }
    curve = CubicSpline(stop_gradients(problem.mesh(n)), problem.nodes(offsets))
    return GeodesicSolution(
        curve=curve,
        energy=energy,
        length=length,
        initial_velocity=initial,
        final_velocity=final,
        result=result,
        stats=stop_gradients(stats),
        limits=stop_gradients(limits),
    )


def _rounding(output: SolverOutput) -> Array:
    known, dtype = output.rounding_error, output.energy.dtype
    return jnp.asarray(4 * jnp.finfo(dtype).eps, dtype) if known is None else known


def _unless_failed(result: RESULTS, wrong, verdict: RESULTS) -> RESULTS:
    return RESULTS.where((result == RESULTS.successful) & wrong, verdict, result)


def _differentiable(problem: TwoPointProblem, output: SolverOutput):
    """The energy and the offsets, with their derivatives by the implicit function theorem."""
    # `Shooting` ends near x1, not at it; the path keeps this miss.
    missed = stop_gradients(output.offsets[-1])
    inner = output.offsets[1:-1]
    if len(inner) == 0:
        energy = with_derivatives(
            stop_gradients(output.energy), _energy, stop_gradients(output.offsets), problem
        )
        return energy, output.offsets
    energy = implicit_energy(output.energy, inner, problem)
    return energy, with_ends(implicit_nodes(inner, problem)).at[-1].set(missed)


def _energy(problem: TwoPointProblem, offsets):
    return problem.energy(offsets)


def _squared_speeds(problem: TwoPointProblem, offsets):
    return problem.squared_speeds(offsets)


def _evaluated(problem: TwoPointProblem, offsets) -> PathFigures:
    """Evaluate the figures that the solver has not provided."""
    if not isinstance(problem.metric, AbstractLowRankMetric):
        return PathFigures(problem.squared_speeds(offsets))
    return PathFigures(*problem.rule.of_scores(problem.metric, problem.path(offsets), problem.args))


def _speed(squared_speeds, weights):
    """The length, and the largest relative deviation of the speed from it."""
    moving = squared_speeds > 0  # the root has no derivative at 0
    speeds = jnp.where(moving, jnp.sqrt(jnp.where(moving, squared_speeds, 1.0)), 0.0)
    length = jnp.sum(weights * speeds)
    return length, jnp.max(jnp.abs(speeds - length)) / jnp.where(length > 0, length, 1.0)


class _Figures(NamedTuple):
    energy: Float[Array, ""]
    error: Float[Array, ""]
    lower_bound: Float[Array, ""]
    path_dependence: Float[Array, ""]
    evaluations: int


def _unpriced(energy) -> _Figures:
    nan = jnp.full((), jnp.nan, energy.dtype)
    return _Figures(nan, nan, nan, nan, 0)


class _FineMesh(NamedTuple):
    """The points at which the energy of the solution's curve is computed again.

    `whole` has all points, segment by segment; `fresh` has those that are left to evaluate. For
    `BETWEEN` these are the nodes, once each, and the middles.
    """

    whole: Basis
    fresh: Basis

    def everywhere(self, at_fresh, at_rule):
        """Values at all points, from those at the fresh points and at the rule's points."""
        if self.fresh is self.whole:
            return at_fresh
        n = self.whole.num_segments
        nodes, middles = at_fresh[..., : n + 1], at_fresh[..., n + 1 :]
        within = at_rule.reshape(*at_rule.shape[:-1], n, 2)
        parts = nodes[..., :-1], within[..., 0], middles, within[..., 1], nodes[..., 1:]
        return jnp.stack(parts, axis=-1).reshape(*at_fresh.shape[:-1], 5 * n)


def _fine_mesh(problem: TwoPointProblem, num_segments: int) -> _FineMesh:
    n, rule = num_segments, problem.rule
    whole = basis(rule.fine, n, problem.x0.dtype, problem.ts)
    if rule.fine != BETWEEN:
        return _FineMesh(whole, whole)
    which = np.concatenate([5 * np.arange(n), [5 * n - 1], 5 * np.arange(n) + 2])
    points, derivative = whole.points[which], whole.derivative[which]
    at = {"times": whole.times[which], "weights": whole.weights[which]}
    return _FineMesh(whole, whole._replace(points=points, derivative=derivative, **at))


def fine_energies(problem: TwoPointProblem, offsets, squared_speeds) -> Float[Array, " segments"]:
    """The fine energy of each segment, shape (N,), from `squared_speeds` at the rule's points."""
    mesh = _fine_mesh(problem, len(offsets) - 1)
    path, metric = problem.sampled(mesh.fresh, offsets), problem.metric
    one = lambda x, v: metric.inner(x, v, v, problem.args)  # noqa: E731
    fresh = problem.rule.map(one, path.points, path.velocities)
    return mesh.whole.energies(mesh.everywhere(fresh, squared_speeds))


def _priced(problem: TwoPointProblem, offsets, energy, known: PathFigures) -> _Figures:
    """The fine energy, the lower bound of the length, and the path dependence of the score."""
    metric, args, rule, dtype = problem.metric, problem.args, problem.rule, offsets.dtype
    n = len(offsets) - 1
    safe = jnp.where(energy > 0, energy, 1.0)
    mesh = _fine_mesh(problem, n)
    points = len(mesh.fresh.times)
    if not isinstance(metric, AbstractLowRankMetric):
        nan = jnp.full((), jnp.nan, dtype)
        fine = jnp.sum(fine_energies(problem, offsets, known.squared_speeds))
        return _Figures(fine, jnp.abs(fine - energy) / safe, nan, nan, points)
    straight = basis(_LINE, -(-n // 2), dtype)
    path = problem.sampled(mesh.fresh, offsets)
    # One call for path and straight line, so that the program contains the score once.
    places = jnp.concatenate([path.points, problem.line(straight.times)])
    chords = jnp.broadcast_to(problem.chord, (len(straight.times), *problem.chord.shape))
    velocities = jnp.concatenate([path.velocities, chords])

    def of_score(weight, score, _):
        """Its weight, its rates, and the increase of its log-density where it has one."""
        s = rule.map(lambda x: score(x, args), places)
        rates = einsum("qd,qd->q", *(a.reshape(len(places), -1) for a in (s, velocities)))
        rise, has_rise = jnp.zeros((), dtype), hasattr(score, "log_density")
        if has_rise:
            rise = score.log_density(problem.x1, args) - score.log_density(problem.x0, args)
        return weight.astype(dtype), rates, rise, jnp.asarray(has_rise)

    terms = metric.terms()
    base = jnp.asarray(terms.base, dtype)
    everywhere = problem.sampled(mesh.whole, offsets).velocities
    squares = jnp.sum(everywhere.reshape(len(everywhere), -1) ** 2, axis=1)
    fine = base * jnp.sum(mesh.whole.weights * squares)
    bound = base * jnp.sum(problem.chord**2)
    dependence = jnp.zeros((), dtype)
    parts = terms.each(of_score)
    if parts is not None:
        weights, rates, rise, has_rise = parts
        on_path = mesh.everywhere(rates[:, :points], known.rates)
        on_line = straight.weights[None] * rates[:, points:]
        weighted = mesh.whole.weights[None] * on_path, on_line
        by_path, by_line = (jnp.sum(part, axis=1) for part in weighted)
        larger = jnp.maximum(*(jnp.sum(jnp.abs(part), axis=1) for part in weighted))
        gap = jnp.abs(by_path - by_line) / jnp.where(larger > 0, larger, 1.0)
        change = jnp.minimum(jnp.abs(by_path), jnp.abs(by_line))
        change = jnp.where(has_rise, rise, change)
        fine = fine + jnp.sum(weights[:, None] * mesh.whole.weights[None] * on_path**2)
        bound = bound + jnp.sum(weights * change**2)
        dependence = jnp.max(gap)
    error = jnp.abs(fine / 2 - energy) / safe
    evaluations = len(terms.scores) * len(places)
    return _Figures(fine / 2, error, jnp.sqrt(bound), dependence, evaluations)


def _momenta(problem: TwoPointProblem, offsets) -> Float[Array, "2 *shape"]:
    """`g x'` at both ends, from the first variation of the energy.

    At a minimum `dE = momentum(1) . dx1 - momentum(0) . dx0`, to the order of the energy.
    """
    if isinstance(problem.metric, AbstractLowRankMetric):
        flat = ph.momenta(ph.linearise(problem, offsets))
        return jnp.stack([momentum.reshape(problem.x0.shape) for momentum in flat])
    energy = lambda ends: problem._replace(x0=ends[0], x1=ends[1]).energy(offsets)  # noqa: E731
    start, end = jax.grad(energy)((problem.x0, problem.x1))
    return jnp.stack([-start, end])


def _momenta_cost(problem: TwoPointProblem, num_segments: int) -> tuple[int, int]:
    """Score evaluations and derivative products of `_momenta`."""
    low_rank = isinstance(problem.metric, AbstractLowRankMetric)
    return (problem.cost if low_rank else problem.gradient_cost)(num_segments)


def _velocities(problem: TwoPointProblem, momenta) -> tuple[Array, Array]:
    """x' at both ends."""
    ends = jnp.stack([problem.x0, problem.x1])
    sharp = lambda x, w: problem.metric.sharp(x, w, problem.args)  # noqa: E731
    initial, final = jax.vmap(sharp)(ends, momenta)
    return initial, final
