"""The terms of the cost model in `docs/scale.md`, each compared with a measurement.

    python benchmarks/scale.py            # a few minutes on one core

- `evaluations`: of a Gauss-Newton solve by number of segments N, counted and by the formula.
- `memory`: of a solve without its ends and the network, in arrays of N D numbers, as planned by
  XLA, by N and D; on one device, and with the points of the path distributed over eight.
- `messages`: between eight devices, in one linearisation of a path.
- `outside`: seconds of a step outside the score, in passes over N D numbers, by D.
- `network`: a solve with the bundled network of digits, predicted from the time of one
  linearisation of its score, and measured.
- `flops`: operations of one evaluation of a score, and of one with its VJP, as counted by XLA.
- `pairs`: geodesics a second on one core in the characters' latent space, by lanes in a batch.
"""

import argparse
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import stable_diffusion as sd
from gpu import batch_row
from pairs import lanes_of
from record import ROOT, add_row

import geojax
from geojax.models.stable_diffusion import UNet

RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
SHARES = 8
PLAIN = geojax.GaussNewton(curvature_steps=0)
OPTIONS: dict[str, Any] = {"throw": False, "diagnostics": "none"}


def ring() -> geojax.SteinScoreMetric:
    """A metric whose score costs almost nothing."""
    radius, width, lam = (jnp.asarray(value, jnp.float32) for value in (2.0, 0.5, 1.0))
    return geojax.SteinScoreMetric(geojax.Shell(radius, width), lam)


def ends(dimension: int):
    """Two points of the ring."""
    zero = jnp.zeros(dimension, jnp.float32)
    return zero.at[0].set(2.0), zero.at[0].set(-0.83).at[1].set(1.82)


def evaluations(segments: int) -> dict[str, Any]:
    """The count of a solve, and the formula `2 N (S + 1)`.

    There are two Gauss points a segment, S steps and the start.
    """
    found = geojax.geodesic(ring(), *ends(50), solver=PLAIN, num_segments=segments, **OPTIONS)
    steps = int(found.stats["num_steps"])
    return {
        "segments": segments,
        "steps": steps,
        "evaluations": int(found.stats["score_evaluations"]),
        "products": int(found.stats["score_products"]),
        "predicted": 2 * segments * (steps + 1),
    }


def program(segments: int, dimension: int, rule: Any = None):
    """A compiled solve."""

    def solve(a, b):
        options = {"solver": PLAIN, "rule": rule, "num_segments": segments} | OPTIONS
        return geojax.geodesic(ring(), a, b, **options).curve.xs

    return jax.jit(solve).lower(*ends(dimension)).compile()


def memory(segments: int, dimension: int, shared: bool) -> dict[str, Any]:
    """Temporary arrays as multiples of the path."""
    rule = geojax.SplineGauss(devices=geojax.device_mesh()) if shared else None
    analysis = program(segments, dimension, rule).memory_analysis()
    return {
        "segments": segments,
        "dimension": dimension,
        "devices": jax.device_count() if shared else 1,
        "paths": analysis.temp_size_in_bytes / (4 * segments * dimension),
    }


def messages(segments: int, dimension: int) -> dict[str, Any]:
    """Collective operations in the loop of a solve, and the numbers that they gather."""
    rule = geojax.SplineGauss(devices=geojax.device_mesh())
    text = program(segments, dimension, rule).as_text()
    pattern = r"= (\w+)\[([\d,]*)\]\S* (all-gather|all-reduce|all-to-all|collective-permute)\("
    found = re.findall(pattern, text)
    numbers = sum(math.prod(int(n) for n in shape.split(",") if n) for _, shape, _ in found)
    return {
        "segments": segments,
        "dimension": dimension,
        "devices": jax.device_count(),
        "operations": [f"{operation} {dtype}[{shape}]" for dtype, shape, operation in found],
        "numbers": numbers,
        "predicted": 4 * segments * dimension + 2 * segments,
    }


def outside(dimension: int, segments: int) -> dict[str, Any]:
    """Seconds of a step with a score that costs nothing, in passes over N D numbers.

    A pass reads and writes each number once.
    """
    a, b = ends(dimension)

    @jax.jit
    def solve(a, b):
        options = {"solver": PLAIN, "num_segments": segments} | OPTIONS
        found = geojax.geodesic(ring(), a, b, **options)
        return found.energy, found.stats["num_steps"]

    steps = int(solve(a, b)[1])
    path = jnp.ones((segments, dimension), jnp.float32)
    move = jax.jit(lambda x: 1.5 * x)
    each = sd.seconds(lambda: solve(a, b), 5) / (steps + 1)
    return {
        "segments": segments,
        "dimension": dimension,
        "seconds_a_step": each,
        "passes": each / sd.seconds(lambda: move(path), 5),
    }


