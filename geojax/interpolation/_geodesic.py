"""Interpolation along a geodesic, extrapolation along its continuation."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from ..geodesics import RESULTS, GeodesicSolution, exponential_map, geodesic
from ..metrics import AbstractMetric
from ._base import AbstractInterpolator, Interpolation


class ExtendedGeodesic(eqx.Module):
    """A geodesic from x0 (time 0) to x1 (time 1) and its continuation to time ``until``.

    - ``solution``: the two-point solution on [0, 1].
    - ``extension``: the exponential map from x1 with the final velocity of ``solution``, or None
      when ``until`` is 1.
    - ``until``: the last time.
    """

    solution: GeodesicSolution
    extension: GeodesicSolution | None
    until: float = eqx.field(static=True)

    @property
    def cost(self) -> tuple[Integer[Array, ""], Integer[Array, ""]]:
        """Score evaluations and derivative products of both parts."""
        parts = [part.stats for part in (self.solution, self.extension) if part is not None]
        evaluations, products = (
            jnp.asarray(sum(stats[name] for stats in parts))
            for name in ("score_evaluations", "score_products")
        )
        return evaluations, products

    def evaluate(self, ts: Float[Array, " times"]) -> Float[Array, "times *shape"]:
        """The points at times in [0, until]. **Raises:** a run-time error at any other time."""
        slack = 8 * float(jnp.finfo(ts.dtype).eps) * self.until
        outside = (ts < -slack) | (ts > self.until + slack)
        message = f"ts must lie in [0, until] = [0, {self.until}]. Solve with a later until."
        ts = eqx.error_if(ts, outside, message)
        inside = jax.vmap(self.solution.curve.evaluate)(jnp.clip(ts, 0, 1))
        if self.extension is None:
            return inside
        later = jnp.clip((ts - 1) / (self.until - 1), 0, 1)
        beyond = jax.vmap(self.extension.curve.evaluate)(later)
        late = (ts > 1).reshape((-1,) + (1,) * (inside.ndim - 1))
        return jnp.where(late, beyond, inside)


class Geodesic(AbstractInterpolator):
    """The geodesic of a metric; beyond x1 the exponential map of the same metric.

    - ``metric``: any geojax metric.
    - ``args``: handed to its score.
    - ``options``: options of `geodesic` (``num_segments``, ``solver``, ``rule``, ...).
    - ``extension_options``: options of `exponential_map` (``rtol``, ``max_steps``, ...).
    - ``start``: the interpolator whose path the solver starts from; default the straight line.
    - ``throw``: raise when a solve did not succeed; else calling it gives what there is, and `run`
      says so.

    >>> import jax.numpy as jnp, geojax
    >>> path = geojax.Geodesic(geojax.Euclidean())
    >>> print(path(jnp.array([0.0]), jnp.array([2.0]), jnp.array([0.5, 1.5]))[:, 0])
    [1. 3.]
    """

    metric: AbstractMetric
    args: Any = None
    options: dict[str, Any] = eqx.field(default_factory=dict)
    extension_options: dict[str, Any] = eqx.field(default_factory=dict)
    start: AbstractInterpolator | None = None
    throw: bool = eqx.field(static=True, default=True)

    def solve(
        self,
        x0: Float[Array, "*shape"],
        x1: Float[Array, "*shape"],
        *,
        until: float = 1.0,
        throw: bool = True,
    ) -> ExtendedGeodesic:
        """The geodesic, continued to time ``until`` >= 1, with all figures and verdicts.

        **Raises:** `ValueError` when ``until`` < 1; else as `geodesic` and `exponential_map`.
        """
        if until < 1:
            raise ValueError(f"until must be at least 1, the time of x1, got {until}.")
        options = dict(self.options)
        if self.start is not None:
            nodes = jnp.linspace(0, 1, 1 + options.get("num_segments", 32), dtype=x0.dtype)
            options["init"] = self.start(x0, x1, nodes)
        solution = geodesic(self.metric, x0, x1, args=self.args, throw=throw, **options)
        extension = None
        if until > 1:
            velocity = (until - 1) * solution.final_velocity
            extension = exponential_map(
                self.metric, x1, velocity, self.args, throw=throw, **self.extension_options
            )
        return ExtendedGeodesic(solution, extension, float(until))

    def run(self, x0, x1, ts, *, key=None):
        with jax.ensure_compile_time_eval():  # times are known when a caller is compiled
            until = max(1.0, float(jnp.max(ts)))
        path = self.solve(x0, x1, until=until, throw=self.throw)
        result = path.solution.result
        if path.extension is not None:
            good = result == RESULTS.successful
            result = RESULTS.where(good, path.extension.result, result)
        return Interpolation(path.evaluate(ts), result, *path.cost)
