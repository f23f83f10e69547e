"""Curves read at one time and at several."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.geodesics import Polyline

METRIC = geojax.metrics.PoincareBall()
LINE = Polyline(jnp.array([0.0, 0.25, 1.0]), jnp.array([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
TS = np.array([0.125, 0.625])  # as many as coordinates


@functools.cache
def shot():
    return geojax.exponential_map(METRIC, jnp.array([0.1, 0.2]), jnp.array([0.3, -0.1])).curve


CURVES = {"polyline": lambda: LINE, "integrated": shot}


@pytest.mark.slow
def test_a_polyline_at_several_times():
    np.testing.assert_allclose(LINE.evaluate(TS), [[1.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(LINE.evaluate(jnp.asarray(TS), jnp.ones(2)), [[0, 0.5], [0.5, 0]])


@pytest.mark.slow
@pytest.mark.parametrize("name", CURVES)
def test_several_times_are_each_time(name):
    curve = CURVES[name]()
    for read in [curve.evaluate, getattr(curve, "velocity", curve.evaluate)]:
        one_by_one = np.stack([read(float(t)) for t in TS])
        np.testing.assert_allclose(read(TS), one_by_one)
        np.testing.assert_allclose(read(jnp.asarray(TS, jnp.float32)), one_by_one, rtol=1e-6)
        np.testing.assert_allclose(jax.vmap(read)(jnp.asarray(TS)), one_by_one)
        assert read(jnp.linspace(0, 1, 5)).shape == (5, 2) and read(0).shape == (2,)
        with pytest.raises(ValueError, match=r"shape \(times,\), got \(2, 1\)"):
            read(TS[:, None])


def test_images_at_as_many_times_as_pixels():
    ends = jnp.zeros((1, 4, 4)), jnp.ones((1, 4, 4))
    curve = Polyline(jnp.array([0.0, 1.0]), jnp.stack(ends))
    ts = jnp.array([0.1, 0.2, 0.3, 0.9])
    np.testing.assert_allclose(curve.evaluate(ts), jnp.tile(ts[:, None, None, None], (1, 1, 4, 4)))
