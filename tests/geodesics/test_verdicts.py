"""Every way in which a solve can fail has its verdict."""

import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS
from tests.geodesics.problems import clairaut_length

A, B = jnp.array([2.0, 0.0]), jnp.array([2 * np.cos(2.0), 2 * np.sin(2.0)])


# Without exact curvature, which no verdict here needs: one program unless the steps are limited.
OPTIONS: dict = {
    "num_segments": 8,
    "solver": geojax.GaussNewton(curvature_steps=0),
    "diagnostics": "price",
    "throw": False,
}


def solve(a=A, b=B, lam=1.0, width=0.25, **options):
    stein = geojax.SteinScoreMetric(geojax.Shell(2.0, width), lam)
    return geojax.geodesic(stein, a, b, **{**OPTIONS, **options})


@pytest.mark.slow
def test_too_few_steps():
    solution = solve(max_steps=2)
    assert solution.result == RESULTS.max_steps_reached
    assert int(solution.stats["num_steps"]) == 2
    with pytest.raises(Exception, match="Raise max_steps"):
        solve(max_steps=2, throw=True)


@pytest.mark.slow
def test_zero_steps_give_the_energy_of_a_path():
    line = solve(num_segments=100, max_steps=0)
    assert float(line.energy) == pytest.approx(117.77, rel=1e-3)  # the straight line's, section 6


@pytest.mark.slow
def test_not_finite():
    """The maps' verdicts are in `test_exponential`."""
    assert solve(width=jnp.asarray(jnp.nan)).result == RESULTS.non_finite
    broken = geojax.SteinScoreMetric(geojax.Shell(2.0, jnp.asarray(jnp.nan)), 1.0)
    assert jnp.isnan(geojax.distance(broken, A, B, **OPTIONS))


def test_under_resolved():
    """The spline's energy by other points than the solver's tells, and by how much it is off."""
    end = jnp.array([1.5 * np.cos(2.0), 1.5 * np.sin(2.0)])
    exact = clairaut_length(2, 0.25, 10, 2, 1.5, 2.0) ** 2 / 2
    solution = solve(b=end, lam=10.0, discretisation_tolerance=1e-3)
    assert solution.result == RESULTS.under_resolved
    assert 1e-3 < float(solution.energy) / exact - 1 < float(solution.stats["discretisation_error"])
    assert solve(b=end, lam=10.0).result == RESULTS.successful


def test_coincident_points():
    solution = solve(b=A)
    assert float(solution.length) == 0 and float(solution.energy) == 0
    assert solution.result == RESULTS.successful


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e-1, 1e-5, 1e-6])
def test_points_very_near_to_each_other_keep_their_digits(size):
    """In float32, where the nodes between them are no more than rounded."""
    rng = np.random.default_rng(0)
    x, d = np.float32(rng.uniform(-1, 1, 784)), np.float32(rng.normal(size=784))
    y = x + np.float32(size) * d / np.linalg.norm(d)
    delta, middle = np.float64(y) - x, (np.float64(y) + x) / 2
    stein = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    conformal = geojax.ScoreNormMetric(lambda x, args: -x, lam=jnp.asarray(0.1))
    exact = (
        (stein, np.sqrt(delta @ delta + (middle @ delta) ** 2)),
        (conformal, np.sqrt((1 + 0.1 * middle @ middle) * (delta @ delta))),
    )
    for metric, right in exact:
        for num_segments in (1, 32):
            options = {**OPTIONS, "num_segments": num_segments}
            solution = geojax.geodesic(metric, jnp.asarray(x), jnp.asarray(y), **options)
            assert solution.result == RESULTS.successful
            assert float(solution.length) == pytest.approx(right, rel=1e-3)


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("kind", [geojax.Midpoint, geojax.SplineGauss, geojax.Quadrature])
def test_the_fine_energy_uses_points_outside_the_rule(kind, order):
    """Its own rule is exact for polynomials to degree 5, at points outside the solver's rule."""
    has_order = kind is not geojax.Midpoint
    rule = (
        kind(order=max(order, 3) if kind is geojax.Quadrature else order) if has_order else kind()
    )
    of_rule = (np.polynomial.legendre.leggauss(getattr(rule, "order", 1))[0] + 1) / 2
    places, weights = map(np.asarray, rule.fine[1:])
    distances = np.min(np.abs(of_rule[:, None] - places), axis=0)
    assert rule.fine.spline and np.sum(distances > 0.05) >= 2
    assert np.allclose([weights @ places**k for k in range(6)], 1 / np.arange(1, 7), atol=1e-14)
