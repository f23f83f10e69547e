"""Curvature: spaces of constant curvature, Gauss' paraboloid, the tensor's symmetries."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import DenseMetric, SteinScoreMetric
from geojax.curvature import trace_probes
from tests.curvature.charts import constant
from tests.metrics.fields import gradient, matrix, points, whirl

riemann = eqx.filter_jit(geojax.riemann_curvature)
sectional = eqx.filter_jit(geojax.sectional_curvature)
ricci = eqx.filter_jit(geojax.ricci_curvature)
scalar = eqx.filter_jit(geojax.scalar_curvature)


def gaussian(lam, sigma, *, conservative):
    score = lambda x, args: -x / sigma**2  # noqa: E731
    return SteinScoreMetric(score, lam, conservative=conservative)


def two_scores(*, conservative):
    first = SteinScoreMetric(gradient, 0.7, conservative=conservative)
    second = gaussian(0.3, 0.6, conservative=conservative)
    return 1.5 * (first + 0.2 * second)


@pytest.mark.parametrize("curvature", [1.0, -0.4, 0.0])
def test_constant_curvature(curvature):
    """There `R(u, v) w = K (<v, w> u - <u, w> v)`."""
    metric, (x, u, v, w) = constant(curvature), points((3,), jnp.float64, 4)
    expected = curvature * (metric.inner(x, v, w) * u - metric.inner(x, u, w) * v)
    np.testing.assert_allclose(riemann(metric, x, u, v, w), expected, atol=1e-12)
    np.testing.assert_allclose(sectional(metric, x, u, v), curvature, atol=1e-12)
    ric, err = ricci(metric, x, v)
    np.testing.assert_allclose(ric, 2 * curvature * metric.inner(x, v, v), atol=1e-12)
    assert err == 0
    np.testing.assert_allclose(scalar(metric, x).value, 6 * curvature, atol=1e-12)


@pytest.mark.parametrize("conservative", [True, False])
@pytest.mark.parametrize("radius", [0.0, 0.7])
def test_the_paraboloid_of_a_gaussian(conservative, radius):
    """`K = c^2 / (1 + c^2 r^2)^2`, by Gauss' equation and by the Christoffel symbols."""
    lam, sigma = 1.7, 0.8
    c2 = lam / sigma**4
    exact = c2 / (1 + c2 * radius**2) ** 2
    metric = gaussian(lam, sigma, conservative=conservative)
    x = radius * jnp.array([0.6, -0.8])
    u, v = jnp.array([1.0, 0.2]), jnp.array([-0.3, 0.5])
    np.testing.assert_allclose(sectional(metric, x, u, v), exact, rtol=1e-12)
    np.testing.assert_allclose(ricci(metric, x, v).value, exact * metric.inner(x, v, v), rtol=1e-12)
    np.testing.assert_allclose(scalar(metric, x).value, 2 * exact, rtol=1e-12)
    np.testing.assert_allclose(sectional(4.0 * metric, x, u, v), exact / 4, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "metric",
    [
        SteinScoreMetric(gradient, 0.7, conservative=True),
        SteinScoreMetric(whirl, 1.3),
        two_scores(conservative=True),
        DenseMetric(matrix) + SteinScoreMetric(whirl, 0.4),
    ],
    ids=["conservative", "not conservative", "two scores", "dense and Stein"],
)
def test_symmetries(metric):
    """Those of the tensor, and the first Bianchi identity; the sectional curvature of a plane is
    that of any of its bases.
    """
    x, u, v, w, z = points((1, 2, 2), jnp.float64, 5)
    inner = eqx.filter_jit(metric.inner)

    def r(u, v, w, z):
        return inner(x, riemann(metric, x, u, v, w), z)

    value = r(u, v, w, z)
    tol = {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_allclose(r(v, u, w, z), -value, **tol)
    np.testing.assert_allclose(r(u, v, z, w), -value, **tol)
    np.testing.assert_allclose(r(w, z, u, v), value, **tol)
    cycle = riemann(metric, x, u, v, w) + riemann(metric, x, v, w, u) + riemann(metric, x, w, u, v)
    np.testing.assert_allclose(cycle, 0, atol=1e-9)
    assert abs(value) > 1e-3
    plane = sectional(metric, x, u, v)
    np.testing.assert_allclose(sectional(metric, x, 2 * u + v, v - 3 * u), plane, rtol=1e-9)
    area = inner(x, u, u) * inner(x, v, v) - inner(x, u, v) ** 2
    np.testing.assert_allclose(plane, r(u, v, v, u) / area, rtol=1e-9)


@pytest.mark.slow
def test_gauss_equation_agrees_with_the_christoffel_symbols():
    x, u, v, w = points((1, 4, 4), jnp.float64, 4)
    by_gauss = riemann(two_scores(conservative=True), x, u, v, w)
    expected = riemann(two_scores(conservative=False), x, u, v, w)
    np.testing.assert_allclose(by_gauss, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.slow
def test_probes_estimate_the_traces():
    metric = two_scores(conservative=True)
    x, v = points((1, 2, 3), jnp.float64, 2)
    probes = trace_probes(x.shape, 400, key=jax.random.key(1), dtype=x.dtype)
    for got, exact in (
        (ricci(metric, x, v, probes=probes), ricci(metric, x, v)),
        (scalar(metric, x, probes=probes), scalar(metric, x)),
    ):
        assert 0 < got.standard_error < 0.3 * abs(exact.value)
        assert abs(got.value - exact.value) < 4 * got.standard_error
    assert np.isnan(ricci(metric, x, v, probes=probes[:1]).standard_error)


@pytest.mark.slow
def test_curvature_is_differentiable():
    """With fixed probes it is a smooth function of the point, by forward and reverse mode."""
    metric, (x, v) = two_scores(conservative=True), points((3,), jnp.float64, 2)
    probes = trace_probes(x.shape, 4, key=jax.random.key(1))
    value = lambda x: scalar(metric, x, probes=probes).value  # noqa: E731
    slope = jax.jvp(value, (x,), (v,))[1]
    np.testing.assert_allclose(jnp.vdot(jax.grad(value)(x), v), slope, rtol=1e-9)
    difference = (value(x + 1e-5 * v) - value(x - 1e-5 * v)) / 2e-5
    np.testing.assert_allclose(difference, slope, rtol=1e-6)


def test_planes_without_curvature_and_bad_input():
    x, u, v = points((3,), jnp.float64, 3)
    metric = gaussian(1.0, 1.0, conservative=True)
    assert np.isnan(sectional(metric, x, u, -2 * u))
    assert np.isnan(sectional(metric, x, u, u + 1e-9 * v))
    assert np.isnan(sectional(metric, x, u, 0 * u))
    assert np.isfinite(sectional(metric, x, u, u + 1e-3 * v))
    assert float(geojax.sectional_curvature(geojax.Euclidean(), x, u, v)) == 0
    with pytest.raises(ValueError, match=r"probes must have shape \(num_probes >= 1, \*\(3,\)\)"):
        geojax.ricci_curvature(metric, x, u, probes=jnp.ones((4, 2)))
    with pytest.raises(ValueError, match="in pairs"):
        geojax.scalar_curvature(metric, x, probes=jnp.ones((3, 3)))
    with pytest.raises(ValueError, match="num_probes must be at least 1"):
        trace_probes((3,), 0, key=jax.random.key(0))
    single = metric.__class__(metric.score, jnp.float32(1), conservative=True)
    got = sectional(single, *(a.astype(jnp.float32) for a in (x, u, v)))
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, sectional(metric, x, u, v), rtol=1e-5)
