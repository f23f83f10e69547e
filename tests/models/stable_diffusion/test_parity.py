"""The networks agree with torch's: with committed outputs, and live where torch is installed."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from .parity import LIMITS, difference, outputs, tiny_model
from .torch_reference import TIMESTEP, TorchReference, inputs

each_style = pytest.mark.parametrize("style", ["sd1", "sd2"])
GOLDEN = Path(__file__).with_name("golden.npz")


@each_style
@pytest.mark.parametrize("name", LIMITS)
def test_golden_outputs_of_torch(style, name):
    with np.load(GOLDEN) as golden:
        assert difference(outputs(style)[name], golden[f"{style}.{name}"]) <= LIMITS[name]


@each_style
@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("torch", "diffusers", "transformers")),
    reason="live parity needs torch, diffusers and transformers",
)
# Theirs, of what they will change: nothing that geojax calls.
@pytest.mark.filterwarnings("ignore")
def test_live_outputs_of_torch(style):
    theirs = TorchReference(style).outputs(inputs(style))
    apart = {name: difference(outputs(style)[name], theirs[name]) for name in LIMITS}
    assert {name: d for name, d in apart.items() if d > LIMITS[name]} == {}


def test_golden_outputs_are_small():
    assert GOLDEN.stat().st_size < 1_000_000


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_networks_keep_the_dtype_of_what_comes_in(dtype):
    model = tiny_model("sd1")
    half = jax.tree.map(lambda a: a.astype(dtype) if isinstance(a, jax.Array) else a, model.unet)
    x, text = (jnp.asarray(inputs("sd1")[name]) for name in ("latents", "text"))
    y, full = half(x, TIMESTEP, text), outputs("sd1")["unet"]
    assert difference(np.asarray(y), full) < 0.05
