"""What the pages of all experiments share: their settings, and tables of means."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..plotting import ResultPicture, ResultTable, results_page, save_report
from ._table import with_error


def write_page(
    path: Path | str,
    *,
    title: str,
    lead: str,
    tables: Sequence[ResultTable],
    pictures: Sequence[ResultPicture],
    plan: Mapping[str, Any],
    about: Mapping[str, Any],
    notes: Sequence[str] = (),
    details: Sequence[ResultTable] = (),
) -> None:
    """The page of an experiment, whole or not at all.

    ``plan``: the settings of what was measured. ``about``: the command, versions, the machine and
    whatever else is known of the run; both are shown item by item.
    """
    settings = _flat(about) | _flat(plan)
    page = results_page(
        title=title,
        lead=lead,
        tables=tables,
        pictures=pictures,
        settings=settings,
        notes=notes,
        details=details,
    )
    save_report(page, path)


def means_table(
    means: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    figures: Mapping[str, str],
    *,
    title: str,
    meaning: str,
) -> ResultTable:
    """Rows of `summarise` as the table of a page: names, then figures with standard errors.

    ``names`` and ``figures``: the columns, by the key in a row, with their headings.

    >>> from geojax.experiments._page import means_table
    >>> row = {"method": "LERP", "error": 0.51234, "error_se": 0.021}
    >>> table = means_table([row], {"method": "method"}, {"error": "error"}, title="", meaning="")
    >>> table.rows
    [['LERP', '0.512 ± 0.021']]
    """
    rows = [
        ["–" if row[key] is None else str(row[key]) for key in names]
        + [with_error(row.get(key), row.get(f"{key}_se")) for key in figures]
        for row in means
    ]
    return ResultTable(title, meaning, [*names.values(), *figures.values()], rows, len(names))


def _flat(content: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Names and values of nested settings, a line each."""
    lines: dict[str, str] = {}
    for name, value in content.items():
        label = f"{before}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            lines |= _flat(value, f"{label}: ")
        elif isinstance(value, list | tuple):
            lines[label] = ", ".join(str(item) for item in value)
        else:
            lines[label] = "none" if value is None else str(value)
    return lines
