"""Turned characters: what is drawn turns as its angle says, and lies in the middle."""

import numpy as np
import pytest

from geojax.models import GLYPHS, turned_characters


def test_quarter_turns_are_those_of_the_pixels():
    upright, quarter, half = np.int16(turned_characters("F", [0.0, 90.0, 180.0])[0])
    assert np.abs(np.rot90(upright) - quarter).max() <= 40  # half a pixel of the finer drawing
    assert np.abs(np.rot90(upright, 2) - half).max() <= 40
    assert np.abs(upright - half).max() > 200


def test_every_glyph_is_whole_at_every_angle():
    """The same ink at all angles, and none at the border."""
    drawn = turned_characters(GLYPHS, np.arange(0.0, 360.0, 45.0))
    assert drawn.dtype == np.uint8 and drawn.shape == (len(GLYPHS), 8, 32, 32)
    ink = drawn.mean(axis=(2, 3))
    assert np.ptp(ink, axis=1).max() < 0.03 * ink.min()
    border = np.concatenate([drawn[..., 0], drawn[..., -1], drawn[..., 0, :], drawn[..., -1, :]])
    assert border.max() < 128


def test_bad_arguments_are_named():
    for glyphs, angles, side, message in (
        ("", [0.0], 32, "glyphs must name at least one"),
        (" ", [0.0], 32, "must be characters that draw something, got ' '"),
        ("F", [[0.0]], 32, r"angles must have shape \(n,\), got \(1, 1\)"),
        ("F", [0.0], 4, "side must be at least 8"),
    ):
        with pytest.raises(ValueError, match=message):
            turned_characters(glyphs, angles, side=side)
