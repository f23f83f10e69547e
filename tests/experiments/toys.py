"""Means of toy runs that were measured once; a change of the experiments must not change them."""

import json
from pathlib import Path

import pytest


def check_toy(name: str, means, *, rel: float, abs: float) -> None:
    """The means are those of `NAME_toy.json`, the numbers to a tolerance."""
    known = json.loads((Path(__file__).parent / f"{name}_toy.json").read_text())
    assert len(means) == len(known)
    for row, expected in zip(means, known, strict=True):
        for key, value in expected.items():
            number = isinstance(value, int | float)
            assert row[key] == (pytest.approx(value, rel=rel, abs=abs) if number else value), key
