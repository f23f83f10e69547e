"""ctrl-C: the first one asks to stop at the next suitable point, the second one exits."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from ._console import INTERRUPTED, fail, input_checked, tell

# The text for training.
GOES_ON = "the same command goes on from the last save in {}, or begins again if there is none."
_PATIENCE = 3.0  # seconds that compiled code may run on after the second ctrl-C


@contextmanager
def resumable(stop_display: Callable[[], None], text: str) -> Iterator[None]:
    """For a command that saves while it works: end it with one line on an error.

    ctrl-C ends it with `text`: what is kept, and how to resume. Wrong input and training that
    diverges end it with their own line. The display of progress is stopped before any line.
    """
    with input_checked():
        try:
            yield
        except BaseException as error:
            stop_display()
            if isinstance(error, KeyboardInterrupt):
                tell("interrupted", text)
                raise typer.Exit(INTERRUPTED) from None
            if isinstance(error, FloatingPointError):
                fail(str(error))
            raise


class Interruption:
    """A block whose first ctrl-C sets `requested`; the second one raises `KeyboardInterrupt`.

    If compiled code keeps Python from raising it, the process ends. Outside the main thread, where
    Python handles no signals, the block changes nothing.

    - `on_request`: called at the first ctrl-C, from another thread, also while compiled code runs.
    - `on_exit`: called before the process ends.
    """

    def __init__(self, on_request: Callable[[], None], on_exit: Callable[[], None]):
        self.requested = False
        self._on_request, self._on_exit = on_request, on_exit
        self._pressed = 0
        self._timer: threading.Timer | None = None
        self._main = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "Interruption":
        if self._main:
            # The interpreter writes a byte here at the signal, even while compiled code runs.
            self._inside, self._outside = socket.socketpair()
            self._inside.setblocking(False)
            self._wakeup = signal.set_wakeup_fd(self._inside.fileno(), warn_on_full_buffer=False)
            self._before = signal.signal(signal.SIGINT, self._handle)
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)
            signal.set_wakeup_fd(self._wakeup)
            self._inside.close()  # this ends the thread
            self._thread.join()
            self._outside.close()
            if self._timer is not None:
                self._timer.cancel()

    def _handle(self, number, frame) -> None:
        del number, frame
        if self.requested or self._pressed > 1:
            raise KeyboardInterrupt
        self.requested = True

    def _listen(self) -> None:
        while numbers := self._outside.recv(1):
            if numbers[0] != signal.SIGINT:
                continue
            self._pressed += 1
            if self._pressed == 1:
                self._on_request()
            elif self._pressed == 2:
                self._timer = threading.Timer(_PATIENCE, self._end)
                self._timer.daemon = True
                self._timer.start()

    def _end(self) -> None:
        self._on_exit()
        os._exit(INTERRUPTED)
