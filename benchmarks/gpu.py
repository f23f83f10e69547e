"""The most important measurements on one GPU, in ten minutes at most.

    python benchmarks/gpu.py            # on a machine with an NVIDIA GPU
    python benchmarks/gpu.py --toy      # the same at toy size; under two minutes on a CPU

Every measurement is written as a row of `results/gpu.json` at once, so that an interrupted run
keeps its rows. A measurement that fails is a row with the error. The most important ones of each
section come first, then the others. A network of full size takes about a minute to compile for each
batch size. After `--limit` seconds no further measurement begins.

- `correctness`: exact lengths and energies in float32 and float64; whether every product in the
  programs of a solve has the highest precision; the error of a product by geojax, and by the
  device's default (TF32 if it has that).
- `unet`: Stable Diffusion 1.5's U-Net, random weights, bfloat16. Evaluations a second by batch
  size, as a share of the matrix peak of the same run, with the attention of XLA and of cuDNN; the
  cost of a VJP and a JVP in evaluations; seconds to compile; memory; torch's compiled U-Net.
- `geodesic`: 16 segments between latents of 4 x 64 x 64, by forward passes alone and by
  Gauss-Newton. The share of the time outside the network is computed from the counts of evaluations
  and products, and the time of each.
- `batch`: 4,096 geodesics of the characters' latent model and of the digits' pixels; geodesics a
  second here, and on one core of the host.
- `dimensions`: the rings of `work_precision.py` in D = 16,384.

It needs jax, equinox, diffrax, optimistix, lineax, optax, jaxtyping, safetensors, scipy, pillow,
matplotlib, typer and rich, geojax's other dependency pooch (with platformdirs), and for the rows of
torch torch and diffusers (with importlib_metadata). It needs no network connection.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# JAX would reserve most of the device's memory, which torch needs too.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np
import stable_diffusion as sd
from pairs import lanes_of
from record import ROOT, add_row, origin
from work_precision import CASES, ours, place

import geojax
from geojax._linalg import dot

sys.path.insert(0, str(ROOT))
from tests.programs import imprecise_products

RESULTS = ROOT / "benchmarks" / "results"
# Name, function, and whether it comes after the first rows of each section.
Measurements = Iterator[tuple[str, Callable[[], dict[str, Any]], bool]]


# Correctness -------------------------------------------------------------------------------------


def half_plane(x, args):
    """The metric of the upper half-plane."""
    return jnp.eye(2, dtype=x.dtype) / x[1] ** 2


def oracles() -> dict[str, Callable[[int], tuple[float, float]]]:
    """The computed and the exact value, by number of segments, at JAX's default precision."""

    def hyperbolic(segments):
        a, b = jnp.array([0.0, 1.0]), jnp.array([2.0, 1.0])
        found = geojax.geodesic(geojax.DenseMetric(half_plane), a, b, num_segments=segments)
        return float(found.length), float(np.arccosh(3.0))

    def ring(segments):
        problem = place(CASES[0], 50, segments)
        metric = jax.tree.map(lambda a: a.astype(float), problem.metric)
        ends = problem.x0.astype(float), problem.x1.astype(float)
        found = geojax.geodesic(metric, *ends, num_segments=segments)
        return float(found.energy), CASES[0].exact

    return {"half-plane length": hyperbolic, "ring energy": ring}


def judged(name: str, dtype: str, segments: int) -> dict[str, Any]:
    """The row of one oracle in one precision."""
    with jax.enable_x64(dtype == "float64"):
        found, exact = oracles()[name](segments)
    error = abs(found / exact - 1)
    # With fourth order the meshes give five digits, which float32 keeps.
    limit = 1e-4 if segments >= 64 else 1e-2
    return {"found": found, "exact": exact, "relative_error": error, "right": error < limit}


def product_errors(size: int) -> dict[str, Any]:
    """Relative errors of inner products in float32: geojax's, and the device's default."""
    a = np.random.default_rng(0).standard_normal((2, size)).astype(np.float32) + 1
    exact = float(np.dot(*a.astype(np.float64)))
    x, y = jnp.asarray(a)
    columns = jnp.stack([y] * 128, 1)  # wide enough for the units that round to TF32
    found = {"geojax": float(dot(x, y)), "default": float((x[None] @ columns)[0, 0])}
    errors = {name: abs(value / exact - 1) for name, value in found.items()}
    return {"relative_errors": errors, "right": errors["geojax"] < 1e-5}


