"""Hard cases: geodesics between distant modes, where Gauss-Newton steps alone fail.

    python benchmarks/mixtures.py                 # all; an hour on two cores
    python benchmarks/mixtures.py --dimensions 2 --seeds 1

The density has five Gaussians of width 0.4 around means drawn from a unit Gaussian, in D = 2 and D
= 50, with lam = 1 and 100. The geodesic joins the first two means. Between the modes the density
falls by many orders of magnitude, and the score jumps from one mode's to the other's.

A row compares the energies of paths, computed with several points a segment:

- the solver without exact curvature, and with it (the default), from the straight line, with the
  intended number of segments;
- `robust_geodesic`, from the straight line, from the shortest path through samples and from the
  broken lines through each other mode, with as many segments as it needs: the best of many starts;
- all of them with the chord bound: no path is shorter than
  `|(x1 - x0, sqrt(lam) (log p(x1) - log p(x0)))|`.

Two modes of equal height have the bound |x1 - x0|, which is far below the energy of any path
through the valley. The bound is not the least energy there.
"""

import argparse
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from record import ROOT, add_row

import geojax

RESULTS = ROOT / "benchmarks" / "results" / "mixtures.json"
WIDTH = 0.4
SEGMENTS = {2: 128, 50: 256}
MAX_SEGMENTS = {2: 1024, 50: 512}
SEEDS = {2: 4, 50: 2}
STEPS = 200


class Modes(eqx.Module):
    """Equal Gaussians."""

    means: Float[Array, "k d"]

    def _logs(self, x):
        return -jnp.sum((self.means - x[None]) ** 2, axis=1) / (2 * WIDTH**2)

    def __call__(self, x, args: Any = None):
        return (jax.nn.softmax(self._logs(x)) @ self.means - x) / WIDTH**2

    def log_density(self, x, args: Any = None):
        return jax.nn.logsumexp(self._logs(x))


@eqx.filter_jit
def plain(metric, a, b, solver, num_segments):
    """A solve from the straight line."""
    return geojax.geodesic(
        metric, a, b, solver=solver, num_segments=num_segments, max_steps=STEPS, throw=False
    )


def figures(solution) -> dict[str, Any]:
    """The figures of a solve for a row."""
    stats = solution.stats
    return {
        "verdict": solution.message.split(".")[0].split(":")[0],
        "num_segments": len(solution.curve.ts) - 1,
        "steps": int(stats["num_steps"]),
        "score_evaluations": int(stats["score_evaluations"]),
        "decrement": float(stats["decrement"]),
        "energy": float(solution.energy),
        "energy_fine": float(stats["energy_fine"]),
        "discretisation_error": float(stats["discretisation_error"]),
        "length_over_bound": float(solution.length / stats["lower_bound"]),
    }


def run(dimension: int, lam: float, seed: int) -> dict[str, Any]:
    """One mixture."""
    means = jnp.asarray(np.random.default_rng(seed).normal(size=(5, dimension)))
    metric = geojax.SteinScoreMetric(Modes(means), jnp.asarray(lam))
    a, b = means[:2]
    row: dict[str, Any] = {"dimension": dimension, "lam": lam, "seed": seed}
    n = SEGMENTS[dimension]
    row["without_curvature"] = figures(
        plain(metric, a, b, geojax.GaussNewton(curvature_steps=0), n)
    )
    row["default"] = figures(plain(metric, a, b, None, n))
    noise = jax.random.normal(jax.random.key(seed), (5, 60, dimension))
    samples = (means[:, None] + WIDTH * noise).reshape(-1, dimension)
    robust = geojax.robust_geodesic(
        metric,
        a,
        b,
        samples=samples,
        starts=[jnp.stack([a, c, b]) for c in means[2:]],
        num_segments=64,
        max_segments=MAX_SEGMENTS[dimension],
        max_steps=STEPS,
        discretisation_tolerance=0.05,
        throw=False,
    )
    row["robust"] = figures(robust) | {
        "start": ["line", "samples", "mode 3", "mode 4", "mode 5"][int(robust.stats["start"])],
        "start_energies": [float(e) for e in robust.stats["start_energies"]],
    }
    return row


def main() -> None:
    """Run the mixtures of the command line; rows of the same case in the file are replaced."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="*", choices=SEGMENTS, default=[*SEGMENTS])
    parser.add_argument("--lams", type=float, nargs="*", default=[1.0, 100.0])
    parser.add_argument("--seeds", type=int, help="how many")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    for dimension in options.dimensions:
        for lam in options.lams:
            for seed in range(options.seeds or SEEDS[dimension]):
                row = run(dimension, lam, seed)
                print(row, flush=True)
                add_row(options.out, row, ("dimension", "lam", "seed"))


if __name__ == "__main__":
    main()
