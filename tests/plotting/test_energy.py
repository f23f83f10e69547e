"""Curves of energy and log-density, and curves in the plane."""

import jax.numpy as jnp
import numpy as np
import pytest

from geojax.plotting import energy_figure, plot_curves

TIMES = np.array([0, 0.5, 1, 1.5])


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_legends_give_the_figures_from_a_to_b():
    left, right = energy_figure(
        TIMES,
        {"LERP": np.array([1.0, 9.0, 100.0]), "geodesic": np.array([3.0, 3.0, 3.0])},
        {"LERP": np.array([0.0, -5.0, 1.5, -9.0]), "geodesic": np.array([0.0, 1.0, 2.0, 3.0])},
    ).axes
    assert legend(left) == ["LERP: 5 from A to B", "geodesic: 3 from A to B"]
    assert legend(right) == ["LERP: +1.5 at B", "geodesic: +2 at B"]
    assert left.get_yscale() == "log"
    assert [label.get_text() for label in left.get_xticklabels()][4] == "B"


def test_values_of_one_size_keep_a_linear_scale_and_nothing_lies_beyond():
    figure = energy_figure(TIMES[:3], {"LERP": np.ones(2)}, {"LERP": np.zeros(3)})
    assert figure.axes[0].get_yscale() == "linear"
    assert "beyond B" not in [text.get_text() for text in figure.axes[0].texts]


def test_figures_that_are_not_finite_can_be_drawn():
    figure = energy_figure(TIMES, {"LERP": np.full(3, np.nan)}, {"LERP": np.full(4, np.inf)})
    figure.savefig("energy.png")


def test_sizes_must_fit():
    with pytest.raises(ValueError, match=r"4 times need 3 energies .* got shapes"):
        energy_figure(TIMES, {"LERP": np.ones(4)}, {"LERP": np.zeros(4)})
    with pytest.raises(ValueError, match="need 3 energies"):
        energy_figure(TIMES, {"LERP": np.ones(3)}, {"LERP": np.zeros(3)})


def test_curves_in_the_plane():
    curves = {"geodesic": jnp.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]), "mine": np.eye(2)}
    figure = plot_curves(curves, log_density=lambda x: -jnp.sum(x**2), title="two curves")
    axes = figure.axes[0]
    assert legend(axes) == ["geodesic", "mine"]
    assert [text.get_text() for text in axes.texts] == ["A", "B"]
    assert axes.get_title() == "two curves"
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), curves["geodesic"])
    assert len(plot_curves(curves).axes) == 1
    with pytest.raises(ValueError, match="no curves"):
        plot_curves({})
