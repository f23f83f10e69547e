"""The table of figures and the sentences around it, for the terminal and the report."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from .._verdicts import Notice
from ..interpolation import Comparison, against_truth
from ..plotting import FigureRow


def number(value: float | int | None) -> str:
    """Four digits, thousands separated; a dash for an unknown value."""
    if value is None or not math.isfinite(value):
        return "–"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _percent(value: float) -> str:
    return f"{100 * value:.2g} %" if math.isfinite(value) and value < 10 else number(value)


def _seconds(value: float) -> str:
    return f"{value:.1f} s"


_ROWS: list[tuple[str, str, Callable[[Any], str], str]] = [
    (
        "energy",
        "Energy",
        number,
        "Half the squared speed in the metric, averaged over the way from A to B by the rule of "
        "the solve. The geodesic is the path of least energy. At constant speed the energy is "
        "length² / 2.",
    ),
    (
        "energy_fine",
        "Fine energy",
        number,
        "The energy of the same curve, computed again at more points.",
    ),
    (
        "discretisation_error",
        "Discretisation error",
        _percent,
        "The relative difference of these two energies. If it is large, the solver has not "
        "resolved the path between its nodes, and more segments are needed.",
    ),
    (
        "length",
        "Length",
        number,
        "The length in the metric. In the metric of the score, I + λ s sᵀ, it is the Euclidean "
        "length, increased by every change of log-density; in the metric of its Jacobian, by every "
        "change of the score.",
    ),
    (
        "excess",
        "Length / lower bound",
        number,
        "No path from A to B can be shorter than the bound (if the score is a gradient). The value "
        "1 would prove that no path is better.",
    ),
    (
        "psnr",
        "PSNR to the truth",
        lambda value: f"{value:.1f} dB",
        "The mean peak signal-to-noise ratio of the pictures between A and B, against the true "
        "ones. Higher is better; 3 dB more are half the squared error.",
    ),
    (
        "psnr_beyond",
        "… beyond B",
        lambda value: f"{value:.1f} dB",
        "The same beyond B.",
    ),
    (
        "detour",
        "Detour",
        number,
        "The Euclidean length of the path over the distance from A to B: 1 for the straight line.",
    ),
    (
        "deviation",
        "Distance from LERP",
        _percent,
        "The largest distance from the straight path at the same time, relative to the distance "
        "from A to B, at the noise level.",
    ),
    (
        "picture_deviation",
        "Distance of the pictures",
        _percent,
        "The same after denoising: how far the pictures differ from LERP's.",
    ),
    (
        "log_density_change",
        "Log-density, A to B",
        lambda value: f"{value:+.4g}" if math.isfinite(value) else "–",
        "The line integral of the score along the path: how much more likely B is than A. It is "
        "the same for all paths only if the score is a gradient.",
    ),
    ("iterations", "Iterations", number, "Of the solver; LERP and SLERP need none."),
    (
        "score_evaluations",
        "Score evaluations",
        number,
        "Evaluations of the network to find and check the path, and the path that its solve "
        "started from.",
    ),
    (
        "score_products",
        "Derivative products",
        number,
        "Products with the Jacobian of the network (JVP and VJP); each comes with one of these "
        "evaluations.",
    ),
    (
        "network_evaluations",
        "Network evaluations",
        number,
        "All evaluations of the network, for the path and its pictures; guidance doubles them.",
    ),
    (
        "pricing_evaluations",
        "… and for this table",
        number,
        "Further evaluations of the network, for the fine energy and the other figures. The path "
        "itself does not need them.",
    ),
    ("seconds", "Seconds", _seconds, "To find the path, and the path that its solve started from."),
    ("compile_seconds", "of these compiling", _seconds, "A later run saves them."),
]
_OF_SOLVING = {"iterations", "score_evaluations", "score_products", "seconds", "compile_seconds"}
_EXTENSION: list[tuple[str, str, Callable[[Any], str], str]] = [
    (
        "energy_drift",
        "Beyond B: drift",
        _percent,
        "How far the squared speed, constant along a true geodesic, drifts in the extrapolation.",
    ),
    ("score_evaluations", "Beyond B: score evaluations", number, "To integrate the extrapolation."),
    ("seconds", "Beyond B: seconds", _seconds, "To integrate the extrapolation."),
]


CROSS_FADE, TRUTH = "cross-fade", "truth"


def picture_rows(result: Comparison) -> dict[str, np.ndarray]:
    """The pictures by row; where the truth is known it is the last row.

    The first row then fades the two given pictures into each other.
    """
    images = {name: record.images for name, record in result.records.items()}
    if result.truth is None:
        return images
    share = np.clip(result.frame_times, 0, 1).reshape((-1,) + (1,) * (result.given.ndim - 1))
    faded = (1 - share) * result.given[0] + share * result.given[1]
    return {CROSS_FADE: faded, **images, TRUTH: result.truth}


def figure_rows(result: Comparison) -> list[FigureRow]:
    """One row for each figure, with one text for each of `picture_rows`."""
    images = picture_rows(result)
    faded = {}
    if CROSS_FADE in images:
        faded = against_truth(result.truth, images[CROSS_FADE], result.frame_times)
    rows = []
    for key, name, show, meaning in _ROWS:
        if key != "excess" and not all(key in record.figures for record in result.records.values()):
            continue
        values = []
        for record in result.records.values():
            figures = dict(record.figures)
            bound = figures["lower_bound"]
            figures["excess"] = figures["length"] / bound if bound else math.nan
            found = key in _OF_SOLVING
            unsolved = found and not figures["iterations" if key == "iterations" else "seconds"]
            values.append("–" if unsolved else show(figures[key]))
        if CROSS_FADE in images:
            values = [show(faded[key]) if key in faded else "–", *values, "–"]
        rows.append(FigureRow(name, values, meaning))
    for key, name, show, meaning in _EXTENSION if result.extension is not None else ():
        values = ["–"] * len(images)
        values[list(images).index("geodesic")] = show(result.extension_figures[key])
        rows.append(FigureRow(name, values, meaning))
    return [row for row in rows if any(value != "–" for value in row.values)]


def terminal_table(rows: list[FigureRow], methods: list[str]) -> Table:
    """The rows without their explanations."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for method in methods:
        table.add_column(method, justify="right")
    for row in rows:
        table.add_row(row.name, *row.values)
    return table


