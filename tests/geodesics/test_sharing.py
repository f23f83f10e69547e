"""Work shared out over devices and processes gives what one device gives."""

import os
import socket
import subprocess
import sys

import diffrax
import jax.numpy as jnp
import pytest

import geojax
from tests.source import ROOT

from . import problems


def start(*arguments):
    """`sharing.py` in a process of its own: how many devices there are is settled at the start."""
    command = [sys.executable, "-m", "tests.geodesics.sharing", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def output(process):
    try:
        text = process.communicate(timeout=240)[0]
    finally:
        process.kill()
    assert process.returncode == 0, text
    return text


@pytest.mark.slow
def test_eight_devices():
    assert "equal on 8 devices of 1 processes" in output(start(8))


@pytest.mark.slow
def test_two_processes():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [start(1, address, 2, process) for process in range(2)]
    for process in both:
        assert "equal on 2 devices of 2 processes" in output(process)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rule": geojax.Midpoint(devices=geojax.device_mesh())}, "not to both"),
        ({"progress_meter": diffrax.NoProgressMeter()}, "progress_meter must be None"),
    ],
)
def test_arguments(options, message):
    metric, ends = problems.metric(2.0, 0.5, 1.0), jnp.ones((2, 2))
    with pytest.raises(ValueError, match=message):
        geojax.geodesic_batch(metric, ends, ends, devices=geojax.device_mesh(), **options)
