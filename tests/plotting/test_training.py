"""Figures of a training run: what they show, and that they reach a file."""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from geojax.plotting import loss_curve, sample_sheet, save_figure

HISTORY = [(250, 0.45, 0.050), (500, 0.20, 0.035), (750, 0.18, 0.030)]


def test_loss_curve_shows_both_losses():
    top, bottom = loss_curve(HISTORY).axes
    np.testing.assert_array_equal(top.lines[0].get_xydata(), [row[:2] for row in HISTORY])
    np.testing.assert_array_equal(bottom.lines[0].get_ydata(), [row[2] for row in HISTORY])
    assert top.get_yscale() == bottom.get_yscale() == "log"


def test_loss_curve_without_held_out_digits():
    (axes,) = loss_curve([(250, 0.45, float("nan")), (500, 0.20, float("nan"))]).axes
    assert axes.get_ylabel() == "loss on training batches"


def test_the_loss_axis_labels_lie_apart():
    """Of a loss that falls twentyfold; of one that falls by a sixth every tick has its number."""
    found = []
    for last in (0.025, 0.52):
        figure = loss_curve([(100, 0.62, float("nan")), (200, last, float("nan"))])
        figure.draw_without_rendering()
        labels = figure.axes[0].get_yticklabels(minor=True)
        found.append({label.get_text() for label in labels} - {""})
    assert found[0] >= {"0.05", "0.2", "0.5"} and {label[-1] for label in found[0]} == {"2", "5"}
    assert {"0.52", "0.54", "0.58"} <= found[1]


def test_loss_curve_of_nothing():
    with pytest.raises(ValueError, match="the history is empty"):
        loss_curve([])


def test_sample_sheet_puts_each_image_in_its_place():
    images = jnp.full((2, 3, 4, 5), -1.0).at[1, 2].set(0.5)
    (axes,) = sample_sheet({"drawn": images}, row_labels=["0", "1"]).axes
    sheet = np.asarray(axes.images[0].get_array())
    assert sheet.shape == (2 * 4 + 2, 3 * 5 + 2 * 2)
    assert np.all(sheet[6:, 14:] == 0.75)
    assert np.all(sheet[:4, :5] == 0)
    assert np.all(sheet[4:6] == 1)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1"]


def test_a_sheet_of_colour():
    images = np.full((1, 2, 3, 4, 5), -1.0)
    images[0, 1, 2] = 1.0
    (axes,) = sample_sheet({"drawn": images}).axes
    sheet = np.asarray(axes.images[0].get_array())
    assert sheet.shape == (4, 12, 3)
    np.testing.assert_array_equal(sheet[0, 7:], [[0.0, 0.0, 1.0]] * 5)


def test_sample_sheet_clips():
    (axes,) = sample_sheet({"drawn": np.full((1, 1, 2, 2), 7.0)}).axes
    assert np.max(np.asarray(axes.images[0].get_array())) == 1


def test_sample_sheet_of_unequal_blocks():
    blocks = {"a": np.zeros((2, 1, 2, 2)), "b": np.zeros((3, 1, 2, 2))}
    with pytest.raises(ValueError, match=r"one number of rows, got \[2, 3\]"):
        sample_sheet(blocks)


def test_save_figure(tmp_path):
    save_figure(loss_curve(HISTORY), tmp_path / "new" / "loss.png", dpi=50)
    with Image.open(tmp_path / "new" / "loss.png") as image:
        assert image.format == "PNG"
    with pytest.raises(ValueError, match="not supported"):
        save_figure(Figure(), tmp_path / "loss.xyz")
    assert not list(tmp_path.glob("*.xyz"))


def test_notebooks_show_a_figure_by_itself():
    assert loss_curve([(1, 1.0, float("nan"))])._repr_png_().startswith(b"\x89PNG")
