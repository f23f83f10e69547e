"""Training on many devices, of one process or of two, is training on one."""

import pytest

from tests.processes import free_address, output, start

PROGRAM = "tests.models.sharing"


@pytest.mark.slow
def test_eight_devices(tmp_path):
    assert "trained on 8 devices of 1 processes" in output(start(PROGRAM, tmp_path, devices=8))


@pytest.mark.slow
def test_two_processes(tmp_path):
    address = free_address()
    both = [start(PROGRAM, tmp_path, f"{address},2,{process}") for process in range(2)]
    for process in both:
        assert "trained on 2 devices of 2 processes" in output(process)
    names = {path.name for path in (tmp_path / "shared" / "score").iterdir()}
    assert names == {"config.json", "model.safetensors", "training.safetensors", "loss.csv"}
