"""Draws ring.png: the geodesics between two points of a noisy ring, by the weight of the score.

python docs/demo/ring.py
"""

from pathlib import Path

import jax
import jax.numpy as jnp

import geojax
from geojax.plotting import plot_curves

LAMBDAS = (0.0, 0.1, 1.0, 10.0)


def main() -> None:
    """Solve for each weight and draw the curves above the density."""
    jax.config.update("jax_enable_x64", True)
    ring = geojax.Shell(radius=2.0, width=0.35)
    a, b = jnp.array([2.0, 0.0]), jnp.array([-1.3, 1.52])
    times = jnp.linspace(0, 1, 200)
    curves = {}
    for lam in LAMBDAS:
        found = geojax.geodesic(geojax.SteinScoreMetric(ring, lam), a, b)
        name = f"λ = {lam:g}" + (", straight line" if lam == 0 else "")
        curves[name] = found.curve.evaluate(times)
    title = "Geodesics of I + λ s sᵀ stay where the density is high"
    figure = plot_curves(curves, log_density=ring.log_density, title=title, margin=0.2)
    figure.set_size_inches(6.4, 4.4)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
