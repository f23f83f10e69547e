"""Tiny folders in the layout of diffusers; every tensor follows from its name, as in torch."""

import json
import re
from pathlib import Path

import equinox as eqx
import numpy as np
from safetensors.numpy import save_file

from geojax.models.diffusers import UNet2D, VQAutoencoder
from geojax.models.diffusers._weights import parameter_names
from tests.models.stable_diffusion.checkpoints import tensor

SIDE = 8
_OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

# As google/ddpm-* have it, but for the sizes.
DDPM = {
    "_class_name": "UNet2DModel",
    "_diffusers_version": "0.0.4",
    "act_fn": "silu",
    "attention_head_dim": None,
    "block_out_channels": [4, 8],
    "center_input_sample": False,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "in_channels": 3,
    "layers_per_block": 1,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-6,
    "norm_num_groups": 4,
    "out_channels": 3,
    "sample_size": SIDE,
    "time_embedding_type": "positional",
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
}
# As CompVis/ldm-celebahq-256 has it, but for the sizes.
LATENT = DDPM | {
    "attention_head_dim": 4,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "norm_eps": 1e-5,
    "sample_size": SIDE // 2,
}
VQ = {
    "_class_name": "VQModel",
    "act_fn": "silu",
    "block_out_channels": [4, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "in_channels": 3,
    "latent_channels": 3,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "num_vq_embeddings": 16,
    "out_channels": 3,
    "sample_size": SIDE,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "vq_embed_dim": None,
}
# Quick to compile.
SMALL = {
    "add_attention": False,
    "block_out_channels": [4],
    "down_block_types": ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"],
}
SCHEDULER = {
    "_class_name": "DDPMScheduler",
    "_diffusers_version": "0.1.1",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": True,
    "num_train_timesteps": 1000,
    "trained_betas": None,
    "variance_type": "fixed_large",
}
LATENT_SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "beta_end": 0.0195,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.0015,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "timestep_values": None,
    "trained_betas": None,
}


def tensors(network: type, config: dict) -> dict[str, np.ndarray]:
    """All tensors of a network, by their current names."""
    shapes = parameter_names(eqx.filter_eval_shape(lambda: network(config)))
    return {name: tensor(name, leaf.shape) for name, leaf in shapes.items()}


def old_names(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With the names that attention had at first."""
    for new, old in _OLD.items():
        pattern = rf"(attentions\.\d+)\.{re.escape(new)}\."
        arrays = {re.sub(pattern, rf"\1.{old}.", name): a for name, a in arrays.items()}
    return arrays


def write(path: Path, content: dict) -> None:
    """A JSON file, and the folder that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_component(folder: Path, network: type, config: dict) -> None:
    """The config and the weights of a network."""
    write(folder / "config.json", config)
    save_file(tensors(network, config), folder / "diffusion_pytorch_model.safetensors")


def write_ddpm(folder: Path, scheduler: dict | None = None, **unet) -> Path:
    """A `DDPMPipeline` with a folder for each of its parts."""
    write(folder / "model_index.json", {"_class_name": "DDPMPipeline"})
    write_component(folder / "unet", UNet2D, DDPM | unet)
    write(folder / "scheduler" / "scheduler_config.json", SCHEDULER | (scheduler or {}))
    return folder


def write_flat(folder: Path, **unet) -> Path:
    """The same without them, and with the old names: as google/ddpm-* are on the hub."""
    write(folder / "model_index.json", {"_class_name": "DDPMPipeline"})
    write(folder / "config.json", DDPM | unet)
    write(folder / "scheduler_config.json", SCHEDULER)
    arrays = old_names(tensors(UNet2D, DDPM | unet))
    save_file(arrays, folder / "diffusion_pytorch_model.safetensors")
    return folder


def write_latent(folder: Path, **unet) -> Path:
    """An `LDMPipeline`."""
    write(folder / "model_index.json", {"_class_name": "LDMPipeline"})
    write_component(folder / "unet", UNet2D, LATENT | unet)
    write_component(folder / "vqvae", VQAutoencoder, VQ)
    write(folder / "scheduler" / "scheduler_config.json", LATENT_SCHEDULER)
    return folder
