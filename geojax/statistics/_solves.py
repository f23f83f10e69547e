"""What the fits share: their sample, and the batches of two-point problems they solve."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Float

from .._arrays import Numbers, as_floating
from .._linalg import dot
from .._verdicts import AbstractSolution
from ..geodesics import RESULTS, GaussNewton, GeodesicSolution, PathEnergy, geodesic_batch
from ..metrics import AbstractMetric, AbstractSumOfSquaresMetric
from ._results import FIT_RESULTS


class AbstractFit(AbstractSolution):
    """The figures that fits report: convergence, and the failures of their geodesics."""

    solutions: eqx.AbstractVar[GeodesicSolution]
    variance: eqx.AbstractVar[Array]
    gradient_norm: eqx.AbstractVar[Array]
    num_evaluations: eqx.AbstractVar[Array]

    def rows(self) -> dict[str, Any]:
        names = "variance", "gradient_norm", "num_evaluations"
        return {name: getattr(self, name) for name in names}

    def figures(self) -> dict[str, Any]:
        return super().figures() | self.rows() | failures(self.solutions)


def failures(solutions: GeodesicSolution) -> dict[str, Any]:
    """The number of geodesics of a fit that failed and the first one; empty if all succeeded."""
    names = solutions.verdicts.names(solutions.result)
    failed = np.flatnonzero(names != "successful")
    if names.ndim != 1 or not len(failed):
        return {}
    first = int(failed[0])
    return {
        "num_failed": len(failed),
        "num_geodesics": len(names),
        "first_failed": first,
        "first_message": solutions[first].message,
    }


class Solves(eqx.Module):
    """Geodesics between pairs of points, started from the paths of the previous evaluation."""

    metric: AbstractMetric
    solver: Any
    args: Any
    options: dict[str, Any]

    def run(self, x0, x1, last: Float[Array, "lanes nodes *shape"]) -> GeodesicSolution:
        """One geodesic a pair, started from `last` moved along with its ends."""

        def moved(xs, a, b):
            t = jnp.arange(len(xs), dtype=xs.dtype) / (len(xs) - 1)
            change = jax.vmap(lambda w: (1 - w) * (a - xs[0]) + w * (b - xs[-1]))(t)
            return xs + change

        init = jax.vmap(moved)(last, x0, x1)
        return self._batch(x0, x1, init=init)

    def unsolved(self, x0, x1) -> GeodesicSolution:
        """Straight lines in the place of solutions, for `run` to start from."""
        shapes = jax.eval_shape(lambda: self._batch(x0, x1))
        blank = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        t = jnp.linspace(0, 1, blank.curve.ts.shape[1], dtype=x0.dtype)
        lines = jax.vmap(lambda a, b: jax.vmap(lambda w: (1 - w) * a + w * b)(t))(x0, x1)
        return eqx.tree_at(lambda s: s.curve.xs, blank, lines)

    def weigh(self, weights, solutions: GeodesicSolution) -> tuple[Array, Array]:
        """The weighted sum of the energies (half squared distances), and a bound on its error."""
        solved = solutions.result == RESULTS.successful
        left = jnp.where(solved, solutions.energy * solutions.stats["decrement"], 0.0)
        return dot(weights, solutions.energy), dot(weights, left)

    def _batch(self, x0, x1, **start) -> GeodesicSolution:
        options = {**self.options, **start, "throw": False}
        solver = exact_solver(self.metric, self.solver, x0.dtype)
        return geodesic_batch(self.metric, x0, x1, solver=solver, args=self.args, **options)


def exact_solver(metric: AbstractMetric, solver, dtype):
    """The given solver, or in float64 a default that also makes the gradient of a distance exact.

    The gradient is only as exact as the root of a path's decrement, so the default has a lower
    rtol.
    """
    if solver is not None or dtype != jnp.float64:
        return solver
    if isinstance(metric, AbstractSumOfSquaresMetric):
        return GaussNewton(rtol=1e-13)
    return PathEnergy(optimiser=optx.LBFGS(rtol=1e-12, atol=1e-12))


def check_sample(metric, points, weights) -> tuple[Array, Array]:
    """The points, and their weights with sum 1."""
    if not isinstance(metric, AbstractMetric):
        raise ValueError(f"metric must be a geojax metric, got {type(metric).__name__}.")
    points = as_points("points", points)
    if weights is None:
        return points, jnp.full(len(points), 1 / len(points), points.dtype)
    weights = as_floating("weights", weights, dtype=points.dtype)
    if weights.shape != (len(points),):
        raise ValueError(f"weights must have shape ({len(points)},), got {weights.shape}.")
    total = jnp.sum(weights)
    bad = ~(jnp.all(weights >= 0) & (total > 0) & jnp.isfinite(total))
    weights = eqx.error_if(weights, bad, "weights must be finite, at least 0, and not all 0.")
    return points, weights / total


def as_points(name: str, value: Numbers) -> Array:
    """At least one point, shape `(points, *shape)`."""
    points = as_floating(name, value, "points *shape")
    if points.ndim < 2:
        raise ValueError(
            f"{name} must hold points, shape (points, *shape), got {points.shape}. Numbers are "
            "points of shape (1,)."
        )
    return points


def default_rtol(dtype) -> float:
    """Bound on the relative gradient of a fit."""
    return 1e-6 if dtype == jnp.float64 else 1e-3


def verdict(result: FIT_RESULTS, solutions: GeodesicSolution) -> FIT_RESULTS:
    """The verdict of a descent, or that one of its geodesics failed."""
    solved = jnp.all(solutions.result == RESULTS.successful)
    doubt = (result != FIT_RESULTS.non_finite) & ~solved
    return FIT_RESULTS.where(doubt, FIT_RESULTS.geodesics_failed, result)
