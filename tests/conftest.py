"""Fixtures. What every test runs under is in the root's `conftest.py`."""

import os
from pathlib import Path

import jaxtyping
import pytest

from tests.processes import end_all


@pytest.fixture
def data_file():
    """The path of a file below `$GEOJAX_DATA_DIR`; the test is skipped where it is absent."""

    def find(name: str) -> Path:
        folder = os.environ.get("GEOJAX_DATA_DIR")
        if not folder:
            pytest.skip(f"needs {name}: GEOJAX_DATA_DIR is not set")
        path = Path(folder) / name
        if not path.exists():
            pytest.skip(f"needs {name}, which is not in GEOJAX_DATA_DIR ({folder})")
        return path

    return find


@pytest.fixture
def as_users_run():
    """Without the run-time type checker of the tests, which would raise first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def _no_program_is_left():
    """A test of several processes that fails leaves none of them running."""
    yield
    end_all()
