"""Networks of the size of google/ddpm-* and CompVis/ldm-celebahq-256: diffusers' own tensors."""

import equinox as eqx
import pytest

from geojax.models.diffusers import UNet2D, VQAutoencoder
from geojax.models.diffusers._weights import parameter_names
from tests.models.stable_diffusion.test_parity import live

from .folders import DDPM, LATENT, VQ


def blocks(kinds: str) -> dict:
    """By level, the finest first: whether there is attention ("A") or not ("-")."""
    down = ["AttnDownBlock2D" if kind == "A" else "DownBlock2D" for kind in kinds]
    up = ["AttnUpBlock2D" if kind == "A" else "UpBlock2D" for kind in reversed(kinds)]
    common = {"layers_per_block": 2, "norm_num_groups": 32}
    return common | {"down_block_types": down, "up_block_types": up}


CIFAR = DDPM | blocks("-A--") | {"block_out_channels": [128, 256, 256, 256]}
FACES = DDPM | blocks("----A-") | {"block_out_channels": [128, 128, 256, 256, 512, 512]}
LATENTS = LATENT | blocks("-AAA") | {"block_out_channels": [224, 448, 672, 896]}
CODES = VQ | {
    "block_out_channels": [128, 256, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "num_vq_embeddings": 8192,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
}


@live
@pytest.mark.slow
@pytest.mark.parametrize(
    "network, config, size",
    [
        (UNet2D, CIFAR, 35_746_307),  # as its card has it: 35.7 million
        (UNet2D, FACES, 113_673_219),
        (UNet2D, LATENTS | {"attention_head_dim": 32}, None),
        (VQAutoencoder, CODES, None),
    ],
    ids=["cifar10", "celebahq", "latent", "codes"],
)
def test_tensors(network, config, size):
    import diffusers
    import torch

    given = {name: value for name, value in config.items() if not name.startswith("_")}
    with torch.device("meta"):
        theirs = getattr(diffusers, config["_class_name"])(**given).state_dict()
    ours = parameter_names(eqx.filter_eval_shape(lambda: network(config)))
    shapes = {name: tuple(array.shape) for name, array in ours.items()}
    assert shapes == {name: tuple(tensor.shape) for name, tensor in theirs.items()}
    assert size in (None, sum(array.size for array in ours.values()))
