"""What the commands say: results on stdout, everything else on stderr; and how they fail."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

SOLVE_FAILED, BAD_INPUT = 1, 2  # exit codes


def say(text: str) -> None:
    """A line on stdout."""
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def tell(kind: str, text: str) -> None:
    """A line on stderr, as ``kind: text``."""
    style = {"error": "bold red", "failed": "bold red", "notice": "yellow"}.get(kind, "cyan")
    console = Console(stderr=True)
    console.print(f"{kind}: ", style=style, end="", markup=False, highlight=False)
    console.print(" ".join(text.split()), markup=False, highlight=False, soft_wrap=True)


def fail(text: str) -> NoReturn:
    """End with one line on stderr: the input is at fault."""
    tell("error", text)
    raise typer.Exit(BAD_INPUT)


@contextmanager
def input_checked() -> Iterator[None]:
    """The library's complaints about what it was given become one line and exit code 2."""
    try:
        yield
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        fail(f"{error.filename}: {error.strerror}." if named else str(error))
    except ValueError as error:
        fail(str(error))


class Stages:
    """A progress bar over stages of known names and roughly known shares of the time.

    A stage is one call into compiled code, which shows no steps of its own: a meter inside would
    keep the compiled program out of the compilation cache. The bar shows the stage and the time.
    """

    def __init__(self, stages: Sequence[tuple[str, str, float]]):
        self._texts = {name: text for name, text, _ in stages}
        self._shares = {name: share for name, _, share in stages}
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=sum(self._shares.values()))
        self._running = ""

    def __enter__(self) -> "Stages":
        self._progress.start()
        return self

    def __exit__(self, *_) -> None:
        self._progress.stop()

    def begin(self, name: str) -> None:
        """The stage before is over, this one begins."""
        self._progress.advance(self._task, self._shares.get(self._running, 0))
        self._progress.update(self._task, description=self._texts[name])
        self._running = name
