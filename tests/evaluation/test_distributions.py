"""Fréchet and kernel distances against closed forms and plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from geojax.evaluation import (
    frechet_distance,
    gaussian_frechet_distance,
    kernel_distance,
)
from geojax.evaluation._distributions import unbiased_discrepancy

A = jax.random.normal(jax.random.key(0), (60, 5))
B = 0.7 * jax.random.normal(jax.random.key(1), (80, 5)) + 0.3


def test_frechet_distance_is_that_of_the_matrix_root():
    (m_a, c_a), (m_b, c_b) = ((np.mean(x, 0), np.cov(x, rowvar=False)) for x in (A, B))
    root = scipy.linalg.sqrtm(c_a @ c_b).real
    expected = np.sum((m_a - m_b) ** 2) + np.trace(c_a + c_b - 2 * root)
    np.testing.assert_allclose(frechet_distance(A, B), expected, rtol=1e-9)


def test_frechet_distance_of_gaussians_whose_covariances_commute():
    scales_a, scales_b = jnp.asarray([1.0, 2.0, 0.0]), jnp.asarray([3.0, 0.5, 0.0])
    rotation, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(2), (3, 3)))
    means = jnp.zeros(3), jnp.asarray([1.0, 2.0, -1.0])
    a, b = (rotation @ jnp.diag(s**2) @ rotation.T for s in (scales_a, scales_b))
    found = gaussian_frechet_distance(means[0], a, means[1], b)
    np.testing.assert_allclose(found, 6 + 4 + 1.5**2, rtol=1e-9)
    np.testing.assert_allclose(gaussian_frechet_distance(means[0], a, means[0], a), 0, atol=1e-6)


def test_one_feature():
    np.testing.assert_allclose(
        frechet_distance(A[:, :1], 2 * A[:, :1]),
        np.mean(A[:, 0]) ** 2 + np.var(A[:, 0], ddof=1),
    )


def test_unbiased_discrepancy_is_the_mean_over_pairs():
    a, b = np.asarray(A[:6]), np.asarray(B[:4])

    def mean(x, y, skip):
        pairs = [(i, j) for i in range(len(x)) for j in range(len(y)) if not (skip and i == j)]
        return np.mean([(x[i] @ y[j] / 5 + 1) ** 3 for i, j in pairs])

    expected = mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)
    np.testing.assert_allclose(unbiased_discrepancy(A[:6], B[:4]), expected, rtol=1e-10)


def test_the_standard_error_is_what_repetition_finds():
    """Many pairs of sets from one distribution: z-scores of about unit spread about 0."""

    def one(key):
        keys = jax.random.split(key, 3)
        a, b = (jax.random.normal(k, (100, 3)) for k in keys[:2])
        found = kernel_distance(a, b + 0.5, key=keys[2], num_subsets=30, subset_size=20)
        return found.value, found.standard_error

    values, errors = jax.lax.map(one, jax.random.split(jax.random.key(3), 60))
    truth = np.mean(values)
    ratio = np.mean(errors) / np.std(values)
    assert 0.7 < ratio < 1.5
    assert np.mean(np.abs(values - truth) < 2 * errors) > 0.75
    same = kernel_distance(A, A + 0.0, key=jax.random.key(0))
    assert same.value < 3 * same.standard_error


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: frechet_distance(A, B[:1]), "at least 2 features, got 60 and 1"),
        (lambda: kernel_distance(A, B, key=jax.random.key(0), subset_size=31), "smaller set, 30"),
        (lambda: kernel_distance(A, B, key=jax.random.key(0), num_subsets=1), "at least 2, got 1"),
    ],
)
def test_impossible_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
