"""Every method on manifolds of known geometry: distances from manifold and geodesic."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..interpolation import EXTRAPOLATORS, INTERPOLATORS
from ._checks import check_known, check_least
from ._experiment import AbstractExperiment, Measured, Results, grouped
from ._rotated_mnist_plan import LATER
from ._store import Row
from ._synthetic_cases import CASES, Scene, make_scene
from ._synthetic_figures import synthetic_figures
from ._synthetic_measures import DESCENTS, FIGURES, Programs, Setting, measured_pairs
from ._table import summarise

_BY = ("case", "kind", "method", "sigma", "lam", "segments")


@dataclasses.dataclass(frozen=True)
class SyntheticPlan:
    """The plan of `run_synthetic`: every case x method x level x lam x segments x pair.

    The default has every method on every case at three noise levels; `full` adds the sweeps.

    **Arguments:**

    - `methods`: between the two points of a pair; default all methods of the committed results. NAO
      is not possible, because its paths are between standard normal seeds.
    - `extrapolations`: beyond the second point, with the same default.
    - `sigmas`: noise levels, in the units of the manifolds, whose extent is about 1.
    - `lams`: of geojax's own metrics, in units of sigma^2. Then lam s s^T is of order lam at a
      distance of one sigma from the data. Methods without a lam are measured once.
    - `segments`: of geojax's own solves.
    - `until`: the last time of extrapolations.
    - `descents`: metrics for the descent of an objective whose minimum is off the manifold.
    - `training_steps`: of the networks.
    - `further`: plans whose rows are measured too, for example a sweep on a few cases.
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
        """A plan of some minutes on two cores.

        It has one level and one lam on three manifolds of codimension 8, 2 and 1; the last two
        share compiled programs. It sweeps on the first and the last, and has some methods with a
        network and in the plane.
        """
        whole = cls(
            cases=("S^2 in R^10", "wiggly curve in R^3", "torus in R^3"),
            methods=tuple(name for name in cls.methods if name != "smoothed"),
            descents=tuple(name for name in DESCENTS if name != "smoothed"),
            sigmas=(0.1,),
            num_pairs=8,
        )
        paths = dataclasses.replace(
            whole, methods=("LERP", "Stein", "combined"), extrapolations=(), descents=()
        )
        codimension_8 = dataclasses.replace(
            paths,
            cases=("S^2 in R^10",),
            sigmas=cls.sigmas,
            lams=(1.0, 10.0, 100.0, 1000.0),
            segments=(16, 32),
        )
        codimension_1 = dataclasses.replace(
            paths, cases=("torus in R^3",), sigmas=(0.1, 0.2), lams=(1.0, 10.0, 100.0)
        )
        planar = dataclasses.replace(
            paths,
            cases=("C in R^2", "two moons", "across two moons"),
            methods=("LERP", "SLERP", "density flow", "Stein", "combined"),
        )
        network = dataclasses.replace(
            whole,
            cases=("wiggly curve in R^3, network",),
            methods=("LERP", "density flow", "Stein", "combined"),
            extrapolations=("straight line", "score-guided walk", "exponential map, combined"),
            descents=("Euclidean", "Stein", "combined"),
        )
        return dataclasses.replace(whole, further=(codimension_8, codimension_1, network, planar))

    def of_pairs(self, num_pairs: int) -> "SyntheticPlan":
        """The same plan, and its further plans, with this number of pairs.

        **Raises:**

        - `ValueError`: for a number below 1.
        """
        further = [plan.of_pairs(num_pairs) for plan in self.further]
        plan = dataclasses.replace(self, num_pairs=num_pairs, further=further)
        check_least(plan, num_pairs=1)
        return plan

    def check(self) -> None:
        """Check the plan.

        **Raises:**

        - `ValueError`: for an unknown case, or further plans with another `until`, `seed` or
          `training_steps`.
        """
        for part in (self, *self.further):
            check_known("case", part.cases, CASES)
            for name in ("until", "seed", "training_steps"):
                given, wanted = getattr(part, name), getattr(self, name)
                if given != wanted:
                    raise ValueError(
                        f"further plans must have the plan's {name}, {wanted}, got {given}: run "
                        "another in a folder of its own."
                    )

    def rows(self) -> list[Row]:
        """The settings of every row, in the order of measurement, case by case."""
        rows = [row for plan in (self, *self.further) for row in plan._own_rows()]
        distinct = {json.dumps(row): row for row in rows}.values()
        return [row for of_case in grouped(distinct, ["case"]).values() for row in of_case]

    def _own_rows(self) -> Iterator[Row]:
        parts = ("path", self.methods), ("beyond", self.extrapolations), ("descent", self.descents)
        settings = [
            (case, kind, name, sigma, lam, segments)
            for case in self.cases
            # "Beyond" is undefined if no geodesic leads to the second point.
            for kind, names in (parts[:1] if CASES[case].across else parts)
            for name in names
            for sigma in self.sigmas
            for lam in (self.lams if name in _OWN[kind] else (None,))
            for segments in (self.segments if _is_solved(kind, name) else (None,))
        ]
        for setting in settings:
            named: Row = dict(zip(_BY, setting, strict=True))
            for pair in range(self.num_pairs):
                yield named | {
                    "pair": pair,
                    "until": self.until if named["kind"] == "beyond" else None,
                    "seed": self.seed,
                    "training": self.training_steps if CASES[named["case"]].trained else None,
                }


