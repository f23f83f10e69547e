"""The default metric, and the metric whose geodesic its solver starts from."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .._numbers import known
from ..geodesics import AbstractRule, GaussNewton, Midpoint, SplineGauss
from ..metrics import AbstractMetric, JacobianMetric, SteinScoreMetric
from ..scores import AbstractPipeline, NoiseRoute
from ._base import AbstractInterpolator
from ._geodesic import GeodesicInterpolator
from ._registry import NAMED_METRICS, MethodSettings

# The weight of J^T J in units of sigma^4. Normal to the data J is about -I / sigma^2, so a step off
# the data costs 11 times as much as one along it.
JACOBIAN_WEIGHT = 10.0
_LEADING_RTOL = 1e-3  # of the path that only serves as a start


class Geometry(NamedTuple):
    """A metric, the metric whose geodesic its solver starts from, and a description of both.

    Without the second the solver starts from the straight line.
    """

    metric: AbstractMetric
    start_metric: AbstractMetric | None
    description: str

    def interpolator(
        self, args: Any, start: AbstractInterpolator | None = None, **options: Any
    ) -> GeodesicInterpolator:
        """The geodesic; `options` hold for both solves.

        The path that serves as a start needs three digits only, so its solve uses no exact
        curvature and does not test for a saddle.
        """
        if self.start_metric is not None:
            lead = {**options, "diagnostics": "none", "until": 1.0, "throw": False}
            if isinstance(options.get("solver"), GaussNewton | None):
                lead["solver"] = GaussNewton(rtol=_LEADING_RTOL, curvature_steps=0)
            start = GeodesicInterpolator(self.start_metric, args, **lead)
        return GeodesicInterpolator(self.metric, args, **options, start=start)


def has_start_metric(pipeline: AbstractPipeline, lam: Any, rule: AbstractRule | None) -> bool:
    """Whether the default is the metric of J^T J, started from the geodesic of that of s s^T.

    It is where points carry no noise, as in a latent space. It is not where the user gives the
    weight of s s^T, nor with a rule that takes low-rank metrics only.

    **Arguments:**

    - `pipeline`, `lam`, `rule`: as for [`geojax.interpolation.compare`][].

    **Returns:**

    A bool.

    >>> import geojax
    >>> from geojax.interpolation import has_start_metric
    >>> route = geojax.NoiseRoute(geojax.NoisedSphere(1.0), t=0.4)
    >>> has_start_metric(route, "auto", None)
    False
    """
    clean, free = (
        not isinstance(pipeline, NoiseRoute),
        isinstance(rule, SplineGauss | Midpoint | None),
    )
    return clean and free and isinstance(lam, str)


def default_geometry(score: Any, lam: Any, sigma_squared: Any, *, with_start: bool) -> Geometry:
    """The default metric of a score at a level; `lam` is the weight of s s^T."""
    stein = SteinScoreMetric(score, lam)
    description = f"I + {_number(lam)} s s^T"
    if not with_start:
        return Geometry(stein, None, description)
    weight = JACOBIAN_WEIGHT * sigma_squared**2
    description = f"I + {_number(weight)} J^T J (10 sigma^4), from the geodesic of {description}"
    return Geometry(JacobianMetric(score, weight), stein, description)


def chosen_geometry(
    metric: str | Callable[[MethodSettings], AbstractMetric] | None,
    settings: MethodSettings,
    *,
    with_start: bool,
    auto: bool,
) -> Geometry:
    """The requested metric alone, or the default, whose start is another geodesic if `with_start`.

    `auto`: whether the `lam` of the settings was found from the chord. The Jacobian metric alone
    then takes the weight of the default instead.
    """
    if metric is None:
        lam, square = settings.lam, settings.sigma_squared
        return default_geometry(settings.score, lam, square, with_start=with_start)
    if not isinstance(metric, str):
        chosen = metric(settings)
        return Geometry(chosen, None, type(chosen).__name__)
    if auto and metric == "Jacobian":
        settings = settings._replace(lam=JACOBIAN_WEIGHT * settings.sigma_squared)
    description = f"{metric}, lam = {_number(settings.lam)}"
    return Geometry(NAMED_METRICS[metric](settings), None, description)


def _number(value: Any) -> str:
    """Four digits; "lam" inside `jax.jit`, where the number is not known."""
    value = known(value)
    return "lam" if value is None else f"{float(value):.4g}"
