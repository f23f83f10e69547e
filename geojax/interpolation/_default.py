"""The metric where none is given, and the one that leads to its geodesic."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .._numbers import known
from ..geodesics import AbstractRule, GaussNewton, Midpoint, SplineGauss
from ..metrics import AbstractMetric, JacobianMetric, SteinScoreMetric
from ..scores import AbstractPipeline, NoiseRoute
from ._base import AbstractInterpolator
from ._geodesic import GeodesicInterpolator
from ._registry import NAMED_METRICS, MethodSettings

# Of J^T J, in units of sigma^4: normal to the data J is about -I / sigma^2, so that a step off the
# data costs 11 times one along it.
JACOBIAN_WEIGHT = 10.0
_LEADING_RTOL = 1e-3  # of the path that is only a start


class Geometry(NamedTuple):
    """A metric, the one whose geodesic its solver starts from (None: the straight line), and both
    in words.
    """

    metric: AbstractMetric
    leading: AbstractMetric | None
    told: str

    def interpolator(
        self, args: Any, start: AbstractInterpolator | None = None, **options: Any
    ) -> GeodesicInterpolator:
        """The geodesic; ``options`` are those of both solves, but what leads need be found to
        three digits only: no exact curvature is asked for, nor whether it is a saddle.
        """
        if self.leading is not None:
            lead = {**options, "diagnostics": "none", "until": 1.0, "throw": False}
            if isinstance(options.get("solver"), GaussNewton | None):
                lead["solver"] = GaussNewton(rtol=_LEADING_RTOL, curvature_steps=0)
            start = GeodesicInterpolator(self.leading, args, **lead)
        return GeodesicInterpolator(self.metric, args, **options, start=start)


def is_led(pipeline: AbstractPipeline, lam: Any, rule: AbstractRule | None) -> bool:
    """Whether the default is the metric of J^T J, from the geodesic of that of s s^T.

    It is where points carry no noise, as in a latent space; not where the user weighs s s^T, and
    not by a rule that takes metrics of low rank only.
    """
    clean, free = (
        not isinstance(pipeline, NoiseRoute),
        isinstance(rule, SplineGauss | Midpoint | None),
    )
    return clean and free and isinstance(lam, str)


def default_geometry(score: Any, lam: Any, sigma_squared: Any, *, led: bool) -> Geometry:
    """The default of a score at a level; ``lam``: the weight of s s^T."""
    stein = SteinScoreMetric(score, lam)
    told = f"I + {_number(lam)} s s^T"
    if not led:
        return Geometry(stein, None, told)
    weight = JACOBIAN_WEIGHT * sigma_squared**2
    told = f"I + {_number(weight)} J^T J (10 sigma^4), from the geodesic of {told}"
    return Geometry(JacobianMetric(score, weight), stein, told)


def chosen_geometry(
    metric: str | Callable[[MethodSettings], AbstractMetric] | None,
    settings: MethodSettings,
    *,
    led: bool,
    auto: bool,
) -> Geometry:
    """The metric that was asked for, alone, or the default, which may be ``led``. ``auto``: whether
    the ``lam`` of the settings is that of the chord; of the Jacobian metric alone it is then that
    of the default.
    """
    if metric is None:
        lam, square = settings.lam, settings.sigma_squared
        return default_geometry(settings.score, lam, square, led=led)
    if not isinstance(metric, str):
        chosen = metric(settings)
        return Geometry(chosen, None, type(chosen).__name__)
    if auto and metric == "Jacobian":
        settings = settings._replace(lam=JACOBIAN_WEIGHT * settings.sigma_squared)
    told = f"{metric}, lam = {_number(settings.lam)}"
    return Geometry(NAMED_METRICS[metric](settings), None, told)


def _number(value: Any) -> str:
    """Four digits, or a name inside `jax.jit`, where no number is known."""
    value = known(value)
    return "lam" if value is None else f"{float(value):.4g}"
