"""Every public function of arrays that is quick to compile, with arrays of whole numbers for it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

import geojax
from geojax import evaluation, geodesics, interpolation, metrics, models, scores

KEY = jax.random.key(0)


class Case(NamedTuple):
    """A call, the arrays that it is given, and what is refused beyond the rule.

    - `call`: of the arrays by their names, which are those of its own arguments.
    - `arrays`: whole numbers, which every dtype holds exactly.
    - `images`: those of them that are images in [-1, 1], and so never integers.
    """

    call: Callable[..., Any]
    arrays: dict[str, Any]
    images: tuple[str, ...] = ()


def case(call, _images=(), **arrays) -> Case:
    return Case(call, {name: np.asarray(value, float) for name, value in arrays.items()}, _images)


# Points and what surrounds them -------------------------------------------------------------------

A, B, V, W = [1.0, 0.0], [0.0, 2.0], [2.0, 1.0], [1.0, 3.0]
TS, POINTS = [0.0, 1.0], [[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]
GREY, OTHER = np.arange(576).reshape(1, 24, 24) % 7, np.arange(576).reshape(1, 24, 24) % 5
UNIT = np.asarray([[[1.0, -1.0], [0.0, 1.0]]])
RGB = np.tile(np.arange(576).reshape(1, 24, 24) % 2, (3, 1, 1))
MIXTURE = geojax.GaussianMixture([[0.0, 0.0], [1.0, 1.0]], scales=1.0)
AT = MIXTURE.at(0.5)
FLAT, MODEL_SPACE = geojax.Euclidean(), geojax.StereographicSphere(2.0)
POINCARE = geojax.PoincareBall(5.0)


def minus(x, args):
    return -x


def diagonal(x, args):
    return lx.DiagonalLinearOperator(1 + x**2)


STEIN = geojax.SteinScoreMetric(minus, conservative=True)
DENSE = geojax.DenseMetric(lambda x, args: (1 + jnp.sum(x**2)) * jnp.eye(2, dtype=x.dtype))
CLEAN = geojax.NoiseRoute(MIXTURE, t=0.5, noising="none", denoising="none")
SHORT = geojax.NoiseRoute(MIXTURE, t=0.5, num_steps=2)
CONDITIONS = jnp.asarray(A), jnp.asarray(B)
LINE = geodesics.CubicSpline(jnp.asarray([0.0, 1.0]), jnp.asarray([A, B]))
CORNER = evaluation.EmbeddedCurve([[0, 0], [2, 0], [2, 1]], closed=False)


def of_score(score):
    """A score that takes a time, called directly."""
    return [case(lambda x: score(x, 0.5), x=A)]


def predicting(make):
    return of_score(make(lambda x, t, args: 2 * x, geojax.VE(0.5, 5.0)))


def of_metric(metric):
    """Every product that a metric offers, called directly."""
    cases = [
        case(lambda x: (metric.log_det(x), metric.as_matrix(x)), x=A),
        case(lambda x, v: (metric.flat(x, v), metric.norm(x, v)), x=A, v=V),
        case(lambda x, v: metric.acceleration(x, v), x=A, v=V),
        case(lambda x, w: metric.sharp(x, w), x=A, w=W),
        case(lambda x, u, v: metric.inner(x, u, v), x=A, u=W, v=V),
        case(lambda x, v, w: metric.christoffel(x, v, w), x=A, v=V, w=W),
    ]
    if isinstance(metric, metrics.AbstractSumOfSquaresMetric):
        cases.append(case(lambda x, v: metric.root(x, v), x=A, v=V))
    return cases


def between(method):
    return [case(lambda x0, x1, ts: method(x0, x1, ts), x0=A, x1=B, ts=TS)]


def of_manifold(manifold, a, b):
    return [
        case(lambda a, b: manifold.distance(a, b), a=a, b=b),
        case(lambda a, b, ts: manifold.geodesic(a, b, ts), a=a, b=b, ts=TS),
        case(lambda x: manifold.project(x), x=a),
    ]


def of_moments(**arrays):
    return [case(evaluation.gaussian_frechet_distance, **arrays)]


def distance(x, y):
    """One that would wrap around on small integers."""
    return jnp.mean(jnp.abs(x - y))


LPIPS = evaluation.LPIPS(distance, "squeeze")
# By public name.
CASES: dict[str, list[Case]] = {
    # scores
    "AbstractScore": [
        *of_score(MIXTURE),
        case(lambda x: (MIXTURE.denoised(x, 0.5), MIXTURE.predicted_noise(x, 0.5)), x=A),
    ],
    "GaussianMixture": [
        case(
            lambda means, scales, factors, weights: geojax.GaussianMixture(
                means, scales, factors, weights
            )(np.ones(2), 0.5),
            means=POINTS[:2],
            scales=[[1.0], [2.0]],
            factors=[[[1.0, 0.0]], [[0.0, 1.0]]],
            weights=[1.0, 3.0],
        ),
        case(lambda x: MIXTURE.log_density(x, 0.5), x=A),
    ],
    "ScoreAt": [case(lambda x: scores.ScoreAt(MIXTURE, 0.5)(x), x=A)],
    "DensityAt": [case(lambda x: (AT(x), AT.log_density(x)), x=A)],
    "Empirical": [
        case(lambda data: geojax.Empirical(data)(np.ones(2), 0.5), data=POINTS),
        case(lambda x: geojax.Empirical(POINTS)(x, 0.5), x=A),
    ],
    "Shell": [case(lambda x: geojax.Shell(2.0, 0.5)(x), x=A)],
    "NoisePrediction": predicting(geojax.NoisePrediction),
    "DataPrediction": predicting(geojax.DataPrediction),
    "VelocityPrediction": predicting(geojax.VelocityPrediction),
    "FlowPrediction": predicting(geojax.FlowPrediction),
    "ClassifierFreeGuidance": of_score(geojax.ClassifierFreeGuidance(MIXTURE, 2.0)),
    "ConditionBetween": [
        case(
            lambda x: scores.ConditionBetween(MIXTURE, POINTS[:2], POINTS[2:])(x, 0.5, CONDITIONS),
            x=A,
        ),
    ],
    "AbstractSchedule": [
        case(lambda x0, eps: geojax.VPLinear().add_noise(x0, eps, 0.5), x0=A, eps=V)
    ],
    "from_log_density": [
        case(lambda x: geojax.from_log_density(lambda y, args: -jnp.sum(y**2))(x), x=A)
    ],
    "ddim": [case(lambda x: scores.ddim(MIXTURE, x, 0.5, 0.0, num_steps=1), x=A)],
    "ddim_path": [
        case(lambda x, ts: scores.ddim_path(MIXTURE, x, ts), x=A, ts=[1.0, 0.0]),
    ],
    "score_contrast": [
        case(
            lambda x0, x1: scores.score_contrast(STEIN.score, x0, x1), x0=POINTS[:2], x1=POINTS[2:]
        )
    ],
    "denoising_score_matching_loss": [
        case(
            lambda x0, eps: scores.denoising_score_matching_loss(MIXTURE, x0, 0.5, eps),
            x0=A,
            eps=V,
        )
    ],
    # metrics
    "SteinScoreMetric": of_metric(STEIN),
    "Euclidean": of_metric(FLAT)[1:2],
    "StereographicSphere": [
        case(lambda x, y: MODEL_SPACE.distance(x, y), x=A, y=B),
        case(lambda x, y: MODEL_SPACE.geodesic(x, y, 0.5), x=A, y=B),
        case(lambda x, v: MODEL_SPACE.exponential_map(x, v), x=A, v=V),
        case(lambda x, y: MODEL_SPACE.log_map(x, y), x=A, y=B),
        case(lambda x: MODEL_SPACE.log_factor(x), x=A),
    ],
    "PoincareBall": [case(lambda x, y: POINCARE.distance(x, y), x=A, y=B)],
    "ScoreNormMetric": of_metric(geojax.ScoreNormMetric(minus))[1:2],
    "JacobianMetric": of_metric(geojax.JacobianMetric(minus))[1:2],
    "PullbackMetric": of_metric(geojax.PullbackMetric(lambda x, args: x**2, 1.0))[1:2],
    "OperatorMetric": of_metric(geojax.OperatorMetric(diagonal))[1:2],
    "SumMetric": of_metric(DENSE + STEIN)[1:2],
    "ScaledMetric": of_metric(2.0 * DENSE)[1:2],
    "LowRankSum": of_metric(STEIN + STEIN)[1:2],
    "LowRankScaled": of_metric(2.0 * STEIN)[1:2],
    "SumOfSquaresSum": of_metric(STEIN + geojax.PullbackMetric(lambda x, args: x**2))[1:2],
    "SumOfSquaresScaled": of_metric(2.0 * geojax.PullbackMetric(lambda x, args: x**2))[1:2],
    "DensityMetric": [
        case(
            lambda reference: geojax.DensityMetric(lambda x, args: -x, 0.5, reference).norm(A, V),
            reference=B,
        ),
        case(lambda x: geojax.DensityMetric(AT).log_density(x), x=A),
    ],
    "SmoothedSteinScoreMetric": [
        case(
            lambda probes: geojax.SmoothedSteinScoreMetric(lambda x, a: -x, probes, 0.5).norm(A, V),
            probes=POINTS,
        )
    ],
    # geodesics
    "Polyline": [
        case(
            lambda ts, xs: geodesics.Polyline(ts, xs).evaluate(0.5),
            ts=[0.0, 1.0, 2.0],
            xs=[[0.0], [3.0], [5.0]],
        )
    ],
    "CubicSpline": [
        case(
            lambda ts, xs: geodesics.CubicSpline(ts, xs).evaluate(0.5),
            ts=[0.0, 1.0, 2.0],
            xs=[[0.0], [3.0], [5.0]],
        )
    ],
    # curvature
    "riemann_curvature": [
        case(lambda x, u, v, w: geojax.riemann_curvature(STEIN, x, u, v, w), x=A, u=V, v=W, w=V)
    ],
    "sectional_curvature": [
        case(lambda x, u, v: geojax.sectional_curvature(STEIN, x, u, v), x=A, u=V, v=W)
    ],
    "volume_element": [case(lambda x: geojax.volume_element(STEIN, x), x=A)],
    "log_volume_element": [case(lambda x: geojax.log_volume_element(STEIN, x), x=A)],
    # statistics
    # interpolation
    "Lerp": between(geojax.Lerp()),
    "Slerp": between(geojax.Slerp()),
    "Routed": between(interpolation.Routed(CLEAN, geojax.Lerp())),
    "NoiseDiffusion": [
        *between(interpolation.NoiseDiffusion(CLEAN)),
        case(
            lambda images, noises, ts: interpolation.NoiseDiffusion(CLEAN).at_level(
                images, noises, ts
            ),
            images=[A, B],
            noises=[V, W],
            ts=TS,
        ),
    ],
    "NoiseRoute": [
        case(lambda image: CLEAN.to_level(image), image=A, _images=("image",)),
        case(lambda z: CLEAN.to_image(z), z=A),
    ],
    "NormPriorMetric": of_metric(interpolation.NormPriorMetric(2))[1:2],
    # evaluation
    "psnr": [
        case(lambda x, y: evaluation.psnr(x, y, 255.0), x=GREY, y=OTHER),
        case(evaluation.psnr, x=UNIT, y=-UNIT, _images=("x", "y")),
    ],
    "ssim": [
        case(lambda x, y: evaluation.ssim(x, y, 255.0), x=GREY, y=OTHER),
        case(evaluation.ssim, x=GREY, y=OTHER, _images=("x", "y")),
    ],
    "LPIPS": [case(LPIPS, x=RGB, y=-RGB, _images=("x", "y"))],
    "root_mean_square": [case(evaluation.root_mean_square, x=A, y=[9.0, 4.0])],
    "neighbour_distances": [
        case(lambda images: evaluation.neighbour_distances(images, distance), images=POINTS),
        case(
            lambda images: evaluation.neighbour_distances(images, LPIPS),
            images=[RGB, -RGB],
            _images=("images",),
        ),
    ],
    "perceptual_path_length": [case(evaluation.perceptual_path_length, images=POINTS)],
    "perceptual_deviation": [case(evaluation.perceptual_deviation, images=POINTS)],
    "morphing_figures": [
        case(
            lambda images: evaluation.morphing_figures(images, LPIPS, side=18),
            images=[UNIT, -UNIT],
            _images=("images",),
        )
    ],
    "motion_share": [
        case(evaluation.motion_share, images=[UNIT, -UNIT, UNIT], _images=("images",))
    ],
    "gamma_rmse": [case(evaluation.gamma_rmse, xs=POINTS, truth=POINTS[::-1])],
    "data_rmse": [case(evaluation.data_rmse, xs=POINTS, data=POINTS[:1])],
    "frame_figures": [
        case(
            lambda frames, times, truth, given: evaluation.frame_figures(
                frames, times, truth=truth, given=given
            ),
            frames=[UNIT, -UNIT],
            times=TS,
            truth=[UNIT, UNIT],
            given=[UNIT, -UNIT],
            _images=("frames", "truth", "given"),
        )
    ],
    "frechet_distance": [
        case(evaluation.frechet_distance, a=POINTS, b=[[2.0, 1.0], [5.0, 3.0], [4.0, 1.0]])
    ],
    "gaussian_frechet_distance": of_moments(
        mean_a=A, covariance_a=[[2.0, 0.0], [0.0, 1.0]], mean_b=B, covariance_b=[[1.0, 0], [0, 3]]
    ),
    "path_figures": [case(evaluation.path_figures, xs=POINTS)],
    "log_density_profile": [case(lambda xs: evaluation.log_density_profile(AT, xs), xs=POINTS)],
    "distance_to": [case(lambda xs: evaluation.distance_to(lambda x: 2 * x, xs), xs=POINTS)],
    "path_error": [case(evaluation.path_error, xs=POINTS, truth=POINTS[::-1])],
    "FlatTorus": of_manifold(evaluation.FlatTorus((1.0, 1.0)), [1, 0, 1, 0], [0, 1, 0, 1]),
    "EmbeddedSphere": of_manifold(evaluation.EmbeddedSphere(1), A, [0.0, 1.0]),
    "EmbeddedCurve": [
        *of_manifold(CORNER, [1.0, 0.0], [2.0, 1.0]),
        case(lambda nodes: evaluation.EmbeddedCurve(nodes, closed=False).length, nodes=POINTS),
        case(lambda x: CORNER.place(x), x=A),
        case(lambda place: CORNER.at(place), place=1.0),
    ],
    "closed_curve": [
        case(lambda amplitudes: evaluation.closed_curve(amplitudes, 9).nodes, amplitudes=[[1, 2]])
    ],
    # models
    "rotate": [
        case(
            lambda image, angle: models.rotate(image, angle),
            image=UNIT[0],
            angle=1.0,
            _images=("image",),
        )
    ],
    "to_pixels": [case(models.to_pixels, x=UNIT, _images=("x",))],
}
