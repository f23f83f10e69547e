"""Thousands of geodesics in one call: the queue against vmap, chunks and a loop.

    python benchmarks/batches.py              # everything; minutes on two cores
    python benchmarks/batches.py --dims 2     # only the plane

The metric is that of a ring density (radius 2, width 0.25, lam = 1) in D dimensions, with N = 32,
float64, and Gauss-Newton with at most 100 steps. The ends of a lane lie near the ring, up to 2
radians apart. In the mix "hard" one lane in fifty is stiff (nearly opposite ends on a ring of a
tenth of the width), and one in a hundred fails because it uses up its steps. Each strategy does the
same work:

- `vmap`: one `jax.vmap` of `geodesic` over all lanes, which takes as long as the slowest lane;
- `chunks of 64`: `jax.lax.map` with `batch_size=64`; each chunk takes as long as its slowest lane;
- `loop`: one lane after the other in `jax.lax.map`; no lane waits, and none shares a step;
- `queue, b`: `geodesic_batch` with `batch_size=b`.

Score evaluations are counted in a separate run, by a score that reports each call. `executed` are
those that ran, `needed` the sum of the lanes' own counts. Times are medians without compilation, in
wall-clock and in processor seconds. The machine may be shared, so only ratios of processor seconds
within one run can be compared.
"""

import argparse
import functools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from record import ROOT, add_row

import geojax

RESULTS = ROOT / "benchmarks" / "results" / "batches.json"
LANES = {2: 4000, 10: 2000, 50: 1000}
OPTIONS = {"num_segments": 32, "max_steps": 100, "throw": False}
CALLS = {"score": 0}


class Ring(eqx.Module):
    """A ring whose width is divided by the lane's `args`; it can report its calls."""

    embedding: jax.Array
    counted: bool = eqx.field(static=True, default=False)

    def __call__(self, x, args):
        ring = geojax.Shell(2.0, 0.25 / args, dim=2, embedding=self.embedding)
        if self.counted:
            x = x + _report(x)
        return ring(x)


@jax.custom_jvp
def _report(x):
    """Zero, after it has reported one evaluation to the host."""
    return _tally(x[0])


@_report.defjvp
def _report_jvp(primals, tangents):
    del tangents
    out = _report(*primals)
    return out, jnp.zeros_like(out)


@jax.custom_batching.custom_vmap
def _tally(x):
    """One call to the host for all points that `jax.vmap` evaluates at once."""
    # No operand, because the host would wait for it on the thread that delivers it.
    jax.debug.callback(functools.partial(_count, x.size))
    return jnp.zeros_like(x)


@_tally.def_vmap
def _tally_vmap(size, batched, x):
    del size
    return _tally(x), batched[0]


def _count(number: int):
    CALLS["score"] += number


def problem(d: int, lanes: int, mix: str) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """The embedding of the ring, and the inputs of the lanes: both ends and `args`."""
    rng = np.random.default_rng(d)
    embedding = geojax.scores.random_embedding(2, d, key=jax.random.key(d))
    start = rng.uniform(0, 2 * np.pi, lanes)
    apart = rng.uniform(0.2, 2.0, lanes)
    radii = 2 + 0.1 * rng.normal(size=(2, lanes))
    factor = np.ones(lanes)
    if mix == "hard":
        order = rng.permutation(lanes)
        stiff, failing = order[: lanes // 50], order[lanes // 50 : 3 * lanes // 100]
        apart[stiff], factor[stiff] = 3.0, 10.0
        apart[failing], factor[failing] = 3.1, 1000.0

    def place(r, angle):
        return jnp.asarray(np.stack([r * np.cos(angle), r * np.sin(angle)], 1)) @ embedding

    return embedding, (place(radii[0], start), place(radii[1], start + apart), jnp.asarray(factor))


def one(score, lane):
    """The geodesic of one lane."""
    x0, x1, args = lane
    return geojax.geodesic(geojax.SteinScoreMetric(score, 1.0), x0, x1, args=args, **OPTIONS)


def queue(batch_size: int) -> Callable[..., Any]:
    """`geodesic_batch` as a strategy."""

    def run(score, lanes):
        x0, x1, args = lanes
        metric = geojax.SteinScoreMetric(score, 1.0)
        more = {"args": args, "args_axis": 0, "batch_size": batch_size}
        return geojax.geodesic_batch(metric, x0, x1, **more, **OPTIONS)

    return run


STRATEGIES: dict[str, Callable[..., Any]] = {
    "loop": lambda score, lanes: jax.lax.map(lambda lane: one(score, lane), lanes),
    "queue, 4": queue(4),
    "queue, 16": queue(16),
    "queue, 64": queue(64),
    "chunks of 64": lambda score, lanes: jax.lax.map(
        lambda lane: one(score, lane), lanes, batch_size=64
    ),
    "vmap": lambda score, lanes: jax.vmap(lambda lane: one(score, lane))(lanes),
}


def figures(batch) -> dict[str, jax.Array]:
    """The measured figures of a batch."""
    (verdict,) = jax.tree.leaves(batch.result)
    names = ("num_steps", "score_evaluations")
    return {"energy": batch.energy, "verdict": verdict, **{n: batch.stats[n] for n in names}}


@eqx.filter_jit
def _run(name: str, score, lanes):
    return figures(STRATEGIES[name](score, lanes))


def race(d: int, lanes: int, mix: str, name: str, repeats: int) -> dict[str, Any]:
    """One row: a strategy on a mix."""
    embedding, ends = problem(d, lanes, mix)
    CALLS["score"] = 0
    counted = jax.block_until_ready(_run(name, Ring(embedding, counted=True), ends))
    jax.effects_barrier()
    executed = CALLS["score"]
    run, score = functools.partial(_run, name), Ring(embedding)
    found = jax.block_until_ready(run(score, ends))
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        jax.block_until_ready(run(score, ends))
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    wall, processor = statistics.median(walls), statistics.median(processors)
    needed = int(counted["score_evaluations"].sum())
    return {
        "dimension": d,
        "lanes": lanes,
        "mix": mix,
        "strategy": name,
        "geodesics_per_second": round(lanes / wall, 1),
        "geodesics_per_processor_second": round(lanes / processor, 1),
        "seconds": round(wall, 3),
        "processor_seconds": round(processor, 3),
        "score_evaluations_executed": executed,
        "score_evaluations_needed": needed,
        "executed_over_needed": round(executed / needed, 3),
        "successful": int((found["verdict"] == 0).sum()),
        "median_steps": int(np.median(found["num_steps"])),
        "most_steps": int(found["num_steps"].max()),
        "mean_energy_of_successful": float(
            np.mean(np.asarray(found["energy"])[np.asarray(found["verdict"] == 0)])
        ),
    }


def main() -> None:
    """Run the dimensions and strategies named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", type=int, nargs="*", default=list(LANES), choices=list(LANES))
    parser.add_argument("--strategies", nargs="*", default=list(STRATEGIES))
    parser.add_argument("--lanes", type=int, help="instead of the number that goes with D")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    for d in options.dims:
        for name in options.strategies:
            for mix in ("easy", "hard"):
                row = race(d, options.lanes or LANES[d], mix, name, options.repeats)
                print(row, flush=True)
                add_row(options.out, row, ("dimension", "lanes", "mix", "strategy"))


if __name__ == "__main__":
    main()
