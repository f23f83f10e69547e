"""Converted torch modules: their difference from torch, and seconds to convert and to call.

    python benchmarks/from_torch.py             # tiny networks, by family; needs torch, diffusers
    python benchmarks/from_torch.py --full      # Stable Diffusion 1.5's U-Net; about 16 GiB

Weights are random. Errors are in the Euclidean norm, relative to torch, in float32: of the value,
of a JVP and of a VJP. Seconds are the median of the calls after the first; only ratios within a row
can be compared. The converted full-size network is compared also with geojax's own Equinox port
with the same tensors.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import torch
from record import ROOT, add_row
from stable_diffusion import config_of

from geojax.models import from_torch
from geojax.models.diffusers._weights import with_tensors
from geojax.models.stable_diffusion import UNet

sys.path.insert(0, str(ROOT))
from tests.models.pytorch.families import FAMILIES, build
from tests.models.pytorch.parity import apart, first, in_jax, relative

RESULTS = ROOT / "benchmarks" / "results" / "from_torch.json"


def seconds(call, count: int) -> float:
    """The median of `count` calls after one."""
    call()
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def timed(network, module, inputs, keywords, count: int) -> dict[str, float]:
    """Seconds of a forward pass and of one with a VJP, in JAX and in torch."""
    x, *rest = in_jax(inputs)
    given = in_jax(keywords)

    def ours(x):
        return first(network.apply(x, *rest, **given))

    @jax.jit
    def product(x):
        value, reverse = jax.vjp(ours, x)
        return reverse(value)

    def theirs():
        with torch.no_grad():
            first(module(*inputs, **keywords))

    tensor = inputs[0].clone().requires_grad_()

    def their_product():
        value = first(module(tensor, *inputs[1:], **keywords))
        torch.autograd.grad(value, tensor, value.detach())

    ours_compiled = jax.jit(ours)
    return {
        "forward": seconds(lambda: ours_compiled(x).block_until_ready(), count),
        "forward by torch": seconds(theirs, count),
        "VJP": seconds(lambda: jax.block_until_ready(product(x)), count),
        "VJP by torch": seconds(their_product, count),
    }


def family(name: str) -> dict:
    """The row of a tiny network."""
    module, inputs, keywords = build(name)
    start = time.perf_counter()
    network = from_torch(module, *inputs, keywords=keywords)
    converted = time.perf_counter() - start
    return {
        "network": name,
        "parameters": sum(p.numel() for p in module.parameters()),
        "operations": len(network.graph.nodes),
        "errors": apart(network, module, inputs, keywords),
        "seconds_to_convert": converted,
        "seconds": timed(network, module, inputs, keywords, 10),
    }


def native_of(config: dict, weights: dict) -> UNet:
    """geojax's own U-Net, with the tensors of the converted one."""
    return with_tensors(eqx.filter_eval_shape(UNet, config), weights.__getitem__)


def full_size() -> dict:
    """The row of Stable Diffusion 1.5's U-Net at 512 x 512 pixels."""
    from diffusers import UNet2DConditionModel

    config = config_of("1.5")
    torch.manual_seed(0)
    module = UNet2DConditionModel(**config).eval().requires_grad_(False)
    draw = np.random.default_rng(0)
    latents = torch.from_numpy(draw.standard_normal((1, 4, 64, 64), np.float32))
    text = torch.from_numpy(draw.standard_normal((1, 77, 768), np.float32))
    inputs = (latents, torch.tensor([401.0]), text)
    start = time.perf_counter()
    network = from_torch(module, *inputs)
    converted = time.perf_counter() - start
    with torch.no_grad():
        wanted = module(*inputs).sample[0].numpy()
    by_torch = seconds(lambda: _without_gradient(module, inputs), 3)
    parameters = sum(p.numel() for p in module.parameters())
    del module
    native = eqx.filter_jit(native_of(config, network.weights))
    x, t, condition = (jnp.asarray(a) for a in (latents[0].numpy(), 401.0, text[0].numpy()))
    mine = np.asarray(network(x, t, condition))
    port = np.asarray(native(x, t, condition))
    return {
        "network": "Stable Diffusion 1.5 U-Net, full size",
        "parameters": parameters,
        "operations": len(network.graph.nodes),
        "errors": {
            "forward": relative(mine, wanted),
            "forward, port against torch": relative(port, wanted),
            "forward, converted against port": relative(mine, port),
        },
        "seconds_to_convert": converted,
        "seconds": {
            "forward": seconds(lambda: network(x, t, condition).block_until_ready(), 3),
            "forward by the port": seconds(lambda: native(x, t, condition).block_until_ready(), 3),
            "forward by torch": by_torch,
        },
    }


def _without_gradient(module, inputs) -> None:
    with torch.no_grad():
        module(*inputs)


def main() -> None:
    """Measure, and write a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the full-size U-Net alone")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    for row in [full_size()] if options.full else map(family, FAMILIES):
        row |= {"torch": torch.__version__}
        add_row(options.out, row, ("network",))
        errors = ", ".join(f"{k} {v:.1e}" for k, v in row["errors"].items())
        times = ", ".join(f"{k} {1e3 * v:.1f}" for k, v in row["seconds"].items())
        print(f"{row['network']}: {errors}; ms: {times}", flush=True)


if __name__ == "__main__":
    main()
