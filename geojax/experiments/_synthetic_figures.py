"""Pictures of the synthetic experiment."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..plotting import ResultPicture
from ._experiment import PAGES, grouped
from ._figures import distinct, line_with_errors
from ._store import Row

Rows = Sequence[Row]
_FIRST = {"path": "LERP", "beyond": "straight line", "descent": "Euclidean"}
_COLOURS = ("#4c78a8", "#f2a541", "#54a24b", "#b279a2", "#9d755d", "#e45756", "#222222", "#72b7b2")
_SETTING = ("sigma", "lam", "segments")


def synthetic_figures(means: Rows, rows: Rows = ()) -> dict[str, ResultPicture]:
    """The pictures of a table, by the name of their file; those without data are left out.

    **Arguments:**

    - `means`: the result of [`geojax.experiments.run_synthetic`][].
    - `rows`: single measurements, whose points are drawn.
    """
    chosen = best_settings(means)
    of = {kind: [row for row in chosen if row["kind"] == kind] for kind in _FIRST}
    swept = [row for row in means if row["kind"] == "path" and row["lam"] is not None]
    drawn = [row for row in rows if row.get("points") and row["kind"] == "path"]
    lerp = [row for row in means if row["method"] == "LERP"]
    made: dict[str, Callable[[], Figure]] = {}
    if of["path"] or of["beyond"]:
        made["synthetic"] = lambda: _overview(of["path"], of["beyond"])
    if drawn:
        made["synthetic_paths"] = lambda: _paths(of["path"], drawn)
    if of["beyond"]:
        made["synthetic_extrapolation"] = lambda: _bars(of["beyond"], "rmse", "RMSE beyond b")
    if of["descent"]:
        label = "mean distance from the manifold"
        made["synthetic_projection"] = lambda: _bars(of["descent"], "distance_mean", label)
    if len({(row["sigma"], row["lam"]) for row in swept}) > 1:
        made["synthetic_sweeps"] = lambda: _sweeps(swept, lerp)
    texts = PAGES["synthetic"]["pictures"]
    return {name: ResultPicture(**texts[name], figure=draw()) for name, draw in made.items()}


def best_settings(means: Rows) -> list[Row]:
    """The rows of each method at its best setting of sigma, lam and segments.

    The setting is the same for all manifolds. It is chosen among those measured on all manifolds of
    the method, and successful at least half of the time if any is. The best one has the least error
    in the geometric mean.
    """

    def error(group):
        figure = "distance_mean" if group[0]["kind"] == "descent" else "rmse"
        values = [max(row[figure], 1e-12) for row in group if row[figure] is not None]
        failed = np.mean([row.get("successful") or 0.0 for row in group]) < 0.5
        return bool(failed), float(np.mean(np.log(values))) if values else 0.0

    chosen: list[Row] = []
    for kind in _FIRST:
        of_kind = [row for row in means if row["kind"] == kind]
        for of_method in grouped(of_kind, ["method"]).values():
            settings = grouped(of_method, _SETTING).values()
            most = max(map(len, settings))
            chosen += min((group for group in settings if len(group) == most), key=error)
    return chosen


def _by_names(rows: Rows) -> tuple[list[str], list[str], dict[tuple[str, str], Row]]:
    by = {(row["case"], row["method"]): row for row in rows}
    return distinct(rows, "case"), distinct(rows, "method"), by


def _overview(between: Rows, beyond: Rows) -> Figure:
    """Shares of the straight line's error, one panel for each kind, numbers in coloured cells."""
    panels = [
        (_by_names(rows), kind) for rows, kind in ((between, "path"), (beyond, "beyond")) if rows
    ]
    sizes = [len(methods) for (_, methods, _), _ in panels]
    width = 3.4 + 0.95 * max(len(cases) for (cases, _, _), _ in panels)
    figure = Figure(figsize=(width, 2.2 + 0.34 * sum(sizes)), layout="constrained")
    axes: Any = figure.subplots(len(panels), 1, squeeze=False, height_ratios=sizes)[:, 0]
    for ax, ((cases, methods, by), kind) in zip(axes, panels, strict=True):
        shares = np.full((len(methods), len(cases)), np.nan)
        for i, j in np.ndindex(shares.shape):
            row, first = by.get((cases[j], methods[i])), by.get((cases[j], _FIRST[kind]))
            name = "rmse" if first and first["rmse"] is not None else "distance_mean"
            if first and row and row[name] is not None and first[name]:
                shares[i, j] = row[name] / first[name]
        order = np.argsort(-np.nanmean(np.log(np.maximum(shares, 1e-3)), axis=1), kind="stable")
        ax.imshow(shares[order], cmap="RdBu_r", norm=LogNorm(0.03, 33), aspect="auto")
        for (i, j), share in np.ndenumerate(shares[order]):
            text = "–" if np.isnan(share) else f"{100 * share:.0f} %" if share < 99 else "> 99 x"
            dark = not np.isnan(share) and not 0.12 < share < 8
            ax.text(j, i, text, ha="center", va="center", fontsize=8, color="w" if dark else "k")
        ax.set_yticks(range(len(methods)), [methods[i] for i in order], fontsize=8)
        ax.set_xticks(range(len(cases)), [_broken(c) for c in cases], fontsize=8)
        ax.tick_params(length=0)
        whom = "between the two points" if kind == "path" else "beyond the second point"
        ax.set_title(f"error {whom}, in % of {_FIRST[kind]}'s", fontsize=10)
    return figure


