"""`geojax train --gpu`: the settings for ten minutes on a GPU."""

import copy
from typing import Any

DIGITS_STEPS = 20_000
# Four times the weights, four times the batch, products in 16 bits.
DIGITS: dict[str, Any] = {
    "network": {"widths": [128, 256]},
    "training": {"batch_size": 256, "dtype": "bfloat16"},
}
PICTURES: dict[str, Any] = {
    "autoencoder": {"widths": [32, 64, 128], "hidden": 512},
    "denoiser": {"width": 768},
    "training": {
        "autoencoder_steps": 20_000,
        "autoencoder_batch": 384,
        "denoiser_steps": 20_000,
        "denoiser_batch": 1024,
        "dtype": "bfloat16",
    },
}


def with_recipe(config: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    """The config with entries replaced by those of the recipe."""
    merged = copy.deepcopy(config)
    for part, entries in recipe.items():
        merged[part] |= copy.deepcopy(entries)
    return merged
