"""`motion_share`: a square that moves, one that fades, and what is neither."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from geojax.evaluation import motion_share

SIDE, TIMES = 24, np.linspace(0, 1, 7)


def square(left, top=8.0, side=7):
    """Bright on dark, its edges between pixels where they lie there."""
    places = np.arange(SIDE)

    def covered(start):
        return np.clip(np.minimum(places + 1, start + side) - np.maximum(places, start), 0, 1)

    return 2.0 * np.outer(covered(top), covered(left))[None] - 1


def faded(a, b, weights=TIMES):
    """As a file keeps it, in 8 bits."""
    frames = np.stack([(1 - w) * a + w * b for w in weights])
    return np.rint((frames + 1) * 127.5) / 127.5 - 1


DARK = -np.ones((1, SIDE, SIDE))


@pytest.mark.parametrize(
    "frames",
    [
        faded(square(8), DARK),  # a square fades away
        faded(square(3), square(14)),  # and from one place into another
        faded(square(3), square(14), TIMES**2),  # unevenly
        # The left half before the right one.
        np.where(
            np.arange(SIDE) < 12,
            faded(square(3), square(14), np.clip(2 * TIMES, 0, 1)),
            faded(square(3), square(14), np.clip(2 * TIMES - 1, 0, 1)),
        ),
    ],
    ids=["away", "elsewhere", "unevenly", "in halves"],
)
def test_a_cross_fade_has_none(frames):
    found = motion_share(frames)
    # Not 0 for the rounding, and for windows that lie in both halves.
    assert found.share < 0.05 and found.fade_residual < 0.03 and found.motion_residual > 0.3


def test_motion_of_whole_pixels_is_motion_and_nothing_else():
    found = motion_share(np.stack([square(3 + 2 * i, 6 + i) for i in range(7)]))
    np.testing.assert_allclose(found.share, 1, atol=1e-6)
    np.testing.assert_allclose(found.motion_residual, 0, atol=1e-6)


def test_motion_between_the_pixels_and_by_less_than_the_square():
    assert motion_share(np.stack([square(6 + 4 * t, 8 + t) for t in TIMES])).share > 0.75


def test_a_turn():
    bar = Image.fromarray(np.uint8(255 * (square(4, 10, 5)[0] > 0)))
    turned = [np.asarray(bar.rotate(90 * t, Image.Resampling.BILINEAR)) for t in TIMES]
    assert motion_share(np.stack(turned)[:, None] / 127.5 - 1).share > 0.7


def test_unrelated_frames_are_neither():
    frames = np.random.default_rng(0).uniform(-1, 1, (7, 1, SIDE, SIDE))
    found = motion_share(frames)
    assert 0.3 < found.share < 0.8 and min(found[1:]) > 0.3
    # Twice the contrast, another colour to each channel: the same.
    again = motion_share(np.concatenate([frames / 2, frames / 4], axis=1))
    np.testing.assert_allclose(again.share, found.share, rtol=1e-6)


@pytest.mark.slow
def test_large_frames_are_made_smaller():
    large = np.stack([np.kron(square(3 + 2 * i), np.ones((8, 6))) for i in range(7)])
    assert large.shape[2:] == (192, 144)
    assert motion_share(large).share > 0.9


def test_bad_input_is_refused_and_constant_frames_are_nan():
    still = motion_share(np.zeros((7, 1, SIDE, SIDE)))
    assert all(np.isnan(value) for value in still)
    with pytest.raises(ValueError, match="at least three frames, got 2"):
        motion_share(jnp.zeros((2, 1, SIDE, SIDE)))
