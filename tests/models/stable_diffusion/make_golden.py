"""Writes `golden.npz` and `full_size.json.gz` from torch and diffusers.

    python -m tests.models.stable_diffusion.make_golden

`golden.npz` holds what torch makes of the tiny checkpoints of `checkpoints.py`; `full_size.json.gz`
the configurations of Stable Diffusion 1.5 and 2.1 with the names and shapes of all their tensors.
"""

import gzip
import json
from pathlib import Path

import numpy as np

from .checkpoints import configs
from .torch_reference import TorchReference, inputs, state_shapes

HERE = Path(__file__).parent

SCHEDULER = {k: v for k, v in configs("sd1")["scheduler"].items() if k != "prediction_type"}
UNET = {
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 768,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-5,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
}
VAE = {
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 512,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
TEXT = {
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "projection_dim": 768,
    "vocab_size": 49408,
}
FULL_SIZE = {
    "1.5": {"unet": UNET, "vae": VAE, "text_encoder": TEXT},
    "2.1": {
        "unet": UNET
        | {
            "attention_head_dim": [5, 10, 20, 20],
            "cross_attention_dim": 1024,
            "dual_cross_attention": False,
            "num_class_embeds": None,
            "only_cross_attention": False,
            "sample_size": 96,
            "upcast_attention": True,
            "use_linear_projection": True,
        },
        "vae": VAE | {"sample_size": 768},
        "text_encoder": TEXT
        | {
            "hidden_act": "gelu",
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_attention_heads": 16,
            "num_hidden_layers": 23,
            "projection_dim": 512,
        },
    },
}


def main() -> None:
    golden = {}
    for style in ("sd1", "sd2"):
        for name, value in TorchReference(style).outputs(inputs(style)).items():
            golden[f"{style}.{name}"] = np.float32(value)
    np.savez_compressed(HERE / "golden.npz", **golden)
    full = {
        version: {
            part: {"config": config, "shapes": state_shapes(part, config)}
            for part, config in parts.items()
        }
        for version, parts in FULL_SIZE.items()
    }
    content = json.dumps(full, sort_keys=True).encode()
    (HERE / "full_size.json.gz").write_bytes(gzip.compress(content, 9, mtime=0))


if __name__ == "__main__":
    main()
