"""ctrl-C, as the signal that it is."""

import os
import signal
import time

import pytest
import typer

from geojax.cli._interrupt import Interruption, resumable


@pytest.fixture(autouse=True)
def _python_handles_it():
    """Also where the tests run in the background, and the shell has the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)


def test_the_first_ctrl_c_requests_an_end_and_the_second_one_exits():
    said = []
    before = signal.getsignal(signal.SIGINT)
    interruption = Interruption(lambda: said.append("asked"), lambda: said.append("ended"))
    with pytest.raises(KeyboardInterrupt), interruption as stop:
        assert not stop.requested
        interrupt()
        assert stop.requested and said == ["asked"]
        interrupt()
        pytest.fail("the second one changed nothing")
    assert signal.getsignal(signal.SIGINT) is before
    assert said == ["asked"]  # the process did not have to be ended
    with pytest.raises(KeyboardInterrupt):  # and all is as before
        interrupt()


@pytest.mark.parametrize(
    "error, code, line",
    [
        (KeyboardInterrupt(), 130, "interrupted: go on with it."),
        (FloatingPointError("the loss is nan."), 2, "error: the loss is nan."),
        (ValueError("steps must be positive."), 2, "error: steps must be positive."),
    ],
)
def test_resumable_work_ends_with_a_line_and_an_exit_code(error, code, line, capsys):
    stopped = []
    with pytest.raises(typer.Exit) as ended, resumable(lambda: stopped.append(1), "go on with it."):
        raise error
    assert ended.value.exit_code == code and stopped == [1]
    assert capsys.readouterr().err == f"{line}\n"


def test_an_error_of_ours_stays_one():
    with pytest.raises(ZeroDivisionError), resumable(lambda: None, ""):
        raise ZeroDivisionError
