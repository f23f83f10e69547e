"""Pictures of paths: rows, marks, animation."""

import numpy as np
import pytest
from PIL import Image

from geojax.plotting import animation_frames, paths_figure, pixels, save_animation

TIMES = np.array([0, 0.5, 1, 1.5, 2])
IMAGES = {
    name: np.linspace(-1, 1, 5)[:, None, None, None] * np.ones((5, 1, 4, 6))
    for name in ("LERP", "geodesic")
}


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_row_a_method_and_a_column_a_time():
    axes = paths_figure(IMAGES, TIMES).axes[0]
    shown = [np.asarray(image.get_array()) for image in axes.images]
    assert len(shown) == 2 * len(TIMES)
    np.testing.assert_array_equal([tile[0, 0] for tile in shown[:5]], [0, 64, 128, 191, 255])


def test_ends_and_what_lies_beyond_are_marked():
    said = texts(
        paths_figure(IMAGES, TIMES, given=np.zeros((2, 1, 4, 6)), captions={"LERP": ["energy 3"]})
    )
    for text in ("LERP", "geodesic", "energy 3", "A", "0.5", "B", "1.5", "beyond B: extrapolated"):
        assert text in said
    assert "beyond B: extrapolated" not in texts(
        paths_figure(
            {"LERP": IMAGES["LERP"][:3]}, TIMES[:3], given=np.zeros((2, 1, 4, 6)), title="ends at B"
        )
    )


def test_pictures_keep_their_shape():
    """Four rows of six pixels: as wide as the place and two thirds as high, in its middle."""
    image = paths_figure(IMAGES, TIMES).axes[0].images[0]
    left, right, bottom, top = image.get_extent()
    np.testing.assert_allclose([left, right, top, bottom], [0, 1, 1 / 6, 5 / 6])


def test_too_many_frames_are_thinned_so_that_both_ends_stay():
    times = np.linspace(0, 1.5, 25)
    said = texts(paths_figure({"LERP": np.zeros((25, 1, 4, 6))}, times, max_columns=13))
    assert {"A", "B", "0.125", "1.5"} <= set(said)
    assert "0.0625" not in said
    said = texts(paths_figure({"LERP": np.zeros((25, 1, 4, 6))}, times, max_columns=2))
    assert {"A", "B", "1.5"} <= set(said)


def test_the_number_of_frames_must_fit():
    with pytest.raises(ValueError, match=r"rows of \[5\]"):
        paths_figure(IMAGES, TIMES[:4])
    with pytest.raises(ValueError, match="as many as times"):
        animation_frames({}, TIMES)


def test_pixels():
    grey = pixels(np.array([[[-1.0, 0.0, 7.0, np.nan, np.inf]]]))
    np.testing.assert_array_equal(grey, [[0, 128, 255, 128, 128]])
    assert pixels(np.zeros((2, 3, 4, 5))).shape == (2, 4, 5, 3)
    with pytest.raises(ValueError, match=r"1 or 3 channels, got \(2, 4, 5\)"):
        pixels(np.zeros((2, 4, 5)))


def test_the_animation_goes_there_and_back(tmp_path):
    pictures = animation_frames(IMAGES, TIMES, size=20)
    assert len({picture.size for picture in pictures}) == 1
    save_animation(pictures, tmp_path / "path.gif", frame_ms=50, hold_ms=400)
    with Image.open(tmp_path / "path.gif") as gif:
        assert gif.n_frames == 2 * len(TIMES) - 2
        durations, middles = [], []
        for k in range(gif.n_frames):
            gif.seek(k)
            durations.append(gif.info["duration"])
            middles.append(gif.convert("L").getpixel((24, 44)))
    assert durations == [400, 50, 50, 50, 400, 50, 50, 50]
    np.testing.assert_allclose(middles, [0, 64, 128, 191, 255, 191, 128, 64], atol=8)
    with pytest.raises(ValueError, match="no frames"):
        save_animation([], "path.gif")


def test_the_frame_beyond_b_is_coloured():
    within, beyond = (animation_frames(IMAGES, TIMES, size=20)[k] for k in (2, 3))
    assert not np.array_equal(np.asarray(within)[32], np.asarray(beyond)[32])


def test_colour_images():
    pictures = animation_frames({"LERP": np.zeros((2, 3, 4, 4))}, np.array([0, 1]))
    assert pictures[0].mode == "RGB"
    assert paths_figure({"LERP": np.zeros((2, 3, 4, 4))}, np.array([0, 1])).axes
