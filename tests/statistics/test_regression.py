"""Geodesic regression against least squares, and against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax import geodesic_regression
from geojax.statistics import FIT_RESULTS
from tests.statistics.samples import FLAT, POINTS, SETTINGS, SHARES, WEIGHTS, ball

TIMES = jnp.asarray([-1.0, 0.0, 0.3, 0.5, 1.0, 1.5, 2.0])
AT = jnp.asarray([-0.5, 0.0, 3.0])


def fit(space, points=POINTS, **options):
    return geodesic_regression(space, TIMES, points, WEIGHTS, **{**SETTINGS, **options})


@pytest.mark.slow
def test_in_flat_space_it_is_linear_regression():
    found = fit(FLAT)
    assert found.result == FIT_RESULTS.successful
    times, points, shares = (np.asarray(a) for a in (TIMES, POINTS, SHARES))
    design = np.stack([np.ones_like(times), times], axis=1)
    roots = np.sqrt(shares)[:, None]
    (intercept, slope), *_ = np.linalg.lstsq(roots * design, roots * points)
    np.testing.assert_allclose(found.velocity, slope, atol=1e-7)
    line = intercept + np.asarray(AT)[:, None] * slope
    np.testing.assert_allclose(found.predict(AT), line, atol=1e-7)
    rest = points - (intercept + times[:, None] * slope)
    assert float(found.variance) == pytest.approx(
        4 * float(shares @ np.sum(rest**2, axis=1)), rel=1e-7
    )
    np.testing.assert_allclose(found.time, shares @ times, rtol=1e-14)
    assert 0 < float(found.r_squared) < 1


def test_points_on_a_geodesic_are_explained_by_it():
    space = ball(1.0)
    start, velocity = jnp.asarray([0.1, -0.2, 0.1]), jnp.asarray([0.2, 0.1, -0.1])
    along = jax.vmap(lambda t: space.exponential_map(start, t * velocity))
    points, expected = jax.jit(lambda: (along(TIMES), along(AT)))()
    found = fit(space, points)
    assert found.result == FIT_RESULTS.successful
    assert float(found.r_squared) == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(found.predict(AT), expected, atol=1e-5)


@pytest.mark.slow
def test_no_other_geodesic_is_nearer():
    """By the derivative of the closed-form sum of squares, to the second order of the paths."""
    space = ball(1.0)
    found = fit(space)

    def total(point, velocity):
        def square(t, x):
            there = space.exponential_map(point, (t - found.time) * velocity)
            return space.distance(there, x) ** 2

        return jnp.dot(SHARES, jax.vmap(square)(TIMES, POINTS))

    value, slopes = jax.jit(jax.value_and_grad(total, (0, 1)))(found.point, found.velocity)
    assert float(value) == pytest.approx(float(found.variance), rel=2e-3)
    for slope in slopes:
        assert np.max(np.abs(slope)) < 1e-2 * float(value)


def test_failures_are_results():
    hasty = fit(ball(1.0), max_evaluations=2, throw=False)
    assert hasty.result == FIT_RESULTS.max_evaluations_reached
    with pytest.raises(ValueError, match=r"times must have shape \(7,\), got \(3,\)"):
        geodesic_regression.__wrapped__(FLAT, jnp.ones(3), POINTS)
    with pytest.raises(RuntimeError, match="not all equal"):
        geodesic_regression(FLAT, jnp.ones(7), POINTS, WEIGHTS, **SETTINGS)
