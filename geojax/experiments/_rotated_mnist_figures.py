"""The drawings of the Rotated MNIST experiment."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from ..models import from_pixels
from ..plotting import paths_figure

_MEASURES = {"psnr": "PSNR, dB", "ssim": "SSIM", "lpips": "LPIPS"}
_MARKERS = "osD^vPX*"


class Example(NamedTuple):
    """The paths of one pair: ``times``, ``truth`` (frames, or None), ``frames`` in pixels and PSNR
    by method.
    """

    kind: str
    delta: int | None
    part: str
    times: np.ndarray
    truth: np.ndarray | None
    frames: Mapping[str, np.ndarray]
    psnr: Mapping[str, float | None]

    @property
    def name(self) -> str:
        """For its file."""
        return f"paths_{self.kind}_{self.part}".replace(" ", "_")

    @property
    def title(self) -> str:
        """For its heading."""
        if self.delta is None:
            return f"Paths between two digits of {self.kind}"
        where = "Paths of a digit turned" if self.part == "between" else "Beyond a digit turned"
        return f"{where} by {self.delta}°"


def _colours(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By method, the same in every panel."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    table = colormaps["tab10" if len(methods) <= 10 else "tab20"]
    return {method: table(i) for i, method in enumerate(methods)}


def delta_figure(means: Sequence[Mapping[str, Any]]) -> Figure:
    """PSNR, SSIM and LPIPS by delta, a panel a protocol and measure, a line a method, with
    standard errors. ``means``: of one part, as in `RotatedMnistTables`.
    """
    protocols = list(dict.fromkeys(row["protocol"] for row in means))
    shown = [m for m in _MEASURES if any(row[m] is not None for row in means)]
    colours = _colours(means)
    drawing = Figure(figsize=(4.6 * len(shown), 3.3 * len(protocols)), layout="constrained")
    panels = drawing.subplots(len(protocols), len(shown), squeeze=False, sharex=True, sharey="col")
    for i, protocol in enumerate(protocols):
        for j, measure in enumerate(shown):
            axes = panels[i, j]
            here = [r for r in means if r["protocol"] == protocol and r[measure] is not None]
            for method in dict.fromkeys(row["method"] for row in here):
                line = sorted((r for r in here if r["method"] == method), key=lambda r: r["delta"])
                axes.errorbar(
                    [row["delta"] for row in line],
                    [row[measure] for row in line],
                    yerr=[row[f"{measure}_se"] or 0.0 for row in line],
                    color=colours[method],
                    marker="o",
                    ms=3.5,
                    capsize=2,
                    lw=1.4,
                    label=method,
                )
            axes.grid(True, alpha=0.3)
            axes.set_xticks(sorted({row["delta"] for row in means}))
            if i == 0:
                axes.set_title(_MEASURES[measure])
            if i == len(protocols) - 1:
                axes.set_xlabel("degrees between the two images")
            if j == 0:
                axes.set_ylabel(protocol, fontweight="bold")
            if j == len(shown) - 1:
                axes.legend(fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawing


def compute_figure(means: Sequence[Mapping[str, Any]], measure: str = "psnr") -> Figure:
    """A measure against the score evaluations that the paths took: a colour a method, a marker a
    protocol, with standard errors.
    """
    colours = _colours(means)
    protocols = list(dict.fromkeys(row["protocol"] for row in means))
    drawing = Figure(figsize=(7.6, 4.6), layout="constrained")
    axes = drawing.add_subplot()
    for row in means:
        if row[measure] is None:
            continue
        axes.errorbar(
            [row["score_evaluations"]],
            [row[measure]],
            xerr=[row["score_evaluations_se"] or 0.0],
            yerr=[row[f"{measure}_se"] or 0.0],
            color=colours[row["method"]],
            marker=_MARKERS[protocols.index(row["protocol"]) % len(_MARKERS)],
            ms=6,
            capsize=2,
        )
    axes.set_xscale("symlog", linthresh=10)
    axes.set_xlim(left=-1)
    axes.set_xlabel("score evaluations a path (mean)")
    axes.set_ylabel(f"{_MEASURES[measure]} (mean)")
    axes.grid(True, alpha=0.3)
    for method, tint in colours.items():
        axes.plot([], [], color=tint, lw=5, label=method)
    for i, protocol in enumerate(protocols):
        axes.plot([], [], "k" + _MARKERS[i % len(_MARKERS)], ms=6, label=protocol)
    axes.legend(fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawing


def example_figure(example: Example) -> Figure:
    """A row of frames for every method, below the truth where there is one."""
    rows = {} if example.truth is None else {"truth": example.truth}
    rows |= {
        name: np.asarray(from_pixels(frames))[:, None] for name, frames in example.frames.items()
    }
    captions = {
        name: [f"PSNR {value:.1f} dB"] for name, value in example.psnr.items() if value is not None
    }
    return paths_figure(rows, example.times, captions=captions)
