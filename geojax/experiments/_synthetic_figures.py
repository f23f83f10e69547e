"""Pictures of the synthetic experiment."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..plotting import ResultPicture

Rows = Sequence[Mapping[str, Any]]
_FIRST = {"path": "LERP", "beyond": "straight line", "descent": "Euclidean"}
_COLOURS = ("#4c78a8", "#f2a541", "#54a24b", "#b279a2", "#9d755d", "#e45756", "#222222", "#72b7b2")


def synthetic_figures(means: Rows, rows: Rows = ()) -> dict[str, ResultPicture]:
    """The pictures of a table, by the name of their file; those without data are left out.

    - ``means``: as `run_synthetic` returns them.
    - ``rows``: single measurements, whose points are drawn.
    """
    chosen = best_settings(means)
    of = {kind: [row for row in chosen if row["kind"] == kind] for kind in _FIRST}
    swept = [row for row in means if row["kind"] == "path" and row["lam"] is not None]
    drawn = [row for row in rows if row.get("points") and row["kind"] == "path"]
    made: dict[str, tuple[str, str, Callable[[], Figure], bool]] = {
        "synthetic": (
            "Who follows the manifold, and who does not",
            "The error of every method as a share of the straight line's, by manifold: blue is "
            "better, red is worse. Each method at one setting, the best on the whole.",
            lambda: _overview(of["path"], of["beyond"]),
            bool(of["path"] or of["beyond"]),
        ),
        "synthetic_paths": (
            "Paths",
            "One pair a manifold, in the first three coordinates; black is the true geodesic.",
            lambda: _paths(of["path"], drawn),
            bool(drawn),
        ),
        "synthetic_extrapolation": (
            "Beyond the second point",
            "RMSE from the geodesic's continuation, mean and standard error over pairs.",
            lambda: _bars(of["beyond"], "rmse", "RMSE beyond b"),
            bool(of["beyond"]),
        ),
        "synthetic_projection": (
            "Does the inverse metric project to the manifold?",
            "Mean distance from the manifold of a descent whose aim is off it, until the objective "
            "is as low as anywhere on the manifold; mean and standard error over pairs.",
            lambda: _bars(of["descent"], "distance_mean", "mean distance from the manifold"),
            bool(of["descent"]),
        ),
        "synthetic_sweeps": (
            "Noise level, lambda and number of segments",
            "RMSE from the geodesic; a colour a noise level, solid the largest number of segments, "
            "dotted the smallest; grey is LERP.",
            lambda: _sweeps(swept, [row for row in means if row["method"] == "LERP"]),
            len({(row["sigma"], row["lam"]) for row in swept}) > 1,
        ),
    }
    return {
        name: ResultPicture(title, meaning, draw())
        for name, (title, meaning, draw, there) in made.items()
        if there
    }


def best_settings(means: Rows) -> list[Mapping[str, Any]]:
    """The rows of each method at one setting of sigma, lam and segments, the same for all
    manifolds: of those measured on all its manifolds, and found successful at least half of the
    time where one is, the one of the least error in the geometric mean.
    """
    chosen: list[Mapping[str, Any]] = []
    for kind in _FIRST:
        figure = "distance_mean" if kind == "descent" else "rmse"
        of_kind = [row for row in means if row["kind"] == kind]
        for method in dict.fromkeys(row["method"] for row in of_kind):
            settings: dict[tuple, list[Mapping[str, Any]]] = {}
            for row in of_kind:
                if row["method"] == method:
                    key = (row["sigma"], row["lam"] or 0.0, row["segments"] or 0)
                    settings.setdefault(key, []).append(row)
            most = max(len(group) for group in settings.values())

            def error(group, figure=figure):
                values = [max(row[figure], 1e-12) for row in group if row[figure] is not None]
                failed = np.mean([row.get("successful") or 0.0 for row in group]) < 0.5
                return bool(failed), float(np.mean(np.log(values))) if values else 0.0

            chosen += min((g for g in settings.values() if len(g) == most), key=error)
    return chosen


def _by_names(rows: Rows) -> tuple[list[str], list[str], dict[tuple[str, str], Mapping[str, Any]]]:
    cases = list(dict.fromkeys(row["case"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    return cases, methods, {(row["case"], row["method"]): row for row in rows}


def _overview(between: Rows, beyond: Rows) -> Figure:
    """Shares of the straight line's error, a panel a kind, numbers in coloured cells."""
    panels = [(rows, kind) for rows, kind in ((between, "path"), (beyond, "beyond")) if rows]
    sizes = [len(_by_names(rows)[1]) for rows, _ in panels]
    width = 3.4 + 0.95 * max(len(_by_names(rows)[0]) for rows, _ in panels)
    figure = Figure(figsize=(width, 2.2 + 0.34 * sum(sizes)), layout="constrained")
    axes: Any = figure.subplots(len(panels), 1, squeeze=False, height_ratios=sizes)[:, 0]
    for ax, (rows, kind) in zip(axes, panels, strict=True):
        cases, methods, by = _by_names(rows)
        shares = np.full((len(methods), len(cases)), np.nan)
        for j, case in enumerate(cases):
            first = by.get((case, _FIRST[kind]))
            name = "rmse" if first and first["rmse"] is not None else "distance_mean"
            for i, method in enumerate(methods):
                row = by.get((case, method))
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
    """A group of bars a manifold, with standard errors."""
    cases, methods, by = _by_names(rows)
    drawing = Figure(figsize=(2.5 + 1.5 * len(cases), 4.4), layout="constrained")
    axes, width = drawing.add_subplot(), 0.8 / len(methods)
    for i, method in enumerate(methods):
        found = [by.get((case, method)) for case in cases]
        heights = [row[figure] if row and row[figure] is not None else np.nan for row in found]
        errors = [float(row[f"{figure}_se"] or 0.0) if row else 0.0 for row in found]
        places = np.arange(len(cases)) + (i - (len(methods) - 1) / 2) * width
        # An error bar that reached down to zero would leave a logarithmic axis.
        below = np.minimum(errors, 0.9 * np.asarray(heights))
        axes.bar(
            places,
            heights,
            0.9 * width,
            yerr=[below, errors],
            color=_COLOURS[i % len(_COLOURS)],
            label=method,
            capsize=2,
            error_kw={"lw": 1},
        )
    axes.set_yscale("log")
    axes.set_xticks(range(len(cases)), [_broken(case) for case in cases], fontsize=9)
    axes.set_ylabel(label)
    axes.grid(True, axis="y", alpha=0.3)
    drawing.legend(loc="outside right upper", fontsize=8)
    return drawing


