"""The page of turned characters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..plotting import ResultPicture
from ._characters_plan import CharactersPlan
from ._page import means_table, write_page
from ._rotated_mnist_figures import Example, example_figure
from ._store import RowStore

_LEAD = (
    "A character and the same one turned, at angles that neither the networks nor the neighbour "
    "graph have seen: every method's path between them in the space of a latent model."
)
_WHO = {"components": "components", "shaping": "shaped by", "method": "method", "seeds": "seeds"}
_COST = {"successful": "solved", "seconds": "seconds", "score_evaluations": "evaluations"}
_SEEN = {"psnr": "PSNR, dB", "lpips": "LPIPS"}
_GAMMA = {"gamma_rmse": "γ-RMSE", "gain": "LERP's over it", "data_rmse": "D-RMSE"}
_PUBLISHED = (
    "Means over pairs, then over trainings of different seeds, ± one standard error of these. "
    "γ-RMSE: from the true turn at equal arc length; D-RMSE: from the nearest point of training. "
    "As published, on other models: γ-RMSE 3.52 of LERP and 0.40 of the best method, 8.8 times "
    "less (RiemannEBM, arXiv 2505.18230); 2.34 and 0.67, 3.5 times less (thesis of Burmester, by a "
    "diffusion model's score). Only ratios compare across spaces."
)
_TABLES = {
    "path": ("Between A and B", _PUBLISHED, {**_GAMMA, **_SEEN, **_COST}),
    "beyond": (
        "Beyond B",
        "RMSE: from the true turn at the same times. PSNR and LPIPS: of the pictures beyond B.",
        {"rmse": "RMSE", **_SEEN, **_COST},
    ),
    "mean": (
        "Fréchet means of three angles",
        "The truth is the middle angle; RMSE is the distance of the mean from its point. Of the "
        "Euclidean metric: the arithmetic mean, from which the others start.",
        {"rmse": "RMSE", **_SEEN, **_COST},
    ),
    "principal": (
        "Principal geodesics",
        "Of five angles: the share of the variance that the first one has, and how near its "
        "points and pictures at the coordinates of the five are to these. Of the Euclidean "
        "metric: principal components.",
        {"share": "share", "rmse": "RMSE", **_SEEN, **_COST},
    ),
    "model": (
        "The models",
        "What is known before any solve: the level, its noise, the contrast of the score, the "
        "detour along the neighbour graph, and the PSNR of decoded pictures of training.",
        {
            "t": "t",
            "sigma": "sigma",
            "contrast": "contrast",
            "detour": "detour",
            "psnr": "PSNR, dB",
        },
    ),
}


def write_characters_page(
    path: Path,
    means: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, ResultPicture],
    content: Mapping[str, Any],
) -> None:
    """Tables of all means, and the pictures."""
    tables, details = [], []
    for kind, (title, meaning, figures) in _TABLES.items():
        names = {k: v for k, v in _WHO.items() if kind != "model" or k != "method"}
        rows = [row for row in means if row["kind"] == kind]
        whole = [row for row in rows if row["turn"] is None]
        by_turn = [row for row in rows if row["turn"] is not None]
        if whole:
            tables.append(means_table(whole, names, figures, title=title, meaning=meaning))
        if by_turn:
            names = {"turn": "degrees", **names}
            above = f"{title}, by turn", "As above."
            details.append(means_table(by_turn, names, figures, title=above[0], meaning=above[1]))
    write_page(
        path,
        title="Turned characters",
        lead=_LEAD,
        tables=tables,
        details=details,
        pictures=list(pictures.values()),
        plan=content["plan"],
        about=content["about"],
        notes=content["notes"],
    )


def characters_pictures(
    plan: CharactersPlan, store: RowStore, rows: Sequence[Mapping[str, Any]]
) -> dict[str, ResultPicture]:
    """For every turn the frames of one pair, by all methods, on the first model of the plan."""
    model = plan.models()[0]
    kept = {(row["kind"], row["method"], row["pair"]) for row in rows if _is_of(row, model)}
    found = {}
    for kind, words in (("path", "between A and B"), ("beyond", "on beyond B")):
        for pair, turn in enumerate(plan.turns[: plan.num_pairs]):
            frames, decibels, truth = {}, {}, None
            for settings in plan.rows(model):
                method = settings["method"]
                if (settings["kind"], settings["pair"]) != (kind, pair):
                    continue
                if (kind, method, pair) not in kept:
                    continue
                arrays = store.arrays(settings)
                name, _, start = method.partition(", ")
                frames[name, start] = arrays["frames"]
                decibels[name, start] = (store.get(settings) or {}).get("psnr")
                truth = arrays["truth"] if truth is None else truth
            if truth is None:
                continue
            first = 0.0 if kind == "path" else 1.0
            last = 1.0 if kind == "path" else 1 + plan.beyond / turn
            times = np.linspace(first, last, plan.frames)
            images = truth[:, None] / 127.5 - 1
            example = Example("", turn, kind, times, images, frames, decibels)
            found[f"{kind}_{turn}"] = ResultPicture(
                f"A character turned by {turn}°: {words}",
                f"{model['components']} components, shaped by {model['shaping']}, the first seed. "
                "A row a method; the first row is the truth.",
                example_figure(example),
            )
    return found


def _is_of(row: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    return all(row[name] == value for name, value in model.items())
