"""The common part of all experiments: stored rows, tables, figures, the page.

An experiment defines its rows, which of them are measured together, and the results of the measured
rows. `AbstractExperiment.run` does the rest. `pages.toml` has the title of the page, and its tables
with their columns.
"""

import abc
import dataclasses
import json
import tomllib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from .._files import written_whole
from .._shares import own_and_others
from ..plotting import ResultPicture, ResultTable, results_page, save_figure, save_report
from ._store import Row, RowStore
from ._table import with_error, write_csv

PAGES = tomllib.loads((Path(__file__).parent / "pages.toml").read_text(encoding="utf-8"))
Measured = tuple[Row, Mapping[str, Any], Mapping[str, np.ndarray] | None]


class Results(NamedTuple):
    """The results of measured rows.

    - the rows of the CSV file;
    - the tables of the JSON file, by name;
    - the pictures, by the name of their file;
    - notes above the tables of the page.
    """

    rows: list[Row]
    tables: dict[str, list[Row]]
    pictures: dict[str, ResultPicture]
    notes: Sequence[str] = ()


class AbstractExperiment(abc.ABC):
    """A plan, measured row by row in `folder`; subclasses define the four abstract methods.

    - `name`: of the result files and of the section in `pages.toml`.
    - `own`: the groups of this process, if there are several under `jax.distributed`.
    """

    name: str
    own: Sequence[Sequence[Row]] = ()

    def __init__(self, plan: Any, folder: Path | str):
        self.plan, self.folder = plan, Path(folder)
        self.store = RowStore(self.folder / "rows")

    @abc.abstractmethod
    def rows(self) -> list[Row]:
        """The settings of every row, in the order of the table."""

    @abc.abstractmethod
    def groups(self, rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
        """Groups of rows that are measured together, in the order of measurement."""

    def piece(self, group: Sequence[Row]) -> Hashable:
        """Groups with the same piece are measured by one process, unless it dies."""
        return json.dumps(group[0])

    @abc.abstractmethod
    def measured(self, group: Sequence[Row], missing: Sequence[Row]) -> Iterator[Measured]:
        """The settings, figures and arrays of the `missing` rows of a group, which are not empty.

        They must not depend on which rows are missing, that is, on where a run was stopped.
        """

    @abc.abstractmethod
    def results(self, found: Sequence[Row]) -> Results:
        """The results of the measured rows."""

    def run(
        self,
        *,
        about: Mapping[str, Any] | None,
        callback: Callable[[int, int], None] | None,
        measure: bool,
    ) -> Results:
        """Measure the missing rows, write each at once, and write the tables.

        The processes of `jax.distributed` share the rows by `own_and_others`, in a folder that all
        can read. The first process writes the tables.

        **Raises:**

        - `ValueError`: when no row is measured.
        """
        rows = self.rows()
        order = self._in_order(rows)
        left = [sum(row not in self.store for row in group) for group in order]
        done = len(rows) - sum(left)
        show = callback or (lambda done, total: None)
        show(done, len(rows))
        for group, absent in zip(order, left, strict=True) if measure else ():
            missing = [row for row in group if row not in self.store]
            done += absent - len(missing)  # measured by other processes since then
            for settings, figures, arrays in self.measured(group, missing) if missing else ():
                self.store.put(settings, figures, arrays)
                done += 1
                show(done, len(rows))
        found = [row for settings in rows if (row := self.store.get(settings)) is not None]
        if not found:
            raise ValueError(f"no row of this plan is measured yet in {self.store.folder}.")
        results = self.results(found)
        if len(found) < len(rows):
            note = PAGES["so_far"].format(found=len(found), total=len(rows))
            results = results._replace(notes=[note, *results.notes])
        if jax.process_index() == 0:
            self._write(results, dict(about or {}))
        return results

    def _in_order(self, rows: Sequence[Row]) -> list[Sequence[Row]]:
        """The groups of this process, then those of the others."""
        pieces: dict[Hashable, list[Sequence[Row]]] = {}
        groups = list(self.groups(rows))
        for group in groups:
            pieces.setdefault(self.piece(group), []).append(group)
        own, others = map(dict.fromkeys, own_and_others(list(pieces)))
        self.own = [group for group in groups if self.piece(group) in own]
        # From the end, so that two processes that measure the same piece meet halfway.
        return [*self.own, *(group for piece in others for group in pieces[piece][::-1])]

    def _write(self, results: Results, about: dict[str, Any]) -> None:
        """The table, the means, the figures and the page, each whole or not at all."""
        write_csv(self.folder / f"{self.name}.csv", results.rows)
        plan = dataclasses.asdict(self.plan)
        content = {"plan": plan, "about": about, "notes": list(results.notes), **results.tables}
        with written_whole(self.folder / f"{self.name}.json") as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")
        for name, picture in results.pictures.items():
            save_figure(picture.figure, self.folder / f"{name}.png")
        texts = PAGES[self.name]
        tables = {detail: page_tables(texts, results.tables, detail) for detail in (False, True)}
        page = results_page(
            title=texts["title"],
            lead=texts["lead"],
            tables=tables[False],
            details=tables[True],
            pictures=list(results.pictures.values()),
            settings=flat_settings(about) | flat_settings(plan),
            notes=results.notes,
        )
        save_report(page, self.folder / f"{self.name}.html")


def grouped(rows: Iterable[Row], by: Sequence[str]) -> dict[tuple, list[Row]]:
    """The rows grouped by their values of some names, in order of appearance."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    return groups


def page_tables(
    texts: Mapping[str, Any], tables: Mapping[str, Sequence[Row]], detail: bool = False
) -> list[ResultTable]:
    """The tables of a section of `pages.toml`, without those that have no rows.

    - `where`: selects rows of the table `of` by the text of a cell; "*" means any value.
    - `names`: the columns before the figures, by default the section's.
    - `columns`: the figures, shown with their standard errors.

    >>> from geojax.experiments._experiment import page_tables
    >>> table = {"title": "Errors", "meaning": "", "columns": ["rmse"], "where": {"kind": "path"}}
    >>> row = {"kind": "path", "method": "LERP", "rmse": 0.51234, "rmse_se": 0.021}
    >>> (found,) = page_tables({"names": ["method"], "tables": [table]}, {"means": [row]})
    >>> found.columns, found.rows
    (['method', 'RMSE'], [['LERP', '0.512 ± 0.021']])
    """
    found = []
    for table in texts["tables"]:
        rows = [
            row
            for row in tables.get(table.get("of", "means"), ())
            if all(_is(_cell(row[k]), text) for k, text in table.get("where", {}).items())
        ]
        if not rows or table.get("detail", False) != detail:
            continue
        names, figures = table.get("names", texts["names"]), table["columns"]
        cells = [
            [_cell(row[key]) for key in names]
            + [with_error(row.get(key), row.get(f"{key}_se")) for key in figures]
            for row in rows
        ]
        known = PAGES["headings"] | texts.get("headings", {})
        heads = [known.get(key, key.replace("_", " ")) for key in (*names, *figures)]
        found.append(ResultTable(table["title"], table["meaning"], heads, cells, len(names)))
    return found


def _is(cell: str, wanted: str) -> bool:
    return cell == wanted or (wanted == "*" and cell != "–")


def _cell(value: Any) -> str:
    return "–" if value is None else str(value)


def flat_settings(content: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Names and values of nested settings, one line each."""
    lines: dict[str, str] = {}
    for name, value in content.items():
        label = f"{before}{name.replace('_', ' ')}"
        if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            value = {str(each.get("name", i)): each for i, each in enumerate(value, 1)}
        if isinstance(value, Mapping):
            lines |= flat_settings(value, f"{label}: ")
        elif isinstance(value, list | tuple):
            lines[label] = ", ".join(map(str, value))
        else:
            lines[label] = "none" if value is None else str(value)
    return lines