def texts(notices: Sequence[Notice]) -> list[str]:
    """Notices of the library, with the names of options instead of arguments."""
    return [notice.text("command line") for notice in notices]


def summary(result: Comparison, t: float, *, noised: bool) -> list[str]:
    """What the pictures show, in a few sentences.

    `noised`: whether images were taken to the level `t`.
    """
    energies = {name: record.figures["energy_fine"] for name, record in result.records.items()}
    geodesic, lerp = energies["geodesic"], energies["LERP"]
    beyond = float(result.frame_times[-1]) - 1
    arc = "SLERP the arc that keeps the norm, " if "SLERP" in energies else ""
    space, ends = (
        (
            f"images noised to level t = {t:g}, each point of which was then denoised in the same "
            "way",
            "noised and denoised; with a higher t they differ more from the originals",
        )
        if noised
        else (
            "points of the model's latent space, each of which was then decoded",
            "encoded and decoded",
        )
    )
    texts = [
        f"Every row of pictures goes from A to B along a path among {space}. LERP is the straight "
        f"line there, {arc}and the geodesic the path of least energy, which takes the changes of "
        f"log-density into account that {'lines and arcs ignore' if arc else 'lines ignore'}. The "
        f"pictures at A and B are the given images {ends}.",
        f"{result.contrast} The metric is {result.metric}; s is the score and J its Jacobian.",
    ]
    if result.truth is not None:
        texts.append(
            "Here the truth is known: its pictures are the last ones, and the figures in decibels "
            "measure how near the others come to it. The first ones fade A into B pixel by pixel."
        )
    if all(map(math.isfinite, energies.values())) and geodesic > 0:
        others = "".join(
            f", that of {name} {energy / geodesic:.2g} times"
            for name, energy in energies.items()
            if name not in ("geodesic", "LERP")
        )
        texts.append(
            f"The energy of LERP is {lerp / geodesic:.2g} times the geodesic's{others}. In the "
            "left picture of energies the geodesic is the flat line, because its speed in the "
            "metric is constant. The others have peaks where log-density changes fast. The solver "
            "minimises the energy, which does not measure the pictures. The command geojax "
            "evaluate measures these, for every method."
        )
    if result.problems:
        texts.append(
            "The solver ended without success, as reported at the top. The path called geodesic is "
            "its last path, and the figures are those of that path, not of a geodesic."
        )
    if beyond > 0:
        texts.append(
            f"Beyond B, in orange, the paths go on by {beyond:.0%} of the way. The straight line "
            f"{'and the arc continue' if arc else 'continues'}. The geodesic follows the "
            "exponential map: it keeps the velocity that it has at B, and has no further target."
        )
    return texts
