"""Stable Diffusion's U-Net with random weights: speed, derivative cost, and seconds for a geodesic.

    python benchmarks/stable_diffusion.py                # toy size; a few minutes on two cores
    python benchmarks/stable_diffusion.py --model 1.5 --side 8192 --batches 1 2 4 8 16 32 64

The second command has full size and is for a GPU. For each batch size it measures evaluations a
second, and TFLOP/s as a fraction of the largest matrix product's in the same run. It measures a VJP
and a JVP in evaluations, seconds to compile with an empty and with a filled persistent cache, and
peak memory. A geodesic is solved by each rule and solver to a relative energy of 1e-3; rows have
the reached energy. If torch and diffusers are installed, their U-Net is measured in the same dtype.
Times are medians of repeated runs without compilation. lam doubles the straight line's energy. The
quadrature rule assumes that the score is a gradient, which a score of random weights is not. The
other rules find paths on which its integral differs, and end below it. Controls: each solver also
goes from A to A, where the path must stay. The contrast (`geojax.score_contrast`) is measured from
A to A, to a point a hundredth of the way to B, and to B; it does not apply to photographs here.
"""

import argparse
import functools
import gzip
import json
import math
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import optimistix as optx
from jax.experimental.compilation_cache import compilation_cache
from record import ROOT, origin, save

import geojax
from geojax.geodesics import (
    AbstractRule,
    AbstractSolver,
    GaussNewton,
    Georce,
    Midpoint,
    PathEnergy,
    Quadrature,
)
from geojax.models.stable_diffusion import UNet
from geojax.scores import NoisePrediction, ScaledLinear

CONFIGS = ROOT / "tests" / "models" / "stable_diffusion" / "full_size.json.gz"
TOY = {
    "block_out_channels": [8, 16],
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "attention_head_dim": 2,
    "cross_attention_dim": 12,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "sample_size": 8,
}
T, SEGMENTS, ENERGY_RTOL = 0.4, 16, 1e-3


def config_of(model: str) -> dict[str, Any]:
    """The U-Net's config: the toy's, or that of a version."""
    if model == "toy":
        return TOY
    return json.loads(gzip.decompress(CONFIGS.read_bytes()))[model]["unet"]["config"]


def random_unet(config: dict[str, Any], dtype: Any, attention: Any) -> UNet:
    """The U-Net with weights that keep activations of order one."""
    unet = eqx.filter_eval_shape(UNet, config, attention=attention)
    leaves, tree = jax.tree.flatten(unet)
    keys = jax.random.split(jax.random.key(0), len(leaves))

    @functools.partial(jax.jit, static_argnums=0)  # one program for each shape
    def draw(shape, key):
        if len(shape) == 1:
            return jnp.full(shape, 0.1, dtype)
        # A matrix has its outputs first, a convolution last.
        fan_in = math.prod(shape) // shape[-1 if len(shape) == 4 else 0]
        return jax.random.normal(key, shape, dtype) / jnp.asarray(fan_in**0.5, dtype)

    drawn = [draw(leaf.shape, key) for leaf, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, drawn)


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """The median time of a run, after one that is not counted."""
    jax.block_until_ready(function())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def matrix_peak(dtype: Any, side: int, repeats: int) -> float:
    """FLOP/s of a product of two large square matrices."""
    a = jnp.ones((side, side), dtype)
    product = jax.jit(lambda a: a @ a)
    return 2 * side**3 / seconds(lambda: product(a), repeats)


class Setting:
    """A network, its inputs and how often to run it."""

    def __init__(self, model: str, dtype: Any, attention: Any, repeats: int):
        self.config, self.dtype = config_of(model), dtype
        self.attention, self.repeats = attention, repeats
        self.unet = random_unet(self.config, dtype, attention)
        self.compiled: dict[int, Any] = {}
        side = self.unet.sample_size
        keys = jax.random.split(jax.random.key(1), 3)
        self.ends = jax.random.normal(keys[0], (2, self.unet.in_channels, side, side), jnp.float32)
        self.text = jax.random.normal(keys[1], (77, self.unet.text_width), jnp.float32)

    def batch(self, size: int):
        """The compiled forward pass over a batch, its inputs, and the seconds to compile it."""
        if size not in self.compiled:
            self.compiled[size] = self.compile(size)
        return self.compiled[size]

    def compile(self, size: int):
        """`batch`, compiled anew."""
        xs = jnp.repeat(self.ends[:1], size, axis=0)
        arrays, static = eqx.partition(self.unet, eqx.is_array)

        def forward(arrays, xs, text):
            unet = eqx.combine(arrays, static)
            return jax.vmap(lambda x: unet(x, 399, text))(xs)

        start = time.perf_counter()
        compiled = jax.jit(forward).lower(arrays, xs, self.text).compile()
        return compiled, (arrays, xs, self.text), time.perf_counter() - start


