"""The parts of a latent model against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.models.latent import (
    Autoencoder,
    Denoiser,
    label_distances,
    picture_distances,
    principal_components,
)
from geojax.models.latent._figures import detour

KEY = jax.random.key(0)


@pytest.mark.parametrize("channels, side", [(1, 28), (3, 33)])
def test_an_autoencoder_of_any_size_is_smooth(channels, side):
    network = Autoencoder(channels, side, widths=(4, 6), hidden=8, latent=5, key=KEY)
    assert network.shape == (channels, side, side) and network.latent == 5
    image = np.float32(np.random.default_rng(0).uniform(-1, 1, network.shape))

    @jax.jit
    def both(image):
        z = network.encode(image)
        decoded, moved = jax.jvp(network.decode, (z,), (jnp.ones_like(z),))
        return z, decoded, moved

    z, decoded, moved = both(image)
    assert z.shape == (5,) and decoded.shape == image.shape
    assert np.abs(decoded).max() <= 1 and np.isfinite(moved).all() and np.abs(moved).max() > 0
    # Zero padding at the border and halving that rounds up: nothing is lost of odd sides.
    further = jnp.asarray(image).at[:, -1, -1].add(0.5)
    assert np.abs(both(further)[0] - z).max() > 1e-6


def test_bad_sizes_and_pictures_are_named():
    network = Autoencoder(1, 28, widths=(4,), hidden=4, latent=3, key=KEY)
    with pytest.raises(ValueError, match=r"image must have shape \(1, 28, 28\), got \(28, 28\)"):
        network.encode(np.zeros((28, 28)))
    with pytest.raises(ValueError, match=r"image / 127\.5 - 1"):
        network.encode(np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(ValueError, match=r"z must have shape \(3,\), got \(4,\)"):
        network.decode(np.zeros(4))
    for options, message in (
        ({"side": 129}, r"side must be in 8 \.\.\. 128, got 129"),
        ({"latent": 0}, r"latent must be in 1"),
        ({"widths": ()}, r"widths must be positive numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            Autoencoder(1, **{"side": 28, **options}, key=KEY)


def test_components_keep_the_proportions_of_distances():
    rng = np.random.default_rng(1)
    latents = rng.normal(size=(20, 3)) * [3.0, 1.0, 0.2] + 7
    found = principal_components(latents, 3)
    points = np.stack([found.project(z) for z in latents])
    np.testing.assert_allclose(np.sqrt(np.mean(points**2)), 1)
    apart = np.linalg.norm(points[0] - points[1:], axis=1)
    expected = np.linalg.norm(latents[0] - latents[1:], axis=1) / found.unit
    np.testing.assert_allclose(apart, expected)
    np.testing.assert_allclose(found.lift(points[4]), latents[4])
    spread = np.std(points, axis=0)
    assert spread[0] > spread[1] > spread[2]
    again = principal_components(latents[::-1], 3)  # another order, the same directions
    np.testing.assert_allclose(again.directions, found.directions, atol=1e-9)
    with pytest.raises(ValueError, match=r"num_components must be in 1 \.\.\. 3"):
        principal_components(latents, 4)
    with pytest.raises(ValueError, match="latents are all equal"):
        principal_components(np.ones((4, 3)), 2)


def test_a_denoiser_starts_as_that_of_the_normal_law():
    """Which is linear: the score of N(0, 1 + sigma^2) at every level, but for a small rest."""
    schedule = geojax.VE(0.1, 5.0)
    score = geojax.DataPrediction(Denoiser(schedule, 4, width=16, depth=2, key=KEY), schedule)
    x = jnp.array([1.0, -2.0, 0.5, 0.0])
    levels = jnp.array([0.0, 0.5, 1.0])
    found = jax.jit(jax.vmap(lambda t: score(x, t)))(levels)
    sigma = np.array([schedule.sigma(t) for t in levels])
    expected = -np.asarray(x) / (1 + sigma[:, None] ** 2)
    # F is at most a few hundredths, and counts 1 / (sigma sqrt(1 + sigma^2)) of that.
    rest = 0.1 / (sigma * np.sqrt(1 + sigma**2))
    assert np.all(np.abs(found - expected) <= rest[:, None])
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        Denoiser(schedule, 4, width=0, key=KEY)


def test_the_neighbour_graph_unfolds_a_motion():
    """A wide blot moves: in pixels far places are all equally far, along the graph they are not."""
    places = np.arange(24.0)
    pictures = np.exp(-((np.arange(40.0)[None] - places[:, None] - 8) ** 2) / 8)[:, None]
    found = picture_distances(pictures, [0, 5], neighbours=2)
    # Of all but the ends two neighbours are the two next places: steps of equal length.
    expected = np.abs(places[None] - np.array([[0.0], [5.0]])) * 4 / 23
    np.testing.assert_allclose(found, expected, rtol=0.12, atol=1e-9)
    apart = np.concatenate([pictures[:12], 5 + pictures[12:]])
    assert np.isinf(picture_distances(apart, [0], neighbours=2)[0, 12:]).all()
    with pytest.raises(ValueError, match="neighbours must be in 1"):
        picture_distances(pictures[:3], [0], neighbours=3)


def test_distances_by_labels():
    angles = [0.0, 90.0, 350.0, 180.0]
    found = label_distances(angles, [0, 2], period=360.0, groups=[0, 0, 0, 1])
    # The farthest pair of a group that is measured here: 100 degrees.
    np.testing.assert_allclose(found * 25, [[0, 90, 10, np.inf], [10, 100, 0, np.inf]], rtol=1e-12)
    plane = label_distances([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]], [0])
    np.testing.assert_allclose(plane, [[0, 2, 4]])
    with pytest.raises(ValueError, match=r"groups must have shape \(4,\), got \(3,\)"):
        label_distances(angles, [0], groups=[0, 0, 1])


def test_the_detour_of_a_half_circle():
    """Between random points of an arc of angle pi: the median of (u / 2) / sin(u / 2)."""
    u = np.linspace(0, np.pi, 400)
    arc = np.stack([np.cos(u), np.sin(u)], axis=1)
    apart = np.abs(u[:, None] - u[None])[~np.eye(400, dtype=bool)]
    expected = np.median(apart / 2 / np.sin(apart / 2))
    np.testing.assert_allclose(detour(arc), expected, rtol=0.01)