def network(segments: int, toy: bool) -> dict[str, Any]:
    """The measured time, and the prediction: S + 1 times a score and a VJP at the 2 N points of a
    path.
    """
    metric, starts, stops = lanes_of("characters" if toy else "digits", 1)
    score, a, b = metric.score, starts[0], stops[0]
    points = a + jnp.linspace(0, 1, 2 * segments, dtype=a.dtype).reshape(-1, *[1] * a.ndim) * (
        b - a
    )

    @jax.jit
    def linearise(points):
        def one(x):
            s, pull = jax.vjp(lambda y: score(y, None), x)
            return s, pull(s)[0]

        return jax.vmap(one)(points)

    @jax.jit
    def solve(a, b):
        options = {"solver": PLAIN, "num_segments": segments} | OPTIONS
        found = geojax.geodesic(metric, a, b, **options)
        return found.energy, found.stats["num_steps"]

    steps = int(solve(a, b)[1])
    predicted = (steps + 1) * sd.seconds(lambda: linearise(points), 3)
    took = sd.seconds(lambda: solve(a, b), 3)
    return {
        "segments": segments,
        "dimension": a.size,
        "steps": steps,
        "seconds": took,
        "predicted": predicted,
        "measured_over_predicted": took / predicted,
    }


def flops(model: str) -> dict[str, Any]:
    """Operations of a bundled score, or of Stable Diffusion 1.5's U-Net without weights."""
    if model == "Stable Diffusion 1.5":
        network = eqx.filter_eval_shape(UNet, sd.config_of("1.5"))
        point = jax.ShapeDtypeStruct((4, 64, 64), jnp.float32)
        text = jax.ShapeDtypeStruct((77, network.text_width), jnp.float32)
        arrays, static = eqx.partition(network, lambda a: isinstance(a, jax.ShapeDtypeStruct))
    else:
        metric, starts, _ = lanes_of(model, 1)
        arrays, static = eqx.partition(metric.score, eqx.is_array)
        point, text = jax.ShapeDtypeStruct(starts.shape[1:], jnp.float32), None

    def evaluate(arrays, x, text):
        score = eqx.combine(arrays, static)
        return score(x, None) if text is None else score(x, 399, text)

    def with_vjp(arrays, x, text):
        s, pull = jax.vjp(lambda y: evaluate(arrays, y, text), x)
        return s, pull(s)[0]

    def count(function):
        compiled = jax.jit(function).lower(arrays, point, text).compile()
        return (compiled.cost_analysis() or {}).get("flops", float("nan"))

    weights = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(arrays))
    return {
        "weights": weights,
        "dimension": math.prod(point.shape),
        "evaluation": count(evaluate),
        "with_vjp": count(with_vjp),
    }


def measurements(toy: bool) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
    """Section, name and function."""
    for n in (8, 16) if toy else (8, 16, 32, 64, 128):
        yield "evaluations", f"N = {n}", lambda n=n: evaluations(n)
    for n, d in ((8, 100),) if toy else ((16, 1_000), (16, 16_384), (64, 16_384), (16, 10**6)):
        for shared in (False, True):
            name = f"N = {n}, D = {d}, {'shared' if shared else 'alone'}"
            yield "memory", name, lambda n=n, d=d, shared=shared: memory(n, d, shared)
        yield "messages", f"N = {n}, D = {d}", lambda n=n, d=d: messages(n, d)
    for d in (1_000,) if toy else (10_000, 100_000, 1_000_000):
        yield "outside", f"N = 16, D = {d}", lambda d=d: outside(d, 16)
    for n in (8,) if toy else (16, 32):
        yield "network", f"N = {n}", lambda n=n: network(n, toy)
    for model in ("characters",) if toy else ("characters", "digits", "Stable Diffusion 1.5"):
        yield "flops", model, lambda model=model: flops(model)
    for lanes in (2,) if toy else (1, 16, 128):
        yield "pairs", f"{lanes} lanes", lambda k=lanes: batch_row("characters", 2 * k, k)


def main(arguments: list[str] | None = None) -> None:
    """Measure, row by row, in a process with one core that has eight devices."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="the smallest of each, in seconds")
    parser.add_argument("--only", help="one section")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if jax.device_count() != SHARES:
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={SHARES}"
        environment = os.environ | {"XLA_FLAGS": flags.strip(), "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, __file__, "--out", str(options.out)]
        command += ["--toy"] if options.toy else []
        command += ["--only", options.only] if options.only else []
        raise SystemExit(subprocess.run(command, env=environment, check=False).returncode)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for section, name, measure in measurements(options.toy):
        if options.only not in (None, section):
            continue
        row = {"section": section, "what": name} | measure()
        add_row(options.out, row, ("section", "what"))
        shown = ", ".join(f"{k} {v:.4g}" for k, v in row.items() if isinstance(v, float | int))
        print(f"{section}, {name}: {shown}", flush=True)


if __name__ == "__main__":
    main()
