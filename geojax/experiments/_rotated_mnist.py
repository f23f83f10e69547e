"""Rotated MNIST: every method between two turned digits, against the true rotation."""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..evaluation import LPIPS
from ..interpolation import MethodSettings, interpolator
from ..models import DigitClassifier, load, load_classifier, load_mnist, to_pixels
from ..scores import AbstractScore, NoiseRoute
from ._rotated_mnist_measures import path_measures
from ._rotated_mnist_page import write_tables
from ._rotated_mnist_pairs import Digits, Pair
from ._rotated_mnist_plan import BEYOND, ROTATION, SAME, RotatedMnistPlan
from ._rotated_mnist_tables import RotatedMnistTables, rotated_mnist_tables
from ._store import RowStore

_SHAPE = (1, 28, 28)
_DRAWING = 2  # how pairs are drawn; rows of the first way, another digit an angle, are other rows


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
    """Measure the rows of a plan that ``folder`` does not hold yet, and write the tables.

    ``folder`` receives ``rows/`` (two files a row, as soon as it is measured) and what
    `write_tables` makes of them.

    - ``digits``: upright digits and labels; default MNIST's test set, read by `load_mnist`.
    - ``score``: default the plan's model. Rows belong to its weights and to the digits: another
      score or other digits, other rows.
    - ``chunk``: pairs that one compiled program takes at once; default 1 on a CPU, where more gain
      nothing and the slowest holds up the others, else 16.
    - ``about``: the command, versions and the machine, for the results.
    - ``callback(done, total)``: runs at the start and whenever rows were stored.
    - ``measure``: False for the tables of what a run that was stopped has measured.

    **Raises:** `ValueError` on a plan that cannot be, and where there is nothing to tabulate; as
    `load` and `load_mnist`.
    """
    plan.check()
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}.")
    digits = Digits(*load_mnist("test")) if digits is None else digits
    network: AbstractScore = load(plan.model) if score is None else score
    lab = _Lab(plan, digits, network, _lpips())
    chunk = chunk or (1 if jax.default_backend() == "cpu" else 16)
    store = RowStore(Path(folder) / "rows")
    common = {
        "weights": _digest(network),
        "digits": _digest(digits),
        "drawing": _DRAWING,
        "lpips": lab.lpips is not None,
    }
    rows = [{**row, **common} for row in plan.rows()]
    done = sum(row in store for row in rows)
    _tell(callback, done, len(rows))
    if not measure and not done:
        raise ValueError(f"no row of this plan is measured yet in {store.folder}.")
    for group in _groups(rows, lab, chunk) if measure else ():
        missing = [row for row in group if row not in store]
        for settings, figures, arrays in lab.measured(group, missing):
            store.put(settings, figures, arrays)
        done += len(missing)
        if missing:
            _tell(callback, done, len(rows))
    tables = rotated_mnist_tables(plan, store, rows, digits, lab.classifier)
    write_tables(folder, plan, tables, about=about or {})
    return tables


def _tell(callback, done: int, total: int) -> None:
    if callback is not None:
        callback(done, total)


def _lpips() -> LPIPS | None:
    try:
        return LPIPS.load("squeeze")
    except FileNotFoundError:
        return None


