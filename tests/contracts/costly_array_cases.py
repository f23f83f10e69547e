"""Every public function of arrays that compiles a solver, as in `array_cases`."""

import functools

import diffrax
import jax.numpy as jnp

import geojax
from geojax import evaluation, geodesics, interpolation, scores

from .array_cases import (
    AT,
    CLEAN,
    CORNER,
    DENSE,
    FLAT,
    KEY,
    LINE,
    MIXTURE,
    POINTS,
    STEIN,
    TS,
    A,
    B,
    Case,
    V,
    W,
    between,
    case,
    distance,
    of_manifold,
    of_metric,
    of_score,
)


def nodes(solution):
    return solution.curve.xs


SHOT = {"shot_solver": diffrax.Heun()}


@functools.cache
def fits():
    times = jnp.asarray([0.0, 1.0, 2.0, 3.0])
    return (
        geojax.principal_geodesics(FLAT, POINTS, 2, **TWO),
        geojax.geodesic_regression(FLAT, times, POINTS, **SHOT, **TWO),
    )


# What compiles fastest: how arrays are taken does not depend on it.
PLAIN = geojax.GaussNewton(curvature_steps=0)
TWO: dict = {"num_segments": 2, "solver": PLAIN, "diagnostics": "price"}
UNCERTIFIED: dict = {"num_segments": 2, "solver": PLAIN}
SHORT_CLEAN = geojax.NoiseRoute(MIXTURE, t=0.5, noising="none", denoising="none", num_steps=2)
ONE_DATUM = geojax.Empirical([[1.0, 2.0]])  # whose noise is known: the loss is 0
PAIR = {"x0": A, "x1": B}

