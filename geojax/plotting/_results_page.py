"""The page of an experiment: tables and figures, self-contained, without a network."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from ._html import filled, picture, safe, setting_rows


class ResultTable(NamedTuple):
    """A table of a results page.

    **Arguments:**

    - `title`: the heading.
    - `meaning`: a sentence or two about the columns.
    - `columns`: their names.
    - `rows`: a text for each column.
    - `texts`: the number of leading columns with names; the others are figures, aligned right.
    """

    title: str
    meaning: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1


class ResultPicture(NamedTuple):
    """A figure of a results page.

    **Arguments:**

    - `title`: the heading.
    - `meaning`: a sentence about what it shows.
    - `figure`: the drawing.
    """

    title: str
    meaning: str
    figure: Figure


def results_page(
    *,
    title: str,
    lead: str,
    tables: Sequence[ResultTable],
    pictures: Sequence[ResultPicture],
    settings: Mapping[str, str],
    notes: Sequence[str] = (),
    details: Sequence[ResultTable] = (),
) -> str:
    """The page of an experiment, as text; `save_report` writes it.

    **Arguments:**

    - `title`, `lead`: the heading and the sentence below it.
    - `tables`, `pictures`, `details`: in the order in which they are shown. Details are additional
      tables.
    - `settings`: by name.
    - `notes`: what a reader must know before the tables.

    **Returns:**

    HTML.

    **Raises:**

    - `ValueError`: when the number of cells in a row is not that of its table's columns.

    >>> from geojax.plotting import ResultTable, results_page
    >>> table = ResultTable("Errors", "In pixels.", ["method", "error"], [["LERP", "0.5"]])
    >>> page = results_page(title="A", lead="", tables=[table], pictures=[], settings={})
    >>> "http" in page, "LERP" in page
    (False, True)
    """
    parts = {
        "title": safe(title),
        "lead": safe(lead),
        "notes": _notes(notes),
        "tables": "\n".join(_table(table) for table in tables),
        "pictures": "\n".join(picture(p.title, p.figure, p.meaning) for p in pictures),
        "details": "\n".join(_table(table) for table in details),
        "settings": setting_rows(settings),
    }
    return filled("results.html", parts)


def _notes(notes: Sequence[str]) -> str:
    items = "\n".join(f'<li class="note">{safe(text)}</li>' for text in notes)
    return f'<ul class="verdict">\n{items}\n</ul>' if notes else ""


def _table(table: ResultTable) -> str:
    for row in table.rows:
        if len(row) != len(table.columns):
            raise ValueError(
                f"every row of table {table.title!r} needs {len(table.columns)} cells, one a "
                f"column, got {len(row)}."
            )
    kinds = ["" if i < table.texts else ' class="number"' for i in range(len(table.columns))]
    head = "".join(
        f'<th scope="col"{kind}>{safe(name)}</th>'
        for kind, name in zip(kinds, table.columns, strict=True)
    )
    rows = "\n".join(
        "<tr>"
        + "".join(f"<td{kind}>{safe(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in table.rows
    )
    return (
        f'<h2>{safe(table.title)}</h2>\n<p class="lead">{safe(table.meaning)}</p>\n'
        f'<div class="scroll">\n<table class="results">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>"
    )
