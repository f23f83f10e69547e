"""The figure of `geojax evaluate`: measures along a path of images."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Array, Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ._figure import NotebookFigure
from ._style import BEYOND, colour, frame_indices, pixels

Curve = Real[Array | np.ndarray, " _"]
Images = Real[Array | np.ndarray, "frames channels height width"]


def evaluation_figure(
    paths: Mapping[str, Images],
    times: Real[Array | np.ndarray, " frames"],
    curves: Mapping[str, Mapping[str, Curve]],
    *,
    truth: Images | None = None,
    max_columns: int = 13,
) -> Figure:
    """The frames of each path, the truth if there is one, and a panel for every measure.

    **Arguments:**

    - `paths`: the frames by name, in [-1, 1], shape `(frames, channels, height, width)`.
    - `times`: of the frames; those above 1 are beyond the second end.
    - `curves`: by measure, then by path. A curve has one value a frame, or one less for the steps
      from each frame to the next.
    - `truth`: the true frames, as many.
    - `max_columns`: with more frames, every second (third, ...) is shown.

    **Returns:**

    A matplotlib figure.

    **Raises:**

    - `ValueError`: on a curve of another length.

    >>> import numpy as np
    >>> from geojax.plotting import evaluation_figure
    >>> paths, times = {"LERP": np.zeros((3, 1, 8, 8))}, np.array([0.0, 0.5, 1.0])
    >>> figure = evaluation_figure(paths, times, {"step": {"LERP": np.array([0.1, 0.2])}})
    >>> [axes.get_title() for axes in figure.axes][:4]
    ['0', '0.5', '1', 'step']
    """
    times = np.asarray(times, dtype=np.float64)
    for measure, of_paths in curves.items():
        wrong = {
            n: len(c) for n, c in of_paths.items() if len(c) not in (len(times), len(times) - 1)
        }
        if wrong:
            raise ValueError(
                f"a curve must have {len(times)} values, one a frame, or one less, got {wrong} for "
                f"{measure}."
            )
    rows = {**paths, **({} if truth is None else {"truth": truth})}
    shown = frame_indices(times, max_columns)
    below = -(-len(curves) // 3)
    figure = NotebookFigure(figsize=(11, 1.15 * len(rows) + 2.6 * below), layout="constrained")
    heights = [1.15 * len(rows), 2.6 * below] if below else [1.0]
    parts = np.ravel(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False))
    tiles = parts[0].subplots(len(rows), len(shown), squeeze=False)
    for row, (name, images) in enumerate(rows.items()):
        for column, (index, tile) in enumerate(zip(shown, pixels(images)[shown], strict=True)):
            axes = tiles[row, column]
            axes.imshow(tile, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            if row == 0:
                tint = BEYOND if times[index] > 1 + 1e-6 else "black"
                axes.set_title(f"{times[index]:.3g}", fontsize=9, color=tint)
            if column == 0:
                axes.set_ylabel(name, fontsize=10)
    if below:
        panels = np.ravel(parts[1].subplots(below, 3, squeeze=False))
        tints = {name: colour(name, k) for k, name in enumerate(paths)}
        for axes, (name, of_paths) in zip(panels, curves.items(), strict=False):
            _draw(axes, name, of_paths, tints, times)
        if len(paths) > 1:
            panels[0].legend(frameon=False, fontsize=9)
        for axes in panels[len(curves) :]:
            axes.set_axis_off()
    return figure


def _draw(
    axes: Axes,
    name: str,
    curves: Mapping[str, Curve],
    tints: Mapping[str, str],
    times: np.ndarray,
) -> None:
    values = []
    for path, given in curves.items():
        curve = np.asarray(given, dtype=np.float64)
        values.append(curve[np.isfinite(curve)])
        if len(curve) == len(times):
            axes.plot(times, curve, "o-", ms=4, lw=1.5, color=tints[path], label=path)
        else:
            axes.stairs(curve, times, baseline=None, lw=1.8, color=tints[path], label=path)
    finite = np.concatenate(values)
    if len(finite) and finite.min() >= 0:
        axes.set_ylim(0, 1.08 * finite.max() or 1.0)
    if times[-1] > 1 + 1e-6:
        axes.axvspan(1, times[-1], color=BEYOND, alpha=0.13, lw=0)
    axes.set_title(name, fontsize=10.5)
    axes.set_xlabel("time")
    axes.grid(True, alpha=0.3)
