"""Full-size Stable Diffusion 1.5 and 2.1: the tensors that diffusers has, and their shapes."""

import gzip
import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from geojax.models.diffusers._weights import parameter_names
from geojax.models.stable_diffusion import Autoencoder, TextEncoder, UNet

FULL_SIZE = json.loads(gzip.decompress(Path(__file__).with_name("full_size.json.gz").read_bytes()))
NETWORKS = {"unet": UNet, "vae": Autoencoder, "text_encoder": TextEncoder}


def empty(version, part):
    return eqx.filter_eval_shape(NETWORKS[part], FULL_SIZE[version][part]["config"])


@pytest.mark.parametrize("part", NETWORKS)
@pytest.mark.parametrize("version", FULL_SIZE)
def test_tensors(version, part):
    shapes = {name: list(a.shape) for name, a in parameter_names(empty(version, part)).items()}
    theirs = FULL_SIZE[version][part]["shapes"]
    theirs.pop("embeddings.position_ids", None)
    assert shapes == theirs


def test_number_of_parameters():
    shapes = parameter_names(empty("1.5", "unet")).values()
    assert sum(a.size for a in shapes) == 859_520_964


@pytest.mark.parametrize("version, width", [("1.5", 768), ("2.1", 1024)])
@pytest.mark.slow
def test_shapes_that_go_through(version, width):
    half = jnp.bfloat16
    latents = jax.ShapeDtypeStruct((4, 64, 40), jnp.float32)
    text = jax.ShapeDtypeStruct((77, width), jnp.float32)

    def as_half(network):
        return jax.tree.map(
            lambda a: (
                jax.ShapeDtypeStruct(a.shape, half) if isinstance(a, jax.ShapeDtypeStruct) else a
            ),
            network,
        )

    unet, vae, clip = (as_half(empty(version, part)) for part in NETWORKS)
    out = eqx.filter_eval_shape(lambda f, x, c: f(x, 981, c), unet, latents, text)
    assert (out.shape, out.dtype) == (latents.shape, latents.dtype)
    if version == "1.5":
        return  # the other two differ in nothing but sizes
    pixels = eqx.filter_eval_shape(lambda f, x: f.decode(x), vae, latents)
    assert pixels.shape == (3, 512, 320)
    assert eqx.filter_eval_shape(lambda f, x: f.encode(x), vae, pixels).shape == (4, 64, 40)
    tokens = jax.ShapeDtypeStruct((77,), jnp.int32)
    assert eqx.filter_eval_shape(lambda f, x: f(x), clip, tokens).shape == (77, width)
