"""The networks agree with torch's: with committed outputs, and live where torch is installed."""

import dataclasses
import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models.stable_diffusion import Tokenizer, load, text_to_image

from .checkpoints import write_checkpoint, write_tokenizer
from .parity import LIMITS, difference, outputs, tiny_model
from .torch_reference import DDIM_STEPS, TIMESTEP, TorchReference, inputs

each_style = pytest.mark.parametrize("style", ["sd1", "sd2"])
GOLDEN = Path(__file__).with_name("golden.npz")


@each_style
@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.slow
def test_golden_outputs_of_torch(style, name):
    with np.load(GOLDEN) as golden:
        assert difference(outputs(style)[name], golden[f"{style}.{name}"]) <= LIMITS[name]


def live(test):
    needed = ("torch", "diffusers", "transformers")
    there = all(importlib.util.find_spec(name) for name in needed)
    test = pytest.mark.skipif(not there, reason=f"live parity needs {', '.join(needed)}")(test)
    # Theirs, of what they will change: nothing that geojax calls.
    return pytest.mark.filterwarnings("ignore")(test)


@each_style
@live
@pytest.mark.slow
def test_live_outputs_of_torch(style):
    theirs = TorchReference(style).outputs(inputs(style))
    apart = {name: difference(outputs(style)[name], theirs[name]) for name in LIMITS}
    assert {name: d for name, d in apart.items() if d > LIMITS[name]} == {}


@each_style
@live
@pytest.mark.slow
def test_a_prompt_draws_the_picture_of_diffusers(style, tmp_path):
    """All parts together, the tokenizer among them."""
    write_tokenizer(tmp_path)
    model = dataclasses.replace(tiny_model(style), tokenizer=Tokenizer(tmp_path))
    words, key, side = ("a dog in snow", "a cat"), jax.random.key(3), 8 * model.vae.unit
    ours = text_to_image(
        model,
        words[0],
        key=key,
        height=side,
        width=side,
        num_steps=DDIM_STEPS,
        guidance=3.0,
        negative_prompt=words[1],
    ).pixels
    latents = jax.random.normal(jax.random.split(key)[0], (4, 8, 8))
    theirs = TorchReference(style).picture(tmp_path, *words, np.float32(latents), 3.0)
    assert np.ptp(theirs) > 0.1
    assert difference(np.float32(np.clip((ours + 1) / 2, 0, 1)), theirs) <= 1e-4


def test_golden_outputs_are_small():
    assert GOLDEN.stat().st_size < 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, pytest.param(jnp.bfloat16, marks=pytest.mark.slow)])
def test_half_precision_networks_keep_the_dtype_of_their_input(dtype):
    model = tiny_model("sd1")
    half = jax.tree.map(lambda a: a.astype(dtype) if isinstance(a, jax.Array) else a, model.unet)
    x, text = (jnp.asarray(inputs("sd1")[name]) for name in ("latents", "text"))
    y, full = half(x, TIMESTEP, text), outputs("sd1")["unet"]
    assert difference(np.asarray(y), full) < 0.05


@pytest.mark.slow
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
