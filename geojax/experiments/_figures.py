"""Drawings that several experiments share."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..plotting import paths_figure
from ._store import Row


class Frames(NamedTuple):
    """The pictures of one path.

    These are its method, a second part of its name, pixels of shape `(frames, height, width)`, and
    the PSNR if there is a truth.
    """

    method: str
    setting: str
    pixels: np.ndarray
    psnr: float | None


def frames_figure(paths: Sequence[Frames], times: np.ndarray, truth: np.ndarray | None) -> Figure:
    """One row of pictures for each path, below the row of the truth in pixels, if it is known."""
    paths = [*([] if truth is None else [Frames("truth", "", truth, None)]), *paths]
    names = [f"{path.method} {path.setting}" for path in paths]
    images = [path.pixels[:, None] / 127.5 - 1 for path in paths]
    lines = [[p.setting, "" if p.psnr is None else f"PSNR {p.psnr:.1f} dB"] for p in paths]
    return paths_figure(
        dict(zip(names, images, strict=True)),
        times,
        labels={name: path.method for name, path in zip(names, paths, strict=True)},
        captions={n: [x for x in each if x] for n, each in zip(names, lines, strict=True)},
    )


def distinct(rows: Sequence[Row], name: str) -> list[Any]:
    """The distinct values of a column, in order of appearance."""
    return list(dict.fromkeys(row[name] for row in rows))


def colours_of(rows: Sequence[Row]) -> dict[str, Any]:
    """A colour for every method, the same in every panel."""
    methods = distinct(rows, "method")
    table = colormaps["tab10" if len(methods) <= 10 else "tab20"]
    return {method: table(i) for i, method in enumerate(methods)}


def line_with_errors(
    axes: Axes, rows: Sequence[Row], x: str, y: str, style: Mapping[str, Any]
) -> None:
    """A figure with its standard errors against a setting, for the rows that have it."""
    line = sorted((row for row in rows if row[y] is not None), key=lambda row: row[x])
    errors = [row[f"{y}_se"] or 0.0 for row in line]
    places = [row[x] for row in line], [row[y] for row in line]
    axes.errorbar(*places, yerr=errors, **{"marker": "o", "ms": 3, "capsize": 2, **style})
    axes.grid(True, alpha=0.3)
