"""The progress of a command: a bar on a terminal, a line every few seconds elsewhere."""

import threading
import time
from collections.abc import Sequence

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from ._console import console, tell

LINE_EVERY = 10.0  # seconds between lines, without a terminal


class Stages:
    """The progress over stages with names and approximate shares of the time.

    On a terminal it is a bar of one line, with the time, the time left and the current work.
    Otherwise stderr gets a line when a stage begins, and one every ten seconds.
    """

    def __init__(self, stages: Sequence[tuple[str, str, float]]):
        self._texts = {name: text for name, text, _ in stages}
        self._shares = {name: share for name, _, share in stages}
        out = console(stderr=True)
        description = TextColumn(
            "{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
        )
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=12),
            TextColumn("{task.percentage:>3.0f} %"),
            _Clock(),
            description,
            console=out,
            transient=True,
            expand=True,
            disable=not out.is_terminal,
        )
        self._task = self._progress.add_task("", total=sum(self._shares.values()))
        self._done, self._running = 0.0, ""
        self._lines = None if out.is_terminal else _Lines()

    def __enter__(self) -> "Stages":
        self._progress.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove the display."""
        self._progress.stop()
        if self._lines is not None:
            self._lines.stop()

    def begin(self, name: str) -> None:
        """Begin a stage and end the one before; a name that was not announced is ignored."""
        if name not in self._shares:
            return
        self._done += self._shares.get(self._running, 0)
        self._progress.update(self._task, completed=self._done, description=self._texts[name])
        self._running = name
        if self._lines is not None:
            self._lines.now(self._texts[name])

    def share(self, done: float) -> None:
        """Set the completed share of the stage."""
        within = self._done + done * self._shares.get(self._running, 0)
        self._progress.update(self._task, completed=within)

    def detail(self, text: str, done: float) -> None:
        """Set the state of the stage, as a text and as a share."""
        self.share(done)
        self._progress.update(self._task, description=text)
        if self._lines is not None:
            self._lines.text = text

    def note(self, text: str) -> None:
        """Show a notice above the bar."""
        if self._lines is None:
            self._progress.console.print(f"notice: {text}", style="yellow", markup=False)
        else:
            tell("notice", text)

    def announce(self, text: str) -> None:
        """Show a text at once, until the next detail."""
        self._progress.update(self._task, description=text)
        self._progress.refresh()
        if self._lines is not None:
            self._lines.now(text)


class _Lines:
    """Lines on stderr: at once when a stage begins, and the current work every few seconds."""

    def __init__(self):
        self.text = ""
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def now(self, text: str) -> None:
        self.text = text
        self._write()
        if self._thread is None:
            self._thread = threading.Thread(target=self._repeat, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _repeat(self) -> None:
        while not self._ended.wait(LINE_EVERY):
            self._write()

    def _write(self) -> None:
        tell("progress", f"{clock(time.monotonic() - self._began)} {self.text}")


class _Clock(ProgressColumn):
    """The time so far, and the time left at this pace: updated at every step, then counted down."""

    def __init__(self):
        super().__init__()
        self._seen = 0.0, 0.0

    def render(self, task: Task) -> Text:
        elapsed = task.elapsed or 0.0
        if task.completed != self._seen[0]:
            self._seen = task.completed, elapsed
        completed, then = self._seen
        text = clock(elapsed)
        if completed:
            left = then * (task.remaining or 0.0) / completed - (elapsed - then)
            text += f", {clock(left)} left" if left > 0 else ""
        return Text(text, style="cyan", no_wrap=True)


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours if there are any.

    >>> clock(75), clock(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
