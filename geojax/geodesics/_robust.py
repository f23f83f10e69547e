"""Hard problems: several starts, continuation where needed, and an adaptive mesh."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, as_floating
from .._verdicts import or_raise
from ..metrics import AbstractMetric
from ._continuation import weakened
from ._curve import Polyline
from ._default import solver_and_rule
from ._diagnosis import fine_energies
from ._geodesic import DISCRETISATION_TOLERANCE, check_points, geodesic
from ._iterate import AbstractSolver
from ._leading import leading_metric
from ._neighbours import neighbour_path
from ._problem import TwoPointProblem
from ._results import RESULTS
from ._rules import AbstractRule
from ._solution import GeodesicSolution

# Weights of the weaker metrics in the continuation.
_WEIGHTS = (1e-4, 1e-3, 1e-2, 1e-1)


class _Attempts(NamedTuple):
    """`geodesic` with fixed arguments; adds up the counts of all solves."""

    arguments: tuple
    options: dict[str, Any]
    counts: dict[str, int]
    limit: list[int]
    report: Callable[[str, GeodesicSolution], None]

    def problem(self, weight: float, ts) -> TwoPointProblem:
        """The problem of the metric weakened to `weight`, over the nodes `ts`."""
        metric, x0, x1, args, _ = self.arguments
        if weight < 1:
            metric = weakened(metric, jnp.asarray(weight, ts.dtype))
        return TwoPointProblem(metric, self.options["rule"], args, x0, x1, ts)

    def __call__(self, stage: str, weight: float, path, ts) -> GeodesicSolution:
        _, x0, x1, args, solver = self.arguments
        solution = geodesic(
            self.problem(weight, ts).metric,
            x0,
            x1,
            args,
            solver=solver,
            init=path,
            num_segments=len(path) - 1,
            ts=ts,
            throw=False,
            **self.options,
        )
        for name in self.counts:
            self.counts[name] += int(solution.stats[name])
        self.limit[0] += int(solution.limits["num_steps"])
        self.report(stage, solution)
        return solution


def robust_geodesic(
    metric: AbstractMetric,
    x0: Numbers,
    x1: Numbers,
    args: Any = None,
    *,
    solver: AbstractSolver | None = None,
    samples: Numbers | None = None,
    neighbours: int = 10,
    starts: Sequence[Numbers] = (),
    num_segments: int = 16,
    max_segments: int = 512,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    throw: bool = True,
    callback: Callable[[str, GeodesicSolution], None] | None = None,
) -> GeodesicSolution:
    """Solve a hard two-point problem: `geodesic` with several starts, meshes and metrics.

    Use it where [`geojax.geodesic`][] fails. It decides by its intermediate results and changes
    shapes, so it runs on the host. Inside `jax.jit` use `geodesic`, whose `init` also takes several
    starts. Compiled solves are kept for others of the same shape. It proceeds in this order:

    1. **Starts**: the straight line; with `samples` the shortest path through their neighbour graph
       ([`geojax.neighbour_path`][]); the paths of `starts`. If the metric contains a
       [`geojax.JacobianMetric`][], also the geodesic of `I + lam s s^T` of the same score from the
       straight line, with the lam of [`geojax.score_contrast`][]; it needs no samples.
    2. **Resolution**: while a path is not successful, double the segments, up to `max_segments`.
       The nodes move to where the discrete energy differs most from the fine energy. A path that
       jumps over a ridge on a coarse mesh is dropped for the one it came from.
    3. **Continuation**: where that fails too, do the same for weaker metrics first,
       `(1 - w) I + w g` with w from 1e-4 to 1e-1, each from the path and the mesh of the last.
    4. **Choice**: of all paths the one of the lowest fine energy. The coarse energy of a path that
       jumps over ridges between its nodes does not count.

    **Arguments:**

    - `samples`, `neighbours`: as for `neighbour_path`.
    - `starts`: paths of nodes, each of shape `(nodes, *shape)`.
    - `num_segments`, `max_segments`: the first and the largest number of segments.
    - `callback(stage, solution)`: called after every solve.
    - the other options are those of `geodesic`.

    **Returns:**

    The chosen [`geojax.GeodesicSolution`][]. `solution.curve.ts` are the parameters of its nodes,
    at unequal steps where the mesh was adapted. Counts of steps and evaluations are totals over all
    solves. Its `stats` also have `start` (0: straight line, then samples, then `starts`, then the
    path of `I + lam s s^T`) and `start_energies`, the fine energy by start.

    **Raises:**

    - as `geodesic` and `neighbour_path` do.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(geojax.Shell(radius=2.0, width=0.25), lam=1.0)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> solution = geojax.robust_geodesic(metric, a, b)
    >>> print(f"{solution.length:.2f} in {len(solution.curve.ts) - 1} segments")
    3.02 in 16 segments
    """
    x0, x1 = check_points(metric, x0=x0, x1=x1)
    if not 1 <= num_segments <= max_segments:
        raise ValueError(
            f"num_segments must be between 1 and max_segments, got {num_segments} and "
            f"{max_segments}."
        )
    given = solver
    solver, rule = solver_and_rule(metric, x0, args, given, rule)
    options = {
        "rule": rule,
        "max_steps": max_steps,
        "discretisation_tolerance": discretisation_tolerance,
    }
    counts = {"num_steps": 0, "score_evaluations": 0, "score_products": 0}
    report = callback if callback is not None else lambda stage, solution: None
    solve = _Attempts((metric, x0, x1, args, solver), options, counts, [0], report)
    paths = [jnp.stack([x0, x1]), *(as_floating("starts", path, dtype=x0.dtype) for path in starts)]
    if samples is not None:
        paths.insert(1, neighbour_path(samples, x0, x1, neighbours=neighbours))
    leading = leading_metric(metric, x0, x1, args)
    if leading is not None:
        leader, _ = solver_and_rule(leading, x0, args, given, rule)
        lead = solve._replace(arguments=(leading, x0, x1, args, leader))
        ts = jnp.linspace(0, 1, num_segments + 1, dtype=x0.dtype)
        first = lead(
            f"Stein metric, {num_segments} segments",
            1.0,
            _initial_path(x0, x1, paths[0], num_segments),
            ts,
        )
        paths += [first.curve.xs] if _finite(first) else []
    solutions = []
    for number, path in enumerate(paths):
        path = _initial_path(x0, x1, path, num_segments)
        solutions.append(_from_start(solve, path, max_segments, f"start {number}"))
    energies = jnp.stack([each.stats["energy_fine"] for each in solutions])
    start = int(jnp.argmin(jnp.where(jnp.isfinite(energies), energies, jnp.inf)))
    totals = {name: jnp.asarray(count) for name, count in counts.items()}
    best = solutions[start]
    stats = {**best.stats, **totals, "start": jnp.asarray(start), "start_energies": energies}
    limits = {**best.limits, "num_steps": jnp.asarray(solve.limit[0])}
    solution = eqx.tree_at(lambda s: (s.stats, s.limits), best, (stats, limits))
    return or_raise(solution) if throw else solution


def _initial_path(x0, x1, path, num_segments: int):
    """An initial path with nodes at equal steps of length, so that long pieces are divided."""
    if path.ndim != x0.ndim + 1 or path.shape[1:] != x0.shape or len(path) < 2:
        raise ValueError(
            f"a path of starts must hold at least two nodes of shape {x0.shape}, got {path.shape}."
        )
    path = path.at[0].set(x0).at[-1].set(x1)
    steps = jnp.linalg.norm((path[1:] - path[:-1]).reshape(len(path) - 1, -1), axis=1)
    walked = jnp.concatenate([jnp.zeros(1, steps.dtype), jnp.cumsum(steps)])
    ts = walked / jnp.where(walked[-1] > 0, walked[-1], 1.0)
    return _at(ts, path, jnp.linspace(0, 1, num_segments + 1, dtype=ts.dtype))


def _from_start(solve: _Attempts, path, max_segments: int, name: str) -> GeodesicSolution:
    """Solve from one start, through weaker metrics where the direct solve fails."""
    ts = jnp.linspace(0, 1, len(path), dtype=path.dtype)
    best = _with_finer_meshes(solve, 1.0, path, ts, max_segments, name, persist=False)
    if _succeeded(best):
        return best
    for weight in (*_WEIGHTS, 1.0):
        stage = f"{name}, weight {weight:g}"
        other = _with_finer_meshes(solve, weight, path, ts, max_segments, stage, persist=True)
        path, ts = other.curve.xs, other.curve.ts
        if not _finite(other):
            return best
    return other if _succeeded(other) or _fine(other) < _fine(best) else best


def _with_finer_meshes(
    solve: _Attempts, weight: float, path, ts, max_segments: int, name: str, *, persist: bool
) -> GeodesicSolution:
    """Solve with more nodes until it succeeds; else return the solution of the lowest fine energy.

    On a coarse mesh a solve can jump over a ridge, to a path whose fine energy is above that of the
    path it came from. The next finer mesh then starts from the latter path. Unless `persist` there
    is no finer mesh in that case.
    """
    best, tolerance, retry = None, solve.options["discretisation_tolerance"], True
    while True:
        n = len(ts) - 1
        solution = solve(f"{name}, {n} segments", weight, path, ts)
        if _succeeded(solution):
            return solution
        if best is None or _fine(solution) < _fine(best):
            best = solution
        problem = solve.problem(weight, ts)
        worse = _fine(solution) >= float(_fine_energy(problem, path))
        path = path if worse else solution.curve.xs
        if retry and float(solution.stats["discretisation_error"]) <= tolerance:
            retry = False  # It needs more steps, not more nodes.
            continue
        if 2 * n > max_segments or not _finite(solution) or (worse and not persist):
            return best
        finer = _adapted_mesh(problem, path, 2 * n)
        path, ts = _at(ts, path, finer), finer


def _succeeded(solution: GeodesicSolution) -> bool:
    return bool(solution.result == RESULTS.successful)


def _finite(solution: GeodesicSolution) -> bool:
    return bool(jnp.all(jnp.isfinite(solution.curve.xs)))


def _fine(solution: GeodesicSolution) -> float:
    energy = float(solution.stats["energy_fine"])
    return energy if math.isfinite(energy) else math.inf


@eqx.filter_jit
def _fine_energy(problem: TwoPointProblem, xs) -> Float[Array, ""]:
    """The fine energy of the path through the nodes `xs`."""
    offsets = problem.offsets(xs)
    return jnp.sum(fine_energies(problem, offsets, problem.squared_speeds(offsets)))


@eqx.filter_jit
def _adapted_mesh(problem: TwoPointProblem, xs, num_segments: int) -> Float[Array, " nodes"]:
    """A mesh that divides the discretisation error evenly.

    A segment's error falls like tau^3 for a polyline and like tau^5 for a spline, so its nodes
    should be as dense as that root of the error over tau. The density is smoothed over neighbours
    and bounded below, as an error may be small by chance and changes when the path moves.
    """
    mesh, offsets = problem.mesh(len(xs) - 1), problem.offsets(xs)
    taus, power = jnp.diff(mesh), 5 if problem.rule.scheme.spline else 3
    speeds = problem.squared_speeds(offsets)
    coarse = problem.basis(offsets).energies(speeds)
    error = jnp.abs(fine_energies(problem, offsets, speeds) - coarse)
    density = jnp.where(jnp.isfinite(error), error, 0.0) ** (1 / power) / taus
    padded = jnp.concatenate([density[:1], density, density[-1:]])
    density = jnp.maximum(jnp.maximum(padded[:-2], padded[2:]), density)
    mean = jnp.sum(density * taus)
    density = jnp.where(mean > 0, density / jnp.where(mean > 0, mean, 1.0), 1.0) + 0.3
    mass = jnp.concatenate([jnp.zeros(1, xs.dtype), jnp.cumsum(density * taus)])
    wanted = jnp.linspace(0, 1, num_segments + 1, dtype=xs.dtype) * mass[-1]
    ts = jnp.interp(wanted, mass, mesh)
    return ts.at[0].set(0.0).at[-1].set(1.0)


@jax.jit
def _at(ts, xs, new):
    """The polyline `xs` over `ts` at the parameters `new`; exact at both ends."""
    nodes = Polyline(ts, xs).evaluate(new)
    return nodes.at[0].set(xs[0]).at[-1].set(xs[-1])
