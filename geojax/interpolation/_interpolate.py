"""From two images to the images between them, in one call."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from .._arrays import Numbers, as_alike, as_images, refuse_pixels
from .._numbers import known
from ..geodesics import (
    DISCRETISATION_TOLERANCE,
    RESULTS,
    AbstractRule,
    AbstractSolver,
    GeodesicSolution,
)
from ..metrics import AbstractMetric
from ..scores import AbstractPipeline, AbstractScore, NoiseRoute, ScoreContrast, score_contrast
from ._default import Geometry, default_geometry, has_start_metric
from ._geodesic import ExtendedGeodesic
from ._level import Level


class ImagePath(eqx.Module):
    """The result of `interpolate`.

    **Arguments:**

    - `images`: the images along the path, from A to B and beyond, shape `(frames, *image)`.
    - `times`: their times, shape `(frames,)`: 0 is A, 1 is B.
    - `points`: the same path in the space of the geometry, at the noise level of `pipeline`.
    - `path`: the geodesic and its continuation, with all figures.
    - `pipeline`: the way there and back: a [`geojax.NoiseRoute`][], or the given pipeline.
    - `contrast`: whether the score detects that this chord leaves the data
      ([`geojax.score_contrast`][]); `print(found)` reports it.
    - `metric`: a description of the metric and of the start of its solve.
    """

    images: Float[Array, "frames *image"]
    times: Float[Array, " frames"]
    points: Float[Array, "frames *shape"]
    path: ExtendedGeodesic
    pipeline: AbstractPipeline
    contrast: ScoreContrast
    metric: str = eqx.field(static=True)

    @property
    def solution(self) -> GeodesicSolution:
        """The geodesic from A to B."""
        return self.path.solution

    @property
    def result(self) -> RESULTS:
        """The verdict of the geodesic or, if that succeeded, of its continuation."""
        return self.path.result

    @property
    def successful(self) -> Bool[Array, ""]:
        """Whether every solve succeeded."""
        return self.result == RESULTS.successful

    def __str__(self) -> str:
        head = f"{len(self.images)} images along a {self.solution}"
        return f"{head}\nmetric: {self.metric}\n{self.contrast}"


def interpolate(
    score: Any,
    image_a: Numbers,
    image_b: Numbers,
    args: Any = None,
    *,
    t: float | None = None,
    lam: Numbers | str = "auto",
    metric: AbstractMetric | None = None,
    frames: int = 17,
    until: float = 1.0,
    noising: Literal["shared", "inversion"] | None = None,
    denoising: Literal["ddim", "probability_flow"] | None = None,
    num_steps: int | None = None,
    key: Key[Array, ""] | None = None,
    solver: AbstractSolver | None = None,
    num_segments: int = 16,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    throw: bool = True,
) -> ImagePath:
    """Images along the geodesic between two images, in the geometry of a diffusion model.

    Both images go to the noise level `t`, the geodesic of `I + lam s s^T` is found there, and its
    points come back. Where points carry no noise, as in a latent space, that path is only the start
    of the solve for the geodesic of `I + 10 sigma^4 J^T J`, with J the Jacobian of the score. This
    geodesic lies nearer to the data, and the straight line is not always a good start for it.
    `interpolate` joins [`geojax.NoiseRoute`][] and [`geojax.GeodesicInterpolator`][] in one call;
    [`geojax.compare`][] adds LERP and SLERP.

    **Arguments:**

    - `score`: a diffusion model, an [`geojax.AbstractScore`][] ([`geojax.models.load`][] gives
      one), or an [`geojax.AbstractPipeline`][], such as a model of `geojax.models.latent`, which
      defines the space of the geometry and its own level.
    - `image_a`, `image_b`: arrays of one shape. Images have three axes, (channels, height, width),
      and values in [-1, 1].
    - `args`: passed to the score (a label, or None). A pipeline has conditions of its own, which
      may differ at A and B.
    - `t`: the noise level in (0, 1], default 0.2; step k of T is k / T.
    - `lam`: the weight of s s^T, in units of squared length. "auto" chooses it from the chord: 100
      to 1000 over |s|^2 at its middle (`ScoreContrast.lam`); `print(found)` shows the value. With a
      number the metric is `I + lam s s^T` in a latent space too.
    - `metric`: another metric, of `score.at(t)`, used alone; `lam` is then unused.
    - `frames`: how many images from A to B, at least 2; beyond B they have the same spacing.
    - `until`: the last time. Above 1 the path continues beyond B by the exponential map.
    - `noising`, `denoising`, `num_steps`: as for `NoiseRoute`, with its defaults.
    - `key`: draws the noise of "shared"; not needed for "inversion".
    - `solver`, `num_segments`, `rule`, `max_steps`, `discretisation_tolerance`, `throw`: as for
      [`geojax.geodesic`][].

    **Returns:**

    An [`geojax.ImagePath`][].

    **Raises:**

    - `ValueError`: on a score without noise levels, images that do not fit, numbers out of range,
      and options of a `NoiseRoute` beside a pipeline.
    - [`geojax.GeodesicError`][]: when a solve did not succeed and `throw` is True.

    Source: arXiv 2505.11128; its protocol is `t=0.4, lam=1000.0, noising="shared"`.

    >>> import jax.numpy as jnp, geojax
    >>> score = geojax.GaussianMixture(jnp.array([[-1.0, 0.0], [1.0, 0.0]]), scales=0.5)
    >>> a, b = jnp.array([-1.0, 0.2]), jnp.array([1.0, -0.1])
    >>> found = geojax.interpolate(score, a, b, frames=5, num_steps=10, num_segments=8)
    >>> found.images.shape, bool(found.successful)
    ((5, 2), True)
    """
    if not isinstance(score, AbstractScore | AbstractPipeline):
        raise ValueError(
            f"score must be a geojax score with noise levels, got {type(score).__name__}. Wrap a "
            "network: NoisePrediction(network, schedule); for a score (x, args) -> s of clean "
            "points use GeodesicInterpolator(SteinScoreMetric(score))."
        )
    if isinstance(lam, str) and lam != "auto":
        raise ValueError(f"lam must be a number or 'auto', got {lam!r}.")
    if frames < 2:
        raise ValueError(f"frames must be at least 2, got {frames}.")
    for name, image in (("image_a", image_a), ("image_b", image_b)):
        refuse_pixels(name, image)
    if np.ndim(image_a) == 3:
        image_a, image_b = as_images("channels height width", image_a=image_a, image_b=image_b)
    else:
        image_a, image_b = as_alike("*shape", image_a=image_a, image_b=image_b)
    own = {"t": t, "noising": noising, "denoising": denoising, "num_steps": num_steps}
    pipeline = _pipeline(score, args, {n: value for n, value in own.items() if value is not None})
    ends = pipeline.ends(image_a, image_b, key=key)
    z0, z1 = ends.points
    level = Level.of(pipeline, ends)
    at_level, args = level.score, level.args if args is None else args
    contrast = score_contrast(at_level, z0[None], z1[None], args)
    weight = suited_lam(contrast) if isinstance(lam, str) else lam
    geometry = Geometry(metric, None, type(metric).__name__) if metric is not None else None
    if geometry is None:
        square = pipeline.score.schedule.sigma(pipeline.t) ** 2
        with_start = has_start_metric(pipeline, lam, rule)
        geometry = default_geometry(at_level, weight, square, with_start=with_start)
    geodesic = geometry.interpolator(
        args,
        solver=solver,
        num_segments=num_segments,
        rule=rule,
        max_steps=max_steps,
        discretisation_tolerance=discretisation_tolerance,
    )
    path = geodesic.solve(z0, z1, until=until, throw=throw)
    times = jnp.asarray(path_times(until, frames - 1), z0.dtype)
    points = path.evaluate(times)
    shares = jnp.clip(times, 0, 1)  # beyond B the condition is that of B
    images = jax.vmap(lambda z, share: pipeline.decode(pipeline.denoised(z, share)[0]))(
        points, shares
    )
    return ImagePath(images, times, points, path, pipeline, contrast, geometry.description)


def suited_lam(contrast: ScoreContrast):
    """The lambda of "auto"; `ValueError` if there is none."""
    value = known(contrast.lam)
    if value is not None and not np.isfinite(value):
        size = max(float(contrast.middle), float(contrast.data))
        raise ValueError(
            "lam='auto' uses |s|^2 at the middle of the chord, and this score is "
            f"{'zero' if size == 0 else 'not finite'} there and at its ends: give lam as a number."
        )
    return contrast.lam


def _pipeline(score: AbstractScore | AbstractPipeline, args, own) -> AbstractPipeline:
    """The given pipeline, or the route to a noise level of a score."""
    if isinstance(score, AbstractScore):
        return NoiseRoute(score, args=args, **own)
    if own:
        raise ValueError(
            f"{', '.join(own)} cannot be given beside a {type(score).__name__}, which has its own "
            "way to a level: change the pipeline, or pass a score."
        )
    return score


def path_times(until: float, per_unit: int) -> np.ndarray:
    """Times from 0 to 1 and on to `until`, (nearly) equally spaced, with 1 among them."""
    beyond = max(1, round((until - 1) * per_unit)) if until > 1 else 0
    later = 1 + (until - 1) * np.arange(1, beyond + 1) / max(beyond, 1)
    return np.concatenate([np.linspace(0, 1, per_unit + 1), later])
