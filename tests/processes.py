"""Programs of the tests in processes of their own, several of which make one run."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.source import ROOT

_started: list[subprocess.Popen] = []


def start(
    module: str, *arguments, devices: int = 1, variables: Mapping[str, str] | None = None
) -> subprocess.Popen:
    """`python -m module`: how many devices there are is settled when a process starts."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    environment |= variables or {}
    if devices > 1:
        flags = os.environ.get("XLA_FLAGS", "")
        environment["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={devices}"
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    _started.append(process)
    return process


def end_all() -> None:
    """Ends the programs that a test has started and not seen the end of."""
    while _started:
        with _started.pop() as process:
            process.kill()


def output(process: subprocess.Popen, code: int = 0) -> str:
    """What a process says to its end, which is to be that code."""
    try:
        text = process.communicate(timeout=600)[0]
    finally:
        process.kill()
    assert process.returncode == code, text
    return text


def killed(process: subprocess.Popen) -> None:
    """Waits for a process that kills itself."""
    output(process, -signal.SIGKILL)


def free_address() -> str:
    """Of the loopback, with a port that nobody has."""
    return f"127.0.0.1:{_free_port([0])}"


def slurm_variables(count: int) -> list[dict[str, str]]:
    """What Slurm says to each process of a job on this machine, whose port is free."""
    first = 65536 - 2**12  # jax adds the number of the job to it
    job = {
        "SLURM_JOB_ID": str(_free_port(range(first + 17, 65536)) - first),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(count),
    }
    return [job | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)} for i in range(count)]


def _free_port(wanted: Iterable[int]) -> int:
    for port in wanted:
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return free.getsockname()[1]
    raise OSError("no port is free.")


def at_file(what: str, folder: str, number: int) -> None:
    """For a program: when the `number`-th file directly in a folder of that name is to get its
    name, this process kills itself as a power cut would (`what` is kill), or waits for the file
    `go` in the folder where it runs (wait). Number 0: never.
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
