"""Every method on manifolds of known geometry: how far from the manifold, from the geodesic."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from .._files import written_whole
from ..evaluation import (
    AbstractManifold,
    FlatTorus,
    Sphere,
    c_shape,
    closed_curve,
    distance_to,
    path_error,
    path_figures,
    swiss_roll,
)
from ..interpolation import EXTRAPOLATORS, INTERPOLATORS, MethodSettings, NoiseRoute, interpolator
from ..plotting import save_figure
from ..scores import VE
from ._store import RowStore
from ._table import summarise, write_csv

FIGURES = ("distance_mean", "distance_max", "rmse", "length_error", "energy_ratio")
FIGURES += ("score_evaluations", "seconds")
_SIGMA_MIN, _SIGMA_MAX = 0.01, 10.0
_TIMES = 33  # at which a path is measured


@dataclasses.dataclass(frozen=True)
class SyntheticCase:
    """A manifold and the share of its extent that lies between two points.

    - ``make``: ``key -> manifold``.
    - ``reach``: the distance of the two points, relative to the largest one in a sample.
    - ``num``: points of the data set whose noised score is taken, where there is no closed form.
    """

    make: Callable[[Array], AbstractManifold]
    reach: float = 0.5
    num: int = 2000


def _wiggly(dim: int, waves: int) -> AbstractManifold:
    """A circle with waves of falling size in all coordinates."""
    rng = np.random.default_rng(0)
    amplitudes = rng.standard_normal((waves, dim)) / np.arange(1, waves + 1)[:, None] ** 1.5 / 3
    amplitudes[0, :2] += 1
    return closed_curve(amplitudes)


CASES: dict[str, SyntheticCase] = {
    "circle in R^2": SyntheticCase(lambda key: Sphere(1)),
    "circle in R^50": SyntheticCase(lambda key: Sphere(1).embedded(50, key=key)),
    "S^2 in R^10": SyntheticCase(lambda key: Sphere(2).embedded(10, key=key)),
    "S^10 in R^100": SyntheticCase(lambda key: Sphere(10).embedded(100, key=key)),
    "wiggly curve in R^2": SyntheticCase(lambda key: _wiggly(2, 4), 0.4),
    "wiggly curve in R^3": SyntheticCase(lambda key: _wiggly(3, 4), 0.4),
    "wiggly curve in R^100": SyntheticCase(lambda key: _wiggly(6, 4).embedded(100, key=key), 0.4),
    "flat torus in R^4": SyntheticCase(lambda key: FlatTorus((1.0, 0.6))),
    "Swiss roll in R^3": SyntheticCase(lambda key: swiss_roll(), 0.3, 4000),
    "C in R^2": SyntheticCase(lambda key: c_shape(), 0.8),
}


@dataclasses.dataclass(frozen=True)
class SyntheticPlan:
    """What is measured: every case x method x level x lam x segments x pair.

    - ``sigmas``: noise levels, in the units of the manifolds, whose extent is about 1.
    - ``lams``: of geojax's own metrics, in units of sigma^2: lam s s^T is then of order lam at one
      sigma from the data. Methods without one are measured once.
    - ``until``: how far extrapolations go.
    """

    cases: Sequence[str] = tuple(CASES)
    methods: Sequence[str] = tuple(name for name in INTERPOLATORS if name != "NAO")
    extrapolations: Sequence[str] = tuple(EXTRAPOLATORS)
    sigmas: Sequence[float] = (0.05, 0.1, 0.2)
    lams: Sequence[float] = (1.0, 10.0, 100.0, 1000.0)
    segments: Sequence[int] = (16, 64)
    num_pairs: int = 20
    until: float = 1.5
    seed: int = 0

    @classmethod
    def quick(cls) -> "SyntheticPlan":
        """Some minutes on two cores."""
        return cls(
            cases=(
                "circle in R^2",
                "S^2 in R^10",
                "wiggly curve in R^3",
                "flat torus in R^4",
            ),
            sigmas=(0.1,),
            lams=(100.0,),
            segments=(32,),
            num_pairs=3,
        )

    def rows(self) -> list[dict[str, Any]]:
        """The settings of every row, in the order in which they are measured."""
        rows = []
        for case in self.cases:
            for kind, names in (("path", self.methods), ("beyond", self.extrapolations)):
                for name in names:
                    own = name in _OWN
                    for sigma in self.sigmas:
                        for lam in self.lams if own else self.lams[:1]:
                            for segments in self.segments if own else self.segments[:1]:
                                rows += [
                                    {
                                        "case": case,
                                        "kind": kind,
                                        "method": name,
                                        "sigma": sigma,
                                        "lam": lam if own else None,
                                        "segments": segments if own else None,
                                        "pair": pair,
                                        "until": self.until,
                                        "seed": self.seed,
                                    }
                                    for pair in range(self.num_pairs)
                                ]
        return rows


# Those whose metric has the plan's lam and number of segments.
_OWN = {"Stein", "combined", "smoothed", "exponential map", "exponential map, combined"}


def run_synthetic(
    plan: SyntheticPlan,
    folder: Path | str,
    *,
    about: Mapping[str, Any] | None = None,
    callback: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure the rows of a plan that ``folder`` does not hold yet, and write the tables.

    ``folder`` receives ``rows/`` (a file a row, as soon as it is measured), ``synthetic.csv`` (all
    rows), ``synthetic.json`` (the plan, ``about``, means and standard errors) and
    ``synthetic.png``. Figures of a row:

    - ``distance_mean``, ``distance_max``: of the path's points from the manifold;
    - ``rmse``: from the true geodesic at the same times (for extrapolations: beyond b only);
    - ``length_error``: of the path's length in R^D, relative to the true distance;
    - ``energy_ratio``: of the path's energy in R^D to that of the true geodesic;
    - ``score_evaluations``, ``seconds`` (compilation included where the row is the first of its
      kind), ``result``: the verdict in words.

    ``callback(done, total)`` runs after every row.

    **Returns:** the means. **Raises:** `ValueError` on an unknown case or method.
    """
    unknown = [name for name in plan.cases if name not in CASES]
    if unknown:
        raise ValueError(f"unknown case {unknown[0]!r}. Known: {', '.join(CASES)}.")
    store, rows = RowStore(Path(folder) / "rows"), plan.rows()
    scenes: dict[str, _Scene] = {}
    for i, settings in enumerate(rows):
        if store.get(settings) is None:
            if settings["case"] not in scenes:
                scenes = {settings["case"]: _scene(settings["case"], plan)}
            store.put(settings, _measure(scenes[settings["case"]], settings))
        if callback is not None:
            callback(i + 1, len(rows))
    found = [row for settings in rows if (row := store.get(settings)) is not None]
    by = ["case", "kind", "method", "sigma", "lam", "segments"]
    means = summarise(found, by, FIGURES)
    write_csv(Path(folder) / "synthetic.csv", found)
    content = {"plan": dataclasses.asdict(plan), "about": dict(about or {}), "means": means}
    with written_whole(Path(folder) / "synthetic.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    save_figure(synthetic_figure(means), Path(folder) / "synthetic.png")
    return means


class _Scene(eqx.Module):
    """A manifold, its pairs of points and its noised law."""

    manifold: AbstractManifold
    score: Any
    ends: Array
    key: Array


def _scene(name: str, plan: SyntheticPlan) -> _Scene:
    case = CASES[name]
    root = jax.random.fold_in(jax.random.key(plan.seed), list(CASES).index(name))
    keys = jax.random.split(root, 4)
    manifold = case.make(keys[0])
    points = manifold.sample(400, key=keys[1])
    starts = points[: plan.num_pairs]
    apart = jax.jit(jax.vmap(lambda a: jax.vmap(lambda b: manifold.distance(a, b))(points)))(starts)
    nearest = jnp.argmin(jnp.abs(apart - case.reach * jnp.max(apart)), axis=1)
    score = manifold.noised(VE(_SIGMA_MIN, _SIGMA_MAX), num=case.num, key=keys[2])
    return _Scene(manifold, score, jnp.stack([starts, points[nearest]], axis=1), keys[3])


def _level(sigma: float) -> float:
    return math.log(sigma / _SIGMA_MIN) / math.log(_SIGMA_MAX / _SIGMA_MIN)


def _measure(scene: _Scene, row: Mapping[str, Any]) -> dict[str, Any]:
    a, b = scene.ends[row["pair"]]
    sigma, beyond = row["sigma"], row["kind"] == "beyond"
    route = NoiseRoute(scene.score, t=_level(sigma), noising="none", denoising="none")
    settings = MethodSettings(
        route,
        a.shape,
        scene.key,
        lam=(row["lam"] or 0.0) * sigma**2,
        num_segments=row["segments"] or 32,
    )
    method = interpolator(row["method"], settings)
    ts = jnp.linspace(1, row["until"], _TIMES) if beyond else jnp.linspace(0, 1, _TIMES)
    began = time.perf_counter()
    path = method.run(a, b, ts, key=jax.random.fold_in(scene.key, row["pair"]))
    jax.block_until_ready(path.points)
    seconds = time.perf_counter() - began
    figures = _figures(scene.manifold, a, b, path.points, ts)
    return {
        **{name: float(value) for name, value in figures.items()},
        "score_evaluations": int(path.score_evaluations),
        "seconds": round(seconds, 4),
        "result": path.message,
    }


@eqx.filter_jit
def _figures(manifold: AbstractManifold, a, b, points, ts) -> dict[str, Array]:
    truth = manifold.geodesic(a, b, ts)
    distances = distance_to(manifold.project, points)
    share = ts[-1] - ts[0]
    distance = share * manifold.distance(a, b)
    found = path_figures(points)
    return {
        "distance_mean": distances.mean,
        "distance_max": distances.largest,
        "rmse": path_error(points, truth),
        "length_error": found.length / distance - 1,
        "energy_ratio": 2 * found.energy / distance**2,
    }


def synthetic_figure(means: Sequence[Mapping[str, Any]], figure: str = "rmse") -> Figure:
    """A figure of the table by case and method, with standard errors, paths and extrapolations
    apart; of several levels or lams the best is drawn.

    ``means``: as `run_synthetic` returns them. ``figure``: which of its figures.
    """
    panels = [kind for kind in ("path", "beyond") if any(row["kind"] == kind for row in means)]
    drawing = Figure(figsize=(6.4 * max(1, len(panels)), 4.8), layout="constrained")
    for i, kind in enumerate(panels):
        axes = drawing.add_subplot(1, len(panels), i + 1)
        rows = [row for row in means if row["kind"] == kind and row[figure] is not None]
        cases = list(dict.fromkeys(row["case"] for row in rows))
        for j, method in enumerate(dict.fromkeys(row["method"] for row in rows)):
            of = [row for row in rows if row["method"] == method]
            best = [
                min((row for row in of if row["case"] == case), key=lambda row: row[figure])
                for case in cases
            ]
            axes.errorbar(
                np.arange(len(cases)) + 0.06 * j,
                [row[figure] for row in best],
                yerr=[row[f"{figure}_se"] or 0.0 for row in best],
                fmt="o",
                ms=4,
                label=method,
            )
        axes.set_yscale("log")
        axes.set_xticks(range(len(cases)), cases, rotation=20, ha="right", fontsize=8)
        axes.set_title({"path": "between two points", "beyond": "beyond the second"}[kind])
        axes.set_ylabel(f"{figure}, mean over pairs")
        axes.grid(True, axis="y", alpha=0.3)
        axes.legend(fontsize=7)
    return drawing
