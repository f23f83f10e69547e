"""`Newton` against `Georce` on the manifolds of GEORCE's own benchmark: energy, steps, time.

    taskset -c 0 python benchmarks/manifolds.py              # everything that is not there yet
    taskset -c 0 python benchmarks/manifolds.py sphere torus --dims 2 10  # only these, again

Metrics are matrices in a chart, in float64: spheres and ellipsoids (stereographic), paraboloids,
the upper half-space and the Poincare ball, each in 2 to 100 dimensions; positive matrices with the
affine-invariant metric; normal laws with Fisher's metric; a torus. Both solvers start from the
straight line. Energies are those of the solution's curve, which is the spline through the nodes for
both, at six Gauss points a segment. Times are the best of several runs of the compiled call without
diagnostics, with the solvers in turn. Run it on one core: on a shared machine the times of calls on
two cores are mostly waiting. Ratios within a row then hold.

Each row has these entries.

- For every number of segments, energy, steps and seconds of both solvers.
- `at_equal_N`: the ratios for equal N.
- `at_equal_energy`: the fewest segments of `Newton` whose energy is not above that of `Georce` with
  the most segments, and the ratio of the times.
- `at_equal_length`: the same for the error of the returned length, if the distance is known.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from record import ROOT, add_row

import geojax

RESULTS = ROOT / "benchmarks" / "results" / "manifolds.json"
SEGMENTS = {"Newton": (8, 16, 32, 100), "Georce": (32, 100)}
DIMENSIONS = 2, 3, 5, 10, 20, 50, 100
SOLVERS = {"Newton": geojax.Newton(), "Georce": geojax.Georce()}


class Problem(NamedTuple):
    """A metric as a matrix, two points, and the distance if it has a closed form."""

    matrix: Callable[[Any, Any], Any]
    x0: np.ndarray
    x1: np.ndarray
    distance: float | None = None


def _directions(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors more than a right angle apart."""
    rising = np.linspace(0, 1, dim) if dim > 1 else np.ones(1)
    u, v = -rising, rising[::-1] + 0.3 * rising
    return u / np.linalg.norm(u), v / np.linalg.norm(v)


def _pulled_back(embedding):
    def matrix(x, args):
        jacobian = jax.jacfwd(embedding)(x)
        return jacobian.T @ jacobian

    return matrix


def _on_sphere(x):
    square = jnp.sum(x**2)
    return jnp.append(2 * x, square - 1) / (1 + square)


def sphere(dim: int) -> Problem:
    u, v = _directions(dim)
    x, y = 0.9 * u, 0.7 * v
    a, b = (np.append(2 * z, z @ z - 1) / (1 + z @ z) for z in (x, y))
    metric = lambda x, args: 4 / (1 + jnp.sum(x**2)) ** 2 * jnp.eye(dim)  # noqa: E731
    return Problem(metric, x, y, float(np.arccos(a @ b)))


def ellipsoid(dim: int) -> Problem:
    u, v = _directions(dim)
    axes = jnp.linspace(0.5, 1, dim + 1)
    return Problem(_pulled_back(lambda x: axes * _on_sphere(x)), 0.9 * u, 0.7 * v)


def paraboloid(dim: int) -> Problem:
    u, v = _directions(dim)
    metric = lambda x, args: jnp.eye(dim) + 4 * jnp.outer(x, x)  # noqa: E731
    return Problem(metric, u, v)


def half_space(dim: int) -> Problem:
    u, v = _directions(dim)
    x, y = (np.append(2 * z[:-1], h) for z, h in ((u, 0.4), (v, 0.8)))
    distance = np.arccosh(1 + np.sum((x - y) ** 2) / (2 * x[-1] * y[-1]))
    return Problem(lambda x, args: jnp.eye(dim) / x[-1] ** 2, x, y, float(distance))


def ball(dim: int) -> Problem:
    u, v = _directions(dim)
    x, y = 0.9 * u, 0.95 * v
    inside = (1 - x @ x) * (1 - y @ y)
    distance = np.arccosh(1 + 2 * np.sum((x - y) ** 2) / inside)
    metric = lambda x, args: 4 / (1 - jnp.sum(x**2)) ** 2 * jnp.eye(dim)  # noqa: E731
    return Problem(metric, x, y, float(distance))


def positive_matrices(size: int) -> Problem:
    """Positive matrices by their entries on and above the diagonal, affine-invariant, at distance
    2.
    """
    rows, columns = np.triu_indices(size)
    basis = np.zeros((len(rows), size, size))
    basis[range(len(rows)), rows, columns] = basis[range(len(rows)), columns, rows] = 1

    def metric(x, args):
        inverse = jnp.linalg.inv(jnp.tensordot(x, basis, axes=1))
        moved = jnp.einsum("ij,ajk->aik", inverse, basis)
        return jnp.einsum("aij,bji->ab", moved, moved)

    root = np.linalg.cholesky(np.eye(size) + 0.4 * np.ones((size, size)))
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))
    exponents = np.linspace(-1, 1.5, size)
    exponents = 2 * exponents / np.linalg.norm(exponents)
    end = root @ turn @ np.diag(np.exp(exponents)) @ turn.T @ root.T
    return Problem(metric, (root @ root.T)[rows, columns], end[rows, columns], 2.0)


