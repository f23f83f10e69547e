"""ctrl-C, as the signal that it is."""

import os
import signal
import time

import pytest

from geojax.cli._interrupt import Interruption


@pytest.fixture(autouse=True)
def _python_handles_it():
    """Also where the tests run in the background, and the shell has the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)


def test_the_first_one_asks_and_the_second_one_leaves():
    said = []
    before = signal.getsignal(signal.SIGINT)
    interruption = Interruption(lambda: said.append("asked"), lambda: said.append("ended"))
    with pytest.raises(KeyboardInterrupt), interruption as stop:
        assert not stop.asked
        interrupt()
        assert stop.asked and said == ["asked"]
        interrupt()
        pytest.fail("the second one changed nothing")
    assert signal.getsignal(signal.SIGINT) is before
    assert said == ["asked"]  # the process did not have to be ended
    with pytest.raises(KeyboardInterrupt):  # and all is as before
        interrupt()
