"""The chords between images: the figure of `score_contrast` at every level, and what it advises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.evaluation import inspect_chords

RING = geojax.NoisedSphere(2.0, schedule=geojax.VE(0.01, 4.0))
ROUTE = geojax.NoiseRoute(RING, noising="none", denoising="none")
IMAGES = 2 * np.asarray([[1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]])


def test_figures_are_those_of_the_score_at_every_level():
    levels = []
    found = inspect_chords(ROUTE, IMAGES, (0.9, 0.3, 0.3), on_level=levels.append)
    assert levels == [0, 1] and found.ts.tolist() == [0.3, 0.9]
    first, second = IMAGES[[0, 0, 1]], IMAGES[[1, 2, 2]]
    for i, t in enumerate(found.ts):
        square = lambda x, t=t: np.sum(np.asarray(jax.vmap(RING.at(t))(x)) ** 2, axis=1)  # noqa: E731
        middle = np.mean(square(jnp.asarray((first + second) / 2)))
        data = np.mean((square(jnp.asarray(first)) + square(jnp.asarray(second))) / 2)
        assert found.contrast[i] == pytest.approx(middle / data, rel=1e-6)
        contrast = geojax.ScoreContrast(jnp.asarray(middle), jnp.asarray(data))
        assert found.lam[i] == pytest.approx(float(contrast.lam), rel=1e-6)
    assert found.t == 0.3 and "Take t = 0.3" in str(found)


def test_a_score_that_does_not_know_the_chords():
    found = inspect_chords(ROUTE, IMAGES[:2], (0.99,))
    assert found.contrast[0] < 10
    assert "below 10 at every level" in str(found) and "cannot follow the data" in str(found)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="images must hold at least two, got 1"):
        inspect_chords(ROUTE, IMAGES[:1])
    with pytest.raises(ValueError, match=r"ts must be levels in \(0, 1\], got 0.0"):
        inspect_chords(ROUTE, IMAGES, (0.0, 0.5))
    with pytest.raises(ValueError, match="got none"):
        inspect_chords(ROUTE, IMAGES, ())
