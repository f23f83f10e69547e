"""Programs of the tests in processes of their own, several of which make one run."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.source import ROOT


def start(module: str, *arguments, devices: int = 1) -> subprocess.Popen:
    """``python -m module``: how many devices there are is settled when a process starts."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def output(process: subprocess.Popen, code: int = 0) -> str:
    """What a process says to its end, which is to be that code."""
    try:
        text = process.communicate(timeout=240)[0]
    finally:
        process.kill()
    assert process.returncode == code, text
    return text


def killed(process: subprocess.Popen) -> None:
    """Waits for a process that kills itself."""
    output(process, -signal.SIGKILL)


def free_address() -> str:
    """Of the loopback, with a port that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def at_file(what: str, folder: str, number: int) -> None:
    """For a program: when the ``number``-th file directly in a folder of that name is to get its
    name, this process kills itself as a power cut would (``what`` is kill), or waits for the file
    ``go`` in the folder where it runs (wait). Number 0: never.
    """
    replace, files = os.replace, []

    def replaced(source, target):
        if Path(target).parent.name == folder:
            files.append(target)
            if len(files) == number and what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            while len(files) == number and not Path("go").exists():
                time.sleep(0.05)
        replace(source, target)

    os.replace = replaced
