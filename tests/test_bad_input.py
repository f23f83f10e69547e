"""Errors of bad input name the argument, the value and the remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import models

MIXTURE = geojax.GaussianMixture(jnp.array([[-1.0, 0.0], [1.0, 0.0]]), scales=0.5)
A, B = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])


def minus(x, args):
    return -x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: geojax.SteinScoreMetric(MIXTURE), "score.at"),
        (lambda: geojax.SteinScoreMetric(minus, jnp.array(-1.0)), "lam must be a finite number"),
        (lambda: geojax.SteinScoreMetric(minus, np.float32(np.nan)), "lam must be a finite"),
        (lambda: jnp.array(-2.0) * geojax.SteinScoreMetric(minus), "number > 0, got -2"),
        (lambda: MIXTURE.at(400), r"t must lie in \[0, 1\], got 400"),
        (lambda: MIXTURE.at(jnp.array(1.5)), r"t must lie in \[0, 1\], got 1.5"),
        (lambda: geojax.GaussNewton(rtol=0.0), "rtol must lie between 0 and 1"),
        (lambda: geojax.GaussNewton(damping=-1.0), "damping must be a finite number >= 0"),
        (
            lambda: geojax.exponential_map(geojax.Euclidean(), A, B, rtol=0.0),
            "rtol must lie between 0 and 1",
        ),
        (
            lambda: geojax.exponential_map(geojax.Euclidean(), A, B, atol=-1.0),
            "atol must lie between 0 and 1",
        ),
        (
            lambda: geojax.SteinScoreMetric(minus).flat(jnp.array([1j, 0]), jnp.array([1, 0])),
            "x must be real, got complex128",
        ),
    ],
)
def test_bad_input_has_a_message(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
def test_traced_numbers_are_taken_as_they_are():
    length = jax.jit(
        lambda t, lam: geojax.SteinScoreMetric(MIXTURE.at(t), lam).norm(jnp.ones(2), jnp.ones(2))
    )
    given = geojax.SteinScoreMetric(MIXTURE.at(0.2), 2.0).norm(jnp.ones(2), jnp.ones(2))
    np.testing.assert_allclose(length(0.2, 2.0), given, rtol=1e-12)


def test_integers_are_not_cut_off():
    """Means and data of integers, as the same numbers in floating point."""
    whole, real, x = jnp.array([[0, 0], [2, 0]]), jnp.array([[0.0, 0.0], [2.0, 0.0]]), jnp.ones(2)
    mixture = geojax.GaussianMixture
    np.testing.assert_array_equal(mixture(whole, 0.5)(x, 0.3), mixture(real, 0.5)(x, 0.3))
    data = geojax.Empirical
    np.testing.assert_array_equal(data(whole)(x, 0.3), data(real)(x, 0.3))


@pytest.mark.slow
def test_a_traced_label_below_zero_is_none_of_the_classes():
    score = models.load("rotated_mnist")
    x = jnp.zeros((1, 28, 28))
    assert jnp.all(jnp.isnan(jax.jit(lambda label: score(x, 0.4, label))(-1)))


def test_a_config_without_a_score_has_a_message(tmp_path):
    config = {k: v for k, v in models.describe("rotated_mnist").items() if k != "shape"}
    digits = np.zeros((4, 28, 28), np.uint8)
    with pytest.raises(ValueError, match="config does not describe a known score: KeyError"):
        models.train(config, digits, np.zeros(4, np.uint8), tmp_path, num_steps=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_length_of_no_motion_has_a_derivative():
    metric = geojax.SteinScoreMetric(minus)
    length = lambda v: geojax.exponential_map(metric, A, v).length  # noqa: E731
    np.testing.assert_array_equal(jax.grad(length)(jnp.zeros(2)), 0.0)
