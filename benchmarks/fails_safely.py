"""How often is a wrong answer reported as successful? Several hundred hard problems.

    python benchmarks/fails_safely.py            # all; some minutes on two cores
    python benchmarks/fails_safely.py --count 2  # two problems a class

A solution whose `successful` is true counts as *wrong* in one of these cases.

- A number in it is not finite, or an end is not the given point (for shooting to its tolerance,
  1e-8 of the distance, 1e-4 in float32).
- Its energy by 64 Gauss-Legendre points a segment differs from the reported one by more than the
  given tolerance (5 %).
- It is no local minimum. The test moves the path by a thousandth of its length, and minimises the
  energy (five points a segment) by scipy's L-BFGS. The answer is wrong if that lowers the energy by
  more than the tolerance. For saddles, whose other way gains less, the bound is a thousandth.

The curve through the nodes of a solution is scipy's spline. The test uses no code of the verdicts.
The result is `results/fails_safely.json`; it has the verdicts of every class.
"""

import argparse
import collections
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import scipy.interpolate
import scipy.optimize
from fails_safely_problems import TOLERANCE, Problem, classes
from record import ROOT, origin, save

import geojax

RESULTS = ROOT / "benchmarks" / "results" / "fails_safely.json"
STEPS = 300  # of L-BFGS


SOLVERS = {
    "default": None,
    "L-BFGS": geojax.PathEnergy(optx.LBFGS(1e-10, 1e-10)),
    "Newton": geojax.Newton(),
    "GEORCE": geojax.Georce(dense=True),
    "shooting": geojax.Shooting(),
}


IN_MANY_DIMENSIONS = ("default", "L-BFGS")  # the others make D x D matrices or are slow there

# Shooting ends at its last shot, which meets the other point to its documented tolerance.
MISS = {("shooting", "float64"): 1e-8, ("shooting", "float32"): 1e-4}


@eqx.filter_jit
def solve(metric, x0, x1, solver, num_segments):
    """The function under test, with its default settings."""
    return geojax.geodesic(metric, x0, x1, solver=solver, num_segments=num_segments, throw=False)


def spline(num_segments, order):
    """The matrices of scipy's cubic spline through equally spaced nodes.

    They give its points and velocities at `order` Gauss-Legendre points a segment; also their
    weights.
    """
    places, weights = np.polynomial.legendre.leggauss(order)
    ts = np.linspace(0, 1, num_segments + 1)
    times = (ts[:-1, None] + (places + 1) / 2 / num_segments).reshape(-1)
    curve = scipy.interpolate.CubicSpline(ts, np.eye(num_segments + 1))
    return curve(times), curve(times, 1), np.tile(weights / 2 / num_segments, num_segments)


@eqx.filter_jit
def priced(metric, xs, mesh):
    """The energy of the spline through the nodes `xs`, and its gradient by the inner ones."""
    points, velocities, weights = map(jnp.asarray, mesh)

    def energy(inner):
        nodes = jnp.concatenate([xs[:1], inner, xs[-1:]])
        # Differences of nodes first, so that the velocity between equal points is exactly zero.
        velocity = velocities @ (nodes - xs[0])
        squares = jax.vmap(lambda x, v: metric.inner(x, v, v))(points @ nodes, velocity)
        return jnp.sum(weights * squares) / 2

    return jax.value_and_grad(energy)(xs[1:-1])


def in_double(tree):
    """The tree in float64, in which the test computes."""
    return jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, tree)


def fault(problem: Problem, solution, miss: float = 0.0) -> str | None:
    """The error of a solution that reports success, or None.

    `miss` is the allowed error of its ends, relative to the distance.
    """
    numbers = [solution.energy, solution.length, solution.curve.xs, solution.initial_velocity]
    if not all(bool(jnp.all(jnp.isfinite(a))) for a in numbers):
        return "not finite"
    xs = in_double(solution.curve.xs)
    missed = [float(jnp.linalg.norm(xs[i] - x)) for i, x in ((0, problem.x0), (-1, problem.x1))]
    if max(missed) > miss * float(jnp.linalg.norm(problem.x1 - problem.x0)):
        return "other ends"
    metric, energy = in_double(problem.metric), float(solution.energy)
    n = len(xs) - 1
    true = float(priced(metric, xs, spline(n, 64))[0])
    slack = TOLERANCE * energy + 1e-300
    if not abs(true - energy) <= 1.2 * slack:
        return "energy is not the path's"
    mesh = spline(n, 5)
    shape, size = xs[1:-1].shape, float(jnp.linalg.norm(xs[-1] - xs[0]))
    nudge = np.random.default_rng(0).normal(size=shape) * 1e-3 * size

    def function(flat):
        path = xs.at[1:-1].set(jnp.asarray(flat.reshape(shape)))
        value, gradient = priced(metric, path, mesh)
        if not np.isfinite(value):
            return 1e300, np.zeros_like(flat)
        return float(value), np.asarray(gradient).reshape(-1)

    start = (np.asarray(xs[1:-1]) + nudge).reshape(-1)
    found = scipy.optimize.minimize(
        function, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
    )
    if found.fun < true - problem.gain * energy - 1e-300:
        return "no minimum"
    return None


def main() -> None:
    """Run the classes named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("classes", nargs="*", help="default all")
    parser.add_argument("--count", type=int, default=12, help="problems a class and solver")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    unknown = set(options.classes) - set(classes())
    if unknown:
        parser.error(f"unknown class {sorted(unknown)}; choose from {sorted(classes())}")
    jax.config.update("jax_enable_x64", True)
    rows, wrong = [], []
    for name in options.classes or classes():
        for solver_name, solver in SOLVERS.items():
            if solver_name == "L-BFGS" and "float32" in name:
                continue  # optimistix's L-BFGS mixes precisions where float64 is enabled
            if ("D = 16" in name or "D = 36" in name) and solver_name not in IN_MANY_DIMENSIONS:
                continue
            rng = np.random.default_rng(sum(map(ord, name)))
            verdicts: collections.Counter = collections.Counter()
            faults: collections.Counter = collections.Counter()
            for _ in range(options.count):
                problem = classes()[name](rng)
                solution = solve(
                    problem.metric, problem.x0, problem.x1, solver, problem.num_segments
                )
                verdict = solution.message.split(".")[0].split(":")[0]
                verdicts[verdict] += 1
                if verdict == "successful":
                    miss = MISS.get((solver_name, str(problem.x0.dtype)), 0.0)
                    found = fault(problem, solution, miss)
                    if found is not None:
                        faults[found] += 1
            rows.append(
                {
                    "class": name,
                    "solver": solver_name,
                    "problems": options.count,
                    "called_good": verdicts["successful"],
                    "wrong_but_called_good": sum(faults.values()),
                    "faults": dict(faults),
                    "verdicts": dict(verdicts),
                }
            )
            wrong.append(sum(faults.values()))
            print({k: rows[-1][k] for k in list(rows[-1])[:-1]}, flush=True)
    total = sum(row["problems"] for row in rows)
    print(f"{sum(wrong)} wrong answers called good in {total} problems")
    save(
        options.out,
        {
            "origin": origin(),
            "problems": total,
            "wrong_but_called_good": sum(wrong),
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
