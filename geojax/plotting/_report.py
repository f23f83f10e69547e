"""The report: one self-contained page that opens from disk, without a network.

`report.html` beside this file is the page with its style and script; this file fills in its parts.
Everything is escaped and every image is embedded.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Real
from matplotlib.figure import Figure
from PIL import Image

from .._files import written_whole
from ._html import filled, picture, png_uri, safe, setting_rows
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
    tiles = {name: [_tile(tile) for tile in pixels(row)] for name, row in images.items()}
    height, width = np.asarray(given).shape[-2:]
    names = list(tiles)
    beyond = times[-1] > 1 + 1e-6
    begin = int(np.argmin(np.abs(times - 0.5)))  # paths differ halfway and coincide at A
    alone = [row for row in rows if _only_last(row)]
    shared = [row for row in rows if row not in alone and any(v != _DASH for v in row.values)]
    parts = {
        "title": safe(title),
        "lead": safe(lead),
        "verdict": _verdict(problems, notes, success),
        "columns": str(len(names)),
        "aspect": f"{width} / {height}",
        "given": "\n".join(
            _labelled(f"{label}, as given", _tile(tile), f"The given picture {label}")
            for label, tile in zip("AB", pixels(given), strict=True)
        ),
        "tiles": "\n".join(
            _labelled(name, tiles[name][begin], f"{name}: a picture on the way", f"path-{k}")
            for k, name in enumerate(names)
        ),
        "last": str(len(times) - 1),
        "begin": str(begin),
        "scale": _scale(times),
        "scale_height": "2.4rem" if beyond else "1.3rem",
        "range": f"Time along the paths, from A to B{' and beyond' if beyond else ''}",
        "summary": "\n".join(f"<p>{safe(text)}</p>" for text in summary),
        "pictures": "\n".join(
            picture(caption, shown.figure, alt=shown.description)
            for caption, shown in pictures.items()
        ),
        "methods": "".join(f'<th scope="col" class="number">{safe(name)}</th>' for name in names),
        "rows": "\n".join(_row(row, names) for row in shared),
        "alone": _table_of_one(alone, names[-1]),
        "settings": setting_rows(settings),
        "frames": _script(list(tiles.values())),
        "times": _script([round(float(time), 6) for time in times]),
        "names": _script(names),
    }
    return filled("report.html", parts)


def save_report(page: str, path: Path | str) -> None:
    """Write a page to a file, whole or not at all.

    >>> from geojax.plotting import save_report
    >>> save_report("<!DOCTYPE html>", "report.html")
    """
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


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


def _verdict(problems: Sequence[str], notes: Sequence[str], success: str) -> str:
    items = [("bad", "Not successful.", text) for text in problems]
    items = items or [("good", "Successful.", success)]
    items += [("note", "Note.", text) for text in notes]
    return "\n".join(
        f'<li class="{kind}"><b>{word}</b>{safe(text)}</li>' for kind, word, text in items
    )


def _scale(times: np.ndarray) -> str:
    """The labels under the slider, at their positions."""
    end = int(np.argmin(np.abs(times - 1)))
    last = max(len(times) - 1, 1)
    marks: list[tuple[str, float | None, str]] = [("A", 0.0, ""), ("B", end / last, "")]
    if end < len(times) - 1:
        marks.append(("beyond B", None, "past"))
    return "".join(f'<span class="{kind}"{_at(place)}>{text}</span>' for text, place, kind in marks)


def _at(place: float | None) -> str:
    return "" if place is None else f' style="left: {100 * place:.2f}%"'


def _only_last(row: FigureRow) -> bool:
    *others, last = row.values
    return bool(others) and last != _DASH and all(value == _DASH for value in others)


def _table_of_one(rows: Sequence[FigureRow], method: str) -> str:
    """The figures that only one method has."""
    if not rows:
        return ""
    lines = "\n".join(
        f'<tr><th scope="row">{safe(row.name)}</th><td class="number">{safe(row.values[-1])}</td>'
        f'<td class="means">{safe(row.meaning)}</td></tr>'
        for row in rows
    )
    return (
        f"<h2>Of the {safe(method)} alone</h2>\n"
        f'<div class="scroll"><table class="alone"><tbody>\n{lines}\n</tbody></table></div>'
    )


def _row(row: FigureRow, names: Sequence[str]) -> str:
    cells = "".join(
        f'<td class="number" data-method="{safe(name)}">{safe(value)}</td>'
        for name, value in zip(names, row.values, strict=True)
    )
    return (
        f'<tr><th scope="row">{safe(row.name)}</th>{cells}'
        f'<td class="means">{safe(row.meaning)}</td></tr>'
    )
