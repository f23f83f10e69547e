"""The figure of an inspection: its panels, and what it marks."""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from geojax.curvature import DimensionEstimate
from geojax.evaluation import Inspection, recommend
from geojax.plotting import inspection_figure, save_figure


def made_up(*, clear=False, failed=True):
    """Three levels, two lambdas, two pairs of four images."""
    ts = np.array([0.1, 0.3, 0.6])
    deviation = np.array([[[0.1, 0.2], [0.1, 0.3]], [[0.2, 0.2], [0.3, 0.3]], [[0.01, 0.02]] * 2])
    verdicts = np.full((3, 2, 2), "successful", dtype=object)
    if failed:
        verdicts[1, 1, 0] = "The path is under-resolved: raise num_segments."
    by_image = np.array([[1.0, 2.0, 3.0, 4.0]] * 3)
    contrast, asymmetry = np.array([[2.0, 1.8], [1.4, 1.2], [0.8, 0.9]]), by_image / 10
    lams, curvature = np.array([[0.1, 1.0]] * 3), np.array([[[5.0, -0.2], [8.0, 0.0]]] * 3)
    nan = np.nan
    columns = ts, np.ones((3, 4)), [2.0, nan, nan], [0.8, 0.1, 0.1], [clear, False, False]
    columns = *columns, [2.1, 1.0, 0.2], [0.0, 0.0, 0.0]
    dimension = DimensionEstimate(*(jnp.asarray(column) for column in columns))
    figures = (ts, lams, deviation, verdicts, asymmetry, contrast, curvature)
    return Inspection(
        ts, 2 * ts, np.zeros((3, 1, 4, 4)), np.array([[0, 1], [1, 2]]), 100 * by_image,
        {"another image": by_image / 10, "random directions": by_image / 100},
        asymmetry, lams, ["λ = 0.1", "λ = 1"], contrast, deviation,
        verdicts == "successful", verdicts, curvature, dimension, *recommend(*figures),
    )  # fmt: skip


def texts(axes):
    legend = axes.get_legend()
    entries = [text.get_text() for text in legend.get_texts()] if legend else []
    return " ".join([axes.get_title(), *(text.get_text() for text in axes.texts), *entries])


def test_each_panel_has_a_question_and_the_last_one_the_answer():
    found = made_up()
    figure = inspection_figure(found, title="geojax inspect")
    *panels, advice = figure.axes
    assert len(panels) == 7
    assert all(axes.get_title().endswith("?") for axes in panels)
    assert all("noise level t" in axes.get_xlabel() for axes in panels)
    assert found.recommendation.t == 0.1
    assert "Take t = 0.1" in texts(advice) and "t = 0.6: " in texts(advice)
    strays, curvature, dimension = panels[4:]
    assert "hollow: not all solves succeeded" in texts(strays)
    hollow = [line for line in strays.lines if line.get_markerfacecolor() == "white"]
    assert [list(line.get_xdata()) for line in hollow] == [[], [1]]
    # Medians of the pairs, in per cent.
    np.testing.assert_allclose(strays.lines[0].get_ydata(), [15, 20, 1.5])
    assert curvature.get_yscale() == "symlog"
    assert "no clear gap" in texts(dimension)
    # The recommended level is shaded green in each.
    for axes in panels:
        assert any(np.allclose(p.get_facecolor()[:3], to_rgb("#1b7f3b")) for p in axes.patches)


@pytest.mark.slow
def test_a_clear_dimension_and_the_pictures(tmp_path):
    found = made_up(clear=True, failed=False)
    figure = inspection_figure(found, pictures=np.zeros((3, 1, 8, 8)))
    tiles = [axes for axes in figure.axes if axes.images]
    assert [axes.get_xlabel() for axes in tiles] == ["t = 0.1", "t = 0.3, recommended", "t = 0.6"]
    panels = [axes for axes in figure.axes if axes.get_title().endswith("?")]
    assert "clear gap" in texts(panels[6]) and "no clear gap" not in texts(panels[6])
    assert "hollow" not in texts(panels[4])
    save_figure(figure, tmp_path / "inspect.png", dpi=40)
    with pytest.raises(ValueError, match="3 levels need as many pictures, got 2"):
        inspection_figure(found, pictures=np.zeros((2, 1, 8, 8)))


@pytest.mark.slow
def test_nothing_recommended_and_figures_that_are_not_finite(tmp_path):
    found = made_up()
    nan = np.full_like(found.asymmetry, np.nan)
    figures = (found.lams, found.deviation * np.nan, found.verdicts, nan, found.contrast * np.nan)
    findings, best = recommend(found.ts, *figures, found.curvature * np.nan)
    found = found._replace(
        asymmetry=nan, contrast=found.contrast * np.nan, deviation=found.deviation * np.nan,
        curvature=found.curvature * np.nan, score_norms=found.score_norms * np.nan,
        cosines={name: value * np.nan for name, value in found.cosines.items()},
        findings=findings, recommendation=best,
    )  # fmt: skip
    figure = inspection_figure(found)
    assert "No recommendation" in texts(figure.axes[-1])
    assert not any(axes.patches for axes in figure.axes)
    save_figure(figure, tmp_path / "inspect.png", dpi=40)
