"""Interpolation along a geodesic, extrapolation along its continuation."""

from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from .._arrays import Numbers, as_floating, takes_arrays
from ..geodesics import (
    DISCRETISATION_TOLERANCE,
    RESULTS,
    AbstractRule,
    AbstractSolver,
    Diagnostics,
    GeodesicSolution,
    SplineGauss,
    TwoPointProblem,
    exponential_map,
    geodesic,
)
from ..metrics import AbstractMetric
from ._base import AbstractInterpolator, InterpolatedPath
from ._lerp import Lerp


class ExtendedGeodesic(eqx.Module):
    """A geodesic from x0 (time 0) to x1 (time 1) and its continuation to time `until`.

    **Arguments:**

    - `solution`: the solution of the two-point problem on [0, 1].
    - `extension`: the exponential map from x1 with the final velocity of `solution`, or None when
      `until` is 1.
    - `until`: the last time.
    """

    solution: GeodesicSolution
    extension: GeodesicSolution | None
    until: float = eqx.field(static=True)

    @property
    def result(self) -> RESULTS:
        """The verdict of the geodesic or, if that succeeded, of its continuation."""
        if self.extension is None:
            return self.solution.result
        good = self.solution.result == RESULTS.successful
        return RESULTS.where(good, self.extension.result, self.solution.result)

    @property
    def successful(self) -> Bool[Array, "..."]:
        """Whether both parts were found."""
        return self.result == RESULTS.successful

    @property
    def message(self) -> str:
        """The verdict in words, with its figures: of the geodesic, or of its continuation."""
        if self.extension is None or not bool(self.solution.successful):
            return self.solution.message
        return self.extension.message

    @property
    def cost(self) -> tuple[Integer[Array, ""], Integer[Array, ""]]:
        """Score evaluations and derivative products of both parts."""
        parts = [part.stats for part in (self.solution, self.extension) if part is not None]
        evaluations, products = (
            jnp.asarray(sum(stats[name] for stats in parts))
            for name in ("score_evaluations", "score_products")
        )
        return evaluations, products

    def evaluate(self, ts: Numbers) -> Float[Array, "times *shape"]:
        """The points at times in [0, until], shape `(times, *shape)`.

        **Raises:**

        - a run-time error at any other time.
        """
        times = as_floating("ts", ts, "times", dtype=self.solution.curve.xs.dtype)
        slack = 8 * float(jnp.finfo(times.dtype).eps) * self.until
        outside = (times < -slack) | (times > self.until + slack)
        message = f"ts must lie in [0, until] = [0, {self.until}]. Solve with a later until."
        times = eqx.error_if(times, outside, message)
        inside = jax.vmap(self.solution.curve.evaluate)(jnp.clip(times, 0, 1))
        if self.extension is None:
            return inside
        later = jnp.clip((times - 1) / (self.until - 1), 0, 1)
        beyond = jax.vmap(self.extension.curve.evaluate)(later)
        late = (times > 1).reshape((-1,) + (1,) * (inside.ndim - 1))
        return jnp.where(late, beyond, inside)


