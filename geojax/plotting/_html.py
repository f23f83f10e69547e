"""The one page of geojax: self-contained, opens from disk without a network.

`page.html` beside this file is the frame, `page.css` the style. Everything is escaped, every
picture is inlined.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from matplotlib.figure import Figure

from .._files import written_whole

_HERE = Path(__file__).parent


def page(
    title: str,
    lead: str,
    verdict: Sequence[tuple[str, str, str]],
    content: Sequence[str],
    settings: Mapping[str, str],
) -> str:
    """The page with its parts.

    **Arguments:**

    - `title`, `lead`: the heading and the sentence below it.
    - `verdict`: class ("good", "bad" or "note"), first word in bold, text.
    - `content`: HTML, in order.
    - `settings`: by name.

    **Returns:**

    HTML.
    """
    items = [
        f'<li class="{kind}"><b>{safe(word)}</b>{safe(text)}</li>' for kind, word, text in verdict
    ]
    parts = {
        "title": safe(title),
        "lead": safe(lead),
        "style": (_HERE / "page.css").read_text(encoding="utf-8"),
        "verdict": "\n".join(items),
        "content": "\n\n".join(part for part in content if part),
        "settings": table([], list(settings.items()), "settings", headed=True),
    }
    return filled("page.html", parts)


def save_report(page: str, path: Path | str) -> None:
    """Write a page to a file, whole or not at all.

    >>> from geojax.plotting import save_report
    >>> save_report("<!DOCTYPE html>", "report.html")
    """
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def filled(template: str, parts: Mapping[str, str]) -> str:
    """The file `template` of this folder with its parts."""
    return Template((_HERE / template).read_text(encoding="utf-8")).substitute(parts)


def safe(text: str) -> str:
    """Text escaped for an element or an attribute."""
    return html.escape(text, quote=True)


def png_uri(content: bytes) -> str:
    """A PNG file as the address of an image."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def picture(caption: str, figure: Figure, meaning: str = "", alt: str = "") -> str:
    """A figure below its heading, with a sentence about it.

    `alt` is the description for screen readers; by default the heading and that sentence.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    uri = png_uri(buffer.getvalue())
    text = f"\n<p>{safe(meaning)}</p>" if meaning else ""
    alt = safe(alt or f"{caption}. {meaning}".strip())
    return (
        f"<h2>{safe(caption)}</h2>{text}\n"
        f'<div class="picture picture-scroll"><img src="{uri}" alt="{alt}"></div>'
    )


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    kind: str,
    *,
    numbers: range = range(0),
    headed: bool = False,
    style: str = "",
) -> str:
    """A table.

    **Arguments:**

    - `columns`: their headings, none for a table without.
    - `rows`: a text for each column.
    - `kind`: the class of the element; `style`: its style.
    - `numbers`: the columns that hold numbers.
    - `headed`: the first cell of a row is its heading.

    **Returns:**

    HTML.
    """

    def cell(i: int, text: str, head: bool) -> str:
        number = ' class="number"' if i in numbers else ""
        if head:
            return f'<th scope="col"{number}>{safe(text)}</th>'
        if headed and i == 0:
            return f'<th scope="row">{safe(text)}</th>'
        # A narrow screen shows the heading of a column in each of its cells.
        name = f' data-column="{safe(columns[i])}"' if columns else ""
        return f"<td{number}{name}>{safe(text)}</td>"

    def line(cells: Sequence[str], head: bool = False) -> str:
        return f"<tr>{''.join(cell(i, text, head) for i, text in enumerate(cells))}</tr>"

    head = f"<thead>{line(columns, head=True)}</thead>\n" if columns else ""
    body = "\n".join(line(row) for row in rows)
    style = f' style="{safe(style)}"' if style else ""
    return (
        f'<div class="scroll">\n<table class="{kind}"{style}>\n'
        f"{head}<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )
