"""γ-RMSE and D-RMSE against what they are by hand."""

import jax
import numpy as np
import pytest

from geojax.evaluation import data_rmse, gamma_rmse

TURN = np.linspace(0, np.pi, 41)
ARC = np.stack([np.cos(TURN), np.sin(TURN)], axis=1)


def test_neither_speed_nor_the_number_of_nodes_matters():
    squared = np.pi * np.linspace(0, 1, 161) ** 2
    uneven = np.stack([np.cos(squared), np.sin(squared)], axis=1)
    node_by_node = np.mean(np.sum((uneven[::4] - ARC) ** 2, axis=1)) ** 0.5
    assert gamma_rmse(uneven, ARC) < 2e-3 < 0.2 < node_by_node


def test_the_chord_of_a_half_circle():
    """At the fraction s the chord is at (1 - 2 s, 0): the mean square distance is
    `1 + 1/3 - 2 integral (1 - 2 s) cos(pi s) ds = 4/3 - 8 / pi^2`.
    """
    chord = np.array([[1.0, 0.0], [-1.0, 0.0]])
    found = gamma_rmse(chord, ARC, num_points=2001)
    np.testing.assert_allclose(found, (4 / 3 - 8 / np.pi**2) ** 0.5, rtol=1e-3)


def test_images_and_a_node_that_comes_twice():
    xs = np.zeros((4, 1, 2, 2))
    xs[1:] += np.array([1.0, 1.0, 3.0])[:, None, None, None]
    truth = xs[[0, 3]] + 0.5
    np.testing.assert_allclose(gamma_rmse(xs, truth), 1.0)  # 0.5 in each of four pixels
    np.testing.assert_allclose(gamma_rmse(0 * xs, truth[:1].repeat(2, 0)), 1.0)


def test_the_nearest_data():
    rng = np.random.default_rng(0)
    xs, data = rng.standard_normal((5, 2, 3)), rng.standard_normal((20, 2, 3))
    squares = np.sum((xs[:, None] - data[None]) ** 2, axis=(2, 3))
    np.testing.assert_allclose(data_rmse(xs, data), np.mean(squares.min(axis=1)) ** 0.5)
    assert data_rmse(data[3:5], data) == 0


def test_it_can_be_differentiated_and_mapped():
    slopes = jax.jit(jax.vmap(jax.grad(lambda xs: gamma_rmse(xs, ARC + 1, num_points=5))))
    assert np.all(np.isfinite(slopes(np.stack([ARC, np.zeros_like(ARC)]))))


def test_bad_input_is_refused(as_users_run):
    with pytest.raises(ValueError, match=r"truth must hold at least two nodes.*got \(1, 2\)"):
        gamma_rmse(ARC, ARC[:1])
    with pytest.raises(ValueError, match=r"truth must hold points of the shape .* \(2,\), got"):
        gamma_rmse(ARC, np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"data must hold points of the shape .* \(2,\), got"):
        data_rmse(ARC, np.zeros((3, 3)))
    with pytest.raises(ValueError, match="num_points must be at least 2, got 1"):
        gamma_rmse(ARC, ARC, num_points=1)
