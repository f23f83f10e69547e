"""The figure of `work_precision.py`, from its rows."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


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
                    # The straight line costs nothing, which a logarithm can't show.
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
