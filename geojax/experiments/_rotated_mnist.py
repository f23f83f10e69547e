"""Rotated MNIST: every method between two turned digits, against the true rotation."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..evaluation import LPIPS
from ..interpolation import MethodSettings, interpolator
from ..models import DigitClassifier, load, load_classifier, load_mnist, to_pixels
from ..plotting import ResultPicture
from ..scores import AbstractScore, NoiseRoute
from ._experiment import PAGES, AbstractExperiment, Measured, Results, grouped
from ._figures import Frames, frames_figure
from ._rotated_mnist_figures import compute_figure, delta_figure
from ._rotated_mnist_measures import FIGURES, classifier_features, path_measures, set_distances
from ._rotated_mnist_pairs import Digits, Pair, turned_by
from ._rotated_mnist_plan import (
    BETWEEN,
    BEYOND,
    ONE_CLASS,
    ROTATION,
    SAME,
    TWO_CLASSES,
    RotatedMnistPlan,
)
from ._store import Row
from ._table import summarise

_SHAPE = (1, 28, 28)
_DRAWING = 2  # version of the drawing of pairs; version 1 took another digit for each angle
_BY = ("part", "kind", "delta", "protocol", "method")
_SET = ("part", "kind", "protocol", "method")
_STRAIGHT = ("LERP", "straight line")
_FAR = 60  # degrees; at this and larger angles a straight line leaves the data


class RotatedMnistTables(NamedTuple):
    """The tables that `run_rotated_mnist` returns.

    **Arguments:**

    - `rows`: every row as measured.
    - `means`: by part, kind, delta, protocol and method, with standard errors.
    - `far`: the same for all deltas of at least 60 degrees together (`delta` is None).
    - `distances`: by part, kind, protocol and method, of all frames from the turned test digits.
    """

    rows: list[Row]
    means: list[Row]
    far: list[Row]
    distances: list[Row]


def run_rotated_mnist(
    plan: RotatedMnistPlan,
    folder: Path | str,
    *,
    digits: Digits | None = None,
    score: AbstractScore | None = None,
    chunk: int | None = None,
    about: Mapping[str, Any] | None = None,
    callback: Callable[[int, int], None] | None = None,
    measure: bool = True,
) -> RotatedMnistTables:
    """Measure the missing rows of a plan, and write the tables.

    A row is written as soon as it is measured, so that an interrupted run can be resumed.

    **Arguments:**

    - `plan`: what to measure.
    - `folder`: receives `rows/` (two files for each row), `rotated_mnist.csv` (every row),
      `rotated_mnist.json` (the plan, `about`, all means and distances), pictures and the page
      `rotated_mnist.html`.
    - `digits`: upright digits and labels; default MNIST's test set, read by
      [`geojax.models.load_mnist`][].
    - `score`: default the plan's model. Rows are stored with a digest of its weights and of the
      digits, so that another score or other digits have their own rows.
    - `chunk`: pairs that one compiled program computes at once. The default is 1 on a CPU, where
      larger chunks are not faster and wait for their slowest pair, and 16 elsewhere.
    - `about`: the command, versions and the machine, for the results.
    - `callback`: called as `callback(done, total)` at the start and after every row.
    - `measure`: False writes the tables of the rows that are already measured.

    **Returns:**

    A [`geojax.experiments.RotatedMnistTables`][].

    **Raises:**

    - `ValueError`: when the plan is not valid, or no row is measured.
    - the errors of [`geojax.models.load`][] and `load_mnist`.
    """
    plan.check()
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}.")
    digits = Digits(*load_mnist("test")) if digits is None else digits
    network: AbstractScore = load(plan.model) if score is None else score
    chunk = chunk or (1 if jax.default_backend() == "cpu" else 16)
    experiment = _RotatedMnist(plan, folder, digits, network, chunk)
    results = experiment.run(about=about, callback=callback, measure=measure)
    return RotatedMnistTables(results.rows, **results.tables)


class _RotatedMnist(AbstractExperiment):
    """Methods, compiled programs and pairs, which are made once and used for every row."""

    name = "rotated_mnist"

    def __init__(self, plan, folder: Path | str, digits: Digits, score: AbstractScore, chunk: int):
        super().__init__(plan, folder)
        self.digits, self.score, self.chunk = digits, score, chunk
        self.lpips = _lpips()
        self.classifier: DigitClassifier = load_classifier()
        self._programs: dict[tuple, Callable[..., Any]] = {}

    def rows(self) -> list[Row]:
        common = {
            "weights": _digest(self.score),
            "digits": _digest(self.digits),
            "drawing": _DRAWING,
            "lpips": self.lpips is not None,
        }
        return [{**row, **common} for row in self.plan.rows()]

    def groups(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Rows for one call of a program: they differ only in the pair."""
        apart = [
            row | {"chunk": row["pair"] // self.chunk, "label": self._label(row)} for row in rows
        ]
        same = ("chunk", "kind", "delta", "protocol", "part", "method", "label")
        groups = grouped(apart, same).values()
        return [[{name: row[name] for name in rows[0]} for row in group] for group in groups]

    def measured(self, group: Sequence[Row], missing: Sequence[Row]) -> Iterator[Measured]:
        # A row always has the same place in the program, even if its neighbours are measured
        # already. So its figures do not depend on where a run was stopped.
        wanted = [row if row in missing else missing[0] for row in group]
        pairs = [self._pair(row) for row in wanted]
        x0s, x1s = jnp.stack([p.x0 for p in pairs]), jnp.stack([p.x1 for p in pairs])
        root = jax.random.key(self.plan.seed)
        keys = jnp.stack([jax.random.fold_in(root, row["pair"]) for row in wanted])
        program = self._program(wanted[0], (x0s, x1s, keys))
        began = time.perf_counter()
        paths = jax.block_until_ready(program(x0s, x1s, keys))
        seconds = (time.perf_counter() - began) / len(group)
        ts = self._times(group[0]["part"])
        for i, row in enumerate(group):
            if row not in missing:
                continue
            path = jax.tree.map(lambda leaf: leaf[i], paths)  # noqa: B023
            known, seen = row["kind"] in (SAME, ROTATION), (self.classifier, self.lpips)
            figures, features = path_measures(*seen, pairs[i], path.points, ts, has_truth=known)
            figures |= {
                "score_evaluations": int(path.score_evaluations),
                "seconds": round(seconds, 4),
                "successful": float(path.message == "successful"),
                "result": path.message,
            }
            frames = to_pixels(jnp.nan_to_num(path.points)[:, 0])
            yield row, figures, {"features": features.astype(np.float32), "frames": frames}

    def _pair(self, row: Row) -> Pair:
        return self.digits.pair(row["kind"], row["delta"], row["pair"], row["seed"])

    def _label(self, row: Row) -> int | None:
        if row["condition"] == "none":
            return None
        first, second = self._pair(row).labels
        return first if first == second else None

    def _times(self, part: str) -> Array:
        """Times from the first to the second image, or equally dense times beyond it."""
        steps = self.plan.frames - 1
        if part != BEYOND:
            return jnp.linspace(0, 1, steps + 1)
        beyond = max(1, round((self.plan.until - 1) * steps))
        return jnp.linspace(1, self.plan.until, beyond + 1)

    def _program(self, row: Row, like) -> Callable[..., Any]:
        """The compiled `(x0s, x1s, keys) -> InterpolatedPath` of a method, made once."""
        label = self._label(row)
        key = (row["protocol"], row["part"], row["method"], label, len(like[0]))
        if key not in self._programs:
            route = NoiseRoute(
                self.score,
                t=row["t"],
                noising=row["noising"],
                denoising=row["denoising"],
                num_steps=row["denoise_steps"],
                args=None if label is None else jnp.asarray(label),
            )
            settings = MethodSettings(
                route,
                _SHAPE,
                jax.random.key(self.plan.seed),
                lam=row["lam"],
                num_segments=row["segments"],
                max_steps=row["max_steps"],
            )
            method = interpolator(row["method"], settings)
            times = tuple(self._times(row["part"]).tolist())
            compiled = _paths.lower(method, *like, times).compile()
            self._programs[key] = lambda *pairs: compiled(method, *pairs, times)
        return self._programs[key]

    def results(self, found: Sequence[Row]) -> Results:
        settings = [row for row in self.rows() if row in self.store]
        rows = _with_gains([_without_flag(row) for row in found])
        turned = [{**row, "delta": None} for row in rows if (row["delta"] or 0) >= _FAR]
        tables = {
            "far": summarise(turned, _BY, FIGURES),
            "means": summarise(rows, _BY, FIGURES),
            "distances": self._distances(settings),
        }
        notes, texts = [], PAGES[self.name]["notes"]
        if all(row.get("ppl") is None for row in rows):
            notes.append(texts["no_lpips"])
        if 180 in self.plan.deltas:
            notes.append(texts["half_turn"])
        least = min((row["images"] for row in tables["distances"]), default=640)
        if least < 640:
            notes.append(texts["small_sets"].format(least=least))
        return Results(rows, tables, self._pictures(tables, settings), notes)

    def _distances(self, settings: Sequence[Row]) -> list[Row]:
        """The set distances of the frames of all pairs, without those of a digit and itself."""
        turned = self.digits.turned(self.plan.num_reference, self.plan.seed)
        reference = classifier_features(self.classifier, turned)
        found = []
        for key, rows in grouped((r for r in settings if r["kind"] != SAME), _SET).items():
            features = [self.store.arrays(row)["features"] for row in rows]
            distances = set_distances(features, [row["pair"] for row in rows], reference)
            found.append(dict(zip(_SET, key, strict=True)) | distances)
        return found

    def _pictures(self, tables, settings: Sequence[Row]) -> dict[str, ResultPicture]:
        texts, figures = PAGES[self.name]["pictures"], {}
        for name, part in (("by_delta", BETWEEN), ("beyond_by_delta", BEYOND)):
            rows = [r for r in tables["means"] if (r["part"], r["kind"]) == (part, ROTATION)]
            if rows:
                figures[name] = delta_figure(rows)
        far = [row for row in tables["far"] if row["part"] == BETWEEN]
        if far:
            figures["compute"] = compute_figure(far)
        # The first pair of the largest delta below half a turn, and of the other kinds.
        below = [delta for delta in self.plan.deltas if delta < 180] or list(self.plan.deltas)
        wide = min(below, key=lambda delta: abs(delta - 90), default=None)
        between = (ONE_CLASS, None, BETWEEN), (TWO_CLASSES, None, BETWEEN)
        for example in ((ROTATION, wide, BETWEEN), (ROTATION, wide, BEYOND), *between):
            rows = [r for r in settings if (r["kind"], r["delta"], r["part"]) == example]
            if rows := [row for row in rows if row["pair"] == 0]:
                kind, _, part = example
                figures[f"paths_{kind}_{part}".replace(" ", "_")] = self._example(rows)
        return {
            name: ResultPicture(texts[name]["title"].format(delta=wide), texts[name]["meaning"], f)
            for name, f in figures.items()
        }

    def _example(self, rows: Sequence[Row]):
        """The frames of one pair by every method."""
        times, pair, truth = np.asarray(self._times(rows[0]["part"])), self._pair(rows[0]), None
        if rows[0]["kind"] == ROTATION:
            angles = jnp.asarray(pair.angle + times * pair.turn)
            truth = to_pixels(turned_by(pair.upright, angles)[:, 0])
        paths = []
        for row in rows:
            frames, psnr = self.store.arrays(row)["frames"], (self.store.get(row) or {}).get("psnr")
            paths.append(Frames(row["method"], row["protocol"], frames, psnr))
        return frames_figure(paths, times, truth)


@eqx.filter_jit
def _paths(method, x0s, x1s, keys, times: tuple[float, ...]):
    with jax.ensure_compile_time_eval():
        ts = jnp.asarray(times, x0s.dtype)
    return jax.vmap(lambda x0, x1, key: method.run(x0, x1, ts, key=key))(x0s, x1s, keys)


def _lpips() -> LPIPS | None:
    try:
        return LPIPS.load("squeeze")
    except FileNotFoundError:
        return None


def _digest(tree: AbstractScore | Digits) -> str:
    """A digest of the arrays, which distinguishes rows of other weights or digits."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array)):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def _without_flag(row: Row) -> Row:
    """The row without its setting `lpips`, if no figure has replaced it.

    The setting records whether there were weights. Without a truth there is no figure of that name.
    """
    return {**row, "lpips": None} if isinstance(row["lpips"], bool) else row


def _with_gains(rows: list[Row]) -> list[Row]:
    """Rows with `gain`, the PSNR above that of the straight line of the same pair and protocol.

    Pairs differ more than methods do. The mean of the differences does not have this variation.
    """
    names = ("part", "kind", "delta", "pair", "t", "noising", "denoising", "denoise_steps")

    def place(row):
        return tuple(row[name] for name in names)

    straight = {place(row): row.get("psnr") for row in rows if row["method"] in _STRAIGHT}

    def gain(row):
        both = row.get("psnr"), straight.get(place(row))
        return None if None in both or row["method"] in _STRAIGHT else both[0] - both[1]

    return [{**row, "gain": gain(row)} for row in rows]
