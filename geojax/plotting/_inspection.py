"""The figure of `geojax inspect`: the geometry of a model by noise level, one panel a question."""

import textwrap
from collections.abc import Callable

import numpy as np
from jaxtyping import Array, Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluation import ASYMMETRIC, INDISTINGUISHABLE, Inspection
from ._figure import NotebookFigure
from ._style import pixels

_CHOSEN, _LINES = "#1b7f3b", ("#c8324b", "#4c78a8", "#7b5ea7", "#b07d2b")
_MARKERS = ("o", "s", "D", "v")
_WIDTH = 46  # characters in a line of the advice
_LEGEND = (
    "s: the score at level t; J: its Jacobian; A, B: two images moved to that level alike; "
    "LERP: the straight line from A to B. Lines: medians over the images or pairs; shades: their "
    "range; green: recommended."
)


def inspection_figure(
    found: Inspection,
    *,
    pictures: Real[Array | np.ndarray, "levels channels height width"] | None = None,
    title: str = "",
) -> Figure:
    """Seven panels over the noise level, and the resulting advice in words.

    Lines are medians over the images or pairs, shades their range. Green marks the recommendation,
    hollow markers show geodesics that were not found.

    **Arguments:**

    - `found`: the result of [`geojax.evaluation.inspect_score`][].
    - `pictures`: one of the images at each level, pixels in [-1, 1], shape
      `(levels, channels, height, width)`, for a row above the panels.
    - `title`: of the figure.

    **Returns:**

    A matplotlib figure.

    **Raises:**

    - `ValueError`: when the number of pictures is not that of the levels.

    >>> import jax, geojax
    >>> from geojax.plotting import inspection_figure
    >>> ring, images = geojax.NoisedSphere(2.0, width=0.2), 2 * jax.numpy.eye(2)
    >>> found = geojax.evaluation.inspect_score(
    ...     ring, images, (0.1,), key=jax.random.key(0), num_values=2, weights=(1.0,)
    ... )
    >>> len(inspection_figure(found).axes)
    8
    """
    if pictures is not None and len(pictures) != len(found.ts):
        raise ValueError(f"{len(found.ts)} levels need as many pictures, got {len(pictures)}.")
    strip = [] if pictures is None else [0.62]
    figure = NotebookFigure(figsize=(17, 8.6 + 1.7 * len(strip)), layout="constrained")
    grid = figure.add_gridspec(len(strip) + 2, 4, height_ratios=[*strip, 1, 1])
    if pictures is not None:
        _strip(figure.add_subfigure(grid[0, :]), found, pixels(np.asarray(pictures)))
    draw: list[Callable[[Axes, Inspection], None]] = [
        _strength,
        _angles,
        _asymmetry,
        _contrast,
        _deviation,
        _curvature,
        _dimension,
        _advice,
    ]
    for i, panel in enumerate(draw):
        axes = figure.add_subplot(grid[len(strip) + i // 4, i % 4])
        panel(axes, found)
        if panel is not _advice:
            _levels(axes, found)
    figure.supxlabel(_LEGEND, fontsize=10, color="#333333")
    if title:
        figure.suptitle(title, fontsize=15, fontweight="bold")
    return figure


def _strip(figure, found: Inspection, tiles: np.ndarray) -> None:
    figure.suptitle("The first image at each noise level, as the score sees it", fontsize=11)
    for axes, t, tile in zip(
        figure.subplots(1, len(tiles), squeeze=False)[0], found.ts, tiles, strict=True
    ):
        axes.imshow(tile, cmap="gray", vmin=0, vmax=255)
        axes.set_xticks([])
        axes.set_yticks([])
        chosen = found.recommendation.t == t
        axes.set_xlabel(
            f"t = {t:g}{', recommended' if chosen else ''}",
            color=_CHOSEN if chosen else "black",
            fontweight="bold" if chosen else "normal",
        )
        for spine in axes.spines.values():
            spine.set(color=_CHOSEN if chosen else "#999999", lw=3 if chosen else 0.8)


def _top(least: float, *values: np.ndarray) -> float:
    """The largest finite value, at least `least`."""
    return max(least, *(float(np.max(v, where=np.isfinite(v), initial=least)) for v in values))


def _strength(axes: Axes, found: Inspection) -> None:
    _head(axes, "How strong is the score?", "λ|s|², the stretch of the metric along s")
    for i, lams in enumerate(found.lams.T):
        _band(axes, found, lams[:, None] * found.score_norms, i, found.lam_names[i])
    if np.any(found.score_norms > 0):  # matplotlib refuses a log axis without positive values
        axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=9, loc="lower right")


def _angles(axes: Axes, found: Inspection) -> None:
    _head(axes, "Where does the score point?", "|cos| of the angle between s and a direction")
    for i, (name, values) in enumerate(found.cosines.items()):
        _band(axes, found, values, i, f"to {name}" if "image" in name else name)
    axes.set_ylim(0, 1.45 * _top(0.01, *found.cosines.values()))
    axes.legend(frameon=False, fontsize=9)


def _asymmetry(axes: Axes, found: Inspection) -> None:
    _head(axes, "Is the score a gradient?", "asymmetry |(J − Jᵀ)v| / |Jv|, v = B − A; 0 if it is")
    _band(axes, found, found.asymmetry, 0)
    _limit(axes, ASYMMETRIC, "above: too far from one")
    axes.set_ylim(0, 1.15 * _top(ASYMMETRIC, found.asymmetry))


def _contrast(axes: Axes, found: Inspection) -> None:
    _head(
        axes,
        "Does it see LERP leave the data?",
        "contrast: denoiser's shift at LERP's middle / at A and B",
    )
    _band(axes, found, found.contrast, 0)
    _limit(axes, 1.0, "below: LERP's middle looks like data")
    axes.set_ylim(0, 1.15 * _top(1.0, found.contrast))


def _deviation(axes: Axes, found: Inspection) -> None:
    _head(axes, "How far do geodesics stray from LERP?", "largest distance, in % of |B − A|")
    for i in range(found.lams.shape[1]):
        values = 100 * found.deviation[:, i]
        _band(
            axes,
            found,
            values,
            i,
            found.lam_names[i],
            hollow=np.any(~found.successful[:, i], axis=1),
        )
    _limit(axes, 100 * INDISTINGUISHABLE, "below: as good as LERP")
    axes.set_ylim(0, 1.4 * _top(100 * INDISTINGUISHABLE, 100 * found.deviation))
    axes.legend(frameon=False, fontsize=9, loc="upper right")
    if not found.successful.all():
        text = "hollow: not all solves succeeded"
        axes.text(0.02, 0.97, text, transform=axes.transAxes, va="top", fontsize=9)


def _curvature(axes: Axes, found: Inspection) -> None:
    _head(
        axes, "How curved is the metric?", "mean curvature at A of planes along B − A, × |B − A|²"
    )
    for i in range(found.lams.shape[1]):
        _band(axes, found, found.curvature[:, i], i, found.lam_names[i])
    axes.set_yscale("symlog", linthresh=0.1)
    axes.axhline(0, color="#999999", lw=0.8)
    _limit(axes, np.pi**2, "above π²: shorter paths are likely")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.2), max(high, 100.0))
    axes.legend(frameon=False, fontsize=9, loc="lower left")


