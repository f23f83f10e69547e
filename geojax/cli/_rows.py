"""A folder of rows that a command measures one after the other, and can resume."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ._console import console
from ._folders import write_json
from ._interrupt import resumable

_PLAN = "plan.json"  # the file with the plan of a folder


def is_run(folder: Path) -> bool:
    """Whether a folder has rows of such a command."""
    return (folder / _PLAN).is_file()


def check_plan(folder: Path, plan: Mapping[str, Any], command: str, *, keep: bool = True) -> None:
    """Compare the plan with that of the folder, and write it if `keep`.

    `ValueError` when the folder has a run of another plan.
    """
    content = json.loads(json.dumps({"command": command, "plan": plan}))
    file = folder / _PLAN
    if not file.is_file():
        if keep:
            folder.mkdir(exist_ok=True)
            write_json(file, content)
        return
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        same, named = known["plan"] == content["plan"], known["command"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{file} cannot be read: give another folder as --out.") from None
    if not same:
        raise ValueError(
            f"{folder} holds a run of another plan, that of `{named}`: give another folder as "
            "--out, or run that command to go on with it."
        )


@contextmanager
def rows_bar(folder: Path) -> Iterator[Callable[[int, int], None]]:
    """A bar over rows, with the time left; errors of the block are handled as by `resumable`."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    words = (TextColumn("left"), Left())
    # Rows take very different times: the time left is estimated from all rows so far.
    period = 7 * 24 * 3600.0
    progress = Progress(
        *columns,
        *words,
        console=console(stderr=True),
        transient=True,
        speed_estimate_period=period,
    )
    tasks = []

    def show(done: int, total: int) -> None:
        if not tasks:  # rows of an earlier run take no time in this one
            tasks.append(progress.add_task("", total=total, completed=done))
        progress.update(tasks[0], completed=done)

    text = f"the measured rows are kept; the same command goes on in {folder}."
    with progress, resumable(progress.stop, text):
        yield show
