"""Paths of images as a GIF: all methods side by side, forwards and backwards."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Array, Real
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from .._files import written_whole
from ._style import BEYOND, COLOURS, ENDS, colour, pixels

Images = Real[Array | np.ndarray, "_ channels height width"]
_MARGIN, _HEAD, _FOOT = 14, 34, 52  # pixels: around the images, for their names, for the time line


def animation_frames(
    images: Mapping[str, Images],
    times: Real[Array | np.ndarray, " _"],
    *,
    size: int = 196,
) -> list[Image.Image]:
    """One picture for each time, with the methods side by side above a time line.

    **Arguments:**

    - `images`: by method, shape `(frames, channels, height, width)`, pixels in [-1, 1].
    - `times`: of the frames, 0 at A and 1 at B. Above 1 the frame and the line are coloured and
      marked "beyond B".
    - `size`: the least height and width of an image, in pixels of the picture.

    **Returns:**

    Pictures of one size.

    **Raises:**

    - `ValueError`: without images, or when their number is not that of the times.

    >>> import numpy as np
    >>> from geojax.plotting import animation_frames
    >>> pictures = animation_frames({"LERP": np.zeros((3, 1, 8, 8))}, np.array([0, 1, 1.5]))
    >>> len(pictures), pictures[0].mode
    (3, 'RGB')
    """
    times = np.asarray(times, dtype=np.float64)
    tiles = {name: pixels(row) for name, row in images.items()}
    lengths = {len(row) for row in tiles.values()}
    if lengths != {len(times)}:
        raise ValueError(
            f"images must have one row or more of {len(times)} frames, as many as times, got rows "
            f"of {sorted(lengths)}."
        )
    return [
        _picture({name: row[k] for name, row in tiles.items()}, float(time), times, size)
        for k, time in enumerate(times)
    ]


def save_animation(
    frames: list[Image.Image], path: Path | str, *, frame_ms: int = 90, hold_ms: int = 700
) -> None:
    """Write pictures as an endless GIF that runs to the last one and back.

    The file is written whole or not at all.

    **Arguments:**

    - `frames`: the pictures.
    - `path`: of the file.
    - `frame_ms`: the duration of a frame in milliseconds.
    - `hold_ms`: that of the first and the last frame.

    **Raises:**

    - `ValueError`: without frames.

    >>> import numpy as np
    >>> from geojax.plotting import animation_frames, save_animation
    >>> pictures = animation_frames({"LERP": np.zeros((3, 1, 8, 8))}, np.array([0, 0.5, 1]))
    >>> save_animation(pictures, "path.gif")
    """
    if not frames:
        raise ValueError("there are no frames to write.")
    ways = [*frames, *frames[-2:0:-1]]
    durations = [frame_ms] * len(ways)
    durations[0] = durations[len(frames) - 1] = hold_ms
    palette = _palette(frames)
    first, *rest = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in ways]
    with written_whole(path) as temporary:
        first.save(
            temporary, save_all=True, append_images=rest, duration=durations, loop=0, optimize=False
        )


def _palette(frames: list[Image.Image]) -> Image.Image:
    """256 colours for all frames; swatches make sure that it has the colours of the methods."""
    tints = [*COLOURS.values(), BEYOND]
    width, height = frames[0].width // 2, frames[0].height // 2
    sampled = Image.new("RGB", (width, height * len(frames) + 40 * len(tints)), "white")
    for i, frame in enumerate(frames):
        sampled.paste(frame.resize((width, height), Image.Resampling.NEAREST), (0, height * i))
    draw = ImageDraw.Draw(sampled)
    for i, tint in enumerate(tints):
        y = height * len(frames) + 40 * i
        draw.rectangle((0, y, width, y + 40), fill=tint)
    return sampled.quantize(256)


def _picture(
    tiles: dict[str, np.ndarray], time: float, times: np.ndarray, size: int
) -> Image.Image:
    height, width = next(iter(tiles.values())).shape[:2]
    scale = max(1, -(-size // max(height, width)))
    wide, high = scale * width, scale * height
    total = _MARGIN + len(tiles) * (wide + _MARGIN)
    picture = Image.new("RGB", (total, _HEAD + high + _FOOT), "white")
    draw = ImageDraw.Draw(picture)
    for i, (name, tile) in enumerate(tiles.items()):
        x = _MARGIN + i * (wide + _MARGIN)
        draw.text(
            (x + wide / 2, _HEAD / 2), name, fill=colour(name, i), font=_font(18), anchor="mm"
        )
        image = Image.fromarray(tile).convert("RGB")
        picture.paste(image.resize((wide, high), Image.Resampling.NEAREST), (x, _HEAD))
        if time > 1 + 1e-6:
            frame = (x - 4, _HEAD - 4, x + wide + 3, _HEAD + high + 3)
            draw.rectangle(frame, outline=BEYOND, width=4)
    _time_line(draw, (_MARGIN + 14, total - _MARGIN - 14), _HEAD + high + 18, time, times)
    return picture


def _time_line(
    draw: ImageDraw.ImageDraw, span: tuple[int, int], y: int, time: float, times: np.ndarray
) -> None:
    until = float(times[-1])
    place = lambda t: span[0] + (span[1] - span[0]) * t / max(until, 1e-9)  # noqa: E731
    at_b = place(min(1.0, until))
    draw.line((span[0], y, at_b, y), fill="#999999", width=3)
    marks = [("A", span[0], ENDS), ("B", at_b, ENDS)]
    if until > 1 + 1e-6:
        draw.line((at_b, y, span[1], y), fill=BEYOND, width=3)
        marks.append(("beyond B", (at_b + span[1]) / 2, BEYOND))
    for text, x, tint in marks:
        draw.text((x, y + 20), text, fill=tint, font=_font(14), anchor="mm")
    for x in (span[0], at_b):
        draw.line((x, y - 5, x, y + 5), fill=ENDS, width=2)
    tint, x = (BEYOND if time > 1 + 1e-6 else ENDS), place(time)
    draw.ellipse((x - 7, y - 7, x + 7, y + 7), fill=tint)


def _font(points: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), points)
