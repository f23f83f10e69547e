"""The files of the Rotated MNIST experiment: tables, figures, the page."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._files import written_whole
from ..plotting import ResultPicture, ResultTable, save_figure
from ._page import means_table, write_page
from ._rotated_mnist_figures import compute_figure, delta_figure, example_figure
from ._rotated_mnist_measures import FIGURES
from ._rotated_mnist_plan import (
    BETWEEN,
    BEYOND,
    ONE_CLASS,
    ROTATION,
    SAME,
    TWO_CLASSES,
    RotatedMnistPlan,
)
from ._rotated_mnist_tables import FAR, RotatedMnistTables
from ._table import with_error, write_csv


def write_tables(
    folder: Path | str,
    plan: RotatedMnistPlan,
    tables: RotatedMnistTables,
    *,
    about: Mapping[str, Any],
) -> list[Path]:
    """``rotated_mnist.csv`` (every row), ``.json`` (the plan, ``about``, all means and distances),
    figures and the page ``rotated_mnist.html``, each whole or not at all.

    **Returns:** their paths.
    """
    folder = Path(folder)
    write_csv(folder / "rotated_mnist.csv", tables.rows)
    notes = _notes(plan, tables)
    content = {
        "plan": dataclasses.asdict(plan),
        "about": dict(about),
        "notes": notes,
        "far": tables.far,
        "means": tables.means,
        "distances": tables.distances,
    }
    with written_whole(folder / "rotated_mnist.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    pictures = _pictures(tables)
    for name, picture in pictures.items():
        save_figure(picture.figure, folder / f"{name}.png")
    write_page(
        folder / "rotated_mnist.html",
        title="Rotated MNIST: paths between turned digits, by method",
        lead="A digit at two angles, and every method's path from one to the other: the truth is "
        "the digit turned. Also pairs of different digits, which have no truth.",
        notes=notes,
        tables=_tables(tables),
        details=_details(tables),
        pictures=list(pictures.values()),
        plan=dataclasses.asdict(plan) | {"protocols": _by_name(plan)},
        about=about,
    )
    names = ["rotated_mnist.csv", "rotated_mnist.json", "rotated_mnist.html"]
    return [folder / name for name in [*names, *(f"{name}.png" for name in pictures)]]


def _by_name(plan: RotatedMnistPlan) -> dict[str, Any]:
    return {protocol.name: dataclasses.asdict(protocol) for protocol in plan.protocols}


def _notes(plan: RotatedMnistPlan, tables: RotatedMnistTables) -> list[str]:
    notes = []
    total = len(plan.rows())
    if len(tables.rows) < total:
        notes.append(
            f"{len(tables.rows):,} of the {total:,} rows of the plan are measured so far, cheap "
            "methods first. The same command without --so-far goes on."
        )
    if tables.rows and all(row.get("ppl") is None for row in tables.rows):
        notes.append(
            "LPIPS, PPL and PDV are missing: the weight files of LPIPS(squeeze) were not found. "
            "LPIPS.load('squeeze') says which and where to get them."
        )
    if 180 in plan.deltas:
        notes.append(
            "Half a turn is as far one way round as the other: at 180° the true rotation is the "
            "one that a path is nearer to."
        )
    few = [row for row in tables.distances if row["images"] < 640]
    if few:
        notes.append(
            "The Fréchet distance of a small set is biased upwards; sets of one size can be "
            f"compared with each other. The smallest here has {min(r['images'] for r in few)} "
            "images, for features of 64 numbers; the kernel distance has no such bias."
        )
    return notes


_PATH = ("psnr", "gain", "ssim", "lpips", "orbit_psnr", "orbit_ssim", "orbit_lpips")
_EVEN = ("ppl", "pdv", "confidence_mean", "confidence_min", "end_error", "deviation")
_SAME = ("rms", "psnr", "ssim", "lpips", "end_error", "score_evaluations", "successful")
_COST = ("score_evaluations", "seconds", "successful")
_AGAINST = (
    "Means over the frames of a path but its ends, then over pairs, ± one standard error. PSNR, "
    "SSIM and LPIPS(squeeze) compare a frame with the digit turned by the angle of its time; "
    "those of the orbit with the nearest of all angles in between: a path that turns unevenly "
    "loses nothing there, and one that stays near an end little. Above LERP: the mean over pairs "
    "of the difference in PSNR from the straight line of the same pair, noised alike, which is "
    "known better than the two means; not all methods are measured on as many pairs."
)
_MEANING = (
    "PPL and PDV: sum and spread of the LPIPS from frame to frame. Confidence: the probability "
    "that the digit classifier gives the class of the pair (both, where there are two), mean and "
    "least along the path. End-point error: root mean squared, per pixel in [-1, 1], of the first "
    "and last frame from the given images. From LERP: the largest distance from the cross-fade of "
    "the given images, in units of their distance. Solved: the share of paths whose solver "
    "succeeded; methods with a budget of steps never say so."
)
_CONTROL = (
    "The control: both ends are one picture, which is the truth all along. What is missing here is "
    "lost on the way to the noise level and back, and no path of that protocol can gain it. Error: "
    "root mean squared, per pixel in [-1, 1]; where only rounding is left, there is no PSNR."
)
_SETS = (
    "How near the frames of all pairs are, as a set, to the test digits turned at random: Fréchet "
    "distance (classifier features) and kernel distance (the same features, unbiased), with "
    "standard errors by a jackknife over digits, as the frames of a digit are no independent "
    "images. The features are the bundled digit classifier's, so that neither is FID or KID. "
    "Smaller is nearer."
)


_AS_ABOVE = "The measures are those of the tables above."
_WHO = {"method": "method", "protocol": "protocol"}


def _table(rows, figures: Sequence[str], title: str, meaning: str, names=None) -> list[ResultTable]:
    """A table of means, where there are any."""
    headings = {name: FIGURES[name][0] for name in figures}
    names = {**(names or _WHO), "count": "pairs"}
    return [means_table(rows, names, headings, title=title, meaning=meaning)] if rows else []


def _of(rows, part: str, kind: str = ROTATION) -> list[Mapping[str, Any]]:
    return [row for row in rows if (row["part"], row["kind"]) == (part, kind)]


def _tables(tables: RotatedMnistTables) -> list[ResultTable]:
    far = f"of {FAR}° and more"
    between, beyond = _of(tables.far, BETWEEN), _of(tables.far, BEYOND)
    return [
        *_table(between, _PATH, f"One digit turned by angles {far}", _AGAINST),
        *_table(between, (*_EVEN[:4], *_COST), f"The same paths ({far})", _MEANING),
        *_table(
            beyond,
            _PATH,
            f"Beyond the second image ({far})",
            f"Extrapolations, against the digit turned on. {_AS_ABOVE}",
        ),
    ]


def _details(tables: RotatedMnistTables) -> list[ResultTable]:
    found = _table(_of(tables.means, BETWEEN, SAME), _SAME, "From A to A", _CONTROL)
    found += [_distance_table(tables.distances)] if tables.distances else []
    for kind in (ONE_CLASS, TWO_CLASSES):
        rows = _of(tables.means, BETWEEN, kind)
        found += _table(rows, (*_EVEN, *_COST), f"Two different digits of {kind}", _AS_ABOVE)
    by_delta = {"delta": "degrees", **_WHO}
    for part, words in ((BETWEEN, ""), (BEYOND, ", beyond the second image")):
        rows = _of(tables.means, part)
        found += _table(rows, _PATH, f"By angle{words}", _AS_ABOVE, by_delta)
        found += _table(rows, (*_EVEN[2:], *_COST), f"By angle{words}: how", _AS_ABOVE, by_delta)
    return found


def _distance_table(distances: Sequence[Mapping[str, Any]]) -> ResultTable:
    rows = [
        [
            row["method"],
            row["protocol"],
            f"{row['kind']}, {row['part']}",
            str(row["images"]),
            with_error(row["frechet"], row["frechet_se"]),
            with_error(row["kernel"], row["kernel_se"]),
        ]
        for row in distances
    ]
    columns = ["method", "protocol", "pairs", "images", "Fréchet distance", "kernel distance"]
    return ResultTable("All frames and the turned test digits", _SETS, columns, rows, 3)


def _pictures(tables: RotatedMnistTables) -> dict[str, ResultPicture]:
    found = {}
    between = [r for r in tables.means if (r["part"], r["kind"]) == (BETWEEN, ROTATION)]
    beyond = [r for r in tables.means if (r["part"], r["kind"]) == (BEYOND, ROTATION)]
    if between:
        found["by_delta"] = ResultPicture(
            "Against the true rotation, by angle",
            "A row a protocol, a column a measure; bars are standard errors over pairs. Higher is "
            "better for PSNR and SSIM, lower for LPIPS.",
            delta_figure(between),
        )
    if beyond:
        found["beyond_by_delta"] = ResultPicture(
            "Beyond the second image, by angle",
            "As above, for the frames past the second image against the digit turned on.",
            delta_figure(beyond),
        )
    far = [row for row in tables.far if row["part"] == BETWEEN]
    if far:
        found["compute"] = ResultPicture(
            "Quality against compute",
            f"PSNR to the true rotation at angles of {FAR}° and more, against evaluations of the "
            "score to find a path (not counting the way to the noise level and back, which all "
            "methods of a protocol share). Further up is better, further left is cheaper.",
            compute_figure(far),
        )
    for example in tables.examples:
        found[example.name] = ResultPicture(
            example.title,
            "The first pair. A row a method and its protocol; the first row is the truth, where "
            "there is one.",
            example_figure(example),
        )
    return found
