"""`geojax interpolate --pairs`: many pairs of pictures with one model, one row of a table each."""

import csv
import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import typer

from .._shares import own_and_others
from ..experiments import RowStore, write_csv
from ..geodesics import AbstractRule, AbstractSolver, Diagnostics
from ..interpolation import compare
from ..scores import AbstractPipeline, NoiseRoute
from ._console import SOLVE_FAILED, say, tell
from ._distributed import writes
from ._figures import texts
from ._folders import removed_if_empty, reserve_folder
from ._images import check_different, read_images, short_names
from ._labels import chosen_labels
from ._outputs import PageHead, write_outputs, write_path
from ._rows import check_plan, is_run, rows_bar
from ._run import as_points
from ._settings import PromptSettings, Settings

TABLE = "pairs.csv"
COLUMNS = "name", "a", "b", "label_a", "label_b"
_SHOWN = 10  # errors of the list, or failed pairs, that are named


class PairModel(NamedTuple):
    """What all pairs of the list share.

    - `shape`: of a picture.
    - `pipeline`: called with a class, those of A and B, or None.
    - `check_label`: called as `check_label(label, name)`; raises `ValueError` for a class that the
      model does not have.
    - `knower`: called with a pipeline and two names; returns the function that checks whether the
      model knows the pictures.
    - `place`: where the geodesic is computed, in words.
    - `inputs`: the entries of a run for its files.
    - the others: as for `compare`.
    """

    shape: tuple[int, ...]
    pipeline: Callable[[Any], AbstractPipeline]
    check_label: Callable[[int | None, str], None]
    knower: Callable[[AbstractPipeline, list[str]], Callable[..., list[str]] | None]
    place: str
    inputs: dict[str, Any]
    rule: AbstractRule
    solver: AbstractSolver
    methods: Sequence[str] = ("SLERP",)
    metric: str | None = None
    diagnostics: Diagnostics = "full"


class Pair(NamedTuple):
    """A line of the list: its files, its class or classes, and its fields."""

    a: Path
    b: Path
    label: int | tuple[int, int] | None
    fields: dict[str, str]


def interpolate_pairs(
    file: Path,
    model: PairModel,
    settings: Settings,
    prompts: PromptSettings,
    out: str,
    label: int | tuple[int, int] | None,
    invert: bool,
    force: bool,
) -> Callable[[], None]:
    """Read and check the list.

    **Returns:**

    A function that computes the pairs, and raises `typer.Exit`.

    **Raises:**

    - `ValueError`: when the list has errors, which are named by line; and as `check_plan`.
    """
    if settings.init is not None:
        raise ValueError("--init is for two pictures: leave it out with --pairs.")
    pairs = read_pairs(file, model, label, invert)
    folder = reserve_folder(out, is_run)
    given = {**dataclasses.asdict(settings), **dataclasses.asdict(prompts)}
    plan = {name: None if value is None else str(value) for name, value in given.items()}
    plan |= {"label": str(label), "invert": invert, "force": force}
    store = RowStore(folder / "rows")
    with removed_if_empty(folder):
        check_plan(folder, plan, f"geojax interpolate --pairs {file}")
        _check_kept(store, pairs, folder)

    def run() -> None:
        with removed_if_empty(folder), rows_bar(folder) as show:
            own, others = own_and_others(pairs)
            for done, pair in enumerate(own + others, 1):
                if _key(pair) not in store:
                    figures = _measured(pair, model, settings, folder / pair.fields["name"], invert)
                    store.put(_key(pair), {"given": _given(pair), **pair.fields, **figures})
                show(done, len(pairs))
        _report(store, pairs, folder)

    return run


def read_pairs(
    file: Path, model: PairModel, label: int | tuple[int, int] | None, invert: bool
) -> list[Pair]:
    """The pairs of a CSV file with columns a and b, and optionally label_a, label_b and name.

    Paths are relative to the file. `label` is for pairs without classes of their own. The name of a
    pair is by default its number. Every picture is read.

    **Raises:**

    - `ValueError`: when the list has errors, which are named by line.
    - `OSError`: without such a file.
    """
    with file.open(newline="", encoding="utf-8-sig") as opened:
        reader = csv.DictReader(opened, restkey="")
        columns = [name.strip() for name in reader.fieldnames or ()]
        unknown = sorted({*columns} - {*COLUMNS})
        if unknown or not {"a", "b"} <= {*columns}:
            said = f"has an unknown column {unknown[0]!r}" if unknown else "lacks column a or b"
            raise ValueError(
                f"{file} {said}: its first line must name columns a and b, and may name "
                "label_a, label_b and name."
            )
        reader.fieldnames = columns
        lines = [(reader.line_num, row) for row in reader]
    pairs, faults, names = [], [], set()
    for number, (line, row) in enumerate(lines, 1):
        try:
            pair = _pair(row, file.parent, label, number)
            for column in ("label_a", "label_b"):
                own = pair.fields[column]
                model.check_label(int(own) if own else None, column)
            name = pair.fields["name"]
            if name.casefold() in names or name == "rows":
                raise ValueError(f"the name {name!r} is taken.")
            names.add(name.casefold())
            arrays, _ = read_images((pair.a, pair.b), model.shape, invert=invert)
            check_different(arrays, short_names((pair.a, pair.b)))
            pairs.append(pair)
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    if faults:
        more = f" And {len(faults) - _SHOWN} more." if len(faults) > _SHOWN else ""
        raise ValueError(f"{file}: {' '.join(faults[:_SHOWN])}{more}")
    if not pairs:
        raise ValueError(f"{file} has no pairs below its first line.")
    return pairs


