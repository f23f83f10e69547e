"""Tiny Stable Diffusion checkpoints: every tensor follows from its name, here and in torch.

So no weights are committed: `make_golden.py` gives torch the same tensors.
"""

import functools
import json
import zlib
from pathlib import Path

import equinox as eqx
import numpy as np
import pytest
from safetensors.numpy import save_file

from geojax.models.diffusers._weights import parameter_names
from geojax.models.stable_diffusion import Autoencoder, TextEncoder, UNet, load

WORDS = 2 * 256 + 2  # the tokenizer's bytes, within and at the end of a word, and two marks


def configs(style: str) -> dict[str, dict]:
    """The configurations of a tiny "sd1" or "sd2", by component; "small" is quick to compile."""
    first = style != "sd2"
    widths, width = [4] if style == "small" else [8, 16], 12 if first else 16
    levels = len(widths)
    unet = {
        "_class_name": "UNet2DConditionModel",
        "act_fn": "silu",
        "attention_head_dim": 2 if first else [1, 4],
        "block_out_channels": widths,
        "cross_attention_dim": width,
        "down_block_types": ["CrossAttnDownBlock2D"] * (levels - 1) + ["DownBlock2D"],
        "in_channels": 4,
        "layers_per_block": 1 if first else 2,
        "norm_num_groups": 4,
        "out_channels": 4,
        "sample_size": 16,
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (levels - 1),
    } | ({} if first else {"use_linear_projection": True, "upcast_attention": True})
    vae = {
        "_class_name": "AutoencoderKL",
        "block_out_channels": [4, 4] if style == "small" else widths,
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
        "latent_channels": 4,
        "layers_per_block": 1 if first else 2,
        "norm_num_groups": 4,
        "scaling_factor": 0.18215,
    }
    text_encoder = {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "hidden_act": "quick_gelu" if first else "gelu",
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "vocab_size": WORDS,
        "bos_token_id": WORDS - 2,
        "eos_token_id": WORDS - 1,
    }
    scheduler = {
        "_class_name": "PNDMScheduler" if first else "DDIMScheduler",
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon" if first else "v_prediction",
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }
    return {"unet": unet, "vae": vae, "text_encoder": text_encoder, "scheduler": scheduler}


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor of that name, of a size that keeps activations of order one."""
    # RandomState, whose numbers numpy promises never to change.
    draws = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) > 1:
        embedding = "embedding.weight" in name
        return np.float32(0.5 * draws if embedding else draws / np.sqrt(np.prod(shape[1:])))
    return np.float32(("norm" in name and name.endswith("weight")) + 0.1 * draws)


def tensors(style: str) -> dict[str, dict[str, np.ndarray]]:
    """All tensors of a checkpoint, by component and current name, for the caller to change."""
    known = _tensors(style).items()
    return {part: {name: a.copy() for name, a in arrays.items()} for part, arrays in known}


@functools.cache
def _tensors(style: str) -> dict[str, dict[str, np.ndarray]]:
    networks = {"unet": UNet, "vae": Autoencoder, "text_encoder": TextEncoder}
    return {
        part: {
            name: tensor(name, leaf.shape)
            for name, leaf in parameter_names(
                eqx.filter_eval_shape(network, configs(style)[part])
            ).items()
        }
        for part, network in networks.items()
    }


def write_checkpoint(folder: Path, style: str = "sd1", *, weights=None) -> Path:
    """A checkpoint folder; `weights` are `tensors(style)`, or altered ones."""
    for part, config in configs(style).items():
        write_config(folder, part, config)
    for part, arrays in (weights or tensors(style)).items():
        stem = "model" if part == "text_encoder" else "diffusion_pytorch_model"
        save_file(arrays, folder / part / f"{stem}.safetensors")
    write_tokenizer(folder / "tokenizer")
    index = {"_class_name": "StableDiffusionPipeline"}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_config(folder: Path, part: str, config: dict) -> None:
    """The configuration of a component."""
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / part / name).write_text(json.dumps(config))


def write_shards(folder: Path, *shards: dict[str, np.ndarray]) -> dict[str, str]:
    """Weights of a component in several files; the index that it writes says where each is."""
    weight_map = {}
    for i, arrays in enumerate(shards):
        file = f"part-{i}.safetensors"
        save_file(arrays, folder / file)
        weight_map |= dict.fromkeys(arrays, file)
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    return weight_map


def write_tokenizer(folder: Path) -> None:
    """CLIP's tokenizer without a merge: a token a letter."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    letters = [chr(b) for b in shown] + [chr(256 + i) for i in range(len(hidden))]
    words = [*letters, *(c + "</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    marks = {"bos_token": words[-2], "eos_token": words[-1], "unk_token": words[-1]}
    (folder / "special_tokens_map.json").write_text(json.dumps(marks | {"pad_token": "!"}))


def load_error(folder, pattern):
    """The one line that refuses `folder`."""
    with pytest.raises(ValueError, match=pattern) as error:
        load(folder)
    line = str(error.value)
    assert "\n" not in line
    return line
