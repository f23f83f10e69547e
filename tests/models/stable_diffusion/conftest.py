"""What the tests of Stable Diffusion share."""

import pytest

from .checkpoints import write_checkpoint


@pytest.fixture
def folder(tmp_path):
    return write_checkpoint(tmp_path / "model")
