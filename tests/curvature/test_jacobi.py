"""Jacobi fields: constant curvature, conjugate points, finite differences, failures."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS, SteinScoreMetric
from tests.curvature.charts import Stereographic, constant
from tests.metrics.fields import points, whirl

TIGHT = {"rtol": 1e-11, "atol": 1e-11}
ONE_PIECE = {**TIGHT, "num_segments": 1}
STEIN = SteinScoreMetric(whirl, 1.0)


def exponential(x, v):
    return geojax.exponential_map(STEIN, x, v, **ONE_PIECE)


def jacobi(x, v, field, derivative):
    return geojax.jacobi_field(STEIN, x, v, field, derivative, **ONE_PIECE)


@pytest.mark.slow
@pytest.mark.parametrize("curvature", [1.0, -1.0, 0.0])
def test_across_a_geodesic_their_growth_follows_the_curvature(curvature):
    """With J(0) = 0 and DJ(0) = w orthogonal to x' the length of J is that of w times
    `sin(sqrt(K) |x'| t) / (sqrt(K) |x'|)`; along x' it is linear in t.
    """
    metric, (x, u, w) = constant(curvature), points((3,), jnp.float64)
    v = u / metric.norm(x, u)
    w = w - metric.inner(x, v, w) * v
    field = geojax.jacobi_field(metric, x, v, 0 * w, w + 0.5 * v, **ONE_PIECE)
    assert field.result == RESULTS.successful
    assert max(field.stats["energy_drift"], field.stats["gauss_defect"]) < 1e-8
    inner = jax.vmap(metric.inner)
    along = inner(field.xs, field.fields, field.vs)
    across = field.fields - along[:, None] * field.vs
    root = np.sqrt(complex(curvature))
    ts = np.asarray(field.ts)
    growth = (np.sin(root * ts) / root).real if curvature else ts
    rate = np.cos(root * ts).real
    np.testing.assert_allclose(along, 0.5 * field.ts, atol=1e-9)
    size = metric.norm(x, w)
    np.testing.assert_allclose(jnp.sqrt(inner(field.xs, across, across)), growth * size, atol=1e-9)
    slopes = field.derivatives - 0.5 * field.vs
    np.testing.assert_allclose(inner(field.xs, slopes, across), growth * rate * size**2, atol=1e-9)


@pytest.mark.slow
def test_the_antipode_is_conjugate():
    """On a unit sphere exp_x maps all v of length pi to one point: its derivative vanishes."""
    metric, (x, u, w) = constant(1.0), points((3,), jnp.float64)
    v = u / metric.norm(x, u)
    w = w - metric.inner(x, v, w) * v
    w = w / metric.norm(x, w)
    exp = lambda length: geojax.exponential_derivative(metric, x, length * v, w, **TIGHT)  # noqa: E731
    # The derivative with respect to the velocity length * v, hence sin(length) / length.
    antipode = -x / jnp.sum(x**2)
    np.testing.assert_allclose(metric.norm(antipode, exp(np.pi)), 0, atol=1e-6)
    end = geojax.exponential_map(metric, x, 2 * v, **ONE_PIECE).curve.xs[-1]
    np.testing.assert_allclose(metric.norm(end, exp(2.0)), np.sin(2) / 2, atol=1e-9)


@pytest.mark.slow
def test_it_is_the_derivative_of_the_geodesic():
    """With respect to both the velocity and the point, against central differences."""
    x, v, w, shift = map(np.asarray, points((1, 2, 2), jnp.float64, 4))
    end = lambda h: np.asarray(exponential(x + h * shift, v + h * w).curve.xs[-1])  # noqa: E731
    field = jacobi(x, v, shift, w + eqx.filter_jit(STEIN.christoffel)(x, v, shift))
    np.testing.assert_allclose(field.fields[-1], (end(1e-4) - end(-1e-4)) / 2e-4, atol=1e-7)
    exact = lambda v: geojax.exponential_derivative(STEIN, x, v, w, **TIGHT)  # noqa: E731
    end = lambda h: np.asarray(exponential(x, v + h * w).curve.xs[-1])  # noqa: E731
    np.testing.assert_allclose(exact(v), (end(1e-4) - end(-1e-4)) / 2e-4, atol=1e-7)
    np.testing.assert_allclose(exact(0 * v), w, atol=1e-12)  # the identity to first order


@pytest.mark.slow
def test_the_jacobi_equation_holds():
    """`D^2 J / dt^2 = -R(J, x') x'`: the second derivative at the start by differences."""
    x, v, j, dj = map(np.asarray, points((1, 2, 2), jnp.float64, 4))

    def derivative_at(h):
        """DJ at time h, carried back to the start."""
        end = np.asarray(jacobi(x, h * v, j, h * dj).derivatives[-1]) / h
        line = exponential(x, h * v)
        back = geojax.parallel_transport(STEIN, line, end, ts=np.asarray(line.curve.ts)[::-1])
        return np.asarray(back.vector)

    second = (derivative_at(1e-3) - derivative_at(-1e-3)) / 2e-3
    expected = -jax.jit(partial(geojax.riemann_curvature, STEIN))(x, j, v, v)
    np.testing.assert_allclose(second, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_single_precision():
    metric, args = constant(1.0), points((3,), jnp.float32)
    single = geojax.DenseMetric(Stereographic(jnp.float32(1.0)))
    got = geojax.exponential_derivative(single, *args)
    assert got.dtype == jnp.float32
    expected = geojax.exponential_derivative(metric, *points((3,), jnp.float64), **TIGHT)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def fast(metric, **options):
    x, v, w = points((1, 2, 2), jnp.float64)
    return geojax.jacobi_field(metric, x, 3 * v, 0 * w, w, **ONE_PIECE, **options)


def test_failures_are_results():
    undefined = SteinScoreMetric(whirl, jnp.nan * STEIN.lam)
    assert fast(undefined, throw=False).result == RESULTS.non_finite
    with pytest.raises(RuntimeError, match="not finite"):
        fast(undefined)
    x, v, w = points((1, 2, 2), jnp.float64)
    with pytest.raises(ValueError, match="num_segments must be at least 1"):
        geojax.jacobi_field(STEIN, x, v, w, w, num_segments=0)
    with pytest.raises(ValueError, match="x0, v0, field and derivative must have one shape"):
        geojax.jacobi_field(STEIN, x, v, w, w[0])


@pytest.mark.slow
def test_failures_with_programs_of_their_own_are_results():
    x, v, w = points((1, 2, 2), jnp.float64)
    claim = SteinScoreMetric(whirl, 1.0, conservative=True)
    assert fast(claim, throw=False).result == RESULTS.energy_drift
    assert fast(STEIN, max_steps=2, throw=False).result == RESULTS.integration_stopped
    options = {**TIGHT, "max_steps": 2, "throw": False}
    lost = geojax.exponential_derivative(STEIN, x, 3 * v, w, **options)
    assert np.isnan(lost).all()
    with pytest.raises(RuntimeError, match="used up its steps"):
        fast(STEIN, max_steps=2)
