"""The two pages: the report of a run, with a slider, and the results of an experiment."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Real
from matplotlib.figure import Figure
from PIL import Image

from ._html import filled, page, picture, png_uri, safe, table
from ._style import pixels

_DASH = "–"  # for a figure that a method does not have
Images = Real[Array | np.ndarray, "_ channels height width"]


class ReportPicture(NamedTuple):
    """A figure of the report page.

    **Arguments:**

    - `figure`: the drawing.
    - `description`: its content in a sentence or two, for screen readers.
    """

    figure: Figure
    description: str


class FigureRow(NamedTuple):
    """A row of the table of figures.

    **Arguments:**

    - `name`: of the row.
    - `values`: a text for each method.
    - `meaning`: an explanation.
    """

    name: str
    values: Sequence[str]
    meaning: str


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


def html_report(
    *,
    title: str,
    lead: str,
    summary: Sequence[str],
    images: Mapping[str, Images],
    times: Real[Array | np.ndarray, " _"],
    given: Real[Array | np.ndarray, "2 channels height width"],
    rows: Sequence[FigureRow],
    settings: Mapping[str, str],
    pictures: Mapping[str, ReportPicture],
    problems: Sequence[str] = (),
    notes: Sequence[str] = (),
    success: str = "Every solve succeeded.",
) -> str:
    """The report page of a comparison, as text.

    **Arguments:**

    - `title`, `lead`: the heading and the sentence below it.
    - `summary`: paragraphs about what the page shows.
    - `images`, `times`, `given`: as for [`geojax.plotting.paths_figure`][]. A slider moves all
      methods together and starts halfway.
    - `rows`: the table of figures, one value for each of `images`; a dash if a method has none.
      Figures that only the last method has get a table of their own.
    - `settings`: by name.
    - `pictures`: by caption.
    - `problems`, `notes`: at the top, in red and in yellow.
    - `success`: shown if there is no problem.

    **Returns:**

    HTML.

    **Raises:**

    - `ValueError`: when the numbers of images or values do not fit.

    >>> import numpy as np
    >>> from geojax.plotting import FigureRow, html_report
    >>> page = html_report(
    ...     title="A path", lead="", summary=["It moves."], images={"LERP": np.zeros((3, 1, 8, 8))},
    ...     times=np.array([0.0, 0.5, 1.0]), given=np.zeros((2, 1, 8, 8)),
    ...     rows=[FigureRow("Length", ["1.0"], "How long.")], settings={"t": "0.4"}, pictures={},
    ... )
    >>> "http" in page
    False
    """
    times = np.asarray(times, dtype=np.float64)
    if not images or any(len(row) != len(times) for row in images.values()):
        lengths = sorted({len(row) for row in images.values()})
        raise ValueError(f"images must have rows of {len(times)} frames, got {lengths}.")
    if any(len(row.values) != len(images) for row in rows):
        raise ValueError(f"every row of figures needs {len(images)} values, one a method.")
    names = list(images)
    alone = [row for row in rows if _only_last(row)]
    shared = [row for row in rows if row not in alone and any(v != _DASH for v in row.values)]
    verdict = [("bad", "Not successful.", text) for text in problems]
    verdict = verdict or [("good", "Successful.", success)]
    verdict += [("note", "Note.", text) for text in notes]
    columns = ["Figure", *names, "What it means"]
    figures = table(
        columns,
        [[row.name, *row.values, row.meaning] for row in shared],
        "figures",
        numbers=range(1, len(names) + 1),
        headed=True,
        style=f"--columns: {len(names)}",
    )
    content = [
        _slider(images, times, given),
        "<h2>What one sees</h2>\n" + "\n".join(f"<p>{safe(text)}</p>" for text in summary),
        *(picture(name, shown.figure, alt=shown.description) for name, shown in pictures.items()),
        f"<h2>The figures</h2>\n{figures}",
    ]
    if alone:
        lines = [[row.name, row.values[-1], row.meaning] for row in alone]
        own = table([], lines, "alone", numbers=range(1, 2), headed=True)
        content.append(f"<h2>Of the {safe(names[-1])} alone</h2>\n{own}")
    return page(title, lead, verdict, content, settings)


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
    drawn = [picture(shown.title, shown.figure, shown.meaning) for shown in pictures]
    content = [*map(_result_table, tables), *drawn, *map(_result_table, details)]
    return page(title, lead, [("note", "Note.", text) for text in notes], content, settings)


def _result_table(result: ResultTable) -> str:
    count = len(result.columns)
    for row in result.rows:
        if len(row) != count:
            raise ValueError(
                f"every row of table {result.title!r} needs {count} cells, one a column, got "
                f"{len(row)}."
            )
    numbers = range(result.texts, count)
    return f'<h2>{safe(result.title)}</h2>\n<p class="lead">{safe(result.meaning)}</p>\n' + table(
        result.columns, result.rows, "results", numbers=numbers
    )


def _slider(images: Mapping[str, Images], times: np.ndarray, given) -> str:
    """The pictures of all paths at one time, which a slider moves."""
    tiles = {name: [_tile(tile) for tile in pixels(row)] for name, row in images.items()}
    height, width = np.asarray(given).shape[-2:]
    begin = int(np.argmin(np.abs(times - 0.5)))  # halfway the paths differ; at A they are one
    beyond = " and beyond" if times[-1] > 1 + 1e-6 else ""
    parts = {
        "columns": str(len(tiles)),
        "aspect": f"{width} / {height}",
        "given": "\n".join(
            _labelled(f"{label}, as given", _tile(tile), f"The given picture {label}")
            for label, tile in zip("AB", pixels(given), strict=True)
        ),
        "tiles": "\n".join(
            _labelled(name, path[begin], f"{name}: a picture on the way", f"path-{k}")
            for k, (name, path) in enumerate(tiles.items())
        ),
        "last": str(len(times) - 1),
        "begin": str(begin),
        "scale": _scale(times),
        "range": f"Time along the paths, from A to B{beyond}",
        "frames": _script(list(tiles.values())),
        "times": _script([round(float(time), 6) for time in times]),
        "names": _script(list(tiles)),
    }
    return filled("slider.html", parts)


def _script(value) -> str:
    """JSON that cannot end the script that contains it."""
    return json.dumps(value, separators=(",", ":")).replace("</", "<\\/")


def _tile(tile: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(tile).save(buffer, "PNG", optimize=True)
    return png_uri(buffer.getvalue())


def _labelled(label: str, uri: str, alt: str, name: str = "") -> str:
    name = f' id="{name}"' if name else ""
    return (
        f"<figure><figcaption>{safe(label)}</figcaption>"
        f'<img{name} src="{uri}" alt="{safe(alt)}"></figure>'
    )


def _scale(times: np.ndarray) -> str:
    """The labels under the slider, at their positions."""
    end, last = int(np.argmin(np.abs(times - 1))), max(len(times) - 1, 1)
    marks = [("A", 0.0), ("B", 100 * end / last)]
    words = [f'<span style="left: {place:.2f}%">{text}</span>' for text, place in marks]
    past = '<span class="past">beyond B</span>' if end < len(times) - 1 else ""
    return "".join(words) + past


def _only_last(row: FigureRow) -> bool:
    *others, last = row.values
    return bool(others) and last != _DASH and all(value == _DASH for value in others)
