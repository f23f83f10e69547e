"""Wrappers that lead any solver to a hard problem through easier ones."""

import equinox as eqx
import jax.numpy as jnp

from ..metrics import Euclidean
from ._curve import resample
from ._iterate import AbstractSolver
from ._problem import SolverOutput, TwoPointProblem


class CoarseToFine(AbstractSolver):
    """Solves with few segments first, then doubles them, starting each level from the last.

    - ``solver``: the solver of every level.
    - ``levels``: how many levels, the finest being the number of segments asked for; each coarser
      one has half the segments of the next, but at least two.

    The counts of steps and evaluations are totals over the levels, each with its own ``max_steps``;
    the verdict is the finest level's.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> solver = geojax.CoarseToFine(geojax.GaussNewton(rtol=1e-4), levels=3)
    >>> print(f"{geojax.geodesic(metric, a, b, solver).length:.3f}")
    2.122
    """

    solver: AbstractSolver
    levels: int = eqx.field(static=True, default=3)

    @property
    def certifies(self) -> bool:
        return self.solver.certifies

    def __check_init__(self):
        if self.levels < 1:
            raise ValueError(f"levels must be at least 1, got {self.levels}.")

    def solve(self, problem, xs, max_steps, progress_meter):
        n = len(xs) - 1
        sizes = [max(-(-n // 2**k), min(n, 2)) for k in reversed(range(self.levels))]
        stages = [(problem, size) for size in sizes]
        return _in_stages(self.solver, stages, xs, max_steps, progress_meter)


class LambdaContinuation(AbstractSolver):
    """Solves for weaker metrics first: ``(1 - w) I + w g`` for rising w, then g itself.

    For ``g = I + lam s s^T`` this is continuation in lam: stage w has ``lam w``.

    - ``solver``: the solver of every stage.
    - ``weights``: rising numbers in (0, 1); the last stage is always g itself.

    The counts of steps and evaluations are totals over the stages, each with its own
    ``max_steps``; the verdict is the last stage's.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> solver = geojax.LambdaContinuation(geojax.GaussNewton(rtol=1e-4), weights=(0.1,))
    >>> print(f"{geojax.geodesic(metric, a, b, solver).length:.3f}")
    2.122
    """

    solver: AbstractSolver
    weights: tuple[float, ...] = eqx.field(static=True, default=(1e-3, 1e-2, 1e-1))

    @property
    def certifies(self) -> bool:
        return self.solver.certifies

    def __check_init__(self):
        rising = all(a < b for a, b in zip(self.weights, self.weights[1:], strict=False))
        if not rising or not all(0 < w < 1 for w in self.weights):
            raise ValueError(f"weights must be rising numbers in (0, 1), got {self.weights}.")

    def solve(self, problem, xs, max_steps, progress_meter):
        n = len(xs) - 1
        stages = []
        for w in self.weights:
            weaker = (1 - w) * Euclidean() + w * problem.metric
            stages.append((problem._replace(metric=weaker), n))
        stages.append((problem, n))
        return _in_stages(self.solver, stages, xs, max_steps, progress_meter)


def _in_stages(
    solver: AbstractSolver,
    stages: list[tuple[TwoPointProblem, int]],
    xs,
    max_steps,
    progress_meter,
) -> SolverOutput:
    """Each stage starts from the path of the one before, unless that one is not finite."""
    steps = evaluations = products = jnp.asarray(0)
    output = None
    x1 = xs[-1]
    for problem, size in stages:
        start = resample(xs, size).at[-1].set(x1)  # which `Shooting` meets only nearly
        output = solver.solve(problem.resampled(size), start, max_steps, progress_meter)
        finite = jnp.all(jnp.isfinite(output.xs)) & jnp.isfinite(output.energy)
        xs = jnp.where(finite, output.xs, start)
        steps = steps + output.num_steps
        evaluations = evaluations + output.score_evaluations
        products = products + output.score_products
    assert output is not None
    return SolverOutput(
        output.xs, output.energy, output.decrement, output.result, steps, evaluations, products
    )
