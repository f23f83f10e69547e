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
    np.testing.assert_allclose(jax.jit(frechet_distance)(A, B), expected, rtol=1e-9)


def test_frechet_distance_of_gaussians_whose_covariances_commute():
    scales_a, scales_b = np.asarray([1.0, 2.0, 0.0]), np.asarray([3.0, 0.5, 0.0])
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    means = jnp.zeros(3), jnp.asarray([1.0, 2.0, -1.0])
    a, b = (jnp.asarray(rotation @ np.diag(s**2) @ rotation.T) for s in (scales_a, scales_b))
    distance = jax.jit(gaussian_frechet_distance)
    np.testing.assert_allclose(distance(means[0], a, means[1], b), 6 + 4 + 1.5**2, rtol=1e-9)
    np.testing.assert_allclose(distance(means[0], a, means[0], a), 0, atol=1e-6)


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
    np.testing.assert_allclose(jax.jit(unbiased_discrepancy)(a, b), expected, rtol=1e-10)


@pytest.mark.slow
def test_the_standard_error_agrees_with_repetitions():
    """Many pairs of sets from one distribution: z-scores of about unit spread about 0."""

    def one(key):
        keys = jax.random.split(key, 3)
        a, b = (jax.random.normal(k, (100, 3)) for k in keys[:2])
        found = kernel_distance(a, b + 0.5, key=keys[2], num_subsets=30, subset_size=20)
        return found.value, found.standard_error

    values, errors = jax.lax.map(one, jax.random.split(jax.random.key(3), 60))
    values, errors = np.asarray(values), np.asarray(errors)
    truth = np.mean(values)
    ratio = np.mean(errors) / np.std(values)
    assert 0.7 < ratio < 1.5
    assert np.mean(np.abs(values - truth) < 2 * errors) > 0.75
    same = kernel_distance(A, A + 0.0, key=jax.random.key(0))
    assert same.value < 3 * same.standard_error


def nuclear(a, b):
    """The Fréchet distance by the nuclear norm of the centred features, in float64 by NumPy."""
    centred = [(x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (a, b)]
    norm = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    squares = sum(np.sum(x**2) for x in centred)
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + squares - 2 * norm


@pytest.mark.parametrize("sizes", [(8, 8, 24), (8, 12, 24), (40, 8, 24), (60, 40, 24)])
def test_frechet_distance_in_float32(sizes):
    """With fewer features than dimensions too, and for features far from 0."""
    n, m, d = sizes
    rng = np.random.default_rng(1)
    for offset, slack in ((0.0, 2e-6), (1000.0, 2e-3)):
        # A constant feature, as those that never fire.
        a, b = rng.standard_normal((n, d)), 1.3 * rng.standard_normal((m, d)) + 0.2
        a[:, 0] = b[:, 0] = 0.5
        a, b = (np.float32(x + offset) for x in (a, b))
        distance = jax.jit(frechet_distance)
        found = distance(a, b)
        expected = nuclear(a.astype(np.float64), b.astype(np.float64))
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, rtol=slack * 10)
        assert 0 <= distance(a, a) < 1e-6


def test_frechet_distance_of_singular_covariances_in_float32():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((6, 16)), rng.standard_normal((40, 16))
    moments = [
        [jnp.asarray(x, jnp.float32) for x in (y.mean(0), np.cov(y, rowvar=False))] for y in (a, b)
    ]
    distance = jax.jit(gaussian_frechet_distance)
    found = distance(*moments[0], *moments[1])
    np.testing.assert_allclose(found, nuclear(a, b), rtol=1e-4)
    for own in moments:
        assert 0 <= distance(*own, *own) < 1e-4


def test_the_gradient_of_the_frechet_distance():
    """Against differences, for more and for fewer features than dimensions, by both sets."""
    wide, many, other = np.random.default_rng(5).normal(size=(4, 5)), np.asarray(A), np.asarray(B)
    # A constant feature makes the factors singular.
    tall = np.concatenate([np.ones((60, 1)), many[:, 1:]], axis=1)
    both = jax.jit(jax.value_and_grad(frechet_distance, (0, 1)))
    for a, b in ((wide, other), (tall, other), (many, wide)):
        da, db = np.cos(3 * a + 1), np.sin(2 * b)
        at = lambda t, a=a, b=b, da=da, db=db: both(a + t * da, b + t * db)[0]  # noqa: E731
        by_a, by_b = both(a, b)[1]
        slope = np.sum(by_a * da) + np.sum(by_b * db)
        step = 1e-5
        np.testing.assert_allclose(slope, (at(step) - at(-step)) / (2 * step), rtol=1e-5)


def test_the_kernel_distance_of_features_far_from_zero():
    """In float32 as in float64: what cancels is left out."""
    rng = np.random.default_rng(3)
    a, b = (np.float32(300 + rng.standard_normal((n, 8)) * s) for n, s in ((50, 1.0), (40, 1.2)))
    found = jax.jit(unbiased_discrepancy)(a, b)
    kernel = lambda x, y: (np.longdouble(x) @ np.longdouble(y).T / 8 + 1) ** 3  # noqa: E731
    same = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(a, a), kernel(b, b))]
    expected = float(sum(same) - 2 * kernel(a, b).mean())
    scale = 3 * 300.0**4 * 8  # what one pair contributes
    np.testing.assert_allclose(found, expected, atol=1e-6 * scale)
    assert abs(expected) < 0.1 * scale


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
