"""What follows a solve: derivatives, fine price, bounds, saddle check, end velocities, verdict."""

from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import einsum
from ..metrics import AbstractLowRankMetric
from . import _path_hessian as ph
from ._basis import Basis, Scheme, basis
from ._problem import SolverOutput, TwoPointProblem
from ._results import RESULTS
from ._second_order import attach, certify, envelope, held, preparing, with_ends
from ._solution import GeodesicSolution
from ._spline import CubicSpline

Diagnostics = Literal["full", "price", "none"]
_LINE = Scheme(spline=False, order=2)


def check_diagnostics(diagnostics: Any) -> None:
    """**Raises:** `ValueError` when ``diagnostics`` is none of the choices."""
    if diagnostics not in get_args(Diagnostics):
        choices = ", ".join(map(repr, get_args(Diagnostics)))
        raise ValueError(f"diagnostics must be one of {choices}, got {diagnostics!r}.")


def diagnosed(
    problem: TwoPointProblem,
    output: SolverOutput,
    certified: bool,
    max_steps: int,
    tolerance: Array,
    diagnostics: Diagnostics,
) -> GeodesicSolution:
    """The solution that a solver's output makes, with the verdict on it.

    ``certified``: the solver has looked for negative curvature itself.
    """
    n = len(output.offsets) - 1
    result, evaluations, products = output.result, output.score_evaluations, output.score_products
    if diagnostics == "full" and not certified and n > 1:
        saddle, count = certify(held(problem), output.offsets, result == RESULTS.successful)
        result = RESULTS.where(saddle, RESULTS.saddle_point, result)
        ready, each = preparing(problem, n), problem.curvature_cost(n)
        evaluations = evaluations + ready[0] + count * each[0]
        products = products + ready[1] + count * each[1]
    energy, offsets = _differentiable(problem, output)
    speeds = problem.squared_speeds(offsets)
    weights = problem.basis(offsets).weights
    length, defect = _speed(speeds, weights)
    initial, final = _end_velocities(problem, offsets)
    known = held((problem, offsets, energy))
    figures = _unpriced(energy) if diagnostics == "none" else _priced(*known)
    evaluations = evaluations + problem.energy_cost(n) + figures.evaluations
    at_ends = _end_cost(problem, n)
    finite = jnp.isfinite(energy) & (jnp.isfinite(figures.energy) | (diagnostics == "none"))
    finite &= jnp.all(jnp.isfinite(initial)) & jnp.all(jnp.isfinite(final))
    if diagnostics != "none":
        unresolved = ~(figures.error <= tolerance)
        result = _unless_failed(result, unresolved, RESULTS.under_resolved)
    result = RESULTS.where(finite, result, RESULTS.non_finite)
    stats = {
        "num_steps": output.num_steps,
        "score_evaluations": evaluations + at_ends[0],
        "score_products": products + at_ends[1],
        "decrement": output.decrement,
        "energy_fine": figures.energy,
        "discretisation_error": figures.error,
        "rounding_error": _rounding(output),
        "speed_defect": defect,
        "lower_bound": figures.lower_bound,
        "path_dependence": figures.path_dependence,
    }
    if output.counts_are_lower_bounds:
        stats["counts_are_lower_bounds"] = jnp.asarray(True)
    limits = {
        "num_steps": jnp.asarray(max_steps),
        "discretisation_error": jnp.asarray(tolerance, energy.dtype),
        **output.limits,
    }
    curve = CubicSpline(held(problem.mesh(n)), problem.nodes(offsets))
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


def _rounding(output: SolverOutput) -> Array:
    known, dtype = output.rounding_error, output.energy.dtype
    return jnp.asarray(4 * jnp.finfo(dtype).eps, dtype) if known is None else known


def _unless_failed(result: RESULTS, wrong, verdict: RESULTS) -> RESULTS:
    return RESULTS.where((result == RESULTS.successful) & wrong, verdict, result)


def _differentiable(problem: TwoPointProblem, output: SolverOutput):
    """The energy and the offsets, with their derivatives by the implicit function theorem."""
    # `Shooting` ends near x1, not at it: what it misses by stays in the path.
    missed = held(output.offsets[-1])
    inner = output.offsets[1:-1]
    if len(inner) == 0:
        return problem.energy(output.offsets), output.offsets
    energy = envelope(output.energy, inner, problem)
    return energy, with_ends(attach(inner, problem)).at[-1].set(missed)


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


def fine_basis(problem: TwoPointProblem, num_segments: int) -> Basis:
    """The solution's curve, seen at other points than the solver's."""
    return basis(problem.rule.fine, num_segments, problem.x0.dtype, problem.ts)


