"""Geodesic regression: the geodesic nearest to points that depend on one variable."""

from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from .._arrays import Numbers, as_floating
from .._linalg import dot, tensordot
from .._verdicts import Verdicts, or_raise
from ..geodesics import (
    DISCRETISATION_TOLERANCE,
    RESULTS,
    AbstractRule,
    AbstractSolver,
    Diagnostics,
    GeodesicSolution,
    exponential_map,
)
from ..metrics import AbstractMetric
from ._descent import Evaluation, descend
from ._frechet import FrechetMean, mean_of
from ._results import FIT_RESULTS, FIT_VERDICTS
from ._solves import AbstractFit, Solves, as_points, default_rtol, verdict


class GeodesicRegression(AbstractFit):
    """The geodesic `t -> exp_point((t - time) velocity)` nearest to points.

    **Arguments:**

    - `metric`, `args`: as given.
    - `shooting`: options of the integration.
    - `time`: the weighted mean of the times.
    - `point`, `velocity`: the geodesic at `time` and its derivative there.
    - `variance`: the weighted mean of the squared residuals.
    - `mean`: the [`geojax.FrechetMean`][] of the points.
    - `solutions`: the geodesics from the predictions to the points, one batch element a point;
      their lengths are the residuals.
    - `gradient_norm`, `num_evaluations`, `limits`: as for `FrechetMean`.
    - `result`: a member of `FIT_RESULTS`.
    """

    metric: AbstractMetric
    args: Any
    shooting: dict[str, Any]
    time: Float[Array, ""]
    point: Float[Array, "*shape"]
    velocity: Float[Array, "*shape"]
    variance: Float[Array, ""]
    mean: FrechetMean
    solutions: GeodesicSolution
    gradient_norm: Float[Array, ""]
    num_evaluations: Int[Array, ""]
    result: FIT_RESULTS
    limits: dict[str, Any] = eqx.field(default_factory=dict)
    verdicts: ClassVar[Verdicts] = FIT_VERDICTS
    noun: ClassVar[str] = "geodesic regression"

    @property
    def total_variance(self) -> Float[Array, ""]:
        """The weighted mean of the squared distances from the Fréchet mean."""
        return self.mean.variance

    @property
    def r_squared(self) -> Float[Array, ""]:
        """The share of the total variance that the geodesic explains."""
        return 1 - self.variance / self.total_variance

    def predict(self, times: Numbers) -> Float[Array, "times *shape"]:
        """The points of the geodesic at any times, shape `(times, *shape)`.

        NaN where the integration does not reach the time.
        """
        times = as_floating("times", times, "times", dtype=self.point.dtype)
        shoot = _shots(self.metric, self.args, times - self.time, self.shooting)
        return shoot(self.point, self.velocity)


def geodesic_regression(
    metric: AbstractMetric,
    times: Numbers,
    points: Numbers,
    weights: Numbers | None = None,
    args: Any = None,
    *,
    solver: AbstractSolver | None = None,
    mean: FrechetMean | None = None,
    rtol: float | None = None,
    max_evaluations: int = 50,
    shot_solver: diffrax.AbstractERK | None = None,
    shot_rtol: float | None = None,
    shot_atol: float | None = None,
    shot_max_steps: int = 4096,
    num_segments: int = 16,
    batch_size: int = 16,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    diagnostics: Diagnostics = "full",
    devices: Mesh | None = None,
    throw: bool = True,
) -> GeodesicRegression:
    """Least squares: `min over p, v of sum_k w_k d(exp_p((t_k - tbar) v), x_k)^2`.

    The residuals are two-point problems, whose gradients need no derivative of a solve.
    Reverse-mode differentiation pulls them back through the integrated geodesic, so no Jacobi field
    and nothing of size D^2 is formed. The start is the regression of the logarithms in the tangent
    space at the Fréchet mean.

    **Arguments:**

    - `metric`: any geojax metric.
    - `times`: the independent variable, shape `(points,)`, not all equal.
    - `points`: shape `(points, *shape)`.
    - `weights`, `args`, `mean`, `solver` and the options of [`geojax.geodesic_batch`][]: as for
      [`geojax.principal_geodesics`][].
    - `rtol`: bound on the gradient relative to the root of the total variance; default 1e-6 in
      float64, 1e-3 in float32.
    - `max_evaluations`: evaluations of the sum at most, each of one geodesic a point, two
      integrations and their reverse.
    - `shot_solver`, `shot_rtol`, `shot_atol`, `shot_max_steps`: `solver`, `rtol`, `atol` and
      `max_steps` of [`geojax.exponential_map`][], which integrates the geodesic.
    - `throw`: raise when the mean or the fit failed; else read `mean.result` and `result`.

    **Returns:**

    A [`geojax.GeodesicRegression`][].

    **Raises:**

    - `ValueError`: on shapes that do not fit.
    - a run-time error with the remedy: when the fit failed and `throw` is True.

    Source: Fletcher (2013), "Geodesic regression and the theory of least squares on Riemannian
    manifolds", equations 6 to 9.

    >>> import jax.numpy as jnp, geojax
    >>> t = jnp.array([0.0, 1.0, 2.0, 3.0])
    >>> x = jnp.stack([1 + 2 * t, 3 - t], axis=1)
    >>> fit = geojax.statistics.geodesic_regression(geojax.Euclidean(), t, x, num_segments=2)
    >>> fit.velocity.round(6).tolist()  # fit.predict(t) gives the points
    [2.0, -1.0]
    """
    points = as_points("points", points)
    times = as_floating("times", times, dtype=points.dtype)
    if times.shape != (len(points),):
        raise ValueError(f"times must have shape ({len(points)},), got {times.shape}.")
    options = {
        "num_segments": num_segments,
        "batch_size": batch_size,
        "rule": rule,
        "max_steps": max_steps,
        "discretisation_tolerance": discretisation_tolerance,
        "diagnostics": diagnostics,
        "devices": devices,
    }
    mean = mean_of(mean, metric, points, weights, args, solver=solver, throw=throw, options=options)
    constant = ~(jnp.ptp(times) > 0)
    times = eqx.error_if(times, constant, "times must be finite and not all equal.")
    rtol = default_rtol(points.dtype) if rtol is None else rtol
    solves = Solves(metric, solver, args, options)
    shooting = {
        "solver": shot_solver,
        "rtol": shot_rtol,
        "atol": shot_atol,
        "max_steps": shot_max_steps,
    }
    limits = jnp.asarray(rtol, points.dtype), jnp.asarray(max_evaluations)
    fit = _fit(solves, times, points, mean, *limits, shooting)
    return or_raise(fit) if throw else fit


