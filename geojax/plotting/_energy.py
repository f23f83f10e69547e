"""Energy and log-density along paths."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Array, Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ._figure import NotebookFigure
from ._style import BEYOND, colour

Curve = Real[Array | np.ndarray, " _"]


def energy_figure(
    times: Real[Array | np.ndarray, " nodes"],
    energy_density: Mapping[str, Curve],
    log_density: Mapping[str, Curve],
) -> Figure:
    """The energy along the paths, and beside it the change of log-density, one curve a method.

    **Arguments:**

    - `times`: of the nodes, 0 at A and 1 at B. The part above 1 is shaded as beyond B.
    - `energy_density`: `1/2 g(x', x')` by segment, shape `(nodes - 1,)`. The area under a curve
      from A to B is the path's energy, which the legend gives. The curve of a geodesic is flat.
    - `log_density`: log p less its value at A, by node, shape `(nodes,)`.

    **Returns:**

    A matplotlib figure.

    **Raises:**

    - `ValueError`: when the shapes do not fit.

    >>> import numpy as np
    >>> from geojax.plotting import energy_figure
    >>> energies, changes = np.array([1.0, 9.0, 1.0]), np.array([0.0, -5.0, 0.0, -9.0])
    >>> figure = energy_figure(np.array([0, 0.5, 1, 1.5]), {"LERP": energies}, {"LERP": changes})
    >>> [axes.get_title() for axes in figure.axes]
    ['Energy along the path', 'Change of log-density along the path']
    """
    times = np.asarray(times, dtype=np.float64)
    densities = {
        name: np.asarray(curve, dtype=np.float64) for name, curve in energy_density.items()
    }
    changes = {name: np.asarray(curve, dtype=np.float64) for name, curve in log_density.items()}
    for curves, size in ((densities, len(times) - 1), (changes, len(times))):
        wrong = {name: curve.shape for name, curve in curves.items() if curve.shape != (size,)}
        if wrong:
            raise ValueError(
                f"{len(times)} times need {len(times) - 1} energies and {len(times)} log-densities "
                f"a method, got shapes {wrong}."
            )
    figure = NotebookFigure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _energies(left, times, densities)
    _changes(right, times, changes)
    for axes in (left, right):
        _mark_times(axes, times)
    return figure


def _energies(axes: Axes, times: np.ndarray, densities: dict[str, np.ndarray]) -> None:
    within = times[1:] <= 1 + 1e-6
    steps = np.diff(times)[within]
    for i, (name, density) in enumerate(densities.items()):
        energy = float(np.sum(density[within] * steps))
        axes.stairs(
            density,
            times,
            baseline=None,
            color=colour(name, i),
            lw=2.4 if name == "geodesic" else 1.6,
            label=f"{name}: {_short(energy)} from A to B",
        )
    _scale(axes, list(densities.values()))
    axes.set_title("Energy along the path")
    axes.set_ylabel(r"$\frac{1}{2}\, g(\dot x, \dot x)$")
    axes.legend(frameon=False, fontsize=9)


def _changes(axes: Axes, times: np.ndarray, changes: dict[str, np.ndarray]) -> None:
    at_b = int(np.argmin(np.abs(times - 1)))
    for i, (name, change) in enumerate(changes.items()):
        axes.plot(
            times,
            change,
            color=colour(name, i),
            lw=2.4 if name == "geodesic" else 1.6,
            label=f"{name}: {change[at_b]:+.3g} at B",
        )
    axes.axhline(0, color="#999999", lw=0.8, zorder=0)
    axes.set_title("Change of log-density along the path")
    axes.set_ylabel(r"$\log p_t(x) - \log p_t(A)$")
    axes.legend(frameon=False, fontsize=9)


def _scale(axes: Axes, curves: list[np.ndarray]) -> None:
    """A logarithmic axis if the values span more than a factor of 20, with space for the legend."""
    values = np.concatenate(curves)
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return
    low, high = float(np.min(values)), float(np.max(values))
    if high > 20 * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.5, high * (high / low) ** 0.35)
    else:
        axes.set_ylim(0, 1.4 * high)


def _mark_times(axes: Axes, times: np.ndarray) -> None:
    axes.set_xlim(float(times[0]), float(times[-1]))
    axes.set_xlabel("time along the path")
    ticks = [tick for tick in np.arange(0, times[-1] + 1e-6, 0.25) if tick <= times[-1] + 1e-6]
    names = {0.0: "A", 1.0: "B"}
    axes.set_xticks(ticks, [names.get(float(tick), f"{tick:g}") for tick in ticks])
    axes.grid(True, axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if times[-1] > 1:
        axes.axvspan(1, float(times[-1]), color=BEYOND, alpha=0.13, lw=0, zorder=0)
        axes.text(
            (1 + float(times[-1])) / 2,
            0.98,
            "beyond B",
            ha="center",
            va="top",
            color=BEYOND,
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.8},
            transform=axes.get_xaxis_transform(),
        )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
