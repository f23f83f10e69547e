"""The notebooks of `notebooks/` as pages of `examples/`, with their stored outputs.

Nothing is executed: a page shows the content of the file.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SECTION = "Examples"  # the section of the navigation that lists them in order
_BEHIND_PAGES = "---\nsearch:\n  boost: 0.5\n---\n\n"  # among the results of a search
_TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PICTURES = {"image/png": "png", "image/jpeg": "jpg"}


def as_markdown(notebook: dict[str, Any], stem: str) -> tuple[str, dict[str, bytes]]:
    """The text of a notebook, and its pictures by file name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(_links(source))
        elif source and "install" not in cell.get("metadata", {}).get("tags", ()):
            parts.append(_fenced(source, "python"))
            for i, output in enumerate(cell.get("outputs", [])):
                parts += _output(output, f"{stem}_{number}_{i}", pictures)
    return _BEHIND_PAGES + "\n\n".join(parts) + "\n", pictures


def _output(output: dict[str, Any], name: str, pictures: dict[str, bytes]) -> list[str]:
    """One output of a cell: its picture, otherwise its text."""
    data = output.get("data", {})
    for kind, ending in _PICTURES.items():
        if kind in data:
            pictures[f"{name}.{ending}"] = base64.b64decode("".join(data[kind]))
            return [f"![What the cell above draws]({name}.{ending})"]
    text = "".join(output.get("text", data.get("text/plain", output.get("traceback", ""))))
    text = _TERMINAL_COLOURS.sub("", text).rstrip()
    return [_fenced(text, "text")] if text else []


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _links(text: str) -> str:
    """Links relative to the pages instead of the folder of the notebooks."""
    # Pictures of other servers become text, because a page loads nothing from elsewhere.
    text = re.sub(r"\[!\[([^\]]*)\]\(https:[^)]*\)\]", r"[\1]", text)
    text = re.sub(r"\]\((\w+)\.ipynb", r"](\1.md", text)
    text = text.replace("](../docs/", "](../")
    # Targets that are not pages of the site become text without a link.
    return re.sub(r"\[([^\]]*)\]\(\.\./(?:geojax|models|benchmarks|README)[^)]*\)", r"\1", text)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    (section,) = (entry[SECTION] for entry in config.nav or [] if SECTION in entry)
    section += [f"examples/{path.stem}.md" for path in notebooks()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path in notebooks():
        text, pictures = as_markdown(json.loads(path.read_text(encoding="utf-8")), path.stem)
        for name, content in {f"{path.stem}.md": text, **pictures}.items():
            files.append(File.generated(config, f"examples/{name}", content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with the table of the folder's README instead of `<!-- notebooks -->`."""
    rows = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    table = "\n".join(_links(row) for row in rows if row[:1] == "|")
    return markdown.replace("<!-- notebooks -->", table)


def notebooks() -> list[Path]:
    """The files, in reading order."""
    return sorted(FOLDER.glob("*.ipynb"))
