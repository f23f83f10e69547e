"""Draws the figures of this folder: `python docs/figures/draw.py`."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import geojax
from geojax.plotting import plot_curves, save_figure

FOLDER = Path(__file__).parent
RING = geojax.Shell(radius=2.0, width=0.25)
A, B = jnp.array([2.0, 0.0]), jnp.array([-0.83, 1.82])


def spline() -> Figure:
    """Nodes of a path, the polyline and the spline through them."""
    metric = geojax.SteinScoreMetric(RING, 1.0)
    solution = geojax.geodesic(metric, A, B, num_segments=3, throw=False)
    smooth = jax.vmap(solution.curve.evaluate)(jnp.linspace(0, 1, 100))
    curves = {"polyline": solution.curve.xs, "spline": smooth}
    return plot_curves(curves, log_density=RING.log_density)


def graph() -> Figure:
    """The graph of a log-density, with the straight line and the geodesic on it."""
    broad, lam = geojax.Shell(radius=2.0, width=0.8), 1.0
    times = jnp.linspace(0, 1, 60)
    solution = geojax.geodesic(geojax.SteinScoreMetric(broad, lam), A, B)
    paths = {
        "straight line": A + times[:, None] * (B - A),
        "geodesic": jax.vmap(solution.curve.evaluate)(times),
    }
    height = jax.vmap(lambda x: broad.log_density(x, None))
    figure = Figure(figsize=(5, 2.7))
    axes = figure.add_axes((0, -0.28, 1, 1.3), projection="3d")
    radii, angles = np.meshgrid(np.linspace(0.3, 3.0, 40), np.linspace(0, 2 * np.pi, 80))
    x, y = radii * np.cos(angles), radii * np.sin(angles)
    z = height(jnp.stack([x.ravel(), y.ravel()], axis=1)).reshape(x.shape)
    axes.plot_surface(x, y, np.asarray(z), cmap="Blues", alpha=0.5, linewidth=0)
    for name, path in paths.items():
        axes.plot(*np.asarray(path).T, np.asarray(height(path)) + 0.05, label=name, linewidth=2.5)
    axes.view_init(elev=42, azim=-70)
    axes.set_box_aspect((1, 1, 0.6), zoom=1.1)
    axes.set_axis_off()
    figure.legend(loc="upper right")
    return figure


if __name__ == "__main__":
    for draw in (spline, graph):
        save_figure(draw(), FOLDER / f"{draw.__name__}.png")
