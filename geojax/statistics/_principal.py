"""Principal geodesic analysis: the directions in which points on a manifold vary."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from .._arrays import Numbers, as_floating
from .._linalg import dot, matmul, tensordot
from .._verdicts import AbstractSolution, Verdicts, or_raise
from ..geodesics import (
    DISCRETISATION_TOLERANCE,
    RESULTS,
    AbstractRule,
    AbstractSolver,
    Diagnostics,
    GeodesicSolution,
    exponential_map,
    log_map,
)
from ..metrics import AbstractMetric
from ._frechet import FrechetMean, mean_of
from ._results import FIT_RESULTS, FIT_VERDICTS
from ._solves import as_points, exact_solver, failures


class PrincipalGeodesics(AbstractSolution):
    """Geodesics through a mean along which points vary most.

    A direction in which the points do not vary at all is not defined: its component is 0.

    **Arguments:**

    - `metric`, `args`: as given.
    - `mean`: the [`geojax.FrechetMean`][] of the points.
    - `components`: shape `(components, *shape)`, orthonormal in the metric at the mean. The
      geodesic of component c is `exponential_map(metric, mean.point, a * components[c])`.
    - `variances`: shape `(components,)`, descending.
    - `total_variance`: of all directions together.
    - `coordinates`: of the points, shape `(points, components)`.
    - `solutions`: the geodesics from the mean to the points; their verdicts are those on the
      logarithms.
    - `result`: a member of `FIT_RESULTS`: that of the mean, or that a logarithm failed.
    """

    metric: AbstractMetric
    args: Any
    mean: FrechetMean
    components: Float[Array, "components *shape"]
    variances: Float[Array, " components"]
    total_variance: Float[Array, ""]
    coordinates: Float[Array, "points components"]
    solutions: GeodesicSolution
    result: FIT_RESULTS
    verdicts: ClassVar[Verdicts] = FIT_VERDICTS
    noun: ClassVar[str] = "principal geodesic analysis"

    def rows(self) -> dict[str, Any]:
        names = "variances", "total_variance", "explained_variance_ratio"
        return {name: getattr(self, name) for name in names}

    def figures(self) -> dict[str, Any]:
        return self.mean.figures() | failures(self.solutions)

    @property
    def explained_variance_ratio(self) -> Float[Array, " components"]:
        """The share of the total variance of each component."""
        return self.variances / self.total_variance

    def project(
        self,
        x: Numbers,
        *,
        solver: AbstractSolver | None = None,
        num_segments: int = 16,
        max_corrections: int = 10,
        throw: bool = True,
    ) -> Float[Array, " components"]:
        """The coordinates of a point: its logarithm at the mean along each component.

        This is projection in the tangent space, which is projection to the nearest point of the
        geodesic submanifold up to curvature.

        **Arguments:**

        - `x`: a point.
        - `solver`, `num_segments`, `max_corrections`, `throw`: as for [`geojax.log_map`][].
        """
        log = log_map(
            self.metric,
            self.mean.point,
            as_floating("x", x),
            self.args,
            solver=solver,
            num_segments=num_segments,
            max_corrections=max_corrections,
            throw=throw,
        )
        return self._along_components(log)

    def reconstruct(
        self,
        coordinates: Numbers,
        *,
        rtol: float | None = None,
        atol: float | None = None,
        max_steps: int = 4096,
        throw: bool = True,
    ) -> Float[Array, "*shape"]:
        """The point with given coordinates.

        **Arguments:**

        - `coordinates`: shape `(components,)`.
        - `rtol`, `atol`, `max_steps`, `throw`: as for [`geojax.exponential_map`][].
        """
        coordinates = as_floating(
            "coordinates", coordinates, "components", dtype=self.components.dtype
        )
        velocity = tensordot(coordinates, self.components, axes=1)
        shot = exponential_map(
            self.metric,
            self.mean.point,
            velocity,
            self.args,
            num_segments=1,
            rtol=rtol,
            atol=atol,
            max_steps=max_steps,
            throw=throw,
        )
        return shot.curve.xs[-1]

    def _along_components(self, log):
        covector = self.metric.flat(self.mean.point, log, self.args)
        return jax.vmap(lambda e: dot(e, covector))(self.components)


def principal_geodesics(
    metric: AbstractMetric,
    points: Numbers,
    num_components: int,
    weights: Numbers | None = None,
    args: Any = None,
    *,
    solver: AbstractSolver | None = None,
    mean: FrechetMean | None = None,
    max_corrections: int = 10,
    num_segments: int = 16,
    batch_size: int = 16,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    diagnostics: Diagnostics = "full",
    devices: Mesh | None = None,
    throw: bool = True,
) -> PrincipalGeodesics:
    """Principal geodesic analysis: PCA of the logarithms of the points at their Fréchet mean.

    It uses the inner product of the metric there and the Gram matrix of the points, which has size
    points^2 and never D^2. A variance below the rounding error of the largest one is lost in it.

    **Arguments:**

    - `metric`: any geojax metric.
    - `points`: shape `(points, *shape)`.
    - `num_components`: at most the number of points less one, and at most D.
    - `mean`: the mean of these points with these weights, if known. Otherwise it is found with
      `weights`, `args`, `solver` and the other options as for [`geojax.frechet_mean`][].
    - `max_corrections`: of [`geojax.log_map`][], with which the logarithms invert the exponential
      map. With 0 the logarithms are the velocities of the paths from the mean, second-order
      accurate in 1 / num_segments.
    - `throw`: raise when the mean or a logarithm failed; else a failure appears in `result` and as
      NaNs.

    **Returns:**

    A [`geojax.PrincipalGeodesics`][].

    **Raises:**

    - `ValueError`: on shapes that do not fit.
    - [`geojax.GeodesicError`][] with the remedy: when the fit failed and `throw` is True.

    Source: Fletcher, Lu, Pizer & Joshi (2004), "Principal geodesic analysis for the study of
    nonlinear statistics of shape".

    >>> import jax, jax.numpy as jnp, geojax
    >>> points = jax.random.normal(jax.random.key(0), (30, 3)) * jnp.array([[3.0, 1.0, 0.1]])
    >>> fit = geojax.statistics.principal_geodesics(
    ...     geojax.Euclidean(), points, 2, num_segments=2
    ... )
    >>> bool(fit.explained_variance_ratio.sum() > 0.99)
    True
    """
    points = as_points("points", points)
    most = min(len(points) - 1, points[0].size)
    if not 1 <= num_components <= most:
        raise ValueError(
            f"num_components must be from 1 to {most} (the number of points less one, or D), got "
            f"{num_components}."
        )
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
    if max_corrections == 0:
        logs = mean.solutions.initial_velocity
    else:
        solver = exact_solver(metric, solver, points.dtype)
        options = {
            "rule": rule,
            "max_steps": max_steps,
            "discretisation_tolerance": discretisation_tolerance,
            "diagnostics": diagnostics,
        }
        logs = _logs(metric, points, solver, args, mean, max_corrections, batch_size, options)
        # For a point within rounding of the mean the chord is the logarithm, to all digits.
        chords = points - mean.point[None]
        size, digits = (jnp.max(jnp.abs(a), axis=tuple(range(1, a.ndim))) for a in (chords, points))
        met = size <= 64 * jnp.finfo(points.dtype).eps * digits
        logs = jnp.where(met.reshape(-1, *[1] * (points.ndim - 1)), chords, logs)
    fit = _analyse(metric, args, mean, logs, num_components)
    return or_raise(fit) if throw else fit


@eqx.filter_jit
def _logs(metric, points, solver, args, mean: FrechetMean, max_corrections, batch_size, options):
    def log(lane):
        x, path = lane
        more = {**options, "init": path, "num_segments": len(path) - 1, "throw": False}
        corrections = {"max_corrections": max_corrections}
        return log_map(metric, mean.point, x, args, solver=solver, **corrections, **more)

    lanes = points, mean.solutions.curve.xs
    return jax.lax.map(log, lanes, batch_size=batch_size)


@eqx.filter_jit
def _analyse(metric, args, mean: FrechetMean, logs, num_components) -> PrincipalGeodesics:
    roots = jnp.sqrt(mean.weights)
    flats = jax.vmap(lambda v: metric.flat(mean.point, v, args))(logs)
    rows, columns = (a.reshape(len(a), -1) * roots[:, None] for a in (logs, flats))
    gram = matmul(rows, columns.T)
    values, vectors = jnp.linalg.eigh((gram + gram.T) / 2)
    values, vectors = values[::-1][:num_components], vectors[:, ::-1][:, :num_components]
    floor = len(rows) * jnp.finfo(rows.dtype).eps * values[0]
    varies = values > floor
    variances = jnp.where(varies, values, 0.0)
    sizes = jnp.where(varies, 1 / jnp.sqrt(jnp.where(varies, values, 1.0)), 0.0)
    components = matmul(vectors.T, rows) * sizes[:, None]
    components = components.reshape(num_components, *logs.shape[1:])
    coordinates = matmul(flats.reshape(len(flats), -1), components.reshape(num_components, -1).T)
    found = jax.vmap(lambda log: jnp.all(jnp.isfinite(log)))(logs)
    missed = (mean.solutions.result == RESULTS.successful) & ~found
    verdicts = jax.vmap(lambda bad, old: RESULTS.where(bad, RESULTS.missed, old))
    judged = verdicts(missed, mean.solutions.result)
    solutions = eqx.tree_at(lambda s: s.result, mean.solutions, judged)
    good = jnp.all(found) | (mean.result != FIT_RESULTS.successful)
    return PrincipalGeodesics(
        metric=metric,
        args=args,
        mean=mean,
        components=components,
        variances=variances,
        total_variance=jnp.trace(gram),
        coordinates=coordinates,
        solutions=solutions,
        result=FIT_RESULTS.where(good, mean.result, FIT_RESULTS.geodesics_failed),
    )
