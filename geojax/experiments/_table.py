"""Tables from rows: means with standard errors, and CSV."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._files import written_whole

Rows = Sequence[Mapping[str, Any]]


def summarise(rows: Rows, by: Sequence[str], figures: Sequence[str]) -> list[dict[str, Any]]:
    """Means and standard errors of rows.

    **Arguments:**

    - `rows`: the rows.
    - `by`: names; there is one result for each combination of their values.
    - `figures`: names of the figures.

    **Returns:**

    Rows with `count`, and of every figure the mean and the standard error (`figure` and
    `figure_se`) over the rows that have it. Unknown values are None: the mean without any row, and
    the error with only one.

    >>> from geojax.experiments import summarise
    >>> rows = [{"method": "LERP", "error": 1.0}, {"method": "LERP", "error": 3.0}]
    >>> summarise(rows, ["method"], ["error"])
    [{'method': 'LERP', 'count': 2, 'error': 2.0, 'error_se': 1.0}]
    """
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    table = []
    for key, group in groups.items():
        line: dict[str, Any] = {**dict(zip(by, key, strict=True)), "count": len(group)}
        for name in figures:
            values = [row[name] for row in group if row.get(name) is not None]
            line[name] = float(np.mean(values)) if values else None
            error = np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else None
            line[f"{name}_se"] = None if error is None else float(error)
        table.append(line)
    return table


def write_csv(path: Path | str, rows: Rows) -> None:
    """Rows as CSV, whole or not at all; columns are those of any row, in order of appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with written_whole(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def with_error(value: float | None, error: float | None) -> str:
    """A mean with its standard error, which has two digits; a dash if it is unknown.

    >>> from geojax.experiments import with_error
    >>> with_error(13.4567, 0.234), with_error(1234.5, None), with_error(None, None)
    ('13.46 ± 0.23', '1234', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if not error or not math.isfinite(error):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    places = max(0, 1 - math.floor(math.log10(error)))
    if places > 6:
        return f"{value:.3g} ± {error:.2g}"
    return f"{value:.{places}f} ± {error:.{places}f}"
