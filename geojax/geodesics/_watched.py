"""The two-point problem solved a few steps at a time from the host, to observe or stop it."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._arrays import Numbers
from .._functions import explained_derivatives
from ..metrics import AbstractMetric
from ._checks import Diagnostics, check_meter, derivative_remedy
from ._continuation import AbstractStages
from ._curve import resample
from ._default import solver_and_rule
from ._geodesic import (
    DISCRETISATION_TOLERANCE,
    check_counts,
    check_points,
    geodesic,
    start_offsets,
)
from ._iterate import AbstractIterativeSolver, AbstractSolver, Solved
from ._problem import SolverOutput, TwoPointProblem
from ._results import RESULTS
from ._rules import AbstractRule
from ._solution import GeodesicSolution

_SLICE = 0.3  # seconds between two calls of `on_step`, or one step where that takes longer


class SolverProgress(NamedTuple):
    """The current state of a solver.

    **Arguments:**

    - `num_steps`: iterations so far (in all stages of a solver that has stages).
    - `energy`: that of the current path.
    - `decrement`: the relative energy that may still be gained; infinite where it is not known.
    - `share`: an estimate of the share of the work that is done, in [0, 1].
    """

    num_steps: int
    energy: float
    decrement: float
    share: float


def watched_geodesic(
    metric: AbstractMetric,
    x0: Numbers,
    x1: Numbers,
    args: Any = None,
    *,
    on_step: Callable[[SolverProgress], bool | None],
    solver: AbstractSolver | None = None,
    init: Numbers | None = None,
    num_segments: int = 16,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    diagnostics: Diagnostics = "full",
    throw: bool = True,
    progress_meter: diffrax.AbstractProgressMeter | None = None,
) -> GeodesicSolution:
    """Solve as `geodesic` does, a few steps at a time from the host, to observe or stop it.

    It takes the same steps as [`geojax.geodesic`][]. Not to be called inside `jax.jit`.

    **Arguments:**

    - `on_step`: called with a [`geojax.geodesics.SolverProgress`][] about three times a second, or
      after each step where a step takes longer. If it returns True the solver stops. The result is
      then `RESULTS.interrupted` and the path the best one so far.
    - the other options are those of `geodesic`. A solver with a loop of its own
      ([`geojax.Shooting`][], or [`geojax.PathEnergy`][] with an optimistix minimiser) runs as a
      whole, without calls of `on_step`; `progress_meter` is for these.

    **Returns:**

    A [`geojax.GeodesicSolution`][], as `geodesic` does.

    **Raises:**

    - as `geodesic` does.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> seen = []
    >>> solution = geojax.watched_geodesic(metric, a, b, on_step=seen.append)
    >>> print(f"{solution.length:.3f} after {seen[-1].num_steps} steps")
    2.122 after 4 steps
    """
    x0, x1 = check_points(metric, x0=x0, x1=x1)
    check_counts(num_segments, max_steps)
    solver, rule = solver_and_rule(metric, x0, args, solver, rule, diagnostics)
    problem = TwoPointProblem(metric, rule, args, x0, x1)
    watch = _Watch(on_step)
    start = start_offsets(problem, init, num_segments)
    meter = diffrax.NoProgressMeter() if progress_meter is None else progress_meter
    check_meter(meter)
    try:
        with explained_derivatives(derivative_remedy(metric)):
            output = _watched(solver, watch).solve(problem, start, max_steps, meter)
    except _Stopped as stopped:
        output, diagnostics = _interrupted(problem, stopped.output, watch, num_segments), "price"
    found = Solved(output)
    options = {"num_segments": num_segments, "rule": rule, "throw": throw}
    return geodesic(
        metric,
        x0,
        x1,
        args,
        solver=found,
        max_steps=max_steps,
        discretisation_tolerance=discretisation_tolerance,
        diagnostics=diagnostics,
        **options,
    )


class _Watch:
    """Counts the steps of all stages, and passes on their reports."""

    def __init__(self, on_step: Callable[[SolverProgress], bool | None]):
        self._on_step = on_step
        self.stages: list[SolverOutput] = []  # those that have ended

    def report(self, num_steps: int, energy: float, decrement: float, share: float) -> bool:
        before = sum(int(output.num_steps) for output in self.stages)
        progress = SolverProgress(before + num_steps, energy, decrement, share)
        return self._on_step(progress) is True


class _Stopped(Exception):
    """Raised when `on_step` stops a solver; `output` is its output so far."""

    def __init__(self, output: SolverOutput):
        super().__init__("stopped")
        self.output = output


class _Watched(AbstractSolver):
    """A solver whose loop runs on the host."""

    solver: AbstractSolver
    watch: _Watch = eqx.field(static=True)

    def solve(self, problem, offsets, max_steps, progress_meter):
        solver = self.solver
        stepped = solver.stepped(problem) if isinstance(solver, AbstractIterativeSolver) else None
        if stepped is None:
            whole = eqx.filter_jit(solver.solve)(problem, offsets, max_steps, progress_meter)
            output = jax.block_until_ready(whole)
        else:
            output = _in_slices(stepped, problem, offsets, max_steps, self.watch)
        self.watch.stages.append(output)
        return output


def _watched(solver: AbstractSolver, watch: _Watch) -> AbstractSolver:
    if isinstance(solver, AbstractStages):
        inner = _watched(solver.solver, watch)
        return dataclasses.replace(solver, solver=inner)  # pyright: ignore[reportCallIssue]
    return _Watched(solver, watch)


def _in_slices(
    solver: AbstractIterativeSolver, problem: TwoPointProblem, offsets: Array, max_steps: int, watch
) -> SolverOutput:
    limit, size, going = jnp.asarray(max_steps), 1, True
    state, evaluated = _first(solver, problem, offsets), jnp.asarray(0)
    while going:
        began = time.perf_counter()
        state, evaluated, active, *figures = jax.block_until_ready(
            _slice(solver, problem, state, evaluated, evaluated + size, limit)
        )
        seconds = time.perf_counter() - began
        if evaluated > 1 and seconds < _SLICE / 2:  # the first slice includes compilation
            size *= 2
        elif seconds > _SLICE:
            size = max(1, size // 2)
        going = bool(active)
        stop = watch.report(int(evaluated) - 1, *map(float, figures))
        if going and stop:
            raise _Stopped(solver.output(problem, state, evaluated))
    return solver.output(problem, state, evaluated)


@eqx.filter_jit
def _first(solver: AbstractIterativeSolver, problem, offsets):
    return solver.init(problem, offsets)


@eqx.filter_jit
def _slice(solver: AbstractIterativeSolver, problem, state, evaluated, until, max_steps):
    """Steps until `until` are evaluated; returns also whether to go on, energy, decrement and
    share.
    """

    def going(carry):
        state, evaluated = carry
        return solver.going(state, evaluated, max_steps) & (evaluated < until)

    def step(carry):
        state, evaluated = carry
        return solver.step(problem, state), evaluated + 1

    state, evaluated = jax.lax.while_loop(going, step, (state, evaluated))
    _, energy, decrement = solver.read(state)
    share = solver.share_done(decrement, evaluated, max_steps)
    return state, evaluated, solver.going(state, evaluated, max_steps), energy, decrement, share


def _interrupted(
    problem: TwoPointProblem, output: SolverOutput, watch: _Watch, num_segments: int
) -> SolverOutput:
    """The current path as one of the problem itself, if it is of a coarser or weaker one."""
    offsets = resample(output.offsets, num_segments)
    energy = eqx.filter_jit(lambda problem, offsets: problem.energy(offsets))(problem, offsets)
    parts = [*watch.stages, output]
    totals = {
        name: jnp.asarray(sum(getattr(part, name) for part in parts))
        for name in ("num_steps", "score_evaluations", "score_products")
    }
    known = {"offsets": offsets, "energy": energy, "result": RESULTS.interrupted, "figures": None}
    return dataclasses.replace(output, **known, **totals)