def normal_laws(dim: int) -> Problem:
    """Normal laws by mean and deviation, with Fisher's metric."""
    x, y = np.array([-1.0, 0.5]), np.array([1.0, 1.0])
    moved = 1 + ((x[0] - y[0]) ** 2 / 2 + (x[1] - y[1]) ** 2) / (2 * x[1] * y[1])
    metric = lambda x, args: jnp.diag(jnp.array([1.0, 2.0])) / x[1] ** 2  # noqa: E731
    return Problem(metric, x, y, float(np.sqrt(2) * np.arccosh(moved)))


def torus(dim: int) -> Problem:
    """A torus by its two angles, around the tube and around the axis, with radii 1 and 3."""
    metric = lambda x, args: jnp.diag(jnp.stack([1.0 + 0 * x[0], (3 + jnp.cos(x[0])) ** 2]))  # noqa: E731
    return Problem(metric, np.array([0.0, 0.0]), np.array([5 * np.pi / 4, 5 * np.pi / 4]))


FAMILIES = {
    "sphere": (sphere, DIMENSIONS),
    "ellipsoid": (ellipsoid, DIMENSIONS),
    "paraboloid": (paraboloid, DIMENSIONS),
    "half-space": (half_space, DIMENSIONS),
    "ball": (ball, DIMENSIONS),
    "positive matrices": (positive_matrices, (2, 3)),
    "normal laws": (normal_laws, (2,)),
    "torus": (torus, (2,)),
}


def race(problem: Problem, repeats: int) -> dict[str, Any]:
    """Both solvers at every number of segments."""
    metric = geojax.DenseMetric(problem.matrix)
    ends = jnp.asarray(problem.x0), jnp.asarray(problem.x1)

    def program(solver, n):
        def solve(x, y):
            options = {"num_segments": n, "diagnostics": "none", "throw": False}
            found = geojax.geodesic(metric, x, y, solver=solver, **options)
            return found, _energy(problem.matrix, found.curve)

        return jax.jit(solve).lower(*ends).compile()

    runs, seconds = {}, {}
    for name, solver in SOLVERS.items():
        for n in SEGMENTS[name]:
            start = time.perf_counter()
            runs[name, n] = program(solver, n)
            print(f"  {name}, {n}: compiled in {time.perf_counter() - start:.1f} s", flush=True)
    for _ in range(repeats):
        for key, run in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run(*ends))
            seconds.setdefault(key, []).append(time.perf_counter() - start)
    table: dict[str, Any] = {name: {} for name in SOLVERS}
    for (name, n), run in runs.items():
        solution, energy = run(*ends)
        entry = {
            "energy": float(energy),
            "steps": int(solution.stats["num_steps"]),
            "seconds": min(seconds[name, n]),
            "verdict": solution.message.split(".")[0],
        }
        if problem.distance is not None:
            entry["excess"] = entry["energy"] / (problem.distance**2 / 2) - 1
            entry["error_of_length"] = float(solution.length) / problem.distance - 1
        table[name][str(n)] = entry
    return table


def _energy(matrix, curve):
    """The energy by six Gauss points a segment."""
    places, weights = np.polynomial.legendre.leggauss(6)
    n = len(curve.ts) - 1
    times = (np.arange(n)[:, None] + (places + 1) / 2).reshape(-1) / n

    def square(t):
        v = curve.velocity(t)
        return v @ matrix(curve.evaluate(t), None) @ v

    squares = jax.lax.map(square, jnp.asarray(times), batch_size=32)
    return jnp.sum(squares * np.tile(weights, n)) / (4 * n)


def compared(table: dict[str, Any]) -> dict[str, Any]:
    """The ratios of `Newton` to `Georce`."""
    newton, georce = table["Newton"], table["Georce"]
    equal = {
        n: {
            "energy": newton[n]["energy"] / georce[n]["energy"] - 1,
            "seconds": newton[n]["seconds"] / georce[n]["seconds"],
        }
        for n in georce
        if n in newton
    }
    most = max(georce, key=int)

    def fewest(good):
        enough = [n for n in newton if good(newton[n])]
        n = min(enough, key=int) if enough else None
        ratio = None if n is None else newton[n]["seconds"] / georce[most]["seconds"]
        return {"segments": n, "of_georce": most, "seconds": ratio}

    limit = georce[most]["energy"] * (1 + 1e-12)
    found = {"at_equal_N": equal, "at_equal_energy": fewest(lambda e: e["energy"] <= limit)}
    if "error_of_length" in georce[most]:
        error = abs(georce[most]["error_of_length"])
        found["at_equal_length"] = fewest(lambda e: abs(e["error_of_length"]) <= error)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", help=", ".join(FAMILIES))
    parser.add_argument("--dims", nargs="*", type=int)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    known = json.loads(RESULTS.read_text())["rows"] if RESULTS.is_file() else []
    there = {(row["manifold"], row["size"]) for row in known}
    for dimension in DIMENSIONS:
        for name, (make, sizes) in FAMILIES.items():
            asked = not options.families or name in options.families
            asked &= not options.dims or dimension in options.dims
            again = options.families or options.dims or (name, dimension) not in there
            if dimension not in sizes or not asked or not again:
                continue
            print(name, dimension, flush=True)
            problem = make(dimension)
            table = race(problem, options.repeats)
            row = {"manifold": name, "size": dimension, "coordinates": len(problem.x0)}
            row |= {**compared(table), **table}
            print(json.dumps({k: row[k] for k in row if k.startswith("at_equal")}), flush=True)
            print({n: e["steps"] for n, e in table["Newton"].items()}, end=" ")
            print({n: e["steps"] for n, e in table["Georce"].items()}, flush=True)
            add_row(RESULTS, row, ("manifold", "size"))


if __name__ == "__main__":
    main()