def forward_rows(setting: Setting, batches: list[int], peak: float) -> list[dict[str, Any]]:
    """A row a batch size."""
    rows = []
    for size in batches:
        compiled, given, _ = setting.batch(size)
        took = seconds(lambda c=compiled, g=given: c(*g), setting.repeats)
        analysis = compiled.cost_analysis() or {}
        flops = analysis.get("flops", float("nan"))
        rows.append(
            {
                "batch": size,
                "evaluations_per_second": size / took,
                "tflops": flops / took / 1e12,
                "fraction_of_peak": flops / took / peak,
                "gflop_per_evaluation": flops / size / 1e9,
            }
        )
    return rows


def compile_seconds(setting: Setting) -> dict[str, float]:
    """Seconds of compilation, with an empty persistent cache, and with a filled one."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        compilation_cache.reset_cache()
        for name, value in zip(names, (folder, 0.0), strict=True):
            jax.config.update(name, value)
        try:
            for name in ("cold", "warm"):
                jax.clear_caches()
                found[name] = setting.compile(1)[2]
        finally:
            for name, value in before.items():
                jax.config.update(name, value)
            compilation_cache.reset_cache()
    return found


def derivative_cost(setting: Setting) -> dict[str, float]:
    """The time of a VJP and, if there is one, of a JVP, in evaluations."""
    x, v = setting.ends

    @eqx.filter_jit
    def vjp(unet, x, v):
        return jax.vjp(lambda y: unet(y, 399, setting.text), x)[1](v)[0]

    @eqx.filter_jit
    def jvp(unet, x, v):
        return jax.jvp(lambda y: unet(y, 399, setting.text), (x,), (v,))[1]

    forward, given, _ = setting.batch(1)
    plain = seconds(lambda: forward(*given), setting.repeats)
    products = {"vjp": vjp, "jvp": jvp}
    if setting.attention == "cudnn":  # it has no forward derivative
        del products["jvp"]
    return {
        name: seconds(lambda f=f: f(setting.unet, x, v), setting.repeats) / plain
        for name, f in products.items()
    }


def solvers() -> dict[str, tuple[type[AbstractRule], AbstractSolver]]:
    """Each rule and solver, with the same tolerance of the relative energy."""
    minimiser = optx.LBFGS(rtol=ENERGY_RTOL, atol=ENERGY_RTOL)
    return {
        "quadrature, Gauss-Newton, forward only": (
            Quadrature,
            GaussNewton(rtol=ENERGY_RTOL, curvature_steps=0),
        ),
        "midpoint, Gauss-Newton": (Midpoint, GaussNewton(rtol=ENERGY_RTOL, curvature_steps=0)),
        "midpoint, Gauss-Newton, certified": (Midpoint, GaussNewton(rtol=ENERGY_RTOL)),
        "midpoint, GEORCE": (Midpoint, Georce(rtol=ENERGY_RTOL)),
        "midpoint, L-BFGS": (Midpoint, PathEnergy(minimiser, rtol=ENERGY_RTOL)),
        "midpoint, Adam 1e-2": (Midpoint, PathEnergy(optax.adam(1e-2), rtol=ENERGY_RTOL)),
    }


def doubling_lam(score: Callable[..., Any], a: jax.Array, b: jax.Array) -> float:
    """The lambda for which the score doubles the straight line's energy, so paths can differ."""
    ts = (jnp.arange(4 * SEGMENTS, dtype=a.dtype) + 0.5) / (4 * SEGMENTS)
    slopes = jax.lax.map(lambda t: jnp.vdot(score(a + t * (b - a), None), b - a), ts)
    return float(jnp.sum((b - a) ** 2) / jnp.mean(slopes**2))


