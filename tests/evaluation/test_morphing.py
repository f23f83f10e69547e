"""PPL and PDV as DiffMorpher has them: what is resized how, and what is made of the steps."""

import jax.numpy as jnp
import numpy as np
import pytest

from geojax.evaluation import LPIPS, morphing_figures

# The difference of one pixel, at a quarter of the width.
PROBE = LPIPS(lambda x, y: y[2, 3, 1] - x[2, 3, 1], "probe")


def test_frames_are_resized_between_their_pixels_in_8_bits():
    """Two pixels, black and white, become 0, 64, 191, 255, whatever the height is."""
    frames = -np.ones((4, 1, 3, 2))
    frames[1, ..., 1] = 1
    frames[3] = 7.0  # is white in a file
    found = morphing_figures(frames, PROBE, side=4)
    steps = np.array([64, -64, 255]) / 127.5
    np.testing.assert_allclose(found.steps, steps, rtol=1e-6)
    np.testing.assert_allclose(found.ppl, np.sum(steps), rtol=1e-6)
    np.testing.assert_allclose(found.pdv, np.std(steps), rtol=1e-6)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="one or three channels, got 2"):
        morphing_figures(jnp.zeros((3, 2, 4, 4)), PROBE)
    with pytest.raises(ValueError, match="at least two"):
        morphing_figures(jnp.zeros((1, 1, 4, 4)), PROBE, side=4)


@pytest.mark.slow
def test_by_default_it_is_alex_at_512_pixels():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 3, 512, 512))  # nothing to be resized
    frames = jnp.asarray(pixels / 127.5 - 1)
    lpips = LPIPS.load("alex")
    steps = [lpips(frames[i], frames[i + 1]) for i in range(2)]
    np.testing.assert_allclose(morphing_figures(frames).steps, steps, rtol=1e-5)
