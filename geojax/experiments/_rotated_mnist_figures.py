"""The drawings of the Rotated MNIST experiment."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from ..models import to_pixels

_MEASURES = {"psnr": "PSNR, dB", "ssim": "SSIM", "lpips": "LPIPS"}
_MARKERS = "osD^vPX*"


class Example(NamedTuple):
    """The paths of one pair: ``times``, ``truth`` (frames, or None), ``frames`` in pixels and PSNR
    by method and protocol.
    """

    kind: str
    delta: int | None
    part: str
    times: np.ndarray
    truth: np.ndarray | None
    frames: Mapping[tuple[str, str], np.ndarray]
    psnr: Mapping[tuple[str, str], float | None]

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
    free = 0  # closed forms stand side by side, or they would hide each other
    for row in means:
        if row[measure] is None:
            continue
        cost = row["score_evaluations"]
        if not cost:
            free += 1
        axes.errorbar(
            [cost or free],
            [row[measure]],
            xerr=[row["score_evaluations_se"] or 0.0],
            yerr=[row[f"{measure}_se"] or 0.0],
            color=colours[row["method"]],
            marker=_MARKERS[protocols.index(row["protocol"]) % len(_MARKERS)],
            ms=6,
            capsize=2,
            lw=1.2,
        )
    edge = max(10, free + 2)
    axes.set_xscale("symlog", linthresh=edge)
    dearest = max((row["score_evaluations"] for row in means), default=0)
    axes.set_xlim(0, max(100, 2 * dearest))
    axes.axvspan(0, edge, color="0.93", zorder=-1)
    decades = [10**k for k in range(2, 9) if edge < 10**k <= max(100, 2 * dearest)]
    axes.set_xticks([edge / 2, *decades], ["none", *(f"{decade:,}" for decade in decades)])
    axes.minorticks_off()
    axes.set_xlabel("score evaluations a path (mean)")
    axes.set_ylabel(f"{_MEASURES[measure]} (mean)")
    axes.grid(True, alpha=0.3)
    for method, tint in colours.items():
        axes.plot([], [], color=tint, lw=5, label=method)
    for i, protocol in enumerate(protocols):
        axes.plot([], [], "k" + _MARKERS[i % len(_MARKERS)], ms=6, label=protocol)
    axes.legend(fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawing


def example_figure(example: Example, max_columns: int = 13) -> Figure:
    """A row of frames for every method, below the truth where there is one."""
    rows = [(*name, frames, example.psnr.get(name)) for name, frames in example.frames.items()]
    if example.truth is not None:
        truth = to_pixels(jnp.asarray(example.truth[:, 0]))
        rows = [("truth", "", truth, None), *rows]
    count = len(example.times)
    shown = np.unique(np.linspace(0, count - 1, min(count, max_columns)).round().astype(int))
    left, top = 2.6, 0.5  # for the labels
    width, height = left + len(shown), top + len(rows)
    drawing = Figure(figsize=(0.85 * width, 0.85 * height))
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for i, (method, protocol, frames, psnr) in enumerate(rows):
        axes.text(-0.12, i + 0.38, method, ha="right", va="center", fontsize=10, fontweight="bold")
        below = [protocol, "" if psnr is None else f"PSNR {psnr:.1f} dB"]
        below = ", ".join(word for word in below if word)
        axes.text(-0.12, i + 0.66, below, ha="right", va="center", fontsize=7.5, color="0.35")
        for column, index in enumerate(shown):
            place = (column + 0.04, column + 0.96, i + 0.96, i + 0.04)
            axes.imshow(frames[index], cmap="gray", vmin=0, vmax=255, extent=place)
    for column, index in enumerate(shown):
        time = example.times[index]
        name = {0.0: "A", 1.0: "B"}.get(round(float(time), 6), f"{time:.3g}")
        axes.text(column + 0.5, -0.12, name, ha="center", fontsize=9)
    axes.set_xlim(-left, len(shown) + 0.05)
    axes.set_ylim(len(rows) + 0.05, -top)
    return drawing
