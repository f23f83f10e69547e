"""Work shared out over devices and processes gives what one device gives."""

import diffrax
import jax.numpy as jnp
import pytest

import geojax
from tests.processes import free_address, output, start

from . import problems

PROGRAM = "tests.geodesics.sharing"


@pytest.mark.slow
def test_eight_devices():
    assert "equal on 8 devices of 1 processes" in output(start(PROGRAM, 8))


@pytest.mark.slow
def test_two_processes():
    address = free_address()
    both = [start(PROGRAM, 1, address, 2, process) for process in range(2)]
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
