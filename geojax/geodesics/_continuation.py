"""Solver wrappers that reach a hard problem through easier ones."""

import abc
import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from ..metrics import AbstractMetric, Euclidean
from ._checks import check_solver
from ._curve import refine, resample
from ._iterate import AbstractSolver
from ._problem import SolverOutput, TwoPointProblem


def weakened(metric: AbstractMetric, weight) -> AbstractMetric:
    """The metric `(1 - weight) I + weight g`."""
    return (1 - weight) * Euclidean() + weight * metric


class AbstractStages(AbstractSolver):
    """Solves easier problems first; each stage starts from the path of the one before."""

    solver: eqx.AbstractVar[AbstractSolver]

    @abc.abstractmethod
    def stages(
        self, num_segments: int
    ) -> list[tuple[Callable[[TwoPointProblem], TwoPointProblem], int]]:
        """For each stage, a function that changes the problem and the number of segments.

        The last stage is the problem itself.
        """

    def unchecked(self) -> "AbstractStages":
        inner = self.solver.unchecked()
        return dataclasses.replace(self, solver=inner)  # pyright: ignore[reportCallIssue]

    def solve(self, problem, offsets, max_steps, progress_meter):
        def run(change, start):
            return self.solver.solve(change(problem), start, max_steps, progress_meter)

        stages = self.stages(len(offsets) - 1)
        return _in_turn(run, stages, offsets, max_steps, lambda one: one)

    def solve_many(self, problem_of, offsets, max_steps, batch_size, progress_meter):
        def run(change, starts):
            def changed(lane):
                return change(problem_of(lane))

            return self.solver.solve_many(changed, starts, max_steps, batch_size, progress_meter)

        stages = self.stages(offsets.shape[1] - 1)
        return _in_turn(run, stages, offsets, max_steps, jax.vmap)


def _in_turn(run, stages, offsets, max_steps, each) -> SolverOutput:
    """Run the stages; each starts from the path of the one before, unless that is not finite.

    `each` maps a function of one lane to a function of all lanes that `run` has.
    """

    def begin(offsets, size):
        finer = refine if size >= len(offsets) else resample
        return finer(offsets, size).at[-1].set(0.0)  # `Shooting` reaches x1 only approximately

    def end(output, start):
        finite = jnp.all(jnp.isfinite(output.offsets)) & jnp.isfinite(output.energy)
        return jnp.where(finite, output.offsets, start)

    steps = evaluations = products = limit = jnp.asarray(0)
    output = None
    for change, size in stages:
        start = each(lambda offsets, size=size: begin(offsets, size))(offsets)
        output = run(change, start)
        offsets = each(end)(output, start)
        steps = steps + output.num_steps
        limit = limit + output.limits.get("num_steps", jnp.full_like(steps, max_steps))
        evaluations = evaluations + output.score_evaluations
        products = products + output.score_products
    assert output is not None
    totals = steps, evaluations, products, {**output.limits, "num_steps": limit}
    counts = lambda o: (o.num_steps, o.score_evaluations, o.score_products, o.limits)  # noqa: E731
    return eqx.tree_at(counts, output, totals)


class CoarseToFine(AbstractStages):
    """Solves with few segments first, then doubles them level by level.

    Use it when the default needs many steps on a fine mesh. Each level starts from the last.

    **Arguments:**

    - `solver`: the solver of every level.
    - `levels`: the number of levels. The finest has the requested number of segments; each coarser
      one has half the segments of the next, but at least two.

    The counts of steps and evaluations are totals over the levels, each with its own `max_steps`.
    The verdict is that of the finest level.

    **Raises:**

    - `ValueError`: when `solver` is no geojax solver, or `levels` is below 1.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> solver = geojax.CoarseToFine(geojax.GaussNewton(curvature_steps=0), levels=2)
    >>> print(f"{geojax.geodesic(metric, a, b, solver=solver).length:.3f}")
    2.122
    """

    solver: AbstractSolver
    levels: int = eqx.field(static=True, default=3)

    def __check_init__(self):
        check_solver(self.solver)
        if self.levels < 1:
            raise ValueError(f"levels must be at least 1, got {self.levels}.")

    def stages(self, num_segments):
        n = num_segments
        sizes = [max(-(-n // 2**k), min(n, 2)) for k in reversed(range(self.levels))]
        return [(lambda problem, size=size: problem.resampled(size), size) for size in sizes]


class LambdaContinuation(AbstractStages):
    """Solves for weaker metrics first: `(1 - w) I + w g` for rising w, then g itself.

    Use it when a strong metric (large `lam`) makes the solver stall. For `g = I + lam s s^T` this
    is continuation in lam: stage w has `lam w`.

    **Arguments:**

    - `solver`: the solver of every stage.
    - `weights`: rising numbers in (0, 1). The last stage is always g itself.

    The counts of steps and evaluations are totals over the stages, each with its own `max_steps`.
    The verdict is that of the last stage.

    **Raises:**

    - `ValueError`: when `solver` is no geojax solver, or `weights` are not rising in (0, 1).

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> inner = geojax.GaussNewton(curvature_steps=0)
    >>> solver = geojax.LambdaContinuation(inner, weights=(0.1,))
    >>> print(f"{geojax.geodesic(metric, a, b, solver=solver).length:.3f}")
    2.122
    """

    solver: AbstractSolver
    weights: tuple[float, ...] = eqx.field(static=True, default=(1e-3, 1e-2, 1e-1))

    def __check_init__(self):
        check_solver(self.solver)
        rising = all(a < b for a, b in zip(self.weights, self.weights[1:], strict=False))
        if not rising or not all(0 < w < 1 for w in self.weights):
            raise ValueError(f"weights must be rising numbers in (0, 1), got {self.weights}.")

    def stages(self, num_segments):
        def weaken(w):
            def change(problem):
                return problem._replace(metric=weakened(problem.metric, w))

            return change

        changes = [*map(weaken, self.weights), lambda problem: problem]
        return [(change, num_segments) for change in changes]