def _dimension(axes: Axes, found: Inspection) -> None:
    estimate = found.dimension
    _head(axes, "How many directions do the data have?", "around the first image")
    axes.plot(_places(found), estimate.passed, "-o", color=_LINES[1], ms=5)
    label = "that the denoiser lets pass: trace (I + σ²J)"
    axes.lines[-1].set_label(label)
    clear = np.asarray(estimate.clear)
    if clear.any():
        axes.plot(
            _places(found)[clear],
            np.asarray(estimate.dimension)[clear],
            "*",
            color=_LINES[0],
            ms=13,
            label="dimension, where the spectrum has a clear gap",
        )
    else:
        label = "no clear gap in the spectrum at any level:\nno single intrinsic dimension"
        axes.plot([], [], " ", label=label)
    axes.set_ylim(0, 1.45 * _top(1.0, np.asarray(estimate.passed)))
    axes.legend(frameon=False, fontsize=9)


def _advice(axes: Axes, found: Inspection) -> None:
    axes.axis("off")
    best = found.recommendation
    head = "No recommendation" if best.t is None else f"Take t = {best.t:g}, λ = {best.lam:.3g}"
    axes.set_title(
        head, fontsize=13, color=_CHOSEN if best.t is not None else _LINES[0], fontweight="bold"
    )
    lines = textwrap.wrap(best.reason, _WIDTH)
    lines += [""] if len(lines) > 1 else []
    for finding in found.findings:
        lines += textwrap.wrap(finding, _WIDTH, subsequent_indent="   ")
    axes.text(0, 1, "\n".join(lines), va="top", fontsize=9.5, transform=axes.transAxes)


def _band(
    axes: Axes,
    found: Inspection,
    values: np.ndarray,
    i: int,
    label: str | None = None,
    hollow: np.ndarray | None = None,
) -> None:
    """The median by level, above a shade from the least to the greatest value."""
    line, marker = _LINES[i % len(_LINES)], _MARKERS[i % len(_MARKERS)]
    places, median = _places(found), np.median(values, axis=1)
    axes.fill_between(places, np.min(values, 1), np.max(values, 1), color=line, alpha=0.12, lw=0)
    axes.plot(places, median, "-", color=line, marker=marker, ms=5, label=label)
    if hollow is not None:
        axes.plot(places[hollow], median[hollow], marker, color=line, mfc="white", ms=7, mew=1.5)


def _limit(axes: Axes, value: float, text: str) -> None:
    axes.axhline(value, color="#555555", lw=1, ls="--")
    axes.annotate(
        text,
        (0.99, value),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=9,
        color="#555555",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.75},
    )


def _places(found: Inspection) -> np.ndarray:
    """The positions of the levels: equally spaced, because levels are chosen and not sampled."""
    return np.arange(len(found.ts))


def _head(axes: Axes, question: str, measure: str) -> None:
    axes.set_title(question, fontsize=13, pad=20)
    axes.annotate(
        measure,
        (0.5, 1),
        xycoords="axes fraction",
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        fontsize=9.5,
        color="#555555",
    )


def _levels(axes: Axes, found: Inspection) -> None:
    names = [f"{t:g}\n{r:.2g}" for t, r in zip(found.ts, found.noise_ratios, strict=True)]
    axes.set_xticks(_places(found), names)
    axes.set_xlim(-0.4, len(found.ts) - 0.6)
    axes.set_xlabel("noise level t, and σ/α below it")
    axes.grid(True, axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if found.recommendation.t is not None:
        place = float(np.argmin(np.abs(found.ts - found.recommendation.t)))
        axes.axvspan(place - 0.2, place + 0.2, color=_CHOSEN, alpha=0.13, lw=0, zorder=0)
