"""Curves in the plane."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Real
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ._figure import NotebookFigure
from ._style import ENDS, colour

Nodes = Real[Array | np.ndarray, "_ 2"]


def plot_curves(
    curves: Mapping[str, Nodes],
    *,
    log_density: Callable[[Array], Any] | None = None,
    title: str = "",
    margin: float = 0.25,
    grid: int = 160,
) -> Figure:
    """Curves in the plane from A to B, above the density if it is known.

    **Arguments:**

    - `curves`: by name, nodes of shape `(n, 2)`, for example `solution.curve.xs`.
    - `log_density`: `x -> log p(x)` for one point of shape `(2,)`, drawn as filled contours of the
      density relative to its largest visible value.
    - `title`: of the figure.
    - `margin`: the visible space around the curves, relative to their extent.
    - `grid`: points a side at which the density is evaluated.

    **Returns:**

    A matplotlib figure.

    **Raises:**

    - `ValueError`: without curves.

    >>> import jax.numpy as jnp, geojax
    >>> from geojax.plotting import plot_curves
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> xs = geojax.geodesic(metric, a, b).curve.xs
    >>> figure = plot_curves({"geodesic": xs}, log_density=lambda x: -jnp.sum(x**2) / 2)
    >>> figure.savefig("geodesic.png")
    """
    if not curves:
        raise ValueError("there are no curves to draw.")
    nodes = {name: np.asarray(xs, dtype=np.float64) for name, xs in curves.items()}
    every = np.concatenate(list(nodes.values()))
    low, high = np.min(every, axis=0), np.max(every, axis=0)
    pad = margin * max(float(np.max(high - low)), 1e-9)
    low, high = low - pad, high + pad
    figure = NotebookFigure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.add_subplot()
    if log_density is not None:
        x, y = np.linspace(low[0], high[0], grid), np.linspace(low[1], high[1], grid)
        points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        points = jnp.asarray(points, dtype=jnp.result_type(float))
        values = np.asarray(jax.vmap(log_density)(points)).reshape(grid, grid)
        filled = axes.contourf(
            x, y, np.exp(values - np.max(values)), levels=np.linspace(0, 1, 11), cmap="Blues"
        )
        figure.colorbar(filled, ax=axes, label="density, relative to its largest value")
    for i, (name, xs) in enumerate(nodes.items()):
        width = 2.4 if name == "geodesic" else 1.6
        # A white edge, for curves over a density of nearly their colour.
        edge = withStroke(linewidth=width + 1.6, foreground="white")
        tint = colour(name, i)
        axes.plot(xs[:, 0], xs[:, 1], color=tint, lw=width, label=name, path_effects=[edge])
    first = next(iter(nodes.values()))
    for label, point in (("A", first[0]), ("B", first[-1])):
        axes.plot(*point, "o", color=ENDS, ms=6)
        axes.annotate(label, point, (6, 6), textcoords="offset points", fontweight="bold")
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.legend(loc="best")
    if title:
        axes.set_title(title)
    return figure
