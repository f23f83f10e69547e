"""Paths of images: a labelled row for every method."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ._figure import NotebookFigure
from ._style import BEYOND, ENDS, colour, frame_indices, pixels

Images = Real[Array | np.ndarray, "_ channels height width"]
# In tiles: gap between tiles, least space for labels, space for a letter, gap before "beyond B".
_GAP, _LEFT, _LETTER, _BREAK = 0.08, 2.3, 0.14, 0.3


def paths_figure(
    images: Mapping[str, Images],
    times: Real[Array | np.ndarray, " _"],
    *,
    given: Real[Array | np.ndarray, "2 channels height width"] | None = None,
    labels: Mapping[str, str] | None = None,
    captions: Mapping[str, Sequence[str]] | None = None,
    title: str = "",
    max_columns: int = 13,
) -> Figure:
    """A row of images for every method, from A (time 0) to B (time 1) and beyond.

    **Arguments:**

    - `images`: by method, shape `(frames, channels, height, width)`, pixels in [-1, 1].
    - `times`: of the frames; those above 1 are marked as beyond B.
    - `given`: the images A and B themselves, for a row of their own above the others.
    - `labels`: by method, the text that replaces its name.
    - `captions`: by method, short lines below its name.
    - `title`: of the figure.
    - `max_columns`: with more frames, every second (third, ...) is shown.

    **Returns:**

    A matplotlib figure.

    **Raises:**

    - `ValueError`: without images, or when their number is not that of the times.

    >>> import numpy as np
    >>> from geojax.plotting import paths_figure
    >>> rows = {"LERP": np.zeros((5, 1, 8, 8)), "geodesic": np.zeros((5, 1, 8, 8))}
    >>> figure = paths_figure(rows, np.array([0, 0.5, 1, 1.5, 2]), given=np.zeros((2, 1, 8, 8)))
    >>> len(figure.axes[0].images)  # two given ones and two rows of five
    12
    """
    times = np.asarray(times)
    lengths = {len(row) for row in images.values()}
    if lengths != {len(times)}:
        raise ValueError(
            f"images must have one row or more of {len(times)} frames, as many as times, got rows "
            f"of {sorted(lengths)}."
        )
    labels = {name: (labels or {}).get(name, name) for name in images}
    shown = frame_indices(times, max_columns)
    times = times[shown]
    beyond = times > 1 + 1e-6
    lefts = np.arange(len(times)) * (1 + _GAP) + np.where(beyond, _BREAK, 0.0)
    head = 1.62 if given is not None else 0.5
    top = head + (0.55 if title else 0.08)
    left = max(_LEFT, 0.4 + _LETTER * max(map(len, labels.values())))
    width = left + lefts[-1] + 1.2
    height = top + len(images) * (1 + 2 * _GAP) + 0.15
    figure = NotebookFigure(figsize=(0.78 * width, 0.78 * height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    if beyond.any():
        _mark_beyond(axes, lefts[beyond][0], lefts[-1] + 1, len(images))
    for row, (name, frames) in enumerate(images.items()):
        y = row * (1 + 2 * _GAP)
        tint = colour(labels[name], row)
        _label(axes, y, labels[name], tint, (captions or {}).get(name, ()))
        for x, time, tile in zip(lefts, times, pixels(frames)[shown], strict=True):
            end = np.isclose(time, 0) or np.isclose(time, 1)
            edge = BEYOND if time > 1 + 1e-6 else (ENDS if end else "none")
            _tile(axes, x, y, tile, edge)
    for x, time in zip(lefts, times, strict=True):
        name = {0.0: "A", 1.0: "B"}.get(round(float(time), 6), f"{time:.4g}")
        tint = BEYOND if time > 1 + 1e-6 else ENDS
        bold = "bold" if name in "AB" else "normal"
        axes.text(
            x + 0.5, -0.1, name, ha="center", va="bottom", color=tint, fontweight=bold, fontsize=9.5
        )
    axes.text(-0.25, -0.1, "time", ha="right", va="bottom", color="#666666", fontsize=9)
    if given is not None:
        _given(axes, lefts, times, pixels(given))
    if title:
        axes.text(-left + 0.15, -head - 0.22, title, va="center", fontsize=13, fontweight="bold")
    axes.set_xlim(-left, width - left)
    axes.set_ylim(height - top, -top)
    return figure


def _tile(axes: Axes, x: float, y: float, tile: np.ndarray, edge: str) -> None:
    """An image in the unit square at (x, y), centred if it is not square."""
    height, width = (side / max(tile.shape[:2]) for side in tile.shape[:2])
    x, y = x + (1 - width) / 2, y + (1 - height) / 2
    axes.imshow(
        tile,
        cmap="gray",
        vmin=0,
        vmax=255,
        extent=(x, x + width, y + height, y),
        interpolation="nearest" if max(tile.shape[:2]) <= 64 else "antialiased",
        aspect="equal",
    )
    if edge != "none":
        axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=edge, linewidth=2.6))


def _label(axes: Axes, y: float, name: str, tint: str, lines: Sequence[str]) -> None:
    size = 0.19
    start = y + 0.5 - size * len(lines) / 2
    axes.text(
        -0.25, start, name, ha="right", va="center", fontsize=12, fontweight="bold", color=tint
    )
    for k, line in enumerate(lines, start=1):
        axes.text(
            -0.25, start + 0.04 + size * k, line, ha="right", va="center", fontsize=8.5, color=ENDS
        )


def _given(axes: Axes, lefts: np.ndarray, times: np.ndarray, given: np.ndarray) -> None:
    """A above time 0 and B above time 1, with an arrow from A to B and one beyond."""
    y, middle = -1.55, -1.05
    last = int(np.argmin(np.abs(times - 1)))
    for x, tile in ((lefts[0], given[0]), (lefts[last], given[1])):
        _tile(axes, x, y, tile, ENDS)
    axes.text(-0.25, middle, "given", ha="right", va="center", fontsize=12, color=ENDS)
    spans = [(lefts[0] + 1.15, lefts[last] - 0.15, ENDS, "from A to B")]
    if last < len(times) - 1:
        spans.append((lefts[last] + 1.15, lefts[-1] + 0.95, BEYOND, "beyond B: extrapolated"))
    for start, stop, tint, text in spans:
        if stop - start < 0.6:
            continue
        arrow = {"arrowstyle": "-|>", "color": tint, "lw": 1.6, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (stop, middle), (start, middle), arrowprops=arrow)
        axes.text(
            (start + stop) / 2,
            middle - 0.12,
            text,
            ha="center",
            va="bottom",
            color=tint,
            fontsize=10,
        )


def _mark_beyond(axes: Axes, start: float, stop: float, rows: int) -> None:
    pad = 0.5 * _GAP + 0.03
    corner, high = (start - pad, -0.45), rows * (1 + 2 * _GAP) + 0.45
    axes.add_patch(
        Rectangle(
            corner, stop - start + 2 * pad, high, facecolor=BEYOND, alpha=0.13, lw=0, zorder=-1
        )
    )
