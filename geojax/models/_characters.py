"""Turned characters: images with one known motion, drawn in any number."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from .._arrays import Numbers

GLYPHS = "5GFPJ72"
_FINER = 8  # drawn this many times larger, then averaged down down
_SHARE = 0.92  # of the side, for the diagonal of a glyph, so that no angle cuts it


def turned_characters(
    glyphs: str, angles: Numbers, *, side: int = 32
) -> UInt8[np.ndarray, "glyphs angles side side"]:
    """Every glyph at every angle, in DejaVu Sans Bold, white on black.

    Use it for training data whose true motion is known. A glyph turns about the middle of its box.

    **Arguments:**

    - `glyphs`: characters, such as `GLYPHS`.
    - `angles`: in degrees, anticlockwise, shape `(n,)`.
    - `side`: of an image, in pixels.

    **Returns:**

    Pixels in 0 ... 255, shape `(glyphs, angles, side, side)`.

    **Raises:**

    - `ValueError`: without glyphs, on one that draws nothing, or on a `side` below 8.

    Source: the data of arXiv 2505.18230 ("uniform rotated characters").

    >>> from geojax.models import turned_characters
    >>> turned_characters("G7", [0.0, 90.0, 180.0]).shape
    (2, 3, 32, 32)
    """
    if not glyphs:
        raise ValueError("glyphs must name at least one character, got ''.")
    if side < 8:
        raise ValueError(f"side must be at least 8 pixels, got {side}.")
    angles = np.asarray(angles, np.float64)
    if angles.ndim != 1:
        raise ValueError(f"angles must have shape (n,), got {angles.shape}.")
    return np.stack([_turned(glyph, angles, side) for glyph in glyphs])


def _turned(glyph: str, angles: np.ndarray, side: int) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    large = side * _FINER
    font = ImageFont.truetype(str(_font()), large)
    left, top, right, bottom = font.getbbox(glyph)
    if right <= left or bottom <= top:
        raise ValueError(f"glyphs must be characters that draw something, got {glyph!r}.")
    size = int(large * _SHARE * large / np.hypot(right - left, bottom - top))
    font = ImageFont.truetype(str(_font()), size)
    # Centred by the drawn pixels, because the boxes of the font are not exact.
    drawn = Image.new("L", (2 * large, 2 * large))
    ImageDraw.Draw(drawn).text((large // 2, large // 2), glyph, fill=255, font=font)
    box = drawn.getbbox()
    assert box is not None
    glyph_only = drawn.crop(box)
    upright = Image.new("L", (large, large))
    upright.paste(glyph_only, ((large - glyph_only.width) // 2, (large - glyph_only.height) // 2))
    turned = [
        np.asarray(upright.rotate(angle, Image.Resampling.BICUBIC), np.float64) for angle in angles
    ]
    blocks = np.stack(turned).reshape(len(angles), side, _FINER, side, _FINER)
    return np.round(blocks.mean(axis=(2, 4))).astype(np.uint8)


def _font() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
