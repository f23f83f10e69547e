"""Families of diffusers, converted, are torch's own to single precision, derivatives too."""

import pytest

pytest.importorskip("torch", reason="needs torch, to compare with")
pytest.importorskip("diffusers", reason="needs diffusers, to compare with")

from geojax.models import from_torch
from tests.models.pytorch.families import FAMILIES, build
from tests.models.pytorch.parity import apart


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_converted(name):
    module, inputs, keywords = build(name)
    errors = apart(from_torch(module, *inputs, keywords=keywords), module, inputs, keywords)
    assert errors["forward"] < 2e-5
    assert errors["JVP"] < 1e-4
    assert errors["VJP"] < 1e-4
