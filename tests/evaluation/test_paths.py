"""Figures of paths against closed forms and against `geodesic`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.evaluation import (
    distance_to,
    endpoint_error,
    log_density_profile,
    neighbour_distances,
    path_error,
    path_figures,
    perceptual_deviation,
    perceptual_path_length,
)

RING = geojax.Shell(radius=2.0, width=0.25)
METRIC = geojax.SteinScoreMetric(RING, 0.5)
ANGLES = jnp.linspace(0, 1, 9)
ARC = 2 * jnp.stack([jnp.cos(ANGLES), jnp.sin(ANGLES)], axis=1)


def test_euclidean_figures_of_an_arc():
    found = path_figures(ARC)
    chord = 4 * np.sin(1 / 16)
    np.testing.assert_allclose(found.segment_lengths, chord, rtol=1e-12)
    np.testing.assert_allclose(found.length, 8 * chord, rtol=1e-12)
    np.testing.assert_allclose(found.energy, found.length**2 / 2, rtol=1e-12)
    assert found.speed_defect < 1e-12


def test_a_path_of_uneven_steps():
    found = path_figures(jnp.asarray([[0.0], [1.0], [4.0]]))
    np.testing.assert_allclose(found.energy, (1 + 9) * 2 / 2)
    np.testing.assert_allclose(found.speed_defect, 0.5)


def test_the_energy_is_that_of_the_polyline():
    """Against 200 midpoints of each straight piece."""
    shares = (np.arange(200) + 0.5) / 200

    @jax.jit
    def everything(xs):
        deltas = jnp.diff(xs, axis=0)
        square = lambda a, d: jax.vmap(lambda w: METRIC.inner(a + w * d, d, d))(shares)  # noqa: E731
        return path_figures(xs, METRIC).energy, jax.vmap(square)(xs[:-1], deltas)

    found, squares = everything(ARC)
    np.testing.assert_allclose(found, 8 / 2 * np.sum(np.mean(squares, axis=1)), rtol=1e-4)


def test_a_path_that_rests_has_no_length():
    found = path_figures(jnp.zeros((3, 2)))
    assert (found.length, found.energy, found.speed_defect) == (0, 0, 0)


def test_log_density_by_line_integrals_is_the_exact_one():
    path = jnp.linspace(0.8, 1.2, 9)[:, None] * ARC
    exact = log_density_profile(RING, path)
    expected = [RING.log_density(x) - RING.log_density(path[0]) for x in path]
    np.testing.assert_allclose(exact, expected, atol=1e-12)
    integrated = log_density_profile(lambda x, args: RING(x), path)
    np.testing.assert_allclose(integrated, exact, atol=1e-8)


def test_distances_to_a_manifold_and_to_a_geodesic():
    found = distance_to(lambda x: 2 * x / jnp.linalg.norm(x), ARC.at[4].multiply(1.5))
    np.testing.assert_allclose([found.mean, found.largest], [1 / 9, 1.0])
    np.testing.assert_allclose(path_error(ARC, ARC.at[4].multiply(1.5)), 1 / 3)


def test_neighbours_along_a_path_of_images():
    frames = jnp.asarray([0.0, 1.0, 3.0, 3.0])[:, None, None, None] * jnp.ones((4, 1, 2, 2))
    np.testing.assert_allclose(neighbour_distances(frames), [1, 2, 0])
    np.testing.assert_allclose(perceptual_path_length(frames), 3)
    np.testing.assert_allclose(perceptual_deviation(frames), np.std([1, 2, 0]))
    largest = lambda x, y: jnp.max(jnp.abs(x - y)) ** 2  # noqa: E731
    np.testing.assert_allclose(perceptual_path_length(frames, largest), 5)
    np.testing.assert_allclose(endpoint_error(frames, frames[1], frames[3]), 0.5)


@pytest.mark.parametrize("measure", [path_figures, neighbour_distances])
def test_one_node_is_no_path(measure):
    with pytest.raises(ValueError, match=r"at least two .*, got \(1, 2\)"):
        measure(ARC[:1])
