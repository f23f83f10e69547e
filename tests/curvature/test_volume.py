"""The volume element, by determinant and by Lanczos quadrature."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import DenseMetric, SteinScoreMetric
from geojax.curvature import estimate_log_volume_element, trace_probes
from tests.curvature.charts import constant
from tests.metrics.fields import matrix, points, whirl


def test_it_is_the_root_of_the_determinant():
    (x,) = points((1, 2, 3), jnp.float64, 1)
    metric = SteinScoreMetric(whirl, 2.0)
    figures = (
        metric.as_matrix,
        *(partial(f, metric) for f in (geojax.volume_element, geojax.log_volume_element)),
    )
    matrix, element, logarithm = jax.jit(lambda x: [f(x) for f in figures])(x)
    exact = np.sqrt(np.linalg.det(matrix))
    np.testing.assert_allclose(element, exact, rtol=1e-12)
    np.testing.assert_allclose(logarithm, np.log(exact), rtol=1e-12)


def test_it_integrates_to_the_volume():
    """In polar coordinates of the chart: the unit sphere's area is 4 pi."""
    radii, step = np.linspace(0, 60, 60_001, retstep=True)
    points = np.stack([radii, np.zeros(len(radii))], axis=1)
    element = jax.jit(jax.vmap(partial(geojax.volume_element, constant(1.0))))(points)
    area = np.trapezoid(np.asarray(element) * 2 * np.pi * radii, dx=step)
    cut_off = 4 * np.pi / (1 + 60**2)  # around the pole that the chart leaves out
    np.testing.assert_allclose(area + cut_off, 4 * np.pi, rtol=1e-6)


@pytest.mark.parametrize(
    "metric, steps",
    [(DenseMetric(matrix), 24), (SteinScoreMetric(whirl, 2.0), 3), (DenseMetric(matrix), 12)],
    ids=["all steps", "two distinct eigenvalues", "half the steps"],
)
def test_lanczos_quadrature(metric, steps):
    """The quadrature is exact once the steps reach the number of distinct eigenvalues; what is
    left is the error of the probes, which a complete orthogonal set has not.
    """
    (x,) = points((2, 3, 4), jnp.float64, 1)
    basis = np.sqrt(x.size) * np.linalg.qr(np.random.default_rng(0).normal(size=(24, 24)))[0]
    estimate = eqx.filter_jit(estimate_log_volume_element)
    complete = jnp.asarray(basis).reshape(24, *x.shape)
    exact = jax.jit(partial(geojax.log_volume_element, metric))(x)
    got = estimate(metric, x, complete, num_steps=steps)
    np.testing.assert_allclose(got.value, exact, rtol=1e-3 if steps == 12 else 1e-10)
    probes = trace_probes(x.shape, 24, key=jax.random.key(0))
    got = estimate(metric, x, probes, num_steps=steps)
    assert 0 < got.standard_error < abs(exact)
    assert abs(got.value - exact) < 4 * got.standard_error


def test_bad_input_is_refused():
    metric, x = SteinScoreMetric(whirl, 2.0), jnp.ones(3)
    with pytest.raises(ValueError, match="probes must have shape"):
        estimate_log_volume_element(metric, x, jnp.ones((2, 4)))
    with pytest.raises(ValueError, match="num_steps must be at least 1"):
        estimate_log_volume_element(metric, x, jnp.ones((2, 3)), num_steps=0)