class GeodesicInterpolator(AbstractInterpolator):
    """The geodesic of a metric; beyond x1 the exponential map of the same metric.

    **Arguments:**

    - `metric`: any geojax metric.
    - `args`: passed to its score.
    - `solver`, `num_segments`, `rule`, `max_steps`, `discretisation_tolerance`, `diagnostics`,
      `progress_meter`: as for [`geojax.geodesic`][].
    - `extension_rtol`, `extension_atol`, `extension_max_steps`: `rtol`, `atol` and `max_steps` of
      [`geojax.exponential_map`][], for the part beyond x1.
    - `start`: the interpolator whose path the solver starts from; by default the straight line. The
      path of another `GeodesicInterpolator`, of an easier metric, is used only if it has less
      energy than the straight line; give it `throw=False`. Its cost is counted.
    - `until`: the last time that a call or `run` can evaluate, at least 1. With None it is the
      largest of the times, which must then be known when the caller is compiled.
    - `throw`: raise when a solve does not succeed. Otherwise a call returns the points found so
      far, and `run` the verdict too.

    >>> import jax.numpy as jnp, geojax
    >>> path = geojax.GeodesicInterpolator(geojax.Euclidean())
    >>> print(path(jnp.array([0.0]), jnp.array([2.0]), jnp.array([0.5, 1.5]))[:, 0])
    [1. 3.]
    """

    metric: AbstractMetric
    args: Any = None
    _: KW_ONLY
    solver: AbstractSolver | None = None
    num_segments: int = eqx.field(static=True, default=16)
    rule: AbstractRule | None = None
    max_steps: int = 200
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE
    diagnostics: Diagnostics = eqx.field(static=True, default="full")
    progress_meter: diffrax.AbstractProgressMeter | None = None
    extension_rtol: float | None = None
    extension_atol: float | None = None
    extension_max_steps: int = 4096
    start: AbstractInterpolator | None = None
    until: float | None = eqx.field(static=True, default=None)
    throw: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.until is not None and self.until < 1:
            raise ValueError(f"until must be at least 1, the time of x1, got {self.until}.")

    @takes_arrays("x0", "x1")
    def solve(
        self,
        x0: Float[Array, "*shape"],
        x1: Float[Array, "*shape"],
        *,
        until: float = 1.0,
        throw: bool = True,
        find: Callable[..., GeodesicSolution] = geodesic,
    ) -> ExtendedGeodesic:
        """The geodesic, continued to time `until`, with all figures and verdicts.

        **Arguments:**

        - `x0`, `x1`: the end-points, of one shape.
        - `until`: the last time, at least 1.
        - `throw`: raise when a solve does not succeed.
        - `find`: the function that finds the geodesic, and that of a `start` which is a
          `GeodesicInterpolator`. It is called as [`geojax.geodesic`][] is;
          [`geojax.watched_geodesic`][] is another.

        **Returns:**

        An [`geojax.ExtendedGeodesic`][]. The counts in `solution.stats` are those of both solves.

        **Raises:**

        - `ValueError`: when `until` < 1.
        - else as `geodesic` and [`geojax.exponential_map`][].
        """
        if until < 1:
            raise ValueError(f"until must be at least 1, the time of x1, got {until}.")
        init, before = self._started(x0, x1, find)
        solution = find(
            self.metric,
            x0,
            x1,
            self.args,
            solver=self.solver,
            init=init,
            num_segments=self.num_segments,
            rule=self.rule,
            max_steps=self.max_steps,
            discretisation_tolerance=self.discretisation_tolerance,
            diagnostics=self.diagnostics,
            throw=throw,
            progress_meter=self.progress_meter,
        )
        solution = _counted(solution, before)
        extension = self.extend(solution, until, throw=throw) if until > 1 else None
        return ExtendedGeodesic(solution, extension, float(until))

    def _started(self, x0, x1, find):
        """The path that the solver starts from, and the evaluations and products to find it."""
        if self.start is None:
            return None, (0, 0)
        times = jnp.linspace(0, 1, self.num_segments + 1, dtype=x0.dtype)
        if not isinstance(self.start, GeodesicInterpolator):
            path = self.start.run(x0, x1, times)
            return path.points, (path.score_evaluations, path.score_products)
        path = self.start.solve(x0, x1, throw=self.start.throw, find=find)
        both = jnp.stack([path.evaluate(times), Lerp()(x0, x1, times)])
        rule = SplineGauss() if self.rule is None else self.rule
        problem = TwoPointProblem(self.metric, rule, self.args, x0, x1)
        evaluations, products = path.cost
        evaluations = evaluations + 2 * problem.energy_cost(self.num_segments)
        return _cheapest(problem, both), (evaluations, products)

    def extend(
        self,
        solution: GeodesicSolution,
        until: float,
        *,
        num_segments: int = 32,
        throw: bool = True,
    ) -> GeodesicSolution:
        """The continuation of a solution from x1 to time `until`, in `num_segments` segments."""
        return exponential_map(
            self.metric,
            solution.curve.xs[-1],
            (until - 1) * solution.final_velocity,
            self.args,
            num_segments=num_segments,
            rtol=self.extension_rtol,
            atol=self.extension_atol,
            max_steps=self.extension_max_steps,
            throw=throw,
        )

    def run(self, x0, x1, ts, *, key=None):
        path = self.solve(x0, x1, until=self._last(ts), throw=self.throw)
        return InterpolatedPath(path.evaluate(ts), path.result, *path.cost)

    def _last(self, ts) -> float:
        if self.until is not None:
            return self.until
        try:
            with jax.ensure_compile_time_eval():
                return max(1.0, float(jnp.max(ts)))
        except jax.errors.ConcretizationTypeError:
            raise ValueError(
                "ts is traced, so its last time is not known here. Pass until, as in "
                "GeodesicInterpolator(metric, until=1.0), or pass times that are not arguments of "
                "the compiled function."
            ) from None


@eqx.filter_jit
def _cheapest(problem: TwoPointProblem, paths) -> Float[Array, "nodes *shape"]:
    """The path of least energy; a path whose energy is not finite is never chosen."""
    energies = jax.lax.map(lambda path: problem.energy(problem.offsets(path)), paths)
    return paths[jnp.argmin(jnp.where(jnp.isfinite(energies), energies, jnp.inf))]


def _counted(solution: GeodesicSolution, before) -> GeodesicSolution:
    """The solution, with the cost of finding its start added to its counts."""
    names = "score_evaluations", "score_products"
    counts = {name: solution.stats[name] + spent for name, spent in zip(names, before, strict=True)}
    return eqx.tree_at(lambda s: s.stats, solution, {**solution.stats, **counts})
