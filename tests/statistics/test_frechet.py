"""The Fréchet mean against arithmetic, closed forms, symmetry; and its failures."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS, frechet_mean
from geojax.statistics import FIT_RESULTS
from tests.geodesics.problems import metric, on_circle
from tests.statistics.samples import FLAT, POINTS, SETTINGS, SHARES, WEIGHTS, ball, closed_form_mean

ANGLES = [-0.9, -0.5, 0.0, 0.5, 0.9]
ARC = jnp.stack([on_circle(2 + 0.1 * angle**2, angle) for angle in ANGLES])


def stein_mean(radius=2.0, width=0.5, lam=1.0, points=ARC, **options):
    return frechet_mean(metric(radius, width, lam), points, **{**SETTINGS, **options})


@pytest.mark.slow
def test_in_flat_space_it_is_the_weighted_arithmetic_mean():
    mean = frechet_mean(FLAT, POINTS, WEIGHTS, **SETTINGS)
    points, shares = np.asarray(POINTS), np.asarray(SHARES)
    expected = shares @ points
    np.testing.assert_allclose(mean.point, expected, atol=1e-8)
    squares = np.sum((points - expected) ** 2, axis=1)
    assert float(mean.variance) == pytest.approx(4 * float(shares @ squares), rel=1e-8)
    np.testing.assert_allclose(mean.weights, shares, rtol=1e-14)
    np.testing.assert_allclose(mean.solutions.initial_velocity, points - expected, atol=1e-7)
    line = stein_mean(lam=0.0)
    np.testing.assert_allclose(line.point, np.mean(ARC, axis=0), atol=1e-12)
    assert int(line.num_evaluations) == 2  # one full step


def distance_to_closed_form(num_segments, slack):
    """In a ball; and the sum of squares is that of the closed form."""
    space = ball(1.0)
    mean = frechet_mean(space, POINTS, WEIGHTS, **{**SETTINGS, "num_segments": num_segments})
    assert mean.result == FIT_RESULTS.successful
    assert np.all(mean.solutions.result == RESULTS.successful)
    expected = closed_form_mean(space, POINTS, SHARES)
    exact = jax.jit(lambda m: jax.vmap(lambda x: space.distance(m, x))(POINTS))(expected)
    assert float(mean.variance) == pytest.approx(float(SHARES @ exact**2), rel=slack)
    return np.linalg.norm(mean.point - expected)


@pytest.mark.slow
def test_in_a_ball_it_is_the_mean_of_the_closed_form():
    assert distance_to_closed_form(4, 1e-4) < 1e-6


@pytest.mark.slow
def test_with_eight_segments_it_is_the_mean_of_the_closed_form():
    """The space is smooth: the error is that of the descent's tolerance already."""
    assert distance_to_closed_form(8, 1e-6) < 1e-7


def test_the_mean_of_points_on_a_ring_is_where_symmetry_puts_it():
    mean = stein_mean()
    assert mean.result == FIT_RESULTS.successful
    assert abs(float(mean.point[1])) < 1e-5
    # Near the ring, where the arithmetic mean is not.
    assert np.mean(ARC[:, 0]) < 1.7 < float(mean.point[0]) < 2.1
    assert float(mean.gradient_norm) < 1e-5

    turned = stein_mean(points=jnp.stack([on_circle(2 + 0.1 * a**2, a + 1.0) for a in ANGLES]))
    rotation = np.stack([on_circle(1, 1.0), on_circle(1, 1.0 + np.pi / 2)], axis=1)
    np.testing.assert_allclose(turned.point, rotation @ np.asarray(mean.point), atol=1e-5)

    # Around a Gaussian: two opposite pairs and the middle.
    cross = jnp.asarray([[1.0, 0.5], [-1.0, -0.5], [0.0, 0.0], [-0.3, 0.8], [0.3, -0.8]])
    centre = stein_mean(0.0, 1.0, 1.0, points=cross)
    np.testing.assert_allclose(centre.point, 0, atol=1e-5)
    off = stein_mean(0.0, 1.0, 1.0, points=cross, init=jnp.asarray([0.4, 0.2]))
    np.testing.assert_allclose(off.point, 0, atol=1e-5)


def test_the_mean_has_the_least_sum_of_squares():
    """Against the sums at points around it, solved afresh."""
    mean = stein_mean()
    stein, options = metric(2.0, 0.5, 1.0), {**SETTINGS, "throw": False}

    def total(m):
        batch = geojax.geodesic_batch(
            stein, m, ARC, solver=geojax.GaussNewton(rtol=1e-13), **options
        )
        return jnp.mean(batch.energy)

    shifts = 1e-3 * jnp.asarray([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    sums = jax.lax.map(total, mean.point[None] + shifts)
    assert float(sums[0]) == pytest.approx(float(mean.variance) / 2, rel=1e-9)
    assert np.all(sums[1:] > sums[0])
    np.testing.assert_allclose(sums[1] - sums[2], 0, atol=1e-8)
    np.testing.assert_allclose(sums[3] - sums[4], 0, atol=1e-8)


@pytest.mark.slow
def test_inside_a_jit_of_the_user_in_float32():
    @jax.jit
    def mean_of(points):
        mean = frechet_mean(geojax.Euclidean(), points, num_segments=2)
        return mean.point, mean.variance

    point, variance = mean_of(POINTS.astype(jnp.float32))
    assert point.dtype == variance.dtype == jnp.float32
    np.testing.assert_allclose(point, jnp.mean(POINTS, axis=0), atol=1e-6)
    np.testing.assert_allclose(variance, jnp.sum(jnp.var(POINTS, axis=0)), rtol=1e-5)


def test_failures_are_results():
    lost = stein_mean(width=jnp.asarray(jnp.nan), throw=False)
    assert lost.result == FIT_RESULTS.non_finite
    with pytest.raises(RuntimeError, match="not finite at the start"):
        stein_mean(width=jnp.asarray(jnp.nan))
    coarse = stein_mean(lam=1e4, throw=False)
    assert coarse.result != FIT_RESULTS.successful
    assert not np.all(coarse.solutions.result == RESULTS.successful)
    hasty = stein_mean(max_evaluations=2, throw=False)
    assert hasty.result == FIT_RESULTS.max_evaluations_reached
    assert int(hasty.num_evaluations) == 2


@pytest.mark.parametrize(
    "change, message",
    [
        ({"points": jnp.zeros(3)}, r"points must hold points, shape \(points, \*shape\), got \(3,"),
        ({"points": jnp.zeros((0, 3))}, r"points must have shape .* not be empty, got \(0, 3\)"),
        ({"weights": jnp.ones(3)}, r"weights must have shape \(5,\), got \(3,\)"),
        ({"init": jnp.zeros(3)}, "init must have the shape of a point"),
        ({"metric": None}, "metric must be a geojax metric"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"metric": geojax.Euclidean(), "points": ARC, **change}
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(frechet_mean)(**arguments)


def test_negative_weights_and_weights_of_sum_zero_are_refused():
    for weights in (jnp.zeros(5), jnp.asarray([1.0, 1.0, -1.0, 1.0, 1.0])):
        with pytest.raises(RuntimeError, match="weights must be finite, at least 0"):
            frechet_mean(geojax.Euclidean(), ARC, weights)
