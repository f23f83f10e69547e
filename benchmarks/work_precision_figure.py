"""The figure and the table of `work_precision.py`, from its rows."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

_THRESHOLDS = (1e-2, 1e-3)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Excess of the true energy over the exact one, against seconds and against evaluations."""
    dimensions = sorted({row["dimension"] for row in rows})
    solvers = list(dict.fromkeys(row["solver"] for row in rows))
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    panels = [(p, axis) for p in problems for axis in ("seconds", "evaluations")]
    figure, grid = plt.subplots(
        len(panels), len(dimensions), sharey=True, sharex="row", squeeze=False,
        figsize=(2.6 * len(dimensions) + 1, 2.3 * len(panels) + 1.2), layout="constrained",
    )  # fmt: skip
    for axes_row, (name, axis) in zip(grid, panels, strict=True):
        for axes, dimension in zip(axes_row, dimensions, strict=True):
            for number, solver in enumerate(solvers):
                one = [
                    r for r in rows
                    if (r["problem"], r["dimension"], r["solver"]) == (name, dimension, solver)
                ]  # fmt: skip
                if one and one[0]["energies"]:
                    excess = np.array(one[0]["energies"]) / one[0]["exact"] - 1
                    best = np.minimum.accumulate(np.where(np.isfinite(excess), excess, np.inf))
                    style = {
                        "color": f"C{number}",
                        "marker": ".",
                        "markersize": 4,
                        "linewidth": 1.2,
                    }
                    # The straight line has no cost, which a logarithmic axis cannot show.
                    work = np.maximum(one[0][axis], 1e-4 if axis == "seconds" else 50)
                    axes.plot(work, np.maximum(best, 1e-5), **style)
            axes.set(xscale="log", yscale="log", ylim=(1e-4, 2e3))
            axes.grid(alpha=0.3)
            if axes is axes_row[0]:
                axes.set_ylabel(f"{name}\nE / exact E - 1")
            if name == problems[0] and axis == "seconds":
                axes.set_title(f"D = {dimension:,}", fontsize=10)
            axes.set_xlabel("seconds" if axis == "seconds" else "score evaluations")
    handles = [plt.Line2D([], [], color=f"C{i}", marker=".") for i in range(len(solvers))]
    figure.legend(handles, solvers, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def reached(row: dict[str, Any], excess: float) -> int | None:
    """The first snapshot within the relative `excess` of the exact energy."""
    good = [i for i, e in enumerate(row["energies"]) if e / row["exact"] - 1 <= excess]
    return good[0] if good else None


def comparison(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`GaussNewton` against each other solver: to thresholds, and to that solver's best energy."""
    table = []
    for row in rows:
        same = [r for r in rows if all(r[k] == row[k] for k in ("problem", "dimension"))]
        mine = next((r for r in same if r["solver"].startswith("geojax Gauss")), None)
        if mine is None or row is mine or not row["energies"]:
            continue
        best = min(e for e in row["energies"] if np.isfinite(e)) / row["exact"] - 1
        entry = {"problem": row["problem"], "dimension": row["dimension"], "solver": row["solver"]}
        entry |= {"status": row["status"], "best_excess": best, "to": []}
        for excess in (*_THRESHOLDS, best):
            # Minima of the same discrete energy differ only in their last digits.
            theirs, ours_ = reached(row, excess), reached(mine, max(1.001 * excess, 0.0))
            entry["to"].append(
                {
                    "excess": excess,
                    "seconds": None if theirs is None else row["seconds"][theirs],
                    "gauss_newton_seconds": None if ours_ is None else mine["seconds"][ours_],
                    "evaluations": None if theirs is None else row["evaluations"][theirs],
                    "gauss_newton_evaluations": (
                        None if ours_ is None else mine["evaluations"][ours_]
                    ),
                }
            )
        table.append(entry)
    return table