COSTLY: dict[str, list[Case]] = {
    "AbstractMetric": of_metric(DENSE),
    "probe_averaged": [
        case(lambda x: scores.probe_averaged(MIXTURE, 0.5, (2,), 1, key=KEY)(x), x=A)
    ],
    "NoisedSphere": of_score(geojax.NoisedSphere(2.0, width=0.5)),
    "ricci_curvature": [
        case(
            lambda x, v, probes: geojax.ricci_curvature(STEIN, x, v, probes=probes),
            x=A,
            v=V,
            probes=[[1.0, -1.0], [1.0, 1.0]],
        )
    ],
    "scalar_curvature": [
        case(
            lambda x, probes: geojax.scalar_curvature(STEIN, x, probes=probes),
            x=A,
            probes=[[1.0, -1.0], [1.0, 1.0]],
        )
    ],
    "TangentStep": between(interpolation.TangentStep(AT, 0.5)),
    "ScoreWalk": between(interpolation.ScoreWalk(AT, 0.5, num_steps=1)),
    "DensityFlow": between(interpolation.DensityFlow(AT, levels=1, num_iterations=1)),
    "StringMethod": [
        *between(interpolation.StringMethod(SHORT_CLEAN, num_segments=2)),
        case(
            lambda images, noised, ts: (
                interpolation.StringMethod(SHORT_CLEAN, num_segments=2)
                .descend(images, noised, ts)
                .points
            ),
            images=[A, B],
            noised=[V, W],
            ts=TS,
        ),
    ],
    "SpacetimeGeodesic": [
        *between(interpolation.SpacetimeGeodesic(MIXTURE, 0.5, num_segments=1, num_flow_steps=1)),
        case(lambda x: interpolation.SpacetimeGeodesic(MIXTURE, 0.5).moments(x, 0.5)[1], x=A),
        case(
            lambda xs, levels: interpolation.SpacetimeGeodesic(MIXTURE, 0.5).segment_energies(
                xs, levels
            ),
            xs=[A, B],
            levels=[1.0, 1.0],
        ),
    ],
    "neighbour_path": [
        case(
            lambda samples, x0, x1: geojax.neighbour_path(samples, x0, x1, neighbours=1),
            samples=[[0.0], [100.0], [200.0]],
            x0=[0.0],
            x1=[200.0],
        )
    ],
    "k_medoids": [
        case(
            lambda distances, weights: geojax.k_medoids(distances, 2, weights, key=KEY).cost,
            distances=[[0.0, 1.0, 5.0], [1.0, 0.0, 4.0], [5.0, 4.0, 0.0]],
            weights=[1.0, 2.0, 1.0],
        )
    ],
    "ddim_inversion": [case(lambda x0: scores.ddim_inversion(MIXTURE, x0, 0.5, num_steps=1), x0=A)],
    "estimate_log_volume_element": [
        case(
            lambda x, probes: geojax.estimate_log_volume_element(STEIN, x, probes, num_steps=2),
            x=A,
            probes=[[1.0, -1.0], [1.0, 1.0]],
        )
    ],
    "kernel_distance": [
        case(
            lambda a, b: evaluation.kernel_distance(a, b, key=KEY, num_subsets=2),
            a=[[9.0, 7.0], [8.0, 5.0], [6.0, 9.0], [3.0, 8.0]],
            b=[[0.0, 1.0], [2.0, 3.0], [4.0, 1.0], [1.0, 1.0]],
        )
    ],
    "endpoint_error": [
        case(
            lambda images, x0, x1: evaluation.endpoint_error(images, x0, x1, distance),
            images=POINTS,
            x0=V,
            x1=W,
        )
    ],
    "counted_probability_flow": [
        case(lambda x: scores.counted_probability_flow(MIXTURE, x, 0.5, 0.1), x=A)
    ],
    "probability_flow": [case(lambda x: scores.probability_flow(MIXTURE, x, 0.5, 0.1), x=A)],
    "batch_loss": [
        case(lambda x0: scores.batch_loss(ONE_DATUM, x0, None, key=KEY), x0=[[1.0, 2.0]])
    ],
    "geodesic": [
        case(lambda x0, x1: nodes(geojax.geodesic(FLAT, x0, x1, **TWO)), **PAIR),
        case(lambda init: nodes(geojax.geodesic(FLAT, A, B, init=init, **TWO)), init=[A, V, B]),
        case(
            lambda ts: nodes(
                geojax.geodesic(FLAT, A, B, ts=ts, num_segments=1, diagnostics="price")
            ),
            ts=TS,
        ),
    ],
    "watched_geodesic": [
        case(
            lambda x0, x1, init: nodes(
                geodesics.watched_geodesic(
                    FLAT, x0, x1, init=init, on_step=lambda progress: None, **TWO
                )
            ),
            init=[A, V, B],
            **PAIR,
        )
    ],
    "distance": [case(lambda x0, x1: geojax.distance(FLAT, x0, x1, **TWO), **PAIR)],
    "log_map": [case(lambda x0, x1: geojax.log_map(FLAT, x0, x1, **TWO), **PAIR)],
    "exponential_map": [
        case(lambda x0, v0: nodes(geojax.exponential_map(FLAT, x0, v0)), x0=A, v0=V)
    ],
    "geodesic_batch": [
        case(lambda x0, x1: nodes(geojax.geodesic_batch(FLAT, x0, x1, **TWO)), x0=A, x1=POINTS),
        case(
            lambda init: nodes(geojax.geodesic_batch(FLAT, [A], [B], init=init, **TWO)),
            init=[[A, V, B]],
        ),
    ],
    "robust_geodesic": [
        case(
            lambda x0, x1, samples: nodes(
                geojax.robust_geodesic(FLAT, x0, x1, samples=samples, neighbours=1, **UNCERTIFIED)
            ),
            samples=POINTS,
            **PAIR,
        ),
        case(
            lambda starts: nodes(
                geojax.robust_geodesic(FLAT, A, B, starts=[starts], **UNCERTIFIED)
            ),
            starts=[A, V, B],
        ),
    ],
    "compile_geodesic": [case(lambda x: nodes(geojax.compile_geodesic(FLAT, x, **TWO)(x, x)), x=A)],
    "jacobi_field": [
        case(
            lambda x0, v0, field, derivative: (
                geojax.jacobi_field(FLAT, x0, v0, field, derivative).fields
            ),
            x0=A,
            v0=V,
            field=W,
            derivative=B,
        )
    ],
    "exponential_derivative": [
        case(lambda x0, v0, w: geojax.exponential_derivative(FLAT, x0, v0, w), x0=A, v0=V, w=W)
    ],
    "parallel_transport": [
        case(lambda v0, ts: geojax.parallel_transport(FLAT, LINE, v0, ts=ts).vector, v0=V, ts=TS)
    ],
    "riemannian_gradient_descent": [
        case(
            lambda x0: geojax.riemannian_gradient_descent(
                FLAT, lambda x: jnp.sum(x**2), x0, learning_rate=0.1, max_steps=2
            ),
            x0=A,
        )
    ],
    "intrinsic_dimension": [
        case(
            lambda x0, ts: geojax.intrinsic_dimension(MIXTURE, x0, ts, key=KEY, num_values=2),
            x0=A,
            ts=[1.0],
        )
    ],
    "frechet_mean": [
        case(
            lambda points, weights, init: (
                geojax.frechet_mean(FLAT, points, weights, init=init, **TWO).point
            ),
            points=POINTS,
            weights=[1.0, 2.0, 1.0, 1.0],
            init=A,
        )
    ],
    "principal_geodesics": [
        case(
            lambda points, weights: (
                geojax.principal_geodesics(FLAT, points, 1, weights, **TWO).variances
            ),
            points=POINTS,
            weights=[1.0, 2.0, 1.0, 1.0],
        )
    ],
    "geodesic_regression": [
        case(
            lambda times, points: (
                geojax.geodesic_regression(FLAT, times, points, **SHOT, **TWO).velocity
            ),
            times=[0.0, 1.0, 2.0, 3.0],
            points=[[0.0, 1.0], [1.0, 2.0], [2.0, 4.0], [3.0, 4.0]],
        )
    ],
    "PrincipalGeodesics": [
        case(lambda x: fits()[0].project(x), x=A),
        case(lambda coordinates: fits()[0].reconstruct(coordinates), coordinates=V),
    ],
    "GeodesicRegression": [case(lambda times: fits()[1].predict(times), times=TS)],
    "pairwise_distances": [
        case(
            lambda points, others: geojax.pairwise_distances(FLAT, points, others, **TWO).distances,
            points=POINTS[:2],
            others=POINTS[2:],
        )
    ],
    "Nao": between(interpolation.Nao(num_segments=2, throw=False)),
    "nao_centroid": [
        case(
            lambda seeds: interpolation.nao_centroid(seeds, num_segments=2, throw=False),
            seeds=[V, W],
        )
    ],
    "GeodesicInterpolator": between(geojax.GeodesicInterpolator(FLAT, **TWO)),
    "ExtendedGeodesic": [
        case(
            lambda ts: geojax.GeodesicInterpolator(FLAT, **TWO).solve(A, B).evaluate(ts),
            ts=TS,
        )
    ],
    "interpolate": [
        case(
            lambda image_a, image_b: (
                geojax.interpolate(
                    MIXTURE, image_a, image_b, metric=FLAT, frames=2, num_steps=1, **UNCERTIFIED
                ).images
            ),
            image_a=A,
            image_b=B,
            _images=("image_a", "image_b"),
        )
    ],
    "compare": [
        case(
            lambda image_a, image_b: (
                interpolation.compare(
                    CLEAN,
                    image_a,
                    image_b,
                    key=KEY,
                    metric=lambda settings: FLAT,
                    lam=0.1,
                    frames=2,
                    **TWO,
                )
                .records["SLERP"]
                .points
            ),
            image_a=A,
            image_b=B,
            _images=("image_a", "image_b"),
        )
    ],
    "inspect_chords": [
        case(
            lambda images: evaluation.inspect_chords(CLEAN, images, (0.5,)).contrast,
            images=POINTS,
            _images=("images",),
        )
    ],
    "inspect_score": [
        case(
            lambda images: (
                evaluation.inspect_score(
                    MIXTURE, images, (0.5,), key=KEY, num_values=2, num_pairs=1
                ).deviation
            ),
            images=POINTS,
            _images=("images",),
        )
    ],
    "Torus": of_manifold(evaluation.Torus(2.0, 1.0), [3.0, 0.0, 0.0], [0.0, 3.0, 0.0])[:1],
    "CurveTimesInterval": of_manifold(
        evaluation.CurveTimesInterval(CORNER, 4.0), [0.0, 0.0, 0.0], [2.0, 1.0, 4.0]
    ),
    "TwoMoons": of_manifold(evaluation.TwoMoons(), [-1.0, 0.0], [0.0, 1.0])[:1],
}
