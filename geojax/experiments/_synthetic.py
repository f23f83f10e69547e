"""Every method on manifolds of known geometry: how far from the manifold, from the geodesic."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._files import written_whole
from ..interpolation import EXTRAPOLATORS, INTERPOLATORS
from ..plotting import save_figure
from ._rotated_mnist_plan import LATER
from ._store import RowStore
from ._synthetic_cases import CASES, make_scene
from ._synthetic_figures import synthetic_figures
from ._synthetic_measures import DESCENTS, FIGURES, Programs, Setting, measured_pairs
from ._synthetic_page import write_synthetic_page
from ._table import summarise, write_csv

_BY = ("case", "kind", "method", "sigma", "lam", "segments")


@dataclasses.dataclass(frozen=True)
class SyntheticPlan:
    """What is measured: every case x method x level x lam x segments x pair.

    The default has every method on every case at three noise levels; `full` adds the sweeps.

    - ``methods`` between the two points of a pair, ``extrapolations`` beyond the second one;
      default all that the committed results have. NAO, whose paths are between standard normal
      seeds, has no place here.
    - ``sigmas``: noise levels, in the units of the manifolds, whose extent is about 1.
    - ``lams``: of geojax's own metrics, in units of sigma^2: lam s s^T is then of order lam at one
      sigma from the data. Methods without one are measured once.
    - ``segments``: of geojax's own solves.
    - ``until``: how far extrapolations go.
    - ``descents``: metrics in which an objective is descended, whose minimum is off the manifold.
    - ``training_steps``: of the networks.
    - ``further``: plans whose rows are measured too, say of a sweep on a few cases.
    """

    cases: Sequence[str] = tuple(CASES)
    methods: Sequence[str] = tuple(name for name in INTERPOLATORS if name not in ("NAO", *LATER))
    extrapolations: Sequence[str] = tuple(EXTRAPOLATORS)
    sigmas: Sequence[float] = (0.05, 0.1, 0.2)
    lams: Sequence[float] = (100.0,)
    segments: Sequence[int] = (32,)
    num_pairs: int = 20
    until: float = 1.5
    seed: int = 0
    descents: Sequence[str] = DESCENTS
    training_steps: int = 4000
    further: Sequence["SyntheticPlan"] = ()

    @classmethod
    def full(cls) -> "SyntheticPlan":
        """Every method on every case; lam and segments swept in codimension 8, 49, 2 and 1."""
        swept = cls(
            cases=("S^2 in R^10", "circle in R^50", "wiggly curve in R^3", "torus in R^3"),
            methods=("LERP", "Stein", "combined", "norm + Stein"),
            extrapolations=(),
            descents=(),
            lams=(1.0, 10.0, 100.0, 1000.0),
            segments=(16, 64),
        )
        return cls(further=(swept,))

    @classmethod
    def quick(cls) -> "SyntheticPlan":
        """Some minutes on two cores: one level and one lam on three manifolds, of codimension 8, 2
        and 1, the last two by programs that they share; sweeps on the first and the last; some
        methods with a network and in the plane.
        """
        shared: dict[str, Any] = {"sigmas": (0.1,), "num_pairs": 8}
        swept: dict[str, Any] = {
            "methods": ("LERP", "Stein", "combined"),
            "extrapolations": (),
            "descents": (),
            "num_pairs": 8,
        }
        codimension_8 = cls(
            cases=("S^2 in R^10",), lams=(1.0, 10.0, 100.0, 1000.0), segments=(16, 32), **swept
        )
        codimension_1 = cls(
            cases=("torus in R^3",),
            sigmas=(0.1, 0.2),
            lams=(1.0, 10.0, 100.0),
            **swept,
        )
        planar = cls(
            cases=("C in R^2", "two moons", "across two moons"),
            methods=("LERP", "SLERP", "density flow", "Stein", "combined"),
            extrapolations=(),
            descents=(),
            **shared,
        )
        network = cls(
            cases=("wiggly curve in R^3, network",),
            methods=("LERP", "density flow", "Stein", "combined"),
            extrapolations=("straight line", "score-guided walk", "exponential map, combined"),
            descents=("Euclidean", "Stein", "combined"),
            **shared,
        )
        return cls(
            cases=("S^2 in R^10", "wiggly curve in R^3", "torus in R^3"),
            methods=tuple(name for name in cls.methods if name != "smoothed"),
            descents=tuple(name for name in DESCENTS if name != "smoothed"),
            further=(codimension_8, codimension_1, network, planar),
            **shared,
        )

    def of_pairs(self, num_pairs: int) -> "SyntheticPlan":
        """The same plan, further ones included, on so many pairs.

        **Raises:** `ValueError` unless there is one at least.
        """
        if num_pairs < 1:
            raise ValueError(f"num_pairs must be at least 1, got {num_pairs}.")
        further = [plan.of_pairs(num_pairs) for plan in self.further]
        return dataclasses.replace(self, num_pairs=num_pairs, further=further)

    def rows(self) -> list[dict[str, Any]]:
        """The settings of every row, in the order in which they are measured, case by case."""
        rows = [row for plan in (self, *self.further) for row in plan._own_rows()]
        distinct = list({json.dumps(row): row for row in rows}.values())
        cases = list(dict.fromkeys(row["case"] for row in distinct))
        return sorted(distinct, key=lambda row: cases.index(row["case"]))

    def _own_rows(self) -> Iterator[dict[str, Any]]:
        parts = ("path", self.methods), ("beyond", self.extrapolations), ("descent", self.descents)
        for case in self.cases:
            # "Beyond" is undefined where no geodesic leads to the second point.
            for kind, names in parts[:1] if CASES[case].across else parts:
                for name in names:
                    own, solved = name in _OWN[kind], name in _OWN[kind] and kind != "descent"
                    for sigma in self.sigmas:
                        for lam in self.lams if own else (None,):
                            for segments in self.segments if solved else (None,):
                                for pair in range(self.num_pairs):
                                    yield {
                                        "case": case,
                                        "kind": kind,
                                        "method": name,
                                        "sigma": sigma,
                                        "lam": lam,
                                        "segments": segments,
                                        "pair": pair,
                                        "until": self.until if kind == "beyond" else None,
                                        "seed": self.seed,
                                        "training": self.training_steps
                                        if CASES[case].trained
                                        else None,
                                    }


# Those whose metric has the plan's lam, by kind.
_OWN = {
    "path": {"Stein", "combined", "smoothed", "norm + Stein"},
    "beyond": {name for name in EXTRAPOLATORS if name.startswith("exponential map")},
    "descent": {*DESCENTS} - {"Euclidean"},
}


def run_synthetic(
    plan: SyntheticPlan,
    folder: Path | str,
    *,
    about: Mapping[str, Any] | None = None,
    callback: Callable[[int, int], None] | None = None,
    measure: bool = True,
) -> list[dict[str, Any]]:
    """Measure the rows of a plan that ``folder`` does not hold yet, and write the tables.

    ``folder`` receives ``rows/`` (a file a row, as soon as it is measured), ``networks/`` (scores
    trained on the way), ``synthetic.csv`` (all rows), ``synthetic.json`` (the plan, ``about``,
    means and standard errors), the pictures of `synthetic_figures` and the page
    ``synthetic.html``. All pairs of a method run in one compiled program. Figures of a row:

    - ``distance_mean``, ``distance_max``: of the points of the path, extrapolation or descent from
      the manifold;
    - ``rmse``: from the true geodesic at the same times (for extrapolations: beyond b only);
    - ``length_error``: of the path's length in R^D, relative to the true distance;
    - ``energy_ratio``: of the path's energy in R^D to that of the true geodesic;
    - ``missed``: for descents, the distance from the point of the manifold where the objective is
      least, when it has become as low;
    - ``score_evaluations``, ``seconds`` (compiled, the mean over the pairs), ``successful`` (1 or
      0) and ``result``, the verdict in words.

    Two points on different components have no geodesic: only their distances are figures.
    ``callback(done, total)`` runs after every row. With ``measure=False`` the tables are of what a
    run that was stopped has measured.

    **Returns:** the means. **Raises:** `ValueError` on an unknown case, on further plans of another
    ``until``, ``seed`` or ``training_steps``, and where there is nothing to tabulate.
    """
    for part in (plan, *plan.further):
        unknown = [name for name in part.cases if name not in CASES]
        if unknown:
            raise ValueError(f"unknown case {unknown[0]!r}. Known: {', '.join(CASES)}.")
        for name in ("until", "seed", "training_steps"):
            given, wanted = getattr(part, name), getattr(plan, name)
            if given != wanted:
                raise ValueError(
                    f"further plans must have the plan's {name}, {wanted}, got {given}: run "
                    "another in a folder of its own."
                )
    folder = Path(folder)
    store, rows = RowStore(folder / "rows"), plan.rows()
    cases: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        cases.setdefault(row["case"], []).append(row)
    done = 0
    with Programs() as programs:
        for of_case in cases.values() if measure else ():
            for row, figures in _measured(of_case, store, programs, plan.until, folder):
                if figures is not None:
                    store.put(row, figures)
                done += 1
                if callback is not None:
                    callback(done, len(rows))
    found = [row for settings in rows if (row := store.get(settings)) is not None]
    if not found:
        raise ValueError(f"no row of this plan is measured yet in {store.folder}.")
    means = summarise(found, _BY, FIGURES)
    write_csv(folder / "synthetic.csv", [_without_points(row) for row in found])
    notes = []
    if len(found) < len(rows):
        notes.append(
            f"{len(found):,} of the {len(rows):,} rows of the plan are measured so far. The same "
            "command without --so-far goes on."
        )
    content = {"plan": dataclasses.asdict(plan), "about": dict(about or {}), "notes": notes}
    content["means"] = means
    with written_whole(folder / "synthetic.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    pictures = synthetic_figures(means, found)
    for name, picture in pictures.items():
        save_figure(picture.figure, folder / f"{name}.png")
    write_synthetic_page(folder / "synthetic.html", means, pictures, content)
    return means


def _measured(
    rows: Sequence[dict[str, Any]], store: RowStore, programs: Programs, until: float, folder: Path
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """The rows of a case with their figures, None for those that ``store`` has.

    All pairs of a setting run together, whether or not some are measured already: what a row gives
    does not depend on where a run was stopped.
    """
    groups: dict[Setting, list[dict[str, Any]]] = {}
    for row in rows:
        setting = Setting(*(row[name] for name in Setting._fields))
        groups.setdefault(setting, []).append(row)
    missing = {
        setting: kept
        for setting, group in groups.items()
        if (kept := [row for row in group if store.get(row) is None])
    }
    if missing:
        num_pairs, first = 1 + max(row["pair"] for row in rows), rows[0]
        steps, networks = first["training"] or 0, folder / "networks"
        scene = make_scene(first["case"], num_pairs, until, first["seed"], networks, steps)
        for setting in missing:
            programs.prepare(scene, setting)
    for setting, group in groups.items():
        lacking = missing.get(setting, [])
        figures = measured_pairs(programs, scene, setting) if lacking else []
        for row in group:
            yield row, figures[row["pair"]] if row in lacking else None


def _without_points(row: Mapping[str, Any]) -> dict[str, Any]:
    drawn = ("points", "truth", "manifold")
    return {name: value for name, value in row.items() if name not in drawn}
