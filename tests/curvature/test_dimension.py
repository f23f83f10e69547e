"""The intrinsic dimension of spheres whose noised scores are exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax import GaussianMixture, NoisedSphere, intrinsic_dimension
from geojax.scores import random_embedding

TS = jnp.array([0.02, 0.05, 0.2, 0.9])
KEY = jax.random.key(3)


def sphere(dim, ambient):
    rows = random_embedding(dim + 1, ambient, key=KEY)
    return NoisedSphere(jnp.asarray(2.0), dim=dim + 1, embedding=rows), 2 * rows[0]


@pytest.mark.slow
@pytest.mark.parametrize("dim, ambient", [pytest.param(1, 12, marks=pytest.mark.slow), (7, 40)])
def test_spheres(dim, ambient):
    """Below the radius the noise shows the dimension; where it drowns the sphere none is given."""
    score, x0 = sphere(dim, ambient)
    found = intrinsic_dimension(score, x0, TS, key=KEY, num_values=12)
    np.testing.assert_array_equal(found.dimension[:2], dim)
    np.testing.assert_array_equal(found.clear, [True, True, found.clear[2], False])
    assert np.isnan(found.dimension[3]) and found.gap[3] < 0.1
    assert found.spectrum.shape == (4, 12)
    assert abs(found.passed[0] - dim) < 0.05 * dim and found.passed[3] < 0.1
    # Eigenvalues of the score's Jacobian: -1 / sigma^2 normal to the sphere, O(1) tangent to it.
    sigma = score.schedule.sigma(TS[0])
    eigenvalues = np.asarray(found.spectrum[0] - 1) / sigma**2
    assert np.all(np.abs(eigenvalues[:dim]) < dim + 2)
    np.testing.assert_allclose(eigenvalues[dim + 1 :] * sigma**2, -1, atol=1e-6)


@pytest.mark.slow
def test_the_spectrum_is_that_of_the_dense_jacobian():
    """A few values by subspace iteration, all of them exactly, the trace either way."""
    means = jax.random.normal(KEY, (5, 2, 3, 4))
    score = GaussianMixture(means, scales=0.5)
    x0, ts = means[0], jnp.array([0.1, 0.3])
    some = intrinsic_dimension(score, x0, ts, key=KEY, num_values=6, num_iterations=6)
    full = intrinsic_dimension(score, x0, ts, key=KEY, num_values=99, batch_size=5)
    noise = jax.random.normal(jax.random.split(KEY, 3)[0], x0.shape)

    @jax.jit
    def scaled_jacobian(t):
        x = score.schedule.add_noise(x0, noise, t)
        return score.schedule.sigma(t) ** 2 * jax.jacfwd(score)(x, t).reshape(24, 24)

    for i, t in enumerate(ts):
        dense = np.eye(24) + np.asarray(scaled_jacobian(t))
        values = np.linalg.svd(dense, compute_uv=False)
        np.testing.assert_allclose(full.spectrum[i], values, atol=1e-10)
        np.testing.assert_allclose(some.spectrum[i], values[:6], rtol=1e-2)
        np.testing.assert_allclose(full.passed[i], np.trace(dense), rtol=1e-8)
        assert abs(some.passed[i] - np.trace(dense)) <= 4 * some.passed_error[i]


@pytest.mark.slow
def test_spectra_without_a_gap():
    """Data as thick as the noise in every direction, or of more dimensions than are looked at; a
    complete spectrum of ones is a full dimension.
    """
    score, x0 = sphere(7, 40)
    few = intrinsic_dimension(score, x0, TS[:2], key=KEY, num_values=5)
    assert not few.clear.any() and np.isnan(few.dimension).all()
    np.testing.assert_allclose(few.passed, 7, atol=1)
    ts = jnp.array([0.02, 0.4])
    dimension = lambda scale: intrinsic_dimension(  # noqa: E731
        GaussianMixture(jnp.zeros((1, 12)), scales=jnp.asarray(scale)), jnp.zeros(12), ts, key=KEY
    )
    np.testing.assert_array_equal(dimension(1.0).dimension, [12, np.nan])
    lost = dimension(jnp.nan)
    assert not lost.clear.any() and np.isnan(lost.dimension).all()


def test_bad_input_is_refused():
    score, x0 = sphere(1, 12)
    for ts, options, text in (
        (jnp.zeros(()), {}, r"shape \(levels,\), got \(\)"),
        (TS, {"num_values": 1}, "num_values must be at least 2"),
        (TS, {"num_probes": 0}, "num_probes must be at least 1"),
        (TS, {"num_iterations": -1}, "num_iterations must be at least 0"),
    ):
        with pytest.raises(ValueError, match=text):
            intrinsic_dimension(score, x0, ts, key=KEY, **options)
    with pytest.raises(RuntimeError, match=r"ts must lie in \(0, 1\]"):
        intrinsic_dimension(score, x0, jnp.array([0.0]), key=KEY)
