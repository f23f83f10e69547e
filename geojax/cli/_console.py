"""What the commands say: results on stdout, everything else on stderr; and how they fail."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

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
    except (ValueError, ImportError) as error:
        fail(str(error))


class Stages:
    """A progress bar over stages of known names and roughly known shares of the time.

    A stage is mostly one call into compiled code, which shows no steps of its own: a meter inside
    would keep the compiled program out of the compilation cache. The bar shows the stage, the time,
    and the time left where a stage has ended that tells the pace. Where stderr is no terminal it
    shows nothing.
    """

    def __init__(self, stages: Sequence[tuple[str, str, float]]):
        self._texts = {name: text for name, text, _ in stages}
        self._shares = {name: share for name, _, share in stages}
        console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            _TimeLeft(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=sum(self._shares.values()))
        self._done, self._running = 0.0, ""

    def __enter__(self) -> "Stages":
        self._progress.start()
        return self

    def __exit__(self, *_) -> None:
        self._progress.stop()

    def begin(self, name: str) -> None:
        """The stage before is over, this one begins. One that was not announced is passed over."""
        if name not in self._shares:
            return
        self._done += self._shares.get(self._running, 0)
        self._progress.update(self._task, completed=self._done, description=self._texts[name])
        self._running = name

    def share(self, done: float) -> None:
        """So much of the stage is done."""
        within = self._done + done * self._shares.get(self._running, 0)
        self._progress.update(self._task, completed=within)


class _TimeLeft(ProgressColumn):
    """What the rest takes at the pace so far: at every step, less the time since."""

    def __init__(self):
        super().__init__()
        self._seen = 0.0, 0.0

    def render(self, task: Task) -> Text:
        elapsed = task.elapsed or 0.0
        if task.completed != self._seen[0]:
            self._seen = task.completed, elapsed
        completed, then = self._seen
        if not completed:
            return Text("")
        left = then * (task.remaining or 0.0) / completed - (elapsed - then)
        return Text(f"about {_clock(left)} left" if left > 0 else "", style="cyan")


def _clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any.

    >>> _clock(75), _clock(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
