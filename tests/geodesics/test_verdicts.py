"""Every way in which a solve can fail has its verdict."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS

RING = geojax.Shell(2.0, 0.25)
METRIC = geojax.SteinScoreMetric(RING, 1.0)
A, B = jnp.array([2.0, 0.0]), jnp.array([2 * np.cos(2.0), 2 * np.sin(2.0)])


def broken(x, args):
    return jnp.full_like(x, jnp.nan)


def test_too_few_steps():
    solution = geojax.geodesic(METRIC, A, B, max_steps=2, throw=False)
    assert solution.result == RESULTS.max_steps_reached
    assert int(solution.stats["num_steps"]) == 2
    with pytest.raises(Exception, match="Raise max_steps"):
        geojax.geodesic(METRIC, A, B, max_steps=2)


def test_zero_steps_price_a_path():
    line = geojax.geodesic(METRIC, A, B, num_segments=100, max_steps=0, throw=False)
    assert float(line.energy) == pytest.approx(117.77, rel=1e-3)  # the straight line's, section 6


def test_not_finite():
    metric = geojax.SteinScoreMetric(broken, 1.0)
    assert geojax.geodesic(metric, A, B, throw=False).result == RESULTS.non_finite
    shot = geojax.exponential_map(metric, A, B, throw=False, max_steps=50)
    assert shot.result == RESULTS.non_finite
    assert jnp.isnan(geojax.distance(metric, A, B, throw=False))
    assert jnp.all(jnp.isnan(geojax.log_map(metric, A, B, throw=False)))


def test_under_resolved():
    stiff = geojax.SteinScoreMetric(RING, 1e4)
    solution = geojax.geodesic(stiff, A, B, num_segments=4, throw=False)
    assert solution.result == RESULTS.under_resolved
    assert float(solution.stats["discretisation_error"]) > 0.05


def test_coincident_points():
    solution = geojax.geodesic(METRIC, A, A)
    assert float(solution.length) == 0 and float(solution.energy) == 0
    np.testing.assert_array_equal(geojax.log_map(METRIC, A, A), 0 * A)


def test_integration_stopped():
    metric = geojax.SteinScoreMetric(RING, 1e3)
    shot = geojax.exponential_map(metric, A, 10 * B, max_steps=5, throw=False)
    assert shot.result == RESULTS.integration_stopped


def test_energy_drift():
    stiff = geojax.SteinScoreMetric(RING, 10.0)
    strict = geojax.exponential_map(stiff, A, 3 * B, drift_tolerance=1e-12, throw=False)
    assert strict.result == RESULTS.energy_drift
    assert geojax.exponential_map(stiff, A, 3 * B).result == RESULTS.successful


def test_nodes_that_rounding_moves_are_told():
    """Float32 points so near that the nodes between them are no more than rounded: the distance is
    right or NaN, and the chord, which has no such nodes, is right.
    """
    x = jax.random.uniform(jax.random.key(0), (784,), jnp.float32, minval=-1)
    d = jax.random.normal(jax.random.key(1), (784,), jnp.float32)
    stein = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    conformal = geojax.ScoreNormMetric(lambda x, args: -x, lam=jnp.asarray(0.1))
    for size in (1e-1, 1e-6):
        y = x + jnp.float32(size) * d / jnp.linalg.norm(d)
        wide, end = np.asarray(x, np.float64), np.asarray(y, np.float64)
        delta, middle = end - wide, (end + wide) / 2
        exact = (
            (stein, np.sqrt(delta @ delta + (middle @ delta) ** 2)),
            (conformal, np.sqrt((1 + 0.1 * middle @ middle) * (delta @ delta))),
        )
        for metric, right in exact:
            solution = geojax.geodesic(metric, x, y, throw=False, certify=False)
            if size == 1e-6:
                assert solution.result == RESULTS.too_near
            else:
                assert solution.result == RESULTS.successful
                assert float(solution.length) == pytest.approx(right, rel=0.02)
            chord = geojax.geodesic(metric, x, y, num_segments=1, throw=False)
            assert chord.result == RESULTS.successful
            assert float(chord.length) == pytest.approx(right, rel=0.02)
