"""Energies of the same nodes as a polyline and as a spline, and of the minima of both.

    python benchmarks/curves.py              # all; some minutes on two cores
    python benchmarks/curves.py ring stiff   # only these problems

For each number of segments, these are relative errors of the energy against the exact one:

- `midpoint`: of the midpoint rule on the polyline that it minimises;
- `polyline`: of that polyline, by five Gauss-Legendre points a segment;
- `spline`: of the cubic spline through the same nodes (`energy_fine` of that solution);
- `galerkin`: of the energy that `SplineGauss`, the default, minimises; `galerkin_fine` is its
  `energy_fine`, and `length` the relative error of its length.

On the bundled network (float32) the exact energy is unknown, and the rows have the energies. The
result is `results/curves.json`, with the order of each error between the last two meshes.
"""

import argparse
import math
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from record import ROOT, add_row
from solvers import exact_problems, network_problems

import geojax
from geojax.geodesics import Polyline

RESULTS = ROOT / "benchmarks" / "results" / "curves.json"


class Case(NamedTuple):
    """A problem, its exact energy if it is known, and the numbers of segments."""

    metric: Any
    x0: jax.Array
    x1: jax.Array
    exact: float | None
    segments: tuple[int, ...]


def cases(names: list[str]) -> dict[str, Case]:
    """The problems by name."""
    found = {}
    exact = {p.name: p for p in exact_problems() if p.x0.size == 50}
    for name, of in (("ring", "ring, uneven radii"), ("stiff", "stiff ring")):
        problem = exact[of]
        metric = geojax.SteinScoreMetric(problem.score, problem.lam)
        ends = problem.x0, problem.x1
        found[name] = Case(metric, *ends, _shell_energy(problem), (8, 16, 32, 64, 128))
    a, b = jnp.asarray([0.0, 1.0]), jnp.asarray([2.0, 1.0])
    plane = geojax.DenseMetric(lambda x, args: jnp.eye(2) / x[1] ** 2)
    found["half-plane"] = Case(plane, a, b, math.acosh(3) ** 2 / 2, (8, 16, 32, 64, 128))
    if "network" in names:
        problem = next(p for p in network_problems(1) if str(p.x0.dtype) == "float32")
        metric = geojax.SteinScoreMetric(problem.score, problem.lam)
        found["network"] = Case(metric, problem.x0, problem.x1, None, (8, 16, 32, 64))
    return {name: found[name] for name in names}


def _shell_energy(problem) -> float:
    """The energy of a far finer solve, which agrees with Clairaut's relation to 1e-6."""
    metric = geojax.SteinScoreMetric(problem.score, problem.lam)
    rule, solver = geojax.SplineGauss(order=3), geojax.GaussNewton(rtol=1e-13)
    options = {"num_segments": 400, "rule": rule, "solver": solver}
    energy = float(geojax.geodesic(metric, problem.x0, problem.x1, **options).energy)
    assert abs(energy / problem.exact - 1) < 1e-6, (energy, problem.exact)
    return energy


@eqx.filter_jit
def _inner(metric, x, v):
    return jax.vmap(lambda x, v: metric.inner(x, v, v))(x, v)


def polyline_energy(metric, curve) -> float:
    """The energy of the straight pieces between the nodes, by five points each."""
    places, weights = np.polynomial.legendre.leggauss(5)
    line, n = Polyline(curve.ts, curve.xs), len(curve.ts) - 1
    at = (np.arange(n)[:, None] + (places + 1) / 2).reshape(-1) / n
    points = line.evaluate(jnp.asarray(at, curve.ts.dtype))
    velocities = jnp.repeat(jnp.diff(curve.xs, axis=0) * n, 5, axis=0)
    squares = np.asarray(_inner(metric, points, velocities), np.float64)
    return float(np.sum(squares * np.tile(weights / 2, n)) / n / 2)


def measure(name: str, case: Case, num_segments: int) -> dict[str, Any]:
    """One row."""
    options = {"num_segments": num_segments, "throw": False}
    if case.exact is not None:
        stein = isinstance(case.metric, geojax.SteinScoreMetric)
        options["solver"] = (geojax.GaussNewton if stein else geojax.Newton)(rtol=1e-13)
    old = geojax.geodesic(case.metric, case.x0, case.x1, rule=geojax.Midpoint(), **options)
    new = geojax.geodesic(case.metric, case.x0, case.x1, **options)
    energies = {
        "midpoint": float(old.energy),
        "polyline": polyline_energy(case.metric, old.curve),
        "spline": float(old.stats["energy_fine"]),
        "galerkin": float(new.energy),
        "galerkin_fine": float(new.stats["energy_fine"]),
    }
    row = {"problem": name, "num_segments": num_segments}
    if case.exact is None:
        row |= energies
    else:
        row |= {key: abs(value / case.exact - 1) for key, value in energies.items()}
        row["length"] = abs(float(new.length) / math.sqrt(2 * case.exact) - 1)
    return row | {
        "steps": int(new.stats["num_steps"]),
        "score_evaluations": int(new.stats["score_evaluations"]),
        "score_products": int(new.stats["score_products"]),
        "verdict": new.message.split(".")[0],
        "verdict_of_the_polyline": old.message.split(".")[0],
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the problems named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ("ring", "stiff", "half-plane", "network")
    parser.add_argument("problems", nargs="*", help=f"of {', '.join(names)}; default all")
    parser.add_argument("--segments", type=int, nargs="*", help="only these numbers of segments")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if unknown := set(options.problems) - set(names):
        parser.error(f"unknown problem {sorted(unknown)}; choose from {names}")
    jax.config.update("jax_enable_x64", True)
    for name, case in cases(options.problems or list(names)).items():
        before = None
        for num_segments in options.segments or case.segments:
            row = measure(name, case, num_segments)
            if before is not None and case.exact is not None:
                ratio = math.log(num_segments / before["num_segments"])
                row["orders"] = {
                    key: round(math.log(before[key] / max(row[key], 1e-16)) / ratio, 1)
                    for key in ("midpoint", "polyline", "spline", "galerkin", "length")
                }
            add_row(options.out, row, ("problem", "num_segments"))
            print(row, flush=True)
            before = row


if __name__ == "__main__":
    main()