def _broken(case: str) -> str:
    return case.replace(" in ", "\nin ").replace(", ", ",\n").replace("across ", "across\n")


def _bars(rows: Rows, figure: str, label: str) -> Figure:
    """A group of bars for each manifold, with standard errors."""
    cases, methods, by = _by_names(rows)
    drawing = Figure(figsize=(2.5 + 1.5 * len(cases), 4.4), layout="constrained")
    axes, width = drawing.add_subplot(), 0.8 / len(methods)
    for i, method in enumerate(methods):
        found = [by.get((case, method)) for case in cases]
        heights = [row[figure] if row and row[figure] is not None else np.nan for row in found]
        errors = [float(row[f"{figure}_se"] or 0.0) if row else 0.0 for row in found]
        places = np.arange(len(cases)) + (i - (len(methods) - 1) / 2) * width
        # On a logarithmic axis an error bar cannot reach zero.
        below = np.minimum(errors, 0.9 * np.asarray(heights))
        style = {"color": _COLOURS[i % len(_COLOURS)], "capsize": 2, "error_kw": {"lw": 1}}
        axes.bar(places, heights, 0.9 * width, yerr=[below, errors], label=method, **style)
    axes.set_yscale("log")
    axes.set_xticks(range(len(cases)), [_broken(case) for case in cases], fontsize=9)
    axes.set_ylabel(label)
    axes.grid(True, axis="y", alpha=0.3)
    drawing.legend(loc="outside right upper", fontsize=8)
    return drawing


_SHOWN = ("LERP", "density flow", "Stein as published", "Stein", "combined", "norm + Stein")


def _paths(chosen: Rows, drawn: Rows) -> Figure:
    """One pair of each manifold, one panel each."""
    setting = ("case", "method", *_SETTING)
    wanted = grouped(chosen, setting)
    shown = [row for row in drawn if row["method"] in _SHOWN]
    shown = [row for key, rows in grouped(shown, setting).items() if key in wanted for row in rows]
    cases = grouped(shown, ["case"])
    columns = min(4, len(cases))
    lines = -(-len(cases) // columns)
    figure = Figure(figsize=(3.2 * columns + 1.6, 3.1 * lines), layout="constrained")
    handles: dict[str, Any] = {}
    for i, ((case,), rows) in enumerate(cases.items(), 1):
        flat = len(rows[0]["points"][0]) == 2
        axes: Any = figure.add_subplot(lines, columns, i, projection=None if flat else "3d")
        for row in rows:
            if row.get("manifold"):
                points = np.asarray(row["manifold"]).T
                axes.scatter(*points, s=2, color="#bbbbbb", linewidths=0)
        for row in rows:
            style = {"color": _COLOURS[_SHOWN.index(row["method"])], "lw": 1.6}
            (handles[row["method"]],) = axes.plot(*np.asarray(row["points"]).T, **style)
            if row.get("truth"):
                style = {"color": "k", "lw": 2.6, "ls": (0, (1, 1)), "zorder": 9}
                (handles["truth"],) = axes.plot(*np.asarray(row["truth"]).T, **style)
        axes.set_title(case, fontsize=9)
        axes.set_axis_off()
        if flat:
            axes.set_aspect("equal")
        else:
            limits = (getattr(axes, f"get_{name}lim")() for name in "xyz")
            axes.set_box_aspect([high - low for low, high in limits], zoom=1.25)
    names = [name for name in ("truth", *_SHOWN) if name in handles]
    figure.legend([handles[name] for name in names], names, loc="outside right upper", fontsize=8)
    return figure


def _sweeps(rows: Rows, lerp: Rows) -> Figure:
    """RMSE by lam, one panel for each manifold and method."""
    groups = grouped(rows, ["case", "method"])
    groups = {key: group for key, group in groups.items() if len(distinct(group, "lam")) > 1}
    cases, methods = (list(dict.fromkeys(key[i] for key in groups)) for i in (0, 1))
    figure = Figure(figsize=(1.4 + 3 * len(methods), 2.7 * len(cases)), layout="constrained")
    shape = len(cases), len(methods)
    panels: Any = figure.subplots(*shape, squeeze=False, sharex=True, sharey="row")
    sigmas = sorted(distinct(rows, "sigma"))
    for i, j in np.ndindex(panels.shape):
        case, axes, group = cases[i], panels[i, j], groups.get((cases[i], methods[j]), [])
        counts = grouped(group, ["segments"])
        counts = sorted(
            n for (n,), of_count in counts.items() if len(distinct(of_count, "lam")) > 1
        )
        for k, sigma in enumerate(sigmas):
            for n in (counts[-1:] + counts[:1])[: len(counts)]:
                line = [row for row in group if (row["sigma"], row["segments"]) == (sigma, n)]
                style = {
                    "color": _COLOURS[k % len(_COLOURS)],
                    "ls": "-" if n == counts[-1] else ":",
                }
                style |= {"label": f"sigma {sigma:g}, {n} segments", "capsize": 0}
                line_with_errors(axes, line, "lam", "rmse", style)
        straight = [r["rmse"] for r in lerp if r["case"] == case and r["rmse"] is not None]
        if straight:
            axes.axhline(straight[0], color="#999999", lw=1)
        axes.set(xscale="log", yscale="log")
        axes.set_title(f"{case}: {methods[j]}", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("lambda, in units of sigma^2")
    for axes in panels[:, 0]:
        axes.set_ylabel("RMSE")
    handles = dict(zip(*reversed(panels[0, 0].get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside right upper", fontsize=8)
    return figure
