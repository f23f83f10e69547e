"""The progress: the time left, one line on a terminal, a line every few seconds elsewhere."""

import io
import time

from rich.console import Console
from rich.progress import Progress

from geojax.cli import _progress
from geojax.cli._progress import Stages, _Clock

STAGES = [("one", "first", 10.0), ("two", "second", 30.0)]


def test_the_time_left_goes_by_the_pace_so_far():
    now = [0.0]
    progress, column = Progress(get_time=lambda: now[0], disable=True), _Clock()
    task = progress.add_task("", total=40.0)

    def shown(completed, time):
        now[0] = time
        progress.update(task, completed=completed)
        return column.render(progress.tasks[0]).plain

    assert shown(0.0, 5.0) == "0:05"  # nothing is known yet
    assert shown(10.0, 20.0) == "0:20, 1:00 left"
    assert shown(10.0, 35.0) == "0:35, 0:45 left"
    assert shown(25.0, 50.0) == "0:50, 0:30 left"
    assert shown(25.0, 90.0) == "1:30"  # it takes longer than its share: no promise


def test_stages_and_their_shares():
    with Stages(STAGES) as bar:
        bar.begin("one")
        bar.begin("unannounced")
        bar.begin("two")
        task = bar._progress.tasks[0]
        assert (task.completed, task.description) == (10.0, "second")
        bar.detail("step 7", 0.5)
        assert (task.completed, task.description) == (25.0, "step 7")


def test_one_line_of_eighty_columns_on_a_terminal(monkeypatch):
    written = io.StringIO()
    terminal = Console(file=written, width=80, force_terminal=True)
    monkeypatch.setattr(_progress, "console", lambda **_: terminal)
    with Stages(STAGES) as bar:
        bar.begin("one")
        bar.detail(100 * "long ", 0.5)
        lines = terminal.render_lines(bar._progress.get_renderable())
    assert len(lines) == 1
    text = "".join(segment.text for segment in lines[0])
    assert len(text) <= 80 and "long long" in text and "12 %" in text
    assert bar._lines is None  # no further lines


def test_lines_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(_progress, "LINE_EVERY", 0.05)
    with Stages(STAGES) as bar:
        bar.begin("one")
        bar.detail("step 3, energy 12", 0.5)
        time.sleep(0.3)
        bar.begin("two")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "progress: 0:00 first"
    assert lines.count("progress: 0:00 step 3, energy 12") >= 2
    assert "progress: 0:00 second" in lines
    time.sleep(0.1)
    assert capsys.readouterr().err == ""
