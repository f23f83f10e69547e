"""Pairwise distances by many devices and processes are those of one."""

from pathlib import Path

import pytest

from tests.processes import killed, output, slurm_variables, start

PROGRAM = "tests.statistics.sharing"


@pytest.mark.slow
def test_devices_and_processes_one_of_which_is_killed_and_started_again():
    """Chunks of the folder `shared`, three and the settings: the second process dies at its first,
    while the first one waits at its last. Who they are jax reads from the variables of Slurm.
    """
    alone = output(start(PROGRAM, "never", 0, "alone", devices=8)).splitlines()[-1]
    assert alone.startswith("8 devices found [[0.0, ")
    zero, one = slurm_variables(2)
    first = start(PROGRAM, "wait", 3, "shared", "auto", variables=zero)
    killed(start(PROGRAM, "kill", 1, "shared", "auto", variables=one))
    again = output(start(PROGRAM, "never", 0, "shared", "auto", variables=one)).splitlines()[-1]
    assert first.poll() is None
    Path("go").touch()
    found = output(first).splitlines()[-1]
    assert found == again == alone.replace("8 devices", "1 devices")
    assert len(list(Path("shared").glob("chunk-*.npz"))) == 3
