"""The Fréchet mean: the point of least sum of squared distances."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from .._arrays import Numbers, as_floating
from .._linalg import tensordot
from .._verdicts import Verdicts, or_raise
from ..geodesics import (
    DISCRETISATION_TOLERANCE,
    AbstractRule,
    AbstractSolver,
    Diagnostics,
    GeodesicSolution,
)
from ..metrics import AbstractMetric
from ._descent import Evaluation, descend
from ._results import FIT_RESULTS, FIT_VERDICTS
from ._solves import AbstractFit, Solves, check_sample, default_rtol, verdict


class FrechetMean(AbstractFit):
    """A Fréchet mean, the geodesics from it to the points, and the verdict.

    **Arguments:**

    - `point`: the mean, of the shape of a point.
    - `variance`: `sum_k w_k d(mean, x_k)^2` with weights that sum to 1.
    - `weights`: with sum 1, shape `(points,)`.
    - `solutions`: the geodesics from the mean to the points, one batch element a point. Distances
      are `solutions.length`, logarithms `solutions.initial_velocity`.
    - `gradient_norm`: the length of `sum_k w_k log(x_k)` in the metric at the mean; 0 at an exact
      mean.
    - `num_evaluations`: evaluations of the sum, each of one geodesic a point.
    - `result`: a member of `FIT_RESULTS`.
    - `limits`: the limits of `gradient_norm` and `num_evaluations`.
    """

    point: Float[Array, "*shape"]
    variance: Float[Array, ""]
    weights: Float[Array, " points"]
    solutions: GeodesicSolution
    gradient_norm: Float[Array, ""]
    num_evaluations: Int[Array, ""]
    result: FIT_RESULTS
    limits: dict[str, Any] = eqx.field(default_factory=dict)
    verdicts: ClassVar[Verdicts] = FIT_VERDICTS
    noun: ClassVar[str] = "Fréchet mean"


def frechet_mean(
    metric: AbstractMetric,
    points: Numbers,
    weights: Numbers | None = None,
    args: Any = None,
    *,
    solver: AbstractSolver | None = None,
    init: Numbers | None = None,
    rtol: float | None = None,
    max_evaluations: int = 50,
    num_segments: int = 16,
    batch_size: int = 16,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    diagnostics: Diagnostics = "full",
    devices: Mesh | None = None,
    throw: bool = True,
) -> FrechetMean:
    """The weighted Fréchet (Karcher) mean `argmin_m sum_k w_k d(m, x_k)^2`.

    It is found by the Karcher flow `m <- m + sum_k w_k log_m(x_k)`, made superlinear by the memory
    of L-BFGS and safe by a line search. Distances and their gradients are those of the discretised
    paths. The mean is exact for these and second-order accurate in 1 / num_segments. If the sum has
    several minimisers (an antipode), the mean is a local one.

    **Arguments:**

    - `metric`: any geojax metric.
    - `points`: shape `(points, *shape)`.
    - `weights`: shape `(points,)`, at least 0; scaled to sum 1. Default: equal weights.
    - `args`, `solver`, `num_segments`, `batch_size`, `rule`, `max_steps`,
      `discretisation_tolerance`, `diagnostics`, `devices`: as for [`geojax.geodesic_batch`][].
    - `init`: the start; default the point nearest to the arithmetic mean, which lies on the data
      where that mean need not.
    - `rtol`: bound on `gradient_norm` relative to the root mean square distance of the points from
      `init`; default 1e-6 in float64, 1e-3 in float32.
    - `max_evaluations`: evaluations of the sum at most, each of one geodesic a point.
    - `throw`: raise when the mean was not found; else read `result`.

    **Returns:**

    A [`geojax.FrechetMean`][].

    **Raises:**

    - `ValueError`: on shapes that do not fit.
    - a run-time error with the remedy: when the mean was not found and `throw` is True.

    Source: Karcher (1977); Pennec (2006), "Intrinsic statistics on Riemannian manifolds".

    >>> import jax.numpy as jnp, geojax
    >>> ball = geojax.metrics.PoincareBall()
    >>> points = jnp.array([[0.5, 0.0], [-0.25, 0.433], [-0.25, -0.433]])
    >>> mean = geojax.statistics.frechet_mean(ball, points, num_segments=8)
    >>> bool(jnp.max(jnp.abs(mean.point)) < 1e-3)
    True
    """
    points, weights = check_sample(metric, points, weights)
    if init is None:
        middle = tensordot(weights, points, axes=1)
        squares = jax.vmap(lambda x: jnp.sum((x - middle) ** 2))(points)
        init = points[jnp.argmin(squares)]
    init = as_floating("init", init, dtype=points.dtype)
    if init.shape != points.shape[1:]:
        raise ValueError(
            f"init must have the shape of a point, {points.shape[1:]}, got {init.shape}."
        )
    rtol = default_rtol(points.dtype) if rtol is None else rtol
    options = {
        "num_segments": num_segments,
        "batch_size": batch_size,
        "rule": rule,
        "max_steps": max_steps,
        "discretisation_tolerance": discretisation_tolerance,
        "diagnostics": diagnostics,
        "devices": devices,
    }
    solves = Solves(metric, solver, args, options)
    limits = jnp.asarray(rtol, points.dtype), jnp.asarray(max_evaluations)
    mean = _fit(solves, points, weights, init, *limits)
    return or_raise(mean) if throw else mean


def mean_of(
    mean: FrechetMean | None, metric, points, weights, args, *, solver, throw, options
) -> FrechetMean:
    """The given mean of these points, or the one that `frechet_mean` finds."""
    if mean is None:
        return frechet_mean(metric, points, weights, args, solver=solver, throw=throw, **options)
    if len(mean.weights) != len(points):
        raise ValueError(
            f"mean must be of these {len(points)} points, got one of {len(mean.weights)}."
        )
    return mean


@eqx.filter_jit
def _fit(solves: Solves, points, weights, init, rtol, max_evaluations) -> FrechetMean:
    metric, args, shape = solves.metric, solves.args, init.shape

    def evaluate(flat, last: GeodesicSolution) -> Evaluation:
        m = flat.reshape(shape)
        starts = jnp.broadcast_to(m, points.shape)
        solutions = solves.run(starts, points, last.curve.xs)
        log = tensordot(weights, solutions.initial_velocity, axes=1)
        gradient = -metric.flat(m, log, args)
        value, noise = solves.weigh(weights, solutions)
        return Evaluation(value, noise, gradient.reshape(-1), solutions)

    def precondition(flat, covector):
        return metric.sharp(flat.reshape(shape), covector.reshape(shape), args).reshape(-1)

    first = solves.unsolved(jnp.broadcast_to(init, points.shape), points)
    end = descend(evaluate, precondition, init.reshape(-1), first, rtol, max_evaluations)
    return FrechetMean(
        point=end.point.reshape(shape),
        variance=2 * end.value,
        weights=weights,
        solutions=end.extra,
        gradient_norm=end.gradient_norm,
        num_evaluations=end.num_evaluations,
        result=verdict(end.result, end.extra),
        limits={"gradient_norm": end.bound, "num_evaluations": max_evaluations},
    )