# The methods whose metric has the plan's lam, by kind.
_OWN = {
    "path": {"Stein", "combined", "smoothed", "norm + Stein"},
    "beyond": {name for name in EXTRAPOLATORS if name.startswith("exponential map")},
    "descent": {*DESCENTS} - {"Euclidean"},
}


def _is_solved(kind: str, method: str) -> bool:
    return kind != "descent" and method in _OWN[kind]


def run_synthetic(
    plan: SyntheticPlan,
    folder: Path | str,
    *,
    about: Mapping[str, Any] | None = None,
    callback: Callable[[int, int], None] | None = None,
    measure: bool = True,
) -> list[Row]:
    """Measure the missing rows of a plan, and write the tables.

    A row is written as soon as it is measured, so that an interrupted run can be resumed. All pairs
    of a method run in one compiled program.

    **Arguments:**

    - `plan`: what to measure.
    - `folder`: receives `rows/` (a file for each row), `networks/` (the trained scores),
      `synthetic.csv` (all rows), `synthetic.json` (the plan, `about`, means and standard errors),
      the pictures of [`geojax.experiments.synthetic_figures`][] and the page `synthetic.html`.
    - `about`: the command, versions and the machine, for the results.
    - `callback`: called as `callback(done, total)` at the start and after every row.
    - `measure`: False writes the tables of the rows that are already measured.

    **Returns:**

    The means over pairs, with standard errors.

    **Raises:**

    - `ValueError`: when the plan is not valid, or no row is measured.

    A row has these figures:

    - `distance_mean`, `distance_max`: of the points of the path, extrapolation or descent from the
      manifold;
    - `rmse`: from the true geodesic at the same times (of extrapolations only beyond b);
    - `length_error`: of the path's length in R^D, relative to the true distance;
    - `energy_ratio`: of the path's energy in R^D to that of the true geodesic;
    - `missed`: of descents, the distance from the point of the manifold where the objective is
      least, when the descent has reached that value;
    - `score_evaluations`, `seconds` (compiled, the mean over the pairs), `successful` (1 or 0) and
      `result`, the verdict in words.

    Two points on different components have no geodesic, and only the distances from the manifold.
    """
    plan.check()
    with Programs() as programs:
        experiment = _Synthetic(plan, folder, programs)
        results = experiment.run(about=about, callback=callback, measure=measure)
    return results.tables["means"]


class _Synthetic(AbstractExperiment):
    name = "synthetic"

    def __init__(self, plan: SyntheticPlan, folder: Path | str, programs: Programs):
        super().__init__(plan, folder)
        self.programs = programs
        self._scene: tuple[str, Scene] | None = None

    def rows(self) -> list[Row]:
        return self.plan.rows()

    def groups(self, rows: Sequence[Row]) -> list[list[Row]]:
        """All pairs of a setting, which one program measures."""
        return list(grouped(rows, ["case", *Setting._fields]).values())

    def measured(self, group: Sequence[Row], missing: Sequence[Row]) -> Iterator[Measured]:
        scene = self._scene_of(group[0]["case"])
        figures = measured_pairs(self.programs, scene, _setting(group[0]))
        for row in missing:
            yield row, figures[row["pair"]], None

    def _scene_of(self, case: str) -> Scene:
        """The scene of a case; the compilation of its programs then begins."""
        if self._scene is None or self._scene[0] != case:
            rows = [row for row in self.rows() if row["case"] == case]
            num_pairs, steps = 1 + max(row["pair"] for row in rows), rows[0]["training"] or 0
            networks = self.folder / "networks"
            scene = make_scene(case, num_pairs, self.plan.until, self.plan.seed, networks, steps)
            for group in self.own:
                if group[0]["case"] == case and any(row not in self.store for row in group):
                    self.programs.prepare(scene, _setting(group[0]))
            self._scene = case, scene
        return self._scene[1]

    def results(self, found: Sequence[Row]) -> Results:
        means = summarise(found, _BY, FIGURES)
        drawn = ("points", "truth", "manifold")
        rows = [{k: v for k, v in row.items() if k not in drawn} for row in found]
        return Results(rows, {"means": means}, synthetic_figures(means, found))


def _setting(row: Row) -> Setting:
    return Setting(*(row[name] for name in Setting._fields))