def unsafe_products() -> dict[str, Any]:
    """The number of products in the program of a solve without the highest precision."""
    metric = geojax.SteinScoreMetric(geojax.Shell(2.0, 0.25), 1.0)
    a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])

    def energy(a, b):
        return geojax.geodesic(metric, a, b, throw=False).energy

    count = len(imprecise_products(jax.make_jaxpr(jax.value_and_grad(energy))(a, b).jaxpr))
    return {"products": count, "right": count == 0}


def correctness(toy: bool) -> Measurements:
    """The correctness of the figures on this device."""
    yield "products of a solve", unsafe_products, False
    yield "inner product", lambda: product_errors(10_000 if toy else 1_000_000), False
    for name in oracles():
        for dtype in ("float32",) if toy else ("float32", "float64"):
            run = functools.partial(judged, name, dtype, 16 if toy else 64)
            yield f"{name}, {dtype}", run, False


# The U-Net ---------------------------------------------------------------------------------------


@functools.cache
def setting(toy: bool, attention: str) -> sd.Setting:
    """The network and its inputs."""
    return sd.Setting("toy" if toy else "1.5", jnp.dtype("bfloat16"), attention, 2 if toy else 5)


@functools.cache
def peak(toy: bool) -> float:
    """FLOP/s of a large product in bfloat16."""
    return sd.matrix_peak(jnp.dtype("bfloat16"), 256 if toy else 8192, 10)


@functools.cache
def forward_row(toy: bool, attention: str, size: int) -> dict[str, Any]:
    """Evaluations a second at a batch size."""
    return sd.forward_rows(setting(toy, attention), [size], peak(toy))[0]


@functools.cache
def derivatives(toy: bool, attention: str) -> dict[str, float]:
    """A VJP and a JVP in evaluations."""
    return sd.derivative_cost(setting(toy, attention))


def torch_row(toy: bool, size: int) -> dict[str, Any]:
    """Evaluations a second of diffusers' U-Net, compiled by torch."""
    rows = sd.torch_rows(setting(toy, "xla"), [size], compiled=not toy)
    return rows[0] if rows else {"skipped": "torch or diffusers is not installed"}


def unet(toy: bool) -> Measurements:
    """Speed of the network, of its derivatives, and of torch's."""
    size = 2 if toy else 32
    yield "matrix peak", lambda: {"tflops": peak(toy) / 1e12}, False
    yield f"batch {size}, xla", lambda: forward_row(toy, "xla", size), False
    yield f"torch, batch {size}", lambda: torch_row(toy, size), False
    yield "derivatives in evaluations, xla", lambda: derivatives(toy, "xla"), False
    yield "memory", lambda: {"peak_gib": sd.peak_memory()}, False
    if not toy:
        yield f"batch {size}, cudnn", lambda: forward_row(toy, "cudnn", size), True
        for other in (16, 1, 4, 64):
            run = functools.partial(forward_row, toy, "xla", other)
            yield f"batch {other}, xla", run, True
        run = functools.partial(derivatives, toy, "cudnn")
        yield "derivatives in evaluations, cudnn", run, True
    yield "compile seconds", lambda: sd.compile_seconds(setting(toy, "xla")), True


# Geodesics ---------------------------------------------------------------------------------------

SOLVERS = ("quadrature, Gauss-Newton, forward only", "midpoint, Gauss-Newton")


def geodesic_row(toy: bool, name: str) -> dict[str, Any]:
    """A solve between latents, and the share of its time outside the network."""
    chunk = 2 if toy else 16
    given = setting(toy, "xla")
    row = sd.geodesic_rows(given, chunk, [name])["rows"][0]
    each = 1 / forward_row(toy, "xla", chunk)["evaluations_per_second"]
    # A product is a VJP, which includes an evaluation.
    cost = max(derivatives(toy, "xla")["vjp"] - 1, 0.0)
    network = each * (row["unet_evaluations"] + cost * row["unet_products"])
    return row | {"network_seconds": network, "share_outside": 1 - network / row["seconds"]}


def geodesic(toy: bool) -> Measurements:
    """Geodesics of the full-size network."""
    for name in SOLVERS[:1] if toy else SOLVERS:
        yield name, functools.partial(geodesic_row, toy, name), name != SOLVERS[0]


def batch_row(model: str, lanes: int, batch_size: int) -> dict[str, Any]:
    """Geodesics a second, without compilation, on JAX's default device."""
    metric, a, b = lanes_of(model, lanes)

    @jax.jit
    def run(metric, a, b):
        found = geojax.geodesic_batch(
            metric, a, b, batch_size=batch_size, throw=False, diagnostics="price"
        )
        return found.successful, found.stats["score_evaluations"], found.stats["score_products"]

    start = time.perf_counter()
    successful, evaluations, products = jax.block_until_ready(run(metric, a, b))
    first = time.perf_counter() - start
    start = time.perf_counter()
    jax.block_until_ready(run(metric, a, b))
    took = time.perf_counter() - start
    return {
        "lanes": lanes,
        "batch_size": batch_size,
        "geodesics_per_second": lanes / took,
        "seconds_with_compilation": first,
        "successful": float(jnp.mean(successful)),
        "evaluations_each": float(jnp.mean(evaluations)),
        "products_each": float(jnp.mean(products)),
        "dimension": int(np.prod(a.shape[1:])),
        "device": jax.devices()[0].device_kind,
    }


