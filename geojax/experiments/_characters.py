"""Turned characters in the space of a latent model: every method against the true turn."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._files import written_whole
from ..evaluation import LPIPS
from ..models import GLYPHS, turned_characters
from ..models.latent import train_latent_model
from ..plotting import save_figure
from ._characters_measures import Bench
from ._characters_page import characters_pictures, write_characters_page
from ._characters_plan import CharactersPlan
from ._store import RowStore
from ._table import summarise, write_csv

FIGURES = ("gamma_rmse", "data_rmse", "rmse", "psnr", "lpips", "share")
FIGURES += ("seconds", "score_evaluations", "successful")
MODEL_FIGURES = ("t", "sigma", "contrast", "lam", "detour", "psnr")
_BY = ("components", "shaping", "kind", "method")
_ORDER = ("model", "path", "beyond"), ("mean", "principal")  # these cost most, and come last
_DRAWN = 4  # pairs of the first seed whose pictures are kept


def run_characters(
    plan: CharactersPlan,
    folder: Path | str,
    *,
    about: Mapping[str, Any] | None = None,
    callback: Callable[[int, int], None] | None = None,
    measure: bool = True,
) -> list[dict[str, Any]]:
    """Train the models of a plan, measure the rows that ``folder`` does not hold yet, write tables.

    ``folder`` receives ``models/`` (a folder a model, from which a training goes on), ``rows/`` (a
    file a row, as soon as it is measured), ``characters.csv`` (all rows), ``characters.json`` (the
    plan, ``about``, means and standard errors), pictures and the page ``characters.html``. Figures
    of a row, in the unit of the points where they are distances:

    - ``gamma_rmse``, ``data_rmse``: of paths, as `geojax.evaluation` has them: from the true turn's
      points at equal arc length, and from the points of training;
    - ``rmse``: beyond B, from the true turn at the same times; of a mean, its distance from the
      point of the middle angle; of a principal geodesic, of the points that it was fitted to;
    - ``psnr``, ``lpips`` (alex): of the decoded pictures against the true ones at the same times;
    - ``share``: of the variance, that the first principal geodesic has;
    - ``seconds`` (compiled), ``score_evaluations``, ``successful`` (1 or 0) and ``result``. A solve
      from the geodesic of another metric counts both.

    Half a turn is as far either way: there the truth is the one that a path is nearer to.
    ``callback(done, total)`` runs after every row; with ``measure=False`` the tables are of what a
    run that was stopped has measured.

    **Returns:** means over pairs, then over seeds, with standard errors over the seeds; ``gain`` is
    by how often the mean ``gamma_rmse`` is smaller than LERP's on the same model. **Raises:**
    `ValueError` on a plan that cannot be, or when there is nothing to tabulate.
    """
    plan.check()
    folder = Path(folder)
    store, models = RowStore(folder / "rows"), plan.models()
    total = sum(len(plan.rows(model)) for model in models)
    done = 0
    warm: set[tuple] = set()
    for kinds in _ORDER if measure else ():
        for model in models:
            rows = [row for row in plan.rows(model) if row["kind"] in kinds]
            for _ in _measured(plan, model, rows, folder, store, warm):
                done += 1
                if callback is not None:
                    callback(done, total)
    found = [
        row
        for model in models
        for settings in plan.rows(model)
        if (row := store.get(settings)) is not None
    ]
    if not found:
        raise ValueError(f"no row of this plan is measured yet in {store.folder}.")
    means = characters_means(found)
    notes = []
    if len(found) < total:
        notes.append(
            f"{len(found):,} of the {total:,} rows of the plan are measured so far. The same "
            "command without --so-far goes on."
        )
    write_csv(folder / "characters.csv", found)
    content = {"plan": dataclasses.asdict(plan), "about": dict(about or {}), "notes": notes}
    content["means"] = means
    with written_whole(folder / "characters.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    pictures = characters_pictures(plan, store, found)
    for name, picture in pictures.items():
        save_figure(picture.figure, folder / f"{name}.png")
    write_characters_page(folder / "characters.html", means, pictures, content)
    return means


def characters_means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means of rows over pairs, then over seeds; once over all turns and once by turn."""
    same = ("components", "shaping", "seed", "kind", "pair")
    lerp = {tuple(r[k] for k in same): r["gamma_rmse"] for r in rows if r["method"] == "LERP"}
    rows = [{**row, "straight": lerp.get(tuple(row[k] for k in same))} for row in rows]
    means = []
    for by in (_BY, (*_BY, "turn")):
        of_kind = [row for row in rows if len(by) == len(_BY) or row["turn"] is not None]
        names = (*FIGURES, "straight", *MODEL_FIGURES[:5])
        of_models = summarise(of_kind, (*by, "seed"), names)
        for row in of_models:  # of the same pairs, also where a run was stopped
            known = row["straight"] is not None and row["gamma_rmse"]
            row["gain"] = row["straight"] / row["gamma_rmse"] if known else None
        figures = (*FIGURES, "gain", *MODEL_FIGURES[:5])
        for row in summarise(of_models, by, figures):
            means.append({"turn": None, **row, "seeds": row.pop("count")})
    return means


def _measured(
    plan: CharactersPlan,
    model: dict[str, Any],
    rows: list[dict[str, Any]],
    folder: Path,
    store: RowStore,
    warm: set[tuple],
) -> Iterator[None]:
    """Measures those of a model's rows that are missing; yields after each, measured or not."""
    bench = None
    for row in rows:
        if row not in store:
            if bench is None:
                bench = _bench(plan, model, folder, warm)
            if row["kind"] == "model":
                config = _folder(folder, model) / "config.json"
                store.put(row, json.loads(config.read_text(encoding="utf-8"))["figures"])
            else:
                figures, arrays = bench.measured(row)
                drawn = row["pair"] < _DRAWN and row["seed"] == plan.seeds[0]
                store.put(row, figures, arrays if drawn else None)
        yield


def _folder(folder: Path, model: Mapping[str, Any]) -> Path:
    return folder / "models" / f"{model['components']}_{model['shaping']}_{model['seed']}"


def _bench(plan: CharactersPlan, model: dict[str, Any], folder: Path, warm: set[tuple]) -> Bench:
    """The model, trained if it is not yet."""
    config = plan.config(model)
    side = config["autoencoder"]["side"]
    angles = np.arange(plan.angles) * 360 / plan.angles
    pictures = turned_characters(GLYPHS, angles, side=side).reshape(-1, side, side)
    labels: dict[str, Any] = {}
    if model["shaping"] == "labels":
        glyphs = np.repeat(np.arange(len(GLYPHS)), plan.angles)
        labels = {"labels": np.tile(angles, len(GLYPHS)), "period": 360.0, "groups": glyphs}
    trained = train_latent_model(config, pictures, _folder(folder, model), **labels)
    images = jnp.asarray(pictures[:, None] / 127.5 - 1, jnp.float32)
    data = jax.jit(lambda images: jax.lax.map(trained.encode, images, batch_size=64))(images)
    return Bench(plan, trained, data, LPIPS.load("alex"), warm)
