"""The data: turning an image, and reading MNIST with its checksums."""

import gzip
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models import from_pixels, load_mnist, rotate, rotated_batch, to_pixels

IMAGE = jax.random.uniform(jax.random.key(0), (28, 28), minval=-1.0)


@pytest.mark.parametrize("quarters", [1, 2, 3, 4, -1])
def test_quarter_turns_are_exact_and_counter_clockwise(quarters):
    turned = rotate(IMAGE, quarters * math.pi / 2)
    np.testing.assert_allclose(turned, jnp.rot90(IMAGE, quarters), atol=1e-12)


def test_odd_sizes_turn_about_their_centre():
    image = IMAGE[:9, :9]
    np.testing.assert_allclose(rotate(image, math.pi / 2), jnp.rot90(image), atol=1e-12)


def test_a_turn_by_zero_changes_nothing():
    np.testing.assert_array_equal(rotate(IMAGE, 0.0), IMAGE)


def test_pixels_from_outside_have_the_fill_value():
    turned = rotate(jnp.ones((28, 28)), math.pi / 4, fill=-1.0)
    np.testing.assert_allclose(turned[0, 0], -1.0)
    np.testing.assert_allclose(turned[14, 14], 1.0)


def test_rotation_is_differentiable_in_the_angle():
    def height(angle):
        return jnp.vdot(IMAGE, rotate(IMAGE, angle))

    difference = (height(0.3 + 1e-6) - height(0.3 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.grad(height)(0.3), difference, rtol=1e-5)


@pytest.mark.slow
def test_rotated_batch_is_rotate_with_a_channel():
    pixels = to_pixels(IMAGE)[None]
    angles = jnp.asarray([0.7])
    batch = rotated_batch(jnp.asarray(pixels), angles)
    assert batch.shape == (1, 1, 28, 28)
    np.testing.assert_allclose(batch[0, 0], rotate(from_pixels(pixels)[0], 0.7), atol=1e-12)
    assert rotated_batch(jnp.asarray(pixels), angles.astype(jnp.float32)).dtype == jnp.float32


def test_pixels_there_and_back():
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_pixels(from_pixels(pixels)), pixels)
    assert to_pixels(jnp.asarray([-3.0, 3.0])).tolist() == [0, 255]


@pytest.mark.parametrize("split, n, first", [("train", 60_000, 5), ("test", 10_000, 7)])
def test_mnist(split, n, first, data_file):
    images, labels = load_mnist(split, data_dir=data_file("mnist").parent)
    assert images.shape == (n, 28, 28)
    assert labels.shape == (n,)
    assert labels[0] == first
    again, _ = load_mnist(split, data_dir=data_file("mnist"))
    np.testing.assert_array_equal(again, images)


def test_an_unknown_split():
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'val'"):
        load_mnist("val")


def test_a_missing_file(tmp_path, monkeypatch):
    message = "no t10k-images-idx3-ubyte.gz in .* or its folder mnist"
    with pytest.raises(FileNotFoundError, match=message):
        load_mnist("test", data_dir=tmp_path)
    monkeypatch.setenv("GEOJAX_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=message):
        load_mnist("test")


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"not digits"), b"not even gzip", b""],
    ids=["other content", "not gzip", "empty"],  # gzip writes the time, and workers must agree
)
def test_a_corrupted_file(tmp_path, content):
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    message = "t10k-images-idx3-ubyte.gz does not hold MNIST's .* Delete it and try again"
    with pytest.raises(ValueError, match=message):
        load_mnist("test", data_dir=tmp_path)
