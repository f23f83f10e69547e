"""Tables of the experiments that `geojax reproduce` runs."""

from collections.abc import Callable, Mapping
from typing import Any

from markdown_table import markdown

from geojax.experiments import with_error

Content = Mapping[str, Any]

_CHARACTERS = {
    "LERP": "LERP",
    "SLERP": "SLERP",
    "NAO": "NAO",
    "string method": "string method",
    "density flow": "density flow",
    "Stein as published": "Stein as published",
    "Stein": "Stein, from the straight line",
    "Stein, from the graph": "Stein, from the graph",
    "Jacobian": "Jacobian, from the straight line",
    "Jacobian, from Stein": "Jacobian, from that Stein geodesic (the default)",
    "Jacobian, from the graph": "Jacobian, from the graph",
    "combined": "combined, from the straight line",
    "combined, from the graph": "combined, from the graph",
    "norm + Jacobian, from the graph": "norm + Jacobian, from the graph",
    "neighbour graph": "the path through the training pictures' neighbour graph",
}

_UNSOLVED = {"LERP", "SLERP", "NoiseDiffusion", "neighbour graph"}  # methods without a solve


def characters(content: Content) -> str:
    """Paths between turned characters at unseen angles: means over the seeds of a model."""
    found = {
        row["method"]: row
        for row in content["means"]
        if row["kind"] == "path" and row["turn"] is None
        if row["components"] == 8 and row["shaping"] == "neighbours"
    }
    rows = []
    for method, shown in _CHARACTERS.items():
        if method not in found:
            continue
        row = found[method]
        solved = None if method in _UNSOLVED else row["successful"]
        rows.append(
            [
                shown,
                with_error(row["gamma_rmse"], row["gamma_rmse_se"]),
                f"{row['gain']:.1f}",
                f"{row['psnr']:.1f}",
                "–" if solved is None else f"{solved:.0%}",
            ]
        )
    head = "path|γ-RMSE to the true turn|LERP's over it|PSNR, dB|solved"
    return markdown(head.split("|"), rows)


def rotated_mnist(content: Content) -> str:
    """Paths between a digit and itself turned by 60 degrees and more."""
    columns = {
        "count": "pairs",
        "psnr": "PSNR, dB",
        "gain": "above LERP, dB",
        "ssim": "SSIM",
        "lpips": "LPIPS",
        "confidence_mean": "confidence",
        "score_evaluations": "evaluations",
    }
    rows = []
    for row in content["far"]:
        if row["part"] != "between":
            continue
        method, figures = row["method"], [with_error(row[n], row.get(f"{n}_se")) for n in columns]
        solved = round(row["successful"] * row["count"])
        found = "–" if method in _UNSOLVED else f"{solved} of {row['count']}"
        rows.append([method, row["protocol"], *figures, found])
    return markdown(["method", "protocol", *columns.values(), "solved"], rows)


def controls(content: Content) -> str:
    """From a digit to itself: the error of each protocol without any path."""
    rows = [
        [row["protocol"], row["count"], with_error(row["psnr"], row["psnr_se"])]
        for row in content["means"]
        if row["kind"] == "A to A" and row["method"] == "LERP" and row["psnr"] is not None
    ]
    return markdown(["protocol", "digits", "PSNR to A, dB"], rows)


def _synthetic(kind: str, figure: str, methods: tuple[str, ...]) -> Callable[[Content], str]:
    def make(content: Content) -> str:
        found = {
            (row["case"], row["method"]): row
            for row in content["means"]
            if row["kind"] == kind and row["sigma"] == 0.1 and row["lam"] in (None, 100.0)
        }
        known = [case for (case, _), row in found.items() if row[figure] is not None]
        cases = list(dict.fromkeys(known))
        rows = [[case, *(_cell(found.get((case, m)), figure) for m in methods)] for case in cases]
        return markdown(["manifold", *methods], rows)

    return make


def _cell(row: Content | None, figure: str) -> str:
    if row is None or row[figure] is None:
        return "–"
    text = with_error(row[figure], row[f"{figure}_se"])
    share, count = row.get("successful"), row["count"]
    if share is None or share == 1 or row["method"] in ("Jacobian", "Stein as published"):
        return text
    return f"{text} ({share * count:.0f} of {count})"


_BETWEEN = "LERP|SLERP|density|Jacobian|Stein as published|Stein|norm + Stein|combined"
_BEYOND = "straight line|tangent step|score-guided walk|exponential map|exponential map, combined"
TABLES: dict[str, tuple[str, Callable[[Content], str]]] = {
    "characters": ("characters/characters.json", characters),
    "rotated mnist": ("rotated_mnist/rotated_mnist.json", rotated_mnist),
    "rotated mnist 2 pairs": ("rotated_mnist_2_pairs/rotated_mnist.json", rotated_mnist),
    "rotated mnist controls": ("rotated_mnist_controls/rotated_mnist.json", controls),
    "synthetic between": (
        "synthetic_8_pairs/synthetic.json",
        _synthetic("path", "rmse", tuple(_BETWEEN.split("|"))),
    ),
    "synthetic quick": (
        "synthetic_quick/synthetic.json",
        _synthetic("path", "rmse", tuple(_BETWEEN.split("|"))),
    ),
    "synthetic beyond": (
        "synthetic_8_pairs/synthetic.json",
        _synthetic("beyond", "rmse", tuple(_BEYOND.split("|"))),
    ),
    "synthetic descent": (
        "synthetic_8_pairs/synthetic.json",
        _synthetic(
            "descent",
            "distance_mean",
            ("Euclidean", "Stein", "Jacobian", "norm + Stein", "combined"),
        ),
    ),
}
