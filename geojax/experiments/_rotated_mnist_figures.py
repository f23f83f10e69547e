"""The drawings of the Rotated MNIST experiment."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ._figures import colours_of, distinct, line_with_errors
from ._store import Row

_MEASURES = {"psnr": "PSNR, dB", "ssim": "SSIM", "lpips": "LPIPS"}
_MARKERS = "osD^vPX*"
_BESIDE = {"fontsize": 7.5, "loc": "center left", "bbox_to_anchor": (1.0, 0.5)}


def delta_figure(means: Sequence[Row]) -> Figure:
    """PSNR, SSIM and LPIPS by delta, with standard errors.

    A row is a protocol, a column a measure, a line a method. `means` are those of one part of
    `RotatedMnistTables`.
    """
    protocols, colours = distinct(means, "protocol"), colours_of(means)
    shown = [m for m in _MEASURES if any(row[m] is not None for row in means)]
    drawing = Figure(figsize=(4.6 * len(shown), 3.3 * len(protocols)), layout="constrained")
    panels = drawing.subplots(len(protocols), len(shown), squeeze=False, sharex=True, sharey="col")
    for line, protocol in zip(panels, protocols, strict=True):
        for axes, measure in zip(line, shown, strict=True):
            here = [r for r in means if r["protocol"] == protocol and r[measure] is not None]
            for method in distinct(here, "method"):
                style = {"color": colours[method], "ms": 3.5, "lw": 1.4, "label": method}
                rows = [row for row in here if row["method"] == method]
                line_with_errors(axes, rows, "delta", measure, style)
            axes.set_xticks(sorted(distinct(means, "delta")))
        line[0].set_ylabel(protocol, fontweight="bold")
        line[-1].legend(**_BESIDE)
    for j, measure in enumerate(shown):
        panels[0, j].set_title(_MEASURES[measure])
        panels[-1, j].set_xlabel("degrees between the two images")
    return drawing


def compute_figure(means: Sequence[Row]) -> Figure:
    """PSNR against the score evaluations of the paths, with standard errors.

    A colour is a method, a marker a protocol.
    """
    colours, protocols = colours_of(means), distinct(means, "protocol")
    marker = {name: _MARKERS[i % len(_MARKERS)] for i, name in enumerate(protocols)}
    drawing = Figure(figsize=(7.6, 4.6), layout="constrained")
    axes = drawing.add_subplot()
    rows = [row for row in means if row["psnr"] is not None]
    free = 0  # closed forms are drawn side by side, so that they do not cover each other
    for row in rows:
        free += not row["score_evaluations"]
        place = {"place": row["score_evaluations"] or free}
        style = {"color": colours[row["method"]], "marker": marker[row["protocol"]], "ms": 6}
        style |= {"xerr": [row["score_evaluations_se"] or 0.0], "lw": 1.2}
        line_with_errors(axes, [row | place], "place", "psnr", style)
    edge = max(10, free + 2)
    axes.set_xscale("symlog", linthresh=edge)
    end = max(100, 2 * max((row["score_evaluations"] for row in means), default=0))
    axes.set_xlim(0, end)
    axes.axvspan(0, edge, color="0.93", zorder=-1)
    decades = [10**k for k in range(2, 9) if edge < 10**k <= end]
    axes.set_xticks([edge / 2, *decades], ["none", *(f"{decade:,}" for decade in decades)])
    axes.minorticks_off()
    axes.set_xlabel("score evaluations a path (mean)")
    axes.set_ylabel(f"{_MEASURES['psnr']} (mean)")
    for method, tint in colours.items():
        axes.plot([], [], color=tint, lw=5, label=method)
    for protocol, shape in marker.items():
        axes.plot([], [], "k" + shape, ms=6, label=protocol)
    axes.legend(**_BESIDE)
    return drawing