def _digest(tree: AbstractScore | Digits) -> str:
    """Of the arrays in it: rows of other weights or digits are other rows."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array)):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def _groups(rows: list[dict[str, Any]], lab: "_Lab", chunk: int) -> list[list[dict[str, Any]]]:
    """Rows that one program takes at once: they differ in the pair alone, or are a label apart."""

    def alike(row):
        names = ("kind", "delta", "protocol", "part", "method")
        key = [row["pair"] // chunk, *(str(row[name]) for name in names)]
        return (*key, str(lab.label(row)))

    order: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        order.setdefault(alike(row), []).append(row)
    return list(order.values())


class _Lab:
    """What is made once and used for every row: methods, programs, pairs."""

    def __init__(self, plan, digits: Digits, score: AbstractScore, lpips: LPIPS | None):
        self.plan, self.digits, self.score, self.lpips = plan, digits, score, lpips
        self.classifier: DigitClassifier = load_classifier()
        self._programs: dict[tuple, Callable[..., Any]] = {}

    def pair(self, row: Mapping[str, Any]) -> Pair:
        return self.digits.pair(row["kind"], row["delta"], row["pair"], row["seed"])

    def label(self, row: Mapping[str, Any]) -> int | None:
        if row["condition"] == "none":
            return None
        first, second = self.pair(row).labels
        return first if first == second else None

    def times(self, part: str) -> Array:
        """From the first to the second image; or as densely on from there."""
        steps = self.plan.frames - 1
        if part != BEYOND:
            return jnp.linspace(0, 1, steps + 1)
        beyond = max(1, round((self.plan.until - 1) * steps))
        return jnp.linspace(1, self.plan.until, beyond + 1)

    def measured(self, group: list[dict[str, Any]], missing: list[dict[str, Any]]):
        """Settings, figures and arrays of the rows of a group that are missing."""
        if not missing:
            return
        # A row has its place in the program whether or not its neighbours are measured already:
        # what it gives does not depend on where a run was stopped.
        wanted = [row if row in missing else missing[0] for row in group]
        pairs = [self.pair(row) for row in wanted]
        x0s, x1s = jnp.stack([p.x0 for p in pairs]), jnp.stack([p.x1 for p in pairs])
        root = jax.random.key(self.plan.seed)
        keys = jnp.stack([jax.random.fold_in(root, row["pair"]) for row in wanted])
        program = self._program(wanted[0], (x0s, x1s, keys))
        began = time.perf_counter()
        paths = jax.block_until_ready(program(x0s, x1s, keys))
        seconds = (time.perf_counter() - began) / len(group)
        ts = self.times(group[0]["part"])
        for i, row in enumerate(group):
            if row not in missing:
                continue
            path = jax.tree.map(lambda leaf: leaf[i], paths)  # noqa: B023
            figures, features = path_measures(
                self.classifier,
                self.lpips,
                pairs[i],
                path.points,
                ts,
                has_truth=row["kind"] in (SAME, ROTATION),
            )
            figures |= {
                "score_evaluations": int(path.score_evaluations),
                "seconds": round(seconds, 4),
                "successful": float(path.message == "successful"),
                "result": path.message,
            }
            frames = to_pixels(jnp.nan_to_num(path.points)[:, 0])
            yield row, figures, {"features": features.astype(np.float32), "frames": frames}

    def _program(self, row: Mapping[str, Any], like) -> Callable[..., Any]:
        """The compiled ``(x0s, x1s, keys) -> InterpolatedPath`` of a method, made once."""
        names = ("protocol", "part", "method")
        key = (*(row[name] for name in names), self.label(row), len(like[0]))
        if key not in self._programs:
            method = interpolator(row["method"], self._settings(row))
            times = tuple(self.times(row["part"]).tolist())
            compiled = _paths.lower(method, *like, times).compile()
            self._programs[key] = lambda *pairs: compiled(method, *pairs, times)
        return self._programs[key]

    def _settings(self, row: Mapping[str, Any]) -> MethodSettings:
        label = self.label(row)
        route = NoiseRoute(
            self.score,
            t=row["t"],
            noising=row["noising"],
            denoising=row["denoising"],
            num_steps=row["denoise_steps"],
            args=None if label is None else jnp.asarray(label),
        )
        return MethodSettings(
            route,
            _SHAPE,
            jax.random.key(self.plan.seed),
            lam=row["lam"],
            num_segments=row["segments"],
            max_steps=row["max_steps"],
        )


@eqx.filter_jit
def _paths(method, x0s, x1s, keys, times: tuple[float, ...]):
    with jax.ensure_compile_time_eval():
        ts = jnp.asarray(times, x0s.dtype)
    return jax.vmap(lambda x0, x1, key: method.run(x0, x1, ts, key=key))(x0s, x1s, keys)