def geodesic_rows(setting: Setting, chunk: int, names: list[str]) -> dict[str, Any]:
    """One row for each rule and solver: seconds without compilation, and evaluations of the
    network.
    """
    unet, text = setting.unet, setting.text
    score = NoisePrediction(lambda x, t, args: unet(x, 1000 * t - 1, text), ScaledLinear()).at(T)
    a, b = setting.ends
    lam = doubling_lam(score, a, b)
    metric = geojax.SteinScoreMetric(score, lam)
    rows = []
    for name in names:
        rule, solver = solvers()[name]
        solve = geojax.compile_geodesic(
            metric,
            a,
            solver=solver,
            rule=rule(batch_size=chunk),
            num_segments=SEGMENTS,
            max_steps=500,
            diagnostics="full" if name.endswith("certified") else "price",
        )
        solution = solve(a, b, throw=False)
        still = solve(a, a, throw=False).curve.evaluate(jnp.linspace(0, 1, 5, dtype=a.dtype))
        rows.append(
            {
                "rule and solver": name,
                "seconds": seconds(lambda solve=solve: solve(a, b, throw=False), 1),
                "result": solution.message,
                "energy_fine": float(solution.stats["energy_fine"]),
                "steps": int(solution.stats["num_steps"]),
                "unet_evaluations": int(solution.stats["score_evaluations"]),
                "unet_products": int(solution.stats["score_products"]),
                "from_a_to_a_moves": float(jnp.max(jnp.abs(still - a[None]))),
            }
        )
    least = min(row["energy_fine"] for row in rows)
    return {
        "lam": lam,
        "contrast": {
            name: float(geojax.score_contrast(score, a[None], other[None]).ratio)
            for name, other in {
                "A to A": a,
                "A to nearly A": a + 0.01 * (b - a),
                "A to B": b,
            }.items()
        },
        "straight line": {"energy_fine": float(jnp.sum((b - a) ** 2))},
        "rows": [row | {"excess": row["energy_fine"] / least - 1} for row in rows],
    }


def torch_rows(
    setting: Setting, batches: list[int], compiled: bool = False
) -> list[dict[str, Any]] | None:
    """The same rows for diffusers' U-Net, or None if it is not installed."""
    try:
        import torch
        from diffusers import UNet2DConditionModel
    except ImportError:
        return None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, jnp.dtype(setting.dtype).name)
    unet = UNet2DConditionModel(**setting.config).to(device, dtype).eval()
    unet = torch.compile(unet) if compiled else unet
    rows = []
    for size in batches:
        x = torch.randn(size, *setting.ends.shape[1:], device=device, dtype=dtype)
        text = torch.randn(size, *setting.text.shape, device=device, dtype=dtype)

        def run(x=x, text=text):
            with torch.no_grad():
                unet(x, 399, text)
            if device == "cuda":
                torch.cuda.synchronize()

        took = seconds(run, setting.repeats)
        rows.append({"batch": size, "evaluations_per_second": size / took, "device": device})
    return rows


def peak_memory() -> dict[str, float]:
    """Peak memory in GiB: of the device if it counts it, and of the process."""
    stats = jax.devices()[0].memory_stats() or {}
    found = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    if "peak_bytes_in_use" in stats:  # not on a CPU
        found["device"] = stats["peak_bytes_in_use"] / 2**30
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["toy", "1.5", "2.1"], default="toy")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--attention", choices=["xla", "cudnn"], default="xla")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--chunk", type=int, default=16)
    parser.add_argument("--solvers", nargs="+", choices=list(solvers()), default=list(solvers()))
    parser.add_argument("--side", type=int, default=1024, help="of the matrices of the peak")
    parser.add_argument("--no-torch", action="store_true", help="leave diffusers' network out")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    setting = Setting(options.model, jnp.dtype(options.dtype), options.attention, options.repeats)
    peak = matrix_peak(setting.dtype, options.side, options.repeats)
    result: dict[str, Any] = {
        "origin": origin(),
        "settings": {k: v for k, v in vars(options).items() if k != "out"},
        "compile_seconds": compile_seconds(setting),
        "matrix_peak_tflops": peak / 1e12,
        "forward": forward_rows(setting, options.batches, peak),
        "cost_in_evaluations": derivative_cost(setting),
        "geodesic": geodesic_rows(setting, options.chunk, options.solvers),
        "peak_gib": peak_memory(),  # before torch uses memory
        "torch": None if options.no_torch else torch_rows(setting, options.batches),
    }
    out = ROOT / "benchmarks" / "results" / f"stable_diffusion_{options.model}.json"
    save(options.out or out, result)


if __name__ == "__main__":
    main()
