"""Stable Diffusion's U-Net at full size with random weights: one forward pass, here and by torch.

    python benchmarks/full_size_parity.py 1.5      # needs torch and diffusers; about 10 GiB
    python benchmarks/full_size_parity.py 2.1

Both networks have the same tensors, in float32, and the same inputs: latents (of a picture of 512 x
512 pixels), timestep and text condition. The result is their relative difference, in the Euclidean
norm and in the largest entry.
"""

import argparse
from importlib import metadata
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from record import ROOT, origin, save
from stable_diffusion import config_of, peak_memory

from geojax.models.diffusers._weights import parameter_names, with_tensors
from geojax.models.stable_diffusion import UNet

SIDE, TIMESTEP, LIMIT = 64, 401, 2e-5


def of_torch(config: dict, given: dict[str, np.ndarray]):
    """The output of diffusers' U-Net, and its tensors by name."""
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    network = UNet2DConditionModel(**config).eval().requires_grad_(False)
    for tensor in network.state_dict().values():
        if tensor.ndim == 1:  # torch initialises these with zeros and ones
            tensor.add_(0.1 * torch.randn_like(tensor))
    x, text = (torch.from_numpy(given[name])[None] for name in ("latents", "text"))
    out = network(x, TIMESTEP, text).sample[0].numpy()
    return out, {n: a.numpy() for n, a in network.state_dict().items()}


def ours(config: dict, given: dict[str, np.ndarray], tensors: dict[str, np.ndarray]):
    """The output of the Equinox U-Net with these tensors."""
    network = eqx.filter_eval_shape(UNet, config)
    assert {n: a.shape for n, a in parameter_names(network).items()} == {
        n: a.shape for n, a in tensors.items()
    }

    network = with_tensors(network, lambda name: jnp.asarray(tensors.pop(name)))
    x, text = jnp.asarray(given["latents"]), jnp.asarray(given["text"])
    return np.asarray(network(x, TIMESTEP, text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=["1.5", "2.1", "toy"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    config, draw = config_of(options.model), np.random.default_rng(0)
    width = config["cross_attention_dim"]
    given = {
        "latents": draw.standard_normal((4, SIDE, SIDE), np.float32),
        "text": draw.standard_normal((77, width), np.float32),
    }
    theirs, tensors = of_torch(config, given)
    parameters = sum(a.size for a in tensors.values())
    mine = ours(config, given, tensors)
    apart = mine - theirs
    errors = {
        "norm": float(np.linalg.norm(apart) / np.linalg.norm(theirs)),
        "largest": float(np.abs(apart).max() / np.abs(theirs).max()),
    }
    result = {
        "origin": origin(),
        "compared_with": {name: metadata.version(name) for name in ("torch", "diffusers")},
        "model": options.model,
        "parameters": parameters,
        "latents": list(given["latents"].shape),
        "relative_error": errors,
        "limit": LIMIT,
        "within": max(errors.values()) <= LIMIT,
        "peak_gib": peak_memory(),
    }
    name = f"full_size_parity_{options.model}.json"
    save(options.out or ROOT / "benchmarks" / "results" / name, result)
    print(errors)


if __name__ == "__main__":
    main()
