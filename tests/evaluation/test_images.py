"""PSNR and SSIM against scikit-image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.evaluation import psnr, ssim

skimage = pytest.importorskip("skimage.metrics", reason="needs scikit-image (the extra `test`)")

X, NOISE = jax.random.uniform(jax.random.key(0), (2, 3, 28, 20), minval=-1.0)
Y = jnp.clip(X + 0.3 * NOISE, -1, 1)


@pytest.mark.parametrize("data_range", [1.0, 2.0, 255.0])
def test_psnr_is_scikit_image_s(data_range):
    expected = skimage.peak_signal_noise_ratio(np.array(X), np.array(Y), data_range=data_range)
    np.testing.assert_allclose(psnr(X, Y, data_range), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "window, options",
    [
        ("gaussian", {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}),
        ("uniform", {}),
    ],
)
@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_ssim_is_scikit_image_s(window, options, data_range):
    expected = skimage.structural_similarity(
        np.array(X), np.array(Y), data_range=data_range, channel_axis=0, **options
    )
    found = jax.jit(lambda x, y: ssim(x, y, data_range, window=window))(X, Y)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_equal_images():
    assert psnr(X, X) == jnp.inf
    np.testing.assert_allclose(ssim(X, X), 1.0)


def test_both_can_be_mapped_and_differentiated():
    pairs = np.stack([X, Y]), np.stack([Y, Y])
    for measure, most in ((psnr, np.inf), (ssim, 1.0)):
        value, slope = (both := jax.jit(jax.value_and_grad(measure, argnums=1)))(X, Y)
        mapped = jax.jit(jax.vmap(measure))(*pairs)
        np.testing.assert_allclose(mapped, [value, most], rtol=1e-12)
        assert both(X, Y + 1e-3 * np.asarray(slope))[0] > value


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: psnr(X, X, 0.0), "data_range must be positive, got 0.0"),
        (lambda: ssim(X, X, -1.0), "data_range must be positive, got -1.0"),
        (lambda: ssim(X[:, :10], X[:, :10]), r"at least 11 x 11 .*, got 10 x 20"),
        (lambda: ssim(X, X, window="box"), "window must be 'gaussian' or 'uniform', got 'box'"),
    ],
)
def test_impossible_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
