"""Two-point solutions against exact values: surfaces of revolution by Clairaut's relation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.scores import random_embedding

GAUSSIAN_ENERGY, GAUSSIAN_LENGTH = 2.25186030165255, 2.12219711697691
C, S = np.cos(2.0), np.sin(2.0)
# name: lam, end-points in the plane, energy (six digits), relative tolerance at N = 100
RINGS = {
    "ring": (1.0, (2 * C, 2 * S), 7.241123, 1e-4),
    "uneven radii": (1.0, (1.5 * C, 1.5 * S), 7.67411, 1e-3),
    "stiff": (10.0, (1.5 * C, 1.5 * S), 25.75529, 1e-3),
}
RULES = [geojax.Midpoint(), geojax.Graph(), geojax.Quadrature()]


def gaussian(x, args):
    return -x


def embedded(dimension, *points):
    """Points of the plane in R^dimension, turned at random; and the embedding."""
    rows = random_embedding(2, dimension, key=jax.random.key(dimension))
    return rows, [jnp.asarray(p) @ rows for p in points]


@pytest.mark.parametrize("dimension", [2, 50])
def test_gaussian(dimension):
    _, (a, b) = embedded(dimension, (1.0, 0.0), (-0.8, 0.6))
    metric = geojax.SteinScoreMetric(gaussian, 1.0)
    solution = geojax.geodesic(metric, a, b, num_segments=100)
    assert float(solution.energy) == pytest.approx(GAUSSIAN_ENERGY, rel=1e-4)
    assert float(solution.length) == pytest.approx(GAUSSIAN_LENGTH, rel=1e-4)
    assert int(solution.stats["num_steps"]) <= 20
    assert float(solution.stats["decrement"]) <= 1e-10


@pytest.mark.parametrize("dimension", [2, 50])
@pytest.mark.parametrize("name", RINGS)
@pytest.mark.parametrize("rule", RULES, ids=lambda r: type(r).__name__)
def test_rings(name, rule, dimension):
    lam, end, energy, tolerance = RINGS[name]
    rows, (a, b) = embedded(dimension, (2.0, 0.0), end)
    metric = geojax.SteinScoreMetric(geojax.Shell(2.0, 0.25, dim=2, embedding=rows), lam)
    solution = geojax.geodesic(metric, a, b, rule=rule, num_segments=100)
    assert float(solution.energy) == pytest.approx(energy, rel=tolerance)
    assert int(solution.stats["num_steps"]) <= 20
    assert float(solution.stats["decrement"]) <= 1e-10
    assert float(solution.length) >= float(solution.stats["lower_bound"])


def test_order_two():
    metric = geojax.SteinScoreMetric(gaussian, 1.0)
    a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    sizes = [8, 16, 32, 64]
    errors = [
        abs(float(geojax.geodesic(metric, a, b, num_segments=n).energy) - GAUSSIAN_ENERGY)
        for n in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(-2, abs=0.1)


def test_lambda_zero_is_straight():
    metric = geojax.SteinScoreMetric(geojax.Shell(2.0, 0.25), 0.0)
    a, b = jnp.array([2.0, 0.0]), jnp.array([2 * C, 2 * S])
    xs = geojax.geodesic(metric, a, b).curve.xs
    straight = geojax.Lerp()(a, b, jnp.linspace(0, 1, len(xs)))
    np.testing.assert_allclose(xs, straight, atol=1e-14)


def test_large_lambda_follows_the_arc():
    metric = geojax.SteinScoreMetric(geojax.Shell(2.0, 0.25), 3e4)
    a, b = jnp.array([2.0, 0.0]), jnp.array([2 * C, 2 * S])
    solution = geojax.geodesic(metric, a, b, num_segments=100)
    np.testing.assert_allclose(jnp.linalg.norm(solution.curve.xs, axis=1), 2.0, atol=0.01)
    assert float(solution.length) == pytest.approx(4.0, rel=1e-2)


def test_one_dimension_is_an_integral():
    """d(a, b) is the integral of sqrt(1 + lam s^2)."""
    score = geojax.GaussianMixture(jnp.array([[-1.0], [1.5]]), scales=0.5).at(0.2)
    metric = geojax.SteinScoreMetric(score, 2.0)
    a, b = jnp.array([-1.2]), jnp.array([1.7])
    x = np.linspace(-1.2, 1.7, 20001)
    s = np.asarray(jax.vmap(score)(jnp.asarray(x)[:, None]))[:, 0]
    exact = np.trapezoid(np.sqrt(1 + 2.0 * s**2), x)
    assert float(geojax.distance(metric, a, b, num_segments=256)) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("lam", [1.0, 10.0])
def test_identities(lam):
    """Symmetry, reversal, the triangle inequality, constant speed, rotation, the chord bound."""
    metric = geojax.SteinScoreMetric(geojax.Shell(2.0, 0.25), lam)
    a, b, c = jnp.array([2.0, 0.0]), jnp.array([1.5 * C, 1.5 * S]), jnp.array([0.5, 1.9])
    there, back = (geojax.geodesic(metric, *ends, num_segments=100) for ends in ((a, b), (b, a)))
    assert float(there.length) == pytest.approx(float(back.length), rel=1e-8)
    np.testing.assert_allclose(there.curve.xs, back.curve.xs[::-1], atol=2e-4)
    ab, ac, cb = (
        float(geojax.distance(metric, p, q, num_segments=100)) for p, q in ((a, b), (a, c), (c, b))
    )
    assert ab <= ac + cb + 1e-3
    assert float(there.stats["speed_defect"]) < 0.05
    assert float(there.stats["lower_bound"]) <= ab
    turn = jnp.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    turned = geojax.distance(metric, turn @ a, turn @ b, num_segments=100)
    assert float(turned) == pytest.approx(ab, rel=1e-8)


@pytest.mark.parametrize("num_segments", [32, 100])
def test_exp_of_log_is_the_identity(num_segments):
    metric = geojax.SteinScoreMetric(geojax.Shell(2.0, 0.25), 1.0)
    a, b = jnp.array([2.0, 0.0]), jnp.array([2 * C, 2 * S])
    v = geojax.log_map(metric, a, b, num_segments=num_segments)
    shot = geojax.exponential_map(metric, a, v, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(shot.curve.xs[-1], b, atol=5e-6)
    # g(x', x') is constant, and its root is the distance.
    assert float(shot.stats["energy_drift"]) < 1e-6
    assert float(shot.length) == pytest.approx(3.805555, rel=1e-5)


def test_initial_velocity_is_of_second_order():
    metric = geojax.SteinScoreMetric(gaussian, 1.0)
    a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    exact = geojax.log_map(metric, a, b)
    errors = [
        float(
            jnp.linalg.norm(geojax.geodesic(metric, a, b, num_segments=n).initial_velocity - exact)
        )
        for n in (16, 32)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