_SHOWN = (
    "truth",
    "LERP",
    "density flow",
    "Stein as published",
    "Stein",
    "combined",
    "norm + Stein",
)


def _paths(chosen: Rows, drawn: Rows) -> Figure:
    """A panel a manifold, one pair."""
    wanted = {(r["case"], r["method"], r["sigma"], r["lam"], r["segments"]) for r in chosen}
    drawn = [
        row
        for row in drawn
        if (row["case"], row["method"], row["sigma"], row["lam"], row["segments"]) in wanted
        and row["method"] in _SHOWN
    ]
    cases = list(dict.fromkeys(row["case"] for row in drawn))
    columns = min(4, len(cases))
    lines = -(-len(cases) // columns)
    figure = Figure(figsize=(3.2 * columns + 1.6, 3.1 * lines), layout="constrained")
    handles: dict[str, Any] = {}
    for i, case in enumerate(cases):
        of = [row for row in drawn if row["case"] == case]
        flat = len(of[0]["points"][0]) == 2
        axes: Any = figure.add_subplot(lines, columns, i + 1, projection=None if flat else "3d")
        for row in of:
            if row.get("manifold"):
                _scatter(axes, np.asarray(row["manifold"]))
        for row in of:
            style = {"color": _COLOURS[_SHOWN.index(row["method"]) - 1], "lw": 1.6}
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
    names = [name for name in _SHOWN if name in handles]
    figure.legend([handles[name] for name in names], names, loc="outside right upper", fontsize=8)
    return figure


def _scatter(axes: Any, points: np.ndarray) -> None:
    size = {"s": 2, "color": "#bbbbbb", "linewidths": 0}
    axes.scatter(*points.T, **size)


def _sweeps(rows: Rows, lerp: Rows) -> Figure:
    """RMSE by lam: a panel a manifold and method."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["case"], row["method"]), []).append(row)
    groups = {k: g for k, g in groups.items() if len({r["lam"] for r in g}) > 1}
    cases = list(dict.fromkeys(case for case, _ in groups))
    methods = list(dict.fromkeys(method for _, method in groups))
    figure = Figure(figsize=(1.4 + 3 * len(methods), 2.7 * len(cases)), layout="constrained")
    panels: Any = figure.subplots(
        len(cases), len(methods), squeeze=False, sharex=True, sharey="row"
    )
    sigmas = sorted({row["sigma"] for row in rows})
    for i, j in np.ndindex(panels.shape):
        case, method = cases[i], methods[j]
        axes, group = panels[i, j], groups.get((case, method), [])
        counts = sorted({row["segments"] for row in group})
        counts = [n for n in counts if len({r["lam"] for r in group if r["segments"] == n}) > 1]
        for k, sigma in enumerate(sigmas):
            for n in (counts[-1:] + counts[:1])[: len(counts)]:
                line = [r for r in group if (r["sigma"], r["segments"]) == (sigma, n)]
                line = sorted((r for r in line if r["rmse"] is not None), key=lambda r: r["lam"])
                axes.errorbar(
                    [row["lam"] for row in line],
                    [row["rmse"] for row in line],
                    yerr=[row["rmse_se"] or 0.0 for row in line],
                    color=_COLOURS[k % len(_COLOURS)],
                    ls="-" if n == counts[-1] else ":",
                    label=f"sigma {sigma:g}, {n} segments",
                    marker="o",
                    ms=3,
                )
        straight = [r["rmse"] for r in lerp if r["case"] == case and r["rmse"] is not None]
        if straight:
            axes.axhline(straight[0], color="#999999", lw=1)
        axes.set(xscale="log", yscale="log")
        axes.grid(True, alpha=0.3)
        axes.set_title(f"{case}: {method}", fontsize=9)
        if i == len(cases) - 1:
            axes.set_xlabel("lambda, in units of sigma^2")
        if j == 0:
            axes.set_ylabel("RMSE")
    handles = dict(zip(*reversed(panels[0, 0].get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside right upper", fontsize=8)
    return figure
