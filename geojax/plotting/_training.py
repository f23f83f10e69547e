"""Figures of a training run: its loss, and samples of the model."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Array, Real
from matplotlib.figure import Figure

from .._arrays import refuse_pixels
from ._figure import NotebookFigure

Images = Real[Array | np.ndarray, "rows columns *image"]


def loss_curve(history: Sequence[tuple[int, float, float]]) -> Figure:
    """The loss by training step on a log scale: on training batches, and below on held-out data.

    **Arguments:**

    - `history`: a row `(step, loss, held-out loss)` for every save, as
      [`geojax.models.loss_history`][] returns it. NaN is left out.

    **Returns:**

    A matplotlib figure.

    **Raises:**

    - `ValueError`: on an empty history.

    >>> from geojax.plotting import loss_curve
    >>> figure = loss_curve([(250, 0.45, 0.050), (500, 0.20, 0.035)])
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss on training batches', 'loss on held-out data']
    """
    if not history:
        raise ValueError("the history is empty: train until the first save.")
    steps, training, held_out = (np.asarray(column) for column in zip(*history, strict=True))
    rows = [("loss on training batches", training, "C0"), ("loss on held-out data", held_out, "C1")]
    rows = [row for row in rows if np.any(np.isfinite(row[1]))]
    figure = NotebookFigure(figsize=(7, 1.2 + 2 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values, colour) in zip(panels, rows, strict=True):
        marker = "o" if len(steps) < 3 else ""
        axes.plot(steps, values, color=colour, lw=1.5, marker=marker)
        axes.annotate(
            f" {values[-1]:.3g}", (float(steps[-1]), float(values[-1])), va="center", color=colour
        )
        axes.set_yscale("log")
        axes.set_ylabel(name)
        # Plain numbers, because a loss seldom spans the decades that a log axis labels. If it spans
        # more than a factor of three, only ones, twos and fives are labelled, to avoid overlaps.
        wide = np.nanmax(values) > 3 * np.nanmin(values)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(_twos_and_fives if wide else "{x:g}")
        axes.grid(True, which="both", alpha=0.25)
        axes.margins(x=0.12)
    panels[-1].set_xlabel("training step")
    return figure


def _twos_and_fives(value: float, _) -> str:
    return f"{value:g}" if f"{value:.0e}"[0] in "25" else ""


def sample_sheet(
    blocks: Mapping[str, Images], *, row_labels: Sequence[str] = (), title: str = ""
) -> Figure:
    """A sheet of images: blocks side by side, each with its heading, and row labels at the left.

    **Arguments:**

    - `blocks`: from a heading to images of shape `(rows, columns, height, width)`, or (rows,
      columns, channels, height, width) with one channel or three, with pixels in [-1, 1] (clipped).
    - `row_labels`: as many as every block has rows.
    - `title`: of the figure.

    **Returns:**

    A matplotlib figure.

    **Raises:**

    - `ValueError`: when the numbers of rows differ.

    >>> import numpy as np
    >>> from geojax.plotting import sample_sheet
    >>> images = np.zeros((2, 3, 8, 8))
    >>> figure = sample_sheet({"drawn": images, "real": images}, row_labels=["0", "1"])
    >>> [axes.get_title() for axes in figure.axes]
    ['drawn', 'real']
    """
    for heading, images in blocks.items():
        refuse_pixels(f"blocks[{heading!r}]", images)
    numbers = {len(images) for images in blocks.values()}
    if row_labels:
        numbers.add(len(row_labels))
    if len(numbers) != 1:
        raise ValueError(
            f"all blocks and row_labels must have one number of rows, got {sorted(numbers)}."
        )
    tiles = {heading: _tiled(np.asarray(images)) for heading, images in blocks.items()}
    height = next(iter(tiles.values())).shape[0]
    widths = [tile.shape[1] for tile in tiles.values()]
    inch = 9.0 / max(sum(widths), 300)
    wide, high = inch * sum(widths) + 0.15 * len(tiles), inch * height + 0.4
    figure = NotebookFigure(
        figsize=(wide + 0.3, high + (0.4 if title else 0.0)), layout="constrained"
    )
    gaps = {"wspace": 0.04}
    panels = figure.subplots(1, len(tiles), width_ratios=widths, squeeze=False, gridspec_kw=gaps)[0]
    for axes, (heading, tile) in zip(panels, tiles.items(), strict=True):
        axes.imshow(tile, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(heading, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    if row_labels:
        step = height / len(row_labels)
        panels[0].set_yticks([step * (i + 0.5) for i in range(len(row_labels))], row_labels)
        panels[0].tick_params(length=0)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _tiled(images: np.ndarray, gap: int = 2) -> np.ndarray:
    """Rows and columns of images as one image, separated by white lines of `gap` pixels.

    Its shape is (height, width, channels), with values in [0, 1].
    """
    if images.ndim == 4:
        images = images[:, :, None]
    rows, columns, channels, height, width = images.shape
    padded = np.ones((rows, columns, channels, height + gap, width + gap))
    padded[..., :height, :width] = (np.clip(images, -1, 1) + 1) / 2
    sheet = padded.transpose(0, 3, 1, 4, 2)
    sheet = sheet.reshape(rows * (height + gap), columns * (width + gap), channels)
    return sheet[:-gap, :-gap]
