"""Image files of every kind become what the model takes, with a notice of each conversion."""

import numpy as np
import pytest
from PIL import Image

from geojax.cli._images import check_different, read_image, read_images, short_names

SHAPE = (1, 8, 8)


def save(tmp_path, image, name="a.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_an_image_that_fits_is_unchanged(tmp_path):
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
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("RGB")
    assert read_image(save(tmp_path, image), SHAPE)[1] == []


def test_sixteen_bits(tmp_path):
    deep = Image.fromarray(np.full((8, 8), 65535 // 5, np.uint16))
    array, notices = read_image(save(tmp_path, deep), SHAPE)
    np.testing.assert_allclose(array, 51 / 127.5 - 1)
    assert "more than 8 bits a pixel scaled to 8" in notices[0]


@pytest.mark.parametrize("shade, ground", [(0, "white"), (120, "white"), (255, "black")])
def test_transparency_gets_a_background_that_shows_the_drawing(tmp_path, shade, ground):
    """White ink on nothing would vanish on white."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[2:6, 2:6] = [shade, shade, shade, 255]
    pixels[2, 2, 3] = 128
    array, notices = read_image(save(tmp_path, Image.fromarray(pixels)), SHAPE)
    assert f"a.png: transparency laid on {ground}" in notices[0]
    assert array[0, 0, 0] == (1 if ground == "white" else -1)
    np.testing.assert_allclose(array[0, 4, 4], shade / 127.5 - 1)
    assert abs(array[0, 4, 4] - array[0, 0, 0]) > 0.9


def test_transparency_that_there_is_not(tmp_path):
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("RGBA")
    assert read_image(save(tmp_path, image), SHAPE)[1] == []


def test_one_value_in_every_pixel(tmp_path):
    for image in (Image.new("L", (8, 8), 40), Image.new("RGBA", (8, 8), (0, 0, 0, 0))):
        notices = read_image(save(tmp_path, image), SHAPE)[1]
        assert notices[-1].startswith("a.png has the same value in every pixel")


def test_the_first_picture_of_an_animation(tmp_path):
    frames = [Image.fromarray(np.full((8, 8), 80 * k, np.uint8)) for k in range(3)]
    for frame in frames:
        frame.putpixel((3, 3), 255)
    path = save(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    array, notices = read_image(path, SHAPE)
    assert "a.gif: the first of its 3 pictures taken" in notices[0]
    assert (array[0, 0, 0], array[0, 3, 3]) == (-1, 1)


def test_two_files_of_one_name(tmp_path):
    paths = []
    for folder, shade in (("one", 10), ("two", 200)):
        (tmp_path / folder).mkdir()
        image = Image.new("RGB", (8, 8), (shade, 0, 0))
        image.putpixel((2, 2), (0, 255, 0))
        paths.append(save(tmp_path / folder, image))
    assert short_names(paths) == ["one/a.png", "two/a.png"]
    assert short_names([paths[0], paths[0]]) == ["a.png", "a.png"]
    arrays, notices = read_images(paths, SHAPE, invert=False)
    assert [n.split(":")[0] for n in notices] == ["one/a.png", "two/a.png"]
    check_different(arrays, short_names(paths))
    with pytest.raises(ValueError, match=r"the same picture .* their distance is 0"):
        check_different([arrays[0], arrays[0].copy()], ["a.png", "b.png"])


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


@pytest.mark.parametrize("level", [60000, 2000, 200, 1, 0])
def test_files_of_sixteen_bits_stay_comparable(tmp_path, level):
    """By the kind of the file, not by its own brightest pixel."""
    pixels = np.full((8, 8), level, np.uint16)
    right = np.round(level / 257) / 127.5 - 1
    for suffix in ("png", "tiff"):
        path = save(tmp_path, Image.fromarray(pixels), f"a.{suffix}")
        np.testing.assert_allclose(read_image(path, SHAPE)[0], right, atol=1e-6)
    (tmp_path / "a.pgm").write_bytes(b"P5\n8 8\n65535\n" + pixels.astype(">u2").tobytes())
    np.testing.assert_allclose(read_image(tmp_path / "a.pgm", SHAPE)[0], right, atol=1e-6)
    floating = Image.fromarray(np.float32(pixels / 65535))
    path = save(tmp_path, floating, "float.tiff")
    np.testing.assert_allclose(read_image(path, SHAPE)[0], right, atol=1e-6)


def test_pixels_of_few_bits_and_palettes_reach_from_black_to_white(tmp_path):
    bits = Image.fromarray(np.eye(8) > 0)
    palette = Image.fromarray(np.uint8(np.eye(8)))
    palette = palette.convert("P")
    palette.putpalette([0, 0, 0, 255, 255, 255])
    alpha = Image.fromarray(np.uint8(255 * np.eye(8))).convert("LA")
    for i, image in enumerate((bits, palette, alpha)):
        array, _ = read_image(save(tmp_path, image, f"{i}.png"), SHAPE)
        np.testing.assert_allclose(array[0], 2 * np.eye(8) - 1)


@pytest.mark.parametrize(
    "pixels, message",
    [
        (np.full((8, 8), 200, np.int32), "32 bits, .* save it with 8 or 16 bits"),
        (np.full((8, 8), 200.0, np.float32), r"must lie in \[0, 1\], got 200 to 200: save"),
        (np.full((8, 8), np.nan, np.float32), r"must lie in \[0, 1\], got nan"),
    ],
)
def test_pixels_of_unknown_scale_are_refused(tmp_path, pixels, message):
    with pytest.raises(ValueError, match=message):
        read_image(save(tmp_path, Image.fromarray(pixels), "a.tiff"), SHAPE)


def test_a_transparent_grey_of_sixteen_bits(tmp_path):
    pixels = np.full((8, 8), 30000, np.uint16)
    pixels[0] = 0
    path = save(tmp_path, Image.fromarray(pixels), transparency=0)
    array, notices = read_image(path, SHAPE)
    np.testing.assert_allclose(array[0, 0], 1)
    np.testing.assert_allclose(array[0, 1:], 2 * 30000 / 65535 - 1, atol=0.005)
    assert "transparency" in notices[0]