@eqx.filter_jit
def _fit(solves: Solves, times, points, mean: FrechetMean, rtol, max_evaluations, shooting):
    metric, args, weights, shape = solves.metric, solves.args, mean.weights, points.shape[1:]
    time = dot(weights, times)
    offsets = times - time
    spread = dot(weights, offsets**2)
    logs = mean.solutions.initial_velocity
    slope = tensordot(weights * offsets, logs, axes=1) / spread
    shots = _shots(metric, args, offsets, shooting)

    def split(flat):
        return flat.reshape(2, *shape)

    def evaluate(flat, last: GeodesicSolution) -> Evaluation:
        predictions, pull = jax.vjp(shots, *split(flat))
        solutions = solves.run(predictions, points, last.curve.xs)
        momenta = jax.vmap(lambda x, v, w: -w * metric.flat(x, v, args))(
            predictions, solutions.initial_velocity, weights
        )
        gradient = jnp.stack(pull(momenta))
        value, noise = solves.weigh(weights, solutions)
        return Evaluation(value, noise, gradient.reshape(-1), solutions)

    def precondition(flat, covector):
        """With centred times this is the exact inverse Hessian in flat space."""
        p, _ = split(flat)
        by_point, by_velocity = split(covector)
        steps = metric.sharp(p, by_point, args), metric.sharp(p, by_velocity, args) / spread
        return jnp.stack(steps).reshape(-1)

    start = jnp.stack([mean.point, slope])
    first = solves.unsolved(shots(mean.point, slope), points)
    scale = jnp.sqrt(mean.variance)
    end = descend(evaluate, precondition, start.reshape(-1), first, rtol, max_evaluations, scale)
    point, velocity = split(end.point)
    return GeodesicRegression(
        metric=metric,
        args=args,
        shooting=shooting,
        time=time,
        point=point,
        velocity=velocity,
        variance=2 * end.value,
        mean=mean,
        solutions=end.extra,
        gradient_norm=end.gradient_norm,
        num_evaluations=end.num_evaluations,
        result=verdict(end.result, end.extra),
        limits={"gradient_norm": end.bound, "num_evaluations": max_evaluations},
    )


def _shots(metric, args, offsets, shooting):
    """`(p, v) -> exp_p(offset v)` at each offset, by one integration in each direction."""
    reach = jnp.stack([jnp.max(offsets), -jnp.min(offsets)])
    reach = jnp.maximum(reach, 0.0)
    options = {"num_segments": 32, "dense": False, "throw": False, **shooting}

    def points(p, v):
        def way(signed):
            shot = exponential_map(metric, p, signed * v, args, **options)
            ended = shot.result == RESULTS.successful
            share = offsets / jnp.where(signed == 0, 1.0, signed)
            inside = jnp.clip(share, 0.0, 1.0)
            return jnp.where(ended, jax.vmap(shot.curve.evaluate)(inside), jnp.nan)

        forward, backward = jax.vmap(way)(jnp.stack([reach[0], -reach[1]]))
        later = (offsets >= 0).reshape(-1, *[1] * p.ndim)
        return jnp.where(later, forward, backward)

    return points