def on_one_core(model: str, lanes: int) -> dict[str, Any]:
    """`batch_row` in a process of its own, which has one core and no accelerator."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--one-core", model, "--lanes", str(lanes)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def batch(toy: bool) -> Measurements:
    """Thousands of geodesics."""
    lanes, size = (4, 4) if toy else (4096, 512)
    for model in ("characters",) if toy else ("characters", "digits"):
        later = model != "characters"
        yield model, functools.partial(batch_row, model, lanes, size), later
        one = functools.partial(on_one_core, model, 2 if toy else 16)
        yield f"{model}, one core", one, later


def ring_row(case: Any, dimension: int, segments: int) -> dict[str, Any]:
    """Seconds and evaluations of Gauss-Newton to within a thousandth of the exact energy."""
    with jax.enable_x64(True):
        problem = place(case, dimension, segments)
        trace = ours(geojax.GaussNewton())(problem, 5.0)
    reached = [k for k, e in enumerate(trace.energies) if abs(e / case.exact - 1) < 1e-3]
    row = {"dimension": dimension, "segments": segments, "status": trace.status}
    row |= {"relative_error": trace.energies[-1] / case.exact - 1}
    row |= {"compile_seconds": trace.compile_seconds}
    if reached:
        row |= {"seconds": trace.seconds[reached[0]], "evaluations": trace.evaluations[reached[0]]}
    return row


def dimensions(toy: bool) -> Measurements:
    """Exactly known geodesics in many dimensions."""
    for case in CASES[:1] if toy else CASES:
        run = functools.partial(ring_row, case, 50 if toy else 16_384, 64)
        yield case.name, run, case is not CASES[0]


SECTIONS: dict[str, Callable[[bool], Measurements]] = {
    "correctness": correctness,
    "unet": unet,
    "geodesic": geodesic,
    "batch": batch,
    "dimensions": dimensions,
}


def main(arguments: list[str] | None = None) -> None:
    """Measure, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", help=f"default all: {', '.join(SECTIONS)}")
    parser.add_argument("--toy", action="store_true", help="small networks, few lanes")
    parser.add_argument("--limit", type=float, default=540, help="seconds; 540 by default")
    parser.add_argument("--out", type=Path, help="default results/gpu.json, or gpu_toy.json")
    parser.add_argument("--one-core", help=argparse.SUPPRESS)
    parser.add_argument("--lanes", type=int, default=16, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one_core:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        print(json.dumps(batch_row(options.one_core, options.lanes, 4)))
        return
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown section {sorted(unknown)}; choose from {', '.join(SECTIONS)}")
    if options.toy:  # nearly all its time is compilation
        jax.config.update("jax_disable_most_optimizations", True)
    out = options.out or RESULTS / ("gpu_toy.json" if options.toy else "gpu.json")
    device = jax.devices()[0]
    if not options.toy and device.platform == "cpu":
        parser.error("JAX sees no accelerator here: run it on a GPU, or with --toy.")
    print(f"{device.device_kind}; {origin()['versions']}", flush=True)
    start = time.perf_counter()
    chosen = options.sections or SECTIONS
    planned = [(name, *entry) for name in chosen for entry in SECTIONS[name](options.toy)]
    for section, name, measure, _ in sorted(planned, key=lambda entry: entry[-1]):
        row: dict[str, Any] = {"section": section, "what": name, "device": device.device_kind}
        begun = time.perf_counter()
        if begun - start > options.limit:
            row |= {"skipped": f"the limit of {options.limit:g} s was reached"}
        else:
            try:
                row |= measure()
            except Exception as error:  # if one measurement fails, the others still run
                first = str(error).strip().splitlines() or [""]
                row |= {"error": f"{type(error).__name__}: {first[0][:300]}"}
            row |= {"measured_in": time.perf_counter() - begun}
        add_row(out, row, ("section", "what", "device"))
        print(f"{section}, {name}: {_in_words(row)}", flush=True)


def _in_words(row: dict[str, Any]) -> str:
    """The row as text."""
    left = {"section", "what", "device"}
    parts = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()]
    return "; ".join(p for p in parts if p.split()[0] not in left)


if __name__ == "__main__":
    main()
