"""ctrl-C: the first one asks to stop at the next good place, the second one leaves."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from ._console import INTERRUPTED, fail, input_checked, tell

# Said of training.
GOES_ON = "the same command goes on from the last save in {}, or begins again if there is none."
_PATIENCE = 3.0  # seconds that compiled code has to end after the second ctrl-C


@contextmanager
def resumable(stop_display: Callable[[], None], told: str) -> Iterator[None]:
    """For work that saves as it goes. ctrl-C ends the command with ``told``: what is kept, and how
    to go on. Input at fault and training that diverges end it with their own line. Before any line
    the display of progress is stopped.
    """
    with input_checked():
        try:
            yield
        except BaseException as error:
            stop_display()
            if isinstance(error, KeyboardInterrupt):
                tell("interrupted", told)
                raise typer.Exit(INTERRUPTED) from None
            if isinstance(error, FloatingPointError):
                fail(str(error))
            raise


class Interruption:
    """Within the block the first ctrl-C is a request: ``asked`` becomes true. A second one raises
    `KeyboardInterrupt`, and where compiled code keeps Python from that, the process ends.

    - ``on_request``: called at the first ctrl-C, from another thread, also while compiled code
      runs; ``on_exit``: before the process ends.

    Outside the main thread, where Python handles no signals, the block changes nothing.
    """

    def __init__(self, on_request: Callable[[], None], on_exit: Callable[[], None]):
        self.asked = False
        self._on_request, self._on_exit = on_request, on_exit
        self._pressed = 0
        self._timer: threading.Timer | None = None
        self._main = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "Interruption":
        if self._main:
            # The interpreter writes a byte here when the signal comes, whatever Python is doing.
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
            self._inside.close()  # which ends the thread
            self._thread.join()
            self._outside.close()
            if self._timer is not None:
                self._timer.cancel()

    def _handle(self, number, frame) -> None:
        del number, frame
        if self.asked or self._pressed > 1:
            raise KeyboardInterrupt
        self.asked = True

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
