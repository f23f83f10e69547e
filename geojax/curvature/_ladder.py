"""Parallel transport by geodesic parallelograms."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..geodesics import RESULTS
from ..metrics import AbstractMetric
from ._transport import AbstractTransport


class PoleLadder(AbstractTransport):
    """Parallel transport by the pole ladder: geodesics only, without Christoffel symbols.

    A rung from x to y carries v by reflecting `exp_x(v)` in the middle m of the geodesic from x to
    y: `-log_y(exp_m(-log_m(exp_x(v))))`. It is exact in symmetric spaces (spheres, hyperbolic
    spaces). Elsewhere, with v scaled to the length of the rung, it converges with order 2 in 1 /
    rungs. It uses only the points of the curve at the rungs.

    Its maps are local: `exp` is `num_steps` Runge-Kutta steps of fourth order, `log` a fixed-point
    iteration on it. Both need neighbouring rungs to be near in terms of the curvature. A `log` that
    misses by more than `tolerance`, relative to the rung, is reported as a failure.

    **Arguments:**

    - `rungs`: between neighbouring times of the `ts` of [`geojax.parallel_transport`][].
    - `num_steps`: of an exponential map.
    - `num_iterations`: of a logarithm.
    - `tolerance`: default 1e-6 in float64, 1e-3 in float32.

    **Raises:**

    - `ValueError`: on counts below 1.

    Source: Lorenzi & Pennec (2014); Guigui & Pennec (2022) for the order.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x)
    >>> solution = geojax.exponential_map(metric, jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
    >>> carried = geojax.parallel_transport(
    ...     metric, solution, solution.initial_velocity, method=geojax.curvature.PoleLadder()
    ... )
    >>> bool(jnp.allclose(carried.vector, solution.final_velocity, atol=1e-3))
    True
    """

    rungs: int = 1
    num_steps: int = 2
    num_iterations: int = 12
    tolerance: float | None = None

    def __check_init__(self):
        for name in ("rungs", "num_steps", "num_iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")

    def carry(self, metric, curve, ts, v0, args):
        n = len(ts) - 1
        places = jnp.arange(self.rungs, dtype=ts.dtype) / self.rungs
        times = (ts[:-1, None] + jnp.diff(ts)[:, None] * places[None]).reshape(-1)
        points = jax.vmap(curve.evaluate)(jnp.concatenate([times, ts[-1:]]))

        def climb(v, ends):
            x, y = ends
            v, miss = self._rung(metric, x, y, v, args)
            return v, (v, miss)

        _, (carried, misses) = jax.lax.scan(climb, v0, (points[:-1], points[1:]))
        carried = carried.reshape(n, self.rungs, *v0.shape)[:, -1]
        miss = jnp.max(misses)
        default = 1e-6 if v0.dtype == jnp.float64 else 1e-3
        met = miss <= (self.tolerance or default)
        result = RESULTS.where(met, RESULTS.successful, RESULTS.rungs_too_far)
        stats = {"num_steps": jnp.asarray(n * self.rungs), "log_miss": miss}
        return jnp.concatenate([v0[None], carried]), result, stats

    def _rung(self, metric: AbstractMetric, x, y, v, args):
        """`v` carried to y, and the largest miss of a logarithm relative to the rung's length."""
        rung, miss = self._log(metric, x, y, args)
        length, size = metric.norm(x, rung, args), metric.norm(x, v, args)
        moving = (length > 0) & (size > 0)
        scale = jnp.where(moving, length / jnp.where(size > 0, size, 1.0), 1.0)
        middle = self._exp(metric, x, rung / 2, args)
        tip = self._exp(metric, x, scale * v, args)
        inward, miss_inward = self._log(metric, middle, tip, args)
        opposite = self._exp(metric, middle, -inward, args)
        outward, miss_outward = self._log(metric, y, opposite, args)
        misses = jnp.stack([miss, miss_inward, miss_outward])
        misses = jnp.max(misses) / jnp.where(length > 0, length, 1.0)
        return jnp.where(moving, -outward / scale, v), jnp.where(moving, misses, 0.0)

    def _exp(self, metric, x, v, args) -> Float[Array, "*shape"]:
        """The exponential map by the classical Runge-Kutta method.

        A scan over the stages compiles one acceleration only.
        """
        h = 1 / self.num_steps

        def stage(carry, coefficients):
            (x, v), (dx, dv), (sum_x, sum_v) = carry
            place, weight = coefficients
            here = v + place * h * dv
            change = metric.acceleration(x + place * h * dx, here, args)
            total = sum_x + weight * h * here, sum_v + weight * h * change
            return ((x, v), (here, change), total), None

        places = jnp.asarray([0, 1 / 2, 1 / 2, 1], x.dtype)
        weights = jnp.asarray([1 / 6, 1 / 3, 1 / 3, 1 / 6], x.dtype)

        def step(state, _):
            still = jax.tree.map(jnp.zeros_like, state)
            (_, _, total), _ = jax.lax.scan(stage, (state, still, still), (places, weights))
            return jax.tree.map(jnp.add, state, total), None

        (end, _), _ = jax.lax.scan(step, (x, v), length=self.num_steps)
        return end

    def _log(self, metric, x, y, args) -> tuple[Float[Array, "*shape"], Float[Array, ""]]:
        """The velocity at x that leads to y, and the miss of the previous iterate, in g(y)."""
        chord = y - x

        def correct(carry, _):
            v, _ = carry
            gap = y - self._exp(metric, x, v, args)
            return (v + gap, gap), None

        first = chord - metric.acceleration(x, chord, args) / 2
        (v, gap), _ = jax.lax.scan(correct, (first, chord), length=self.num_iterations)
        return v, metric.norm(y, gap, args)
