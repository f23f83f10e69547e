"""Every public network, as in `array_cases`."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from geojax import evaluation, models
from geojax.models import diffusers, stable_diffusion
from tests.evaluation.test_efficientnet import random_weights

from .array_cases import KEY, RGB, Case, case

LATENT = np.arange(256).reshape(4, 8, 8) % 3


@functools.cache
def small_unet():
    return models.ImageUNet(widths=(8,), num_middle=1, patch=2, key=KEY)


@functools.cache
def classifier():
    return models.DigitClassifier(widths=(4, 4), num_features=8, key=KEY)


@functools.cache
def efficientnet():
    return evaluation.EfficientNetLite0(random_weights())


def filled(module):
    """With weights that are not all zero."""
    leaves, tree = jax.tree.flatten(eqx.filter(module, eqx.is_array))
    rng = np.random.default_rng(0)
    leaves = [jnp.asarray(0.1 * rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves]
    return eqx.combine(jax.tree.unflatten(tree, leaves), module)


@functools.cache
def autoencoder():
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "block_out_channels": [8, 8]}
    blocks |= {"up_block_types": ["UpDecoderBlock2D"] * 2, "norm_num_groups": 4}
    return filled(stable_diffusion.Autoencoder(blocks))


@functools.cache
def unet():
    blocks = {"down_block_types": ["CrossAttnDownBlock2D"], "block_out_channels": [8]}
    blocks |= {"up_block_types": ["CrossAttnUpBlock2D"], "cross_attention_dim": 6}
    return filled(stable_diffusion.UNet(blocks | {"norm_num_groups": 4, "attention_head_dim": 2}))


@functools.cache
def ddpm_unet():
    blocks = {"down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"]}
    blocks |= {"block_out_channels": [8], "norm_num_groups": 4, "layers_per_block": 1}
    return filled(diffusers.UNet2D(blocks | {"add_attention": False}))


@functools.cache
def vq():
    return filled(diffusers.VQAutoencoder({"block_out_channels": [8], "norm_num_groups": 4}))


NETWORKS: dict[str, list[Case]] = {
    "ImageUNet": [case(lambda x: small_unet()(x, 0.5), x=np.ones((1, 4, 4)), _images=("x",))],
    "EfficientNetLite0": [case(lambda image: efficientnet()(image), image=RGB, _images=("image",))],
    "DigitClassifier": [
        case(lambda x: classifier()(x), x=np.ones((1, 28, 28)), _images=("x",)),
        case(lambda x: classifier().features(x), x=np.ones((1, 28, 28)), _images=("x",)),
    ],
    "Autoencoder": [
        case(
            lambda pixels: autoencoder().encode(pixels),
            pixels=RGB[:, :8, :8],
            _images=("pixels",),
        ),
        case(lambda latents: autoencoder().decode(latents), latents=LATENT[:, :4, :4]),
    ],
    "VQAutoencoder": [
        case(lambda pixels: vq().encode(pixels), pixels=RGB[:, :8, :8], _images=("pixels",)),
        case(lambda latents: vq().decode(latents), latents=LATENT[:3, :4, :4]),
    ],
    "UNet2D": [case(lambda x: ddpm_unet()(x, 981), x=RGB[:, :8, :8])],
    "UNet": [
        case(lambda latents, text: unet()(latents, 981, text), latents=LATENT, text=np.ones((7, 6)))
    ],
}
