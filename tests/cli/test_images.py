"""Image files of every kind become what the model takes, with a notice of each conversion."""

import numpy as np
import pytest
from PIL import Image

from geojax.cli._images import read_image

SHAPE = (1, 8, 8)


def save(tmp_path, image, name="a.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_what_fits_is_left_alone(tmp_path):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    array, notices = read_image(save(tmp_path, Image.fromarray(pixels)), SHAPE)
    np.testing.assert_allclose(array[0], pixels / 127.5 - 1)
    assert notices == []


def test_colour_size_and_proportions(tmp_path):
    pixels = np.full((16, 4, 3), 10, np.uint8)
    pixels[4:12] = [0, 200, 0]
    array, notices = read_image(save(tmp_path, Image.fromarray(pixels)), SHAPE)
    assert notices == ["a.png: colour made grey, 4 x 16 resized and padded to 8 x 8."]
    assert array.shape == SHAPE
    assert np.max(array[0, :, 3:5]) > -0.5
    np.testing.assert_allclose(array[0, :, :2], 10 / 127.5 - 1)  # padded with the border's colour


def test_grey_saved_as_colour_needs_no_notice(tmp_path):
    image = Image.fromarray(np.full((8, 8), 20, np.uint8)).convert("RGB")
    assert read_image(save(tmp_path, image), SHAPE)[1] == []


def test_transparency_and_sixteen_bits(tmp_path):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    array, notices = read_image(save(tmp_path, image), SHAPE)
    np.testing.assert_allclose(array, 1)
    assert "transparency laid on white" in notices[0]
    deep = Image.fromarray(np.full((8, 8), 65535 // 5, np.uint16))
    array, notices = read_image(save(tmp_path, deep), SHAPE)
    np.testing.assert_allclose(array, 51 / 127.5 - 1)
    assert "more than 8 bits a pixel scaled to 8" in notices[0]


def test_dark_on_light_is_noticed_and_can_be_turned(tmp_path):
    pixels = np.full((8, 8), 255, np.uint8)
    pixels[3:5, 3:5] = 0
    path = save(tmp_path, Image.fromarray(pixels))
    array, notices = read_image(path, SHAPE)
    assert "--invert" in notices[0]
    assert array[0, 0, 0] == 1
    array, notices = read_image(path, SHAPE, invert=True)
    assert notices == []
    assert (array[0, 0, 0], array[0, 3, 3]) == (-1, 1)


def test_a_model_of_colour_images(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 0] = 255
    array, notices = read_image(save(tmp_path, Image.fromarray(pixels)), (3, 8, 8))
    assert notices == []
    np.testing.assert_allclose(array[:, 0, 0], [1, -1, -1])


def test_a_photograph_is_turned_upright(tmp_path):
    image = Image.fromarray(np.uint8(np.arange(64).reshape(8, 8)))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    array, _ = read_image(save(tmp_path, image, exif=exif), SHAPE)
    assert array[0, 0, 0] > array[0, -1, -1]


def test_a_model_that_takes_no_images(tmp_path):
    with pytest.raises(ValueError, match=r"points have shape \(7,\): it takes no image files"):
        read_image(tmp_path / "a.png", (7,))


def test_files_of_more_than_eight_bits_stay_comparable(tmp_path):
    """Each is scaled by what its kind of file can hold, not by its own brightest pixel."""
    levels = []
    for level in (100, 200):
        path = tmp_path / f"{level}.tiff"
        Image.fromarray(np.full((4, 4), level, np.int32)).save(path)
        array, _ = read_image(path, (1, 4, 4))
        levels.append(array[0, 0, 0])
    np.testing.assert_allclose(levels, [100 / 127.5 - 1, 200 / 127.5 - 1], atol=1e-6)