def fine_energies(problem: TwoPointProblem, offsets) -> Float[Array, " segments"]:
    """The finely priced energy of each segment, shape (N,)."""
    fine = fine_basis(problem, len(offsets) - 1)
    return fine.energies(_squares(problem, problem.sampled(fine, offsets)))


def _squares(problem: TwoPointProblem, path) -> Array:
    """``<x', x'>_g`` at the points of a path, from the metric itself."""
    one = lambda x, v: problem.metric.inner(x, v, v, problem.args)  # noqa: E731
    return problem.rule.map(one, path.points, path.velocities)


def _priced(problem: TwoPointProblem, offsets, energy) -> _Figures:
    """The finely priced energy, the lower bound of the length, and how far s is from a gradient."""
    metric, args, rule, dtype = problem.metric, problem.args, problem.rule, offsets.dtype
    n = len(offsets) - 1
    safe = jnp.where(energy > 0, energy, 1.0)
    if not isinstance(metric, AbstractLowRankMetric):
        nan = jnp.full((), jnp.nan, dtype)
        fine = jnp.sum(fine_energies(problem, offsets))
        return _Figures(fine, jnp.abs(fine - energy) / safe, nan, nan, n * rule.fine.order)
    mesh = fine_basis(problem, n)
    straight = basis(_LINE, n, dtype, problem.ts)
    path = problem.sampled(mesh, offsets)
    # The straight line after the path, so that the score stands in the program once.
    points = jnp.concatenate([path.points, problem.line(straight.times)])
    chords = jnp.broadcast_to(problem.chord, (len(straight.times), *problem.chord.shape))
    velocities = jnp.concatenate([path.velocities, chords])
    along = slice(None, len(mesh.times)), slice(len(mesh.times), None)

    def of_score(weight, score, _):
        """What it adds to the fine energy and to the squared bound, and its path dependence."""
        weight = weight.astype(dtype)
        s = rule.map(lambda x: score(x, args), points)
        rates = einsum("qd,qd->q", *(a.reshape(len(points), -1) for a in (s, velocities)))
        on_path, on_line = (rates[where] for where in along)
        weighted = mesh.weights * on_path, straight.weights * on_line
        by_path, by_line = (jnp.sum(part) for part in weighted)
        larger = jnp.maximum(*(jnp.sum(jnp.abs(part)) for part in weighted))
        gap = jnp.abs(by_path - by_line) / jnp.where(larger > 0, larger, 1.0)
        change = jnp.minimum(jnp.abs(by_path), jnp.abs(by_line))
        if hasattr(score, "log_density"):
            change = score.log_density(problem.x1, args) - score.log_density(problem.x0, args)
        return weight * jnp.sum(mesh.weights * on_path**2), weight * change**2, gap

    terms = metric.terms()
    base = jnp.asarray(terms.base, dtype)
    squares = jnp.sum(path.velocities.reshape(len(mesh.times), -1) ** 2, axis=1)
    fine = base * jnp.sum(mesh.weights * squares)
    bound = base * jnp.sum(problem.chord**2)
    dependence = jnp.zeros((), dtype)
    parts = terms.each(of_score)
    if parts is not None:
        fine, bound = fine + jnp.sum(parts[0]), bound + jnp.sum(parts[1])
        dependence = jnp.max(parts[2])
    error = jnp.abs(fine / 2 - energy) / safe
    evaluations = len(terms.scores) * len(points)
    return _Figures(fine / 2, error, jnp.sqrt(bound), dependence, evaluations)


def _end_velocities(problem: TwoPointProblem, offsets):
    """x' at both ends, from the first variation of the energy: at a minimum
    ``dE = <x'(1), dx1> - <x'(0), dx0>``, to the order of the energy.
    """
    if isinstance(problem.metric, AbstractLowRankMetric):
        flat = ph.momenta(ph.linearise(problem, offsets))
        start, end = (momentum.reshape(problem.x0.shape) for momentum in flat)
    else:
        energy = lambda ends: problem._replace(x0=ends[0], x1=ends[1]).energy(offsets)  # noqa: E731
        start, end = jax.grad(energy)((problem.x0, problem.x1))
        start = -start
    ends = jnp.stack([problem.x0, problem.x1])
    sharp = lambda x, w: problem.metric.sharp(x, w, problem.args)  # noqa: E731
    return tuple(jax.vmap(sharp)(ends, jnp.stack([start, end])))


def _end_cost(problem: TwoPointProblem, num_segments: int) -> tuple[int, int]:
    """Score evaluations and derivative products of `_end_velocities`."""
    low_rank = isinstance(problem.metric, AbstractLowRankMetric)
    evaluations, products = (problem.cost if low_rank else problem.gradient_cost)(num_segments)
    return evaluations + 2 * problem.rank, products
