"""Parts of pages from the code and the result files, made when the site is built.

A line `<!-- verdict: stalled -->` becomes the text of that verdict, `<!-- command: demo -->` the
usage and options of a command, `<!-- table: solvers -->` a table of a result file with its machine,
versions and commit, `<!-- contributing -->` and `<!-- changelog -->` these files.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tables
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from geojax.cli import app
from geojax.geodesics._results import VERDICTS
from geojax.statistics._results import FIT_VERDICTS

ROOT = Path(__file__).resolve().parents[2]
_LINE = re.compile(r"^<!-- (\w[\w ]*)(?:: ([\w. -]+))? -->$", flags=re.MULTILINE)


def verdict(name: str) -> str:
    """The text of a verdict, in Python and on the command line."""
    return _notice(VERDICTS, name)


def fit_verdict(name: str) -> str:
    """The text of a verdict on a fit."""
    return _notice(FIT_VERDICTS, name)


def _notice(verdicts: Any, name: str) -> str:
    notice = verdicts.notices[name].filled()
    lines = [f"> {notice.what}", "", f"- In Python: {notice.python}"]
    return "\n".join([*lines, f"- On the command line: {notice.command_line}"])


def command(name: str) -> str:
    """The usage, purpose and options of a command, by headings."""
    found = commands()[name]
    with found.make_context(name, [], resilient_parsing=True) as context:
        usage = found.get_usage(context).replace("Usage: ", "geojax ")
        usage = re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), usage)
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in found.params:
            record = parameter.get_help_record(context)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None) or "Options"
                panels.setdefault(panel, []).append(record)
    # A help text has the line breaks of a terminal; only its blank lines separate paragraphs.
    text = "\n\n".join(" ".join(part.split()) for part in (found.help or "").split("\n\n"))
    blocks = [f"```text\n{usage}\n```", re.sub(r"Example: (.*)", r"Example: `\1`", text)]
    for panel, rows in panels.items():
        blocks.append(f"**{panel}**")
        blocks.append("\n".join(f"`{option}`\n:   {_plain(text)}\n" for option, text in rows))
    return "\n\n".join(blocks)


def commands() -> dict[str, Any]:
    """The commands of the application by name."""
    return typer.main.get_command(app).commands  # pyright: ignore


def changelog() -> str:
    """The changelog below its title."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].strip()


def contributing() -> str:
    """The notes for contributors, one heading level deeper."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].strip()


def _plain(text: str) -> str:
    return text.replace("[", r"\[").replace("<", r"\<") or "–"


GENERATORS: dict[str, Callable[..., str]] = {
    "verdict": verdict,
    "fit verdict": fit_verdict,
    "command": command,
    "contributing": contributing,
    "changelog": changelog,
    "table": tables.table,
}


def filled(markdown: str) -> str:
    """The text of a page with its generated parts."""

    def generated(match: re.Match[str]) -> str:
        if match[1] not in GENERATORS:
            raise ValueError(f"{match[0]} asks for none of {', '.join(GENERATORS)}.")
        return GENERATORS[match[1]](*([match[2]] if match[2] else []))

    return _LINE.sub(generated, markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The figures of the result files, as `results/...`."""
    for path in sorted(tables.RESULTS.rglob("*.png")):
        uri = f"results/{path.relative_to(tables.RESULTS).as_posix()}"
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    return filled(markdown)