def _pair(row: dict[str, str], folder: Path, label: Any, number: int) -> Pair:
    """The pair of a line; `ValueError` when the line is wrong."""
    if "" in row or None in row.values():
        raise ValueError("it has more or fewer fields than the first line.")
    fields = {column: row.get(column, "").strip() for column in COLUMNS}
    fields["name"] = fields["name"] or f"{number:04d}"
    if not fields["a"] or not fields["b"]:
        raise ValueError("a and b must be image files.")
    if fields["name"].startswith(".") or {*fields["name"]} & {*'/\\:*?"<>|'}:
        raise ValueError(f"name must be the name of a folder, got {fields['name']!r}.")
    for column in ("label_a", "label_b"):
        if fields[column] and not fields[column].isdecimal():
            raise ValueError(f"{column} must be the number of a class, got {fields[column]!r}.")
    first, second = fields["label_a"], fields["label_b"]
    if bool(first) != bool(second):
        raise ValueError("give label_a and label_b, or none of them.")
    if first:
        label = chosen_labels(None, int(first), int(second))
    return Pair(folder / fields["a"], folder / fields["b"], label, fields)


def _key(pair: Pair) -> dict[str, str]:
    return {"name": pair.fields["name"]}


def _given(pair: Pair) -> str:
    """A digest of the input of a row: the pictures and their classes."""
    digest = hashlib.sha256(repr(pair.label).encode())
    for path in (pair.a, pair.b):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:24]


def _check_kept(store: RowStore, pairs: list[Pair], folder: Path) -> None:
    """`ValueError` when a result of another pair is stored under the name of a pair."""
    for pair in pairs:
        row = store.get(_key(pair))
        if row is not None and row["given"] != _given(pair):
            raise ValueError(
                f"{folder} holds the result of another pair under the name {row['name']}: give "
                "another folder as --out, or pairs names of their own."
            )


def _measured(
    pair: Pair, model: PairModel, settings: Settings, folder: Path, invert: bool
) -> dict[str, Any]:
    """Find the path and write its files; returns the figures of the row."""
    began = time.perf_counter()
    arrays, notices = read_images((pair.a, pair.b), model.shape, invert=invert)
    names = short_names((pair.a, pair.b))
    pipeline, key = model.pipeline(pair.label), jax.random.key(settings.seed)
    first, second = (as_points(array, x64=settings.x64) for array in arrays)
    known = model.knower(pipeline, names)
    try:
        notices += known((first, second)) if known else []
        result = compare(
            pipeline,
            first,
            second,
            key=jax.random.fold_in(key, 0),
            metric=model.metric,
            lam=settings.weight,
            solver=model.solver,
            diagnostics=model.diagnostics,
            num_segments=settings.segments,
            rule=model.rule,
            max_steps=settings.steps,
            methods=model.methods,
            frames=settings.frames,
        )
    except ValueError as error:  # about these pictures only: the other pairs go on
        return {"verdict": "refused", "problem": str(error)}
    t = float(pipeline.t)
    lead = f"From {names[0]} to {names[1]}: a geodesic {model.place} at noise level t = {t:g}."
    write_path(folder, result.solution)
    head = PageHead("interpolate", lead, t, noised=isinstance(pipeline, NoiseRoute))
    seconds = {"paths": time.perf_counter() - began}
    inputs = {**model.inputs, **pair.fields, "invert": invert}
    write_outputs(folder, head, settings, inputs, result, seconds, notices)
    record = result.records["geodesic"]
    figures, problems = record.figures, texts(result.problems)
    return {
        "verdict": record.message if problems else "successful",
        "problem": " ".join(problems),
        "energy": figures["energy"],
        "energy_lerp": result.records["LERP"].figures["energy"],
        "length": figures["length"],
        "contrast": float(result.contrast.ratio),
        "lam": result.lam,
        "evaluations": figures["score_evaluations"],
        "seconds": round(figures["seconds"] - figures["compile_seconds"], 4),
    }


def _report(store: RowStore, pairs: list[Pair], folder: Path) -> None:
    """Write the table and print a summary; `typer.Exit` when a pair failed."""
    rows = [row for pair in pairs if (row := store.get(_key(pair))) is not None]
    for row in rows:
        del row["given"]
    if writes():
        write_csv(folder / TABLE, rows)
    failed = [row for row in rows if row["verdict"] != "successful"]
    say(f"{len(rows)} pairs, {len(rows) - len(failed)} successful")
    say(f"Written to {folder}: {TABLE}, and a folder a pair")
    for row in failed[:_SHOWN]:
        tell("failed", f"{row['name']}: {row['verdict']}. {row['problem']}")
    if failed:
        raise typer.Exit(SOLVE_FAILED)
