"""The networks agree with torch's: with committed outputs, and live where torch is installed."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models.stable_diffusion import load

from .checkpoints import write_checkpoint
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


def test_rematerialised_derivatives_are_the_same_and_keep_less(tmp_path):
    folder = write_checkpoint(tmp_path, "small")
    x, v, text = (jnp.asarray(inputs("small")[name]) for name in ("latents", "direction", "text"))
    found, kept = [], []
    for remat in (False, True):
        unet = load(folder, remat=remat).unet

        def derivative(x, unet=unet):
            return jax.vjp(lambda y: unet(y, TIMESTEP, text), x)[1]

        found.append(jax.jit(lambda x, derivative=derivative: derivative(x)(v)[0])(x))
        kept.append(sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(derivative, x))))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-6)
    assert kept[1] < kept[0] / 2
