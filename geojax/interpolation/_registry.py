"""Every method by name, with the same settings for all: what an experiment runs.

| name | what it is |
|---|---|
| LERP, SLERP | in closed form |
| NAO | the path of likely norms between inverted seeds of level 1 (Samuel et al. 2023) |
| NoiseDiffusion | images and noises interpolated separately (Zheng et al. 2024) |
| density flow | least length divided by the density, by curvature flow (Yu et al. 2025); |
|  | between inverted images with norms between those of the ends |
| string method | a path denoised as a whole, its nodes at equal steps (Moreau et al. 2026); |
|  | between inverted images it starts from SLERP |
| spacetime | the Fisher-Rao geodesic of the posteriors over points and levels (Karczewski |
|  | et al. 2026), by L-BFGS; above 64 dimensions by 500 steps of Adam with probes |
| Jacobian as published | J^T J, 9 inner points, 500 steps of Adam, from SLERP (Saito & |
|  | Matsubara 2025) |
| Stein as published | I + 1000 s s^T, 500 steps of Adam at rate 1e-3 (arXiv 2505.11128) |
| Stein | I + lam s s^T by Gauss-Newton |
| combined | I + lam s s^T + lam sigma^2 J^T J by Gauss-Newton |
| smoothed | the metric of rank 8 by Gauss-Newton |
| norm + Stein | (1 + lam |s|^2) I + lam s s^T by Gauss-Newton |

The metrics of geojax by name:

| name | what it is |
|---|---|
| Stein | I + lam s s^T |
| combined | I + lam s s^T + lam sigma^2 J^T J |
| smoothed | of rank 8: I + lam mean s_k s_k^T, by probes |
| Jacobian | I + lam sigma^2 J^T J |
| norm | (1 + lam |s|^2) I |
| density | p^(-2 / D) I, in D dimensions |

Extrapolations: the straight line, a tangent step with denoising, a score-guided walk, and the
exponential map of Stein or combined.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import optax
from jaxtyping import Array, Float, Key

from ..geodesics import AbstractRule, PathEnergy, SplineGauss
from ..metrics import (
    AbstractMetric,
    DensityMetric,
    JacobianMetric,
    ScoreNormMetric,
    SmoothedSteinScoreMetric,
    SteinScoreMetric,
)
from ..scores import NoiseRoute
from ._base import AbstractInterpolator
from ._density_flow import DensityFlow
from ._extrapolation import ScoreWalk, TangentStep
from ._geodesic import GeodesicInterpolator
from ._lerp import Lerp
from ._nao import Nao
from ._noise_diffusion import NoiseDiffusion
from ._routed import Routed
from ._slerp import Slerp
from ._spacetime import SpacetimeGeodesic
from ._string_method import StringMethod


class MethodSettings(NamedTuple):
    """The settings that all methods of `INTERPOLATORS` and `EXTRAPOLATORS` share.

    **Arguments:**

    - `route`: the score, its noise level and the way there and back. Use `noising="none"` for
      points that already are at that level.
    - `shape`: the shape of a point.
    - `key`: draws the probes of the smoothed metric and of the spacetime geodesic.
    - `lam`: the weight of s s^T in geojax's own metrics, in units of squared length; 1000 in arXiv
      2505.11128.
    - `num_segments`, `max_steps`: of geojax's own solves.
    - `rule`: how many points are computed at once, and on which devices, for methods that solve for
      a path. Metrics that are not low-rank need `SplineGauss`.
    - `reference`: the point at which the factor of the density metric is 1.
    """

    route: NoiseRoute
    shape: tuple[int, ...]
    key: Key[Array, ""]
    lam: float | Float[Array, ""] = 0.1
    num_segments: int = 16
    max_steps: int = 200
    rule: AbstractRule = SplineGauss()
    reference: Array | None = None

    @property
    def score(self) -> Callable[..., Any]:
        """The score at the noise level of the route."""
        return self.route.score.at(self.route.t)

    @property
    def sigma_squared(self) -> Float[Array, ""]:
        """The squared standard deviation of the noise at that level."""
        return self.route.score.schedule.sigma(self.route.t) ** 2


def interpolator(name: str, settings: MethodSettings) -> AbstractInterpolator:
    """The method of that name in `INTERPOLATORS` or `EXTRAPOLATORS`, from image to image.

    An unsuccessful solve does not raise: read `run(...).result`.

    **Arguments:**

    - `name`: a name of `INTERPOLATORS` or `EXTRAPOLATORS`.
    - `settings`: the settings that all methods share.

    **Raises:**

    - `ValueError`: when the name is unknown.

    >>> import jax, jax.numpy as jnp, geojax
    >>> from geojax.interpolation import MethodSettings, interpolator
    >>> ring = geojax.NoisedSphere(1.0, schedule=geojax.VE(0.1, 1.0))
    >>> route = geojax.NoiseRoute(ring, t=0.1, noising="none", denoising="none")
    >>> settings = MethodSettings(route, (2,), jax.random.key(0), num_segments=8)
    >>> x0, x1 = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
    >>> interpolator("SLERP", settings)(x0, x1, jnp.linspace(0, 1, 5)).shape
    (5, 2)
    """
    known = INTERPOLATORS | EXTRAPOLATORS
    if name not in known:
        raise ValueError(f"unknown method {name!r}. Known: {', '.join(known)}.")
    return known[name](settings)


def check_methods(names: Iterable[str], until: float) -> None:
    """Raise `ValueError` on an unknown name, or a method that has no paths to `until`."""
    known = INTERPOLATORS if until == 1 else INTERPOLATORS | EXTRAPOLATORS
    for name in names:
        if name not in known:
            beyond = f" {name} continues beyond B: set until above 1." * (name in EXTRAPOLATORS)
            raise ValueError(f"unknown method {name!r}. Known: {', '.join(known)}.{beyond}")
        if until > 1 and name in ENDING_AT_B:
            raise ValueError(f"method {name!r} ends at B: leave it out, or set until to 1.")


def _routed(make: Callable[[MethodSettings], AbstractInterpolator]):
    return lambda settings: Routed(settings.route, make(settings))


def _stein(settings: MethodSettings) -> SteinScoreMetric:
    return SteinScoreMetric(settings.score, settings.lam)


def _jacobian_metric(settings: MethodSettings, base: float) -> JacobianMetric:
    # |J| is about |s| / sigma where the score changes, so this term weighs about as Stein's does.
    return JacobianMetric(settings.score, settings.lam * settings.sigma_squared, base)


def _combined(settings: MethodSettings) -> AbstractMetric:
    return _stein(settings) + _jacobian_metric(settings, 1e-6)


def _density(settings: MethodSettings) -> DensityMetric:
    # Log-densities grow with D; this exponent keeps the factor of order one.
    beta = 1 / math.prod(settings.shape)
    return DensityMetric(settings.score, beta, settings.reference)


def _norm_and_stein(settings: MethodSettings) -> AbstractMetric:
    return ScoreNormMetric(settings.score, settings.lam) + _stein(settings)


def _smoothed(settings: MethodSettings) -> AbstractMetric:
    return SmoothedSteinScoreMetric.draw(
        settings.score,
        settings.shape,
        8,
        settings.sigma_squared**0.5,
        settings.lam,
        key=settings.key,
    )


def _solved(metric: Callable[[MethodSettings], AbstractMetric]):
    def make(settings: MethodSettings) -> AbstractInterpolator:
        return GeodesicInterpolator(
            metric(settings),
            settings.route.args,
            num_segments=settings.num_segments,
            rule=settings.rule,
            max_steps=settings.max_steps,
            throw=False,
        )

    return make


def _stein_as_published(settings: MethodSettings) -> AbstractInterpolator:
    return GeodesicInterpolator(
        SteinScoreMetric(settings.score, 1000.0),
        settings.route.args,
        solver=PathEnergy(optimiser=optax.adam(1e-3)),
        num_segments=settings.num_segments,
        rule=settings.rule,
        max_steps=500,
        diagnostics="price",
        throw=False,
    )


def _jacobian(settings: MethodSettings) -> AbstractInterpolator:
    # Published without a Euclidean part; a metric must be positive definite.
    metric = JacobianMetric(settings.score, 1.0, 1e-6)
    return GeodesicInterpolator(
        metric,
        settings.route.args,
        solver=PathEnergy(optimiser=optax.adam(optax.cosine_decay_schedule(1e-3, 500, 0.1))),
        num_segments=10,
        rule=settings.rule,
        max_steps=500,
        diagnostics="price",
        start=Slerp(),
        throw=False,
    )


def _beyond(kind: type):
    def make(settings: MethodSettings) -> AbstractInterpolator:
        return kind(settings.score, settings.sigma_squared, args=settings.route.args)

    return make


def _density_flow(settings: MethodSettings) -> AbstractInterpolator:
    # As published: between latents inverted to their level, norms stay near those of the ends.
    route = settings.route
    spherical = route.noising == "inversion"
    return DensityFlow(settings.score, args=route.args, rule=settings.rule, spherical=spherical)


def _spacetime(settings: MethodSettings) -> AbstractInterpolator:
    route, exact = settings.route, math.prod(settings.shape) <= _EXACT_DIVERGENCE
    return SpacetimeGeodesic(
        route.score,
        route.t,
        route.args,
        num_probes=None if exact else 1,
        key=settings.key,
        num_segments=settings.num_segments,
        max_steps=settings.max_steps if exact else 500,
        rule=settings.rule,
    )


def _string_method(settings: MethodSettings) -> AbstractInterpolator:
    route = settings.route
    start = Slerp() if route.noising == "inversion" else Lerp()
    return StringMethod(route, num_segments=settings.num_segments, start=start, rule=settings.rule)


def _nao(settings: MethodSettings) -> AbstractInterpolator:
    route = settings.route
    if route.noising != "none":
        route = dataclasses.replace(route, t=1.0, noising="inversion")
    return Routed(route, Nao(throw=False))


ENDING_AT_B = ("NAO", "NoiseDiffusion", "string method", "spacetime")
_EXACT_DIVERGENCE = 64  # dimensions up to which the spacetime geodesic draws no probes
NAMED_METRICS: dict[str, Callable[[MethodSettings], AbstractMetric]] = {
    "Stein": _stein,
    "combined": _combined,
    "smoothed": _smoothed,
    "Jacobian": lambda settings: _jacobian_metric(settings, 1.0),
    "norm": lambda settings: ScoreNormMetric(settings.score, settings.lam),
    "density": _density,
}
INTERPOLATORS: dict[str, Callable[[MethodSettings], AbstractInterpolator]] = {
    "LERP": _routed(lambda settings: Lerp()),
    "SLERP": _routed(lambda settings: Slerp()),
    "NAO": _nao,
    "NoiseDiffusion": lambda settings: NoiseDiffusion(settings.route),
    "density flow": _routed(_density_flow),
    "string method": _string_method,
    "spacetime": _routed(_spacetime),
    "Jacobian as published": _routed(_jacobian),
    "Stein as published": _routed(_stein_as_published),
    "Stein": _routed(_solved(_stein)),
    "combined": _routed(_solved(_combined)),
    "smoothed": _routed(_solved(_smoothed)),
    "norm + Stein": _routed(_solved(_norm_and_stein)),
}
EXTRAPOLATORS: dict[str, Callable[[MethodSettings], AbstractInterpolator]] = {
    "straight line": _routed(lambda settings: Lerp()),
    "tangent step": _routed(_beyond(TangentStep)),
    "score-guided walk": _routed(_beyond(ScoreWalk)),
    "exponential map": _routed(_solved(_stein)),
    "exponential map, combined": _routed(_solved(_combined)),
}
