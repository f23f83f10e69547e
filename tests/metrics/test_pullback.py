"""Metrics pulled back from a decoder's image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import PullbackMetric
from tests.metrics.fields import points


def helicoid(x, args=None):
    u, v = x
    return jnp.stack([u * jnp.cos(v), u * jnp.sin(v), v])


def test_it_is_the_first_fundamental_form():
    """Of the helicoid: diag(1, 1 + u^2); with its known geodesic equation."""
    x, v, _ = points((2,), jnp.float64)
    metric = PullbackMetric(helicoid)
    padded = PullbackMetric(helicoid, eps=0.5)

    @jax.jit
    def figures(x, v):
        return metric.as_matrix(x), metric.acceleration(x, v), metric.flat(x, v), padded.flat(x, v)

    x, v = np.asarray(x), np.asarray(v)
    matrix, acceleration, flat, with_eps = figures(x, v)
    np.testing.assert_allclose(matrix, np.diag([1, 1 + x[0] ** 2]), atol=1e-14)
    expected = [x[0] * v[1] ** 2, -2 * x[0] / (1 + x[0] ** 2) * v[0] * v[1]]
    np.testing.assert_allclose(acceleration, expected, rtol=1e-9)
    np.testing.assert_allclose(with_eps, np.asarray(flat) + v / 2, rtol=1e-12)


def test_rulings_are_geodesics():
    metric = PullbackMetric(helicoid)
    a, b = jnp.array([-1.0, 0.5]), jnp.array([2.0, 0.5])
    solution = geojax.exponential_map(metric, a, b - a, num_segments=2)
    np.testing.assert_allclose(solution.curve.xs[-1], b, atol=1e-7)
    np.testing.assert_allclose(solution.length, 3.0, rtol=1e-12)


def test_where_the_decoder_is_flat_the_inverse_is_nan():
    metric = PullbackMetric(lambda x, args: x[:1])
    x, v = jnp.zeros(2), jnp.ones(2)
    assert jnp.all(jnp.isnan(metric.sharp(x, v)))
    padded = PullbackMetric(lambda x, args: x[:1], eps=0.25)
    np.testing.assert_allclose(padded.sharp(x, v), [0.8, 4.0])


@pytest.mark.slow
def test_a_half_precision_decoder_leaves_the_geometry_in_the_points_dtype():
    rows = jax.random.normal(jax.random.key(0), (5, 3), jnp.bfloat16)
    metric = PullbackMetric(lambda x, args: jnp.tanh(rows @ x.astype(jnp.bfloat16)), eps=1.0)
    x, v, w = points((3,), jnp.float32)
    assert metric.flat(x, v).dtype == metric.inner(x, v, w).dtype == jnp.float32
    assert {part.dtype for part in metric.root(x, v)} == {jnp.dtype("float32")}


def test_args_reach_the_decoder():
    metric = PullbackMetric(lambda x, args: args * x)
    np.testing.assert_allclose(metric.flat(jnp.zeros(2), jnp.ones(2), 3.0), [9.0, 9.0])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: PullbackMetric(jnp.eye(2)), "decoder must be a callable"),
        (lambda: PullbackMetric(helicoid, -1.0), "eps must be a finite number >= 0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
