"""The progress bar: what it says of the time left, and that it is silent where nobody sees it."""

from rich.progress import Progress

from geojax.cli._console import Stages, _TimeLeft

STAGES = [("one", "first", 10.0), ("two", "second", 30.0)]


def test_the_time_left_goes_by_the_pace_so_far():
    now = [0.0]
    progress, column = Progress(get_time=lambda: now[0], disable=True), _TimeLeft()
    task = progress.add_task("", total=40.0)

    def left(completed, time):
        now[0] = time
        progress.update(task, completed=completed)
        return column.render(progress.tasks[0]).plain

    assert left(0.0, 5.0) == ""  # nothing is known yet
    assert left(10.0, 20.0) == "about 1:00 left"
    assert left(10.0, 35.0) == "about 0:45 left"
    assert left(25.0, 50.0) == "about 0:30 left"
    assert left(25.0, 90.0) == ""  # it takes longer than its share: no promise


def test_stages_and_their_shares():
    with Stages(STAGES) as bar:
        bar.begin("one")
        bar.begin("unannounced")
        bar.begin("two")
        task = bar._progress.tasks[0]
        assert (task.completed, task.description) == (10.0, "second")
        bar.share(0.5)
        assert task.completed == 25.0


def test_silent_without_a_terminal(capsys):
    with Stages(STAGES) as bar:
        bar.begin("one")
    assert capsys.readouterr() == ("", "")
