"""The common part of the self-contained pages: style, escaping, embedded images."""

import base64
import html
import io
from collections.abc import Mapping
from pathlib import Path
from string import Template

from matplotlib.figure import Figure

_HERE = Path(__file__).parent


def filled(template: str, parts: Mapping[str, str]) -> str:
    """The page `template` of this folder with its parts and the common style."""
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    text = (_HERE / template).read_text(encoding="utf-8")
    return Template(text).substitute({**parts, "style": style})


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


def setting_rows(settings: Mapping[str, str]) -> str:
    """The rows of a table of settings."""
    return "\n".join(
        f'<tr><th scope="row">{safe(name)}</th><td>{safe(value)}</td></tr>'
        for name, value in settings.items()
    )
