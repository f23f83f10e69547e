"""Turned characters in the space of a latent model: every method against the true turn."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..evaluation import LPIPS
from ..models import GLYPHS, turned_characters
from ..models.latent import train_latent_model
from ..plotting import ResultPicture
from ._characters_measures import Bench
from ._characters_plan import CharactersPlan
from ._experiment import PAGES, AbstractExperiment, Measured, Results
from ._figures import Frames, frames_figure
from ._store import Row
from ._table import summarise

FIGURES = ("gamma_rmse", "data_rmse", "rmse", "psnr", "lpips", "share")
FIGURES += ("seconds", "score_evaluations", "successful")
MODEL_FIGURES = ("t", "sigma", "contrast", "lam", "detour")
_MODEL = ("components", "shaping", "seed")
_BY = ("components", "shaping", "kind", "method")
_ORDER = ("model", "path", "beyond"), ("mean", "principal")  # the most expensive ones last
_DRAWN = 4  # pairs of the first seed whose pictures are stored


def run_characters(
    plan: CharactersPlan,
    folder: Path | str,
    *,
    about: Mapping[str, Any] | None = None,
    callback: Callable[[int, int], None] | None = None,
    measure: bool = True,
) -> list[Row]:
    """Train the models of a plan, measure its missing rows, and write the tables.

    A row is written as soon as it is measured, so that an interrupted run can be resumed.

    **Arguments:**

    - `plan`: what to measure.
    - `folder`: receives `models/` (a folder for each model, in which training can be resumed),
      `rows/` (a file for each row), `characters.csv` (all rows), `characters.json` (the plan,
      `about`, means and standard errors), pictures and the page `characters.html`.
    - `about`: the command, versions and the machine, for the results.
    - `callback`: called as `callback(done, total)` at the start and after every row.
    - `measure`: False writes the tables of the rows that are already measured.

    **Returns:**

    Means over pairs, then over seeds, with standard errors over the seeds. `gain` is the ratio of
    LERP's mean `gamma_rmse` on the same model to that of the method.

    **Raises:**

    - `ValueError`: when the plan is not valid, or no row is measured.

    A row has these figures; distances are in the unit of the points:

    - `gamma_rmse`, `data_rmse`: of paths, from the points of the true turn at equal arc length, and
      from the training points (see [`geojax.evaluation.gamma_rmse`][]);
    - `rmse`: beyond B, from the true turn at the same times; of a mean, its distance from the point
      of the middle angle; of a principal geodesic, its distance from the points that it was fitted
      to;
    - `psnr`, `lpips` (alex): of the decoded pictures against the true ones at the same times;
    - `share`: of the variance that the first principal geodesic explains;
    - `seconds` (compiled), `score_evaluations`, `successful` (1 or 0) and `result`. A solve that
      started from the geodesic of another metric counts both.

    Half a turn has the same length in both directions. Its truth is the direction that is nearer to
    the path.
    """
    results = _Characters(plan, folder).run(about=about, callback=callback, measure=measure)
    return results.tables["means"]


class _Characters(AbstractExperiment):
    name = "characters"

    def __init__(self, plan: CharactersPlan, folder: Path | str):
        super().__init__(plan, folder)
        plan.check()
        self._bench: tuple[Row, Bench] | None = None
        self._warm: set[tuple] = set()

    def rows(self) -> list[Row]:
        return [row for model in self.plan.models() for row in self.plan.rows(model)]

    def groups(self, rows: Sequence[Row]) -> list[list[Row]]:
        return [[row] for kinds in _ORDER for row in rows if row["kind"] in kinds]

    def piece(self, group: Sequence[Row]) -> tuple:
        """A model is trained by one process."""
        return tuple(group[0][name] for name in _MODEL)

    def measured(self, group: Sequence[Row], missing: Sequence[Row]) -> Iterator[Measured]:
        (row,) = missing
        model = {name: row[name] for name in (*_MODEL, "training")}
        bench = self._trained(model)
        if row["kind"] == "model":
            config = self._folder(model) / "config.json"
            yield row, json.loads(config.read_text(encoding="utf-8"))["figures"], None
        else:
            figures, arrays = bench.measured(row)
            drawn = row["pair"] < _DRAWN and row["seed"] == self.plan.seeds[0]
            yield row, figures, arrays if drawn else None

    def _folder(self, model: Row) -> Path:
        return self.folder / "models" / "_".join(str(model[name]) for name in _MODEL)

    def _trained(self, model: Row) -> Bench:
        """The model, trained if necessary, with the paths that were found on it."""
        if self._bench is None or self._bench[0] != model:
            plan, config = self.plan, self.plan.config(model)
            side = config["autoencoder"]["side"]
            angles = np.arange(plan.angles) * 360 / plan.angles
            pictures = turned_characters(GLYPHS, angles, side=side).reshape(-1, side, side)
            labels: dict[str, Any] = {}
            if model["shaping"] == "labels":
                glyphs = np.repeat(np.arange(len(GLYPHS)), plan.angles)
                labels = {"labels": np.tile(angles, len(GLYPHS)), "period": 360.0, "groups": glyphs}
            trained = train_latent_model(config, pictures, self._folder(model), **labels)
            images = jnp.asarray(pictures[:, None] / 127.5 - 1, jnp.float32)
            encode = jax.jit(lambda images: jax.lax.map(trained.encode, images, batch_size=64))
            bench = Bench(plan, trained, encode(images), LPIPS.load("alex"), self._warm)
            self._bench = model, bench
        return self._bench[1]

    def results(self, found: Sequence[Row]) -> Results:
        return Results(list(found), {"means": characters_means(found)}, self._pictures(found))

    def _pictures(self, found: Sequence[Row]) -> dict[str, ResultPicture]:
        """Of every turn the frames of one pair, by all methods, on the first model of the plan."""
        plan, model, pictures = self.plan, self.plan.models()[0], {}
        settings = [row for row in plan.rows(model) if row in self.store]
        for kind, text in PAGES[self.name]["pictures"].items():
            for pair, turn in enumerate(plan.turns[: plan.num_pairs]):
                rows = [row for row in settings if (row["kind"], row["pair"]) == (kind, pair)]
                arrays = [self.store.arrays(row) for row in rows]
                paths = []
                for row, kept in zip(rows, arrays, strict=True):
                    method, _, start = row["method"].partition(", ")
                    psnr = (self.store.get(row) or {}).get("psnr")
                    paths.append(Frames(method, start, kept["frames"], psnr))
                if paths:
                    ends = (0.0, 1.0) if kind == "path" else (1.0, 1 + plan.beyond / turn)
                    times = np.linspace(*ends, plan.frames)
                    pictures[f"{kind}_{turn}"] = ResultPicture(
                        text["title"].format(turn=turn),
                        text["meaning"].format(**model),
                        frames_figure(paths, times, arrays[0]["truth"]),
                    )
        return pictures


def characters_means(rows: Sequence[Row]) -> list[Row]:
    """Means of rows over pairs, then over seeds; for all turns together and for each turn."""
    same = ("components", "shaping", "seed", "kind", "pair")
    lerp = {tuple(r[k] for k in same): r["gamma_rmse"] for r in rows if r["method"] == "LERP"}
    rows = [{**row, "straight": lerp.get(tuple(row[k] for k in same))} for row in rows]
    means = []
    for by in (_BY, (*_BY, "turn")):
        of_kind = [row for row in rows if len(by) == len(_BY) or row["turn"] is not None]
        names = (*FIGURES, "straight", *MODEL_FIGURES)
        of_models = summarise(of_kind, (*by, "seed"), names)
        for row in of_models:  # only pairs that LERP has too, if a run was stopped
            known = row["straight"] is not None and row["gamma_rmse"]
            row["gain"] = row["straight"] / row["gamma_rmse"] if known else None
        figures = (*FIGURES, "gain", *MODEL_FIGURES)
        for row in summarise(of_models, by, figures):
            means.append({"turn": None, **row, "seeds": row.pop("count")})
    return means
