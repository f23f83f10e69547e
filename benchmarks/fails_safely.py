"""How often is a wrong answer reported as good? Several hundred problems that solvers fail on.

    python benchmarks/fails_safely.py            # all; some minutes on two cores
    python benchmarks/fails_safely.py --count 2  # two problems a class

A solution that calls itself successful is *wrong* where

- a number in it is not finite, or an end is not where it was asked to be (that of shooting to
  its tolerance, 1e-8 of the distance, 1e-4 in float32);
- its energy, priced by 64 Gauss-Legendre points a segment, is further from what it reports than the
  tolerance it was given (5 %); or
- it is no local minimum: from the path, moved by a thousandth of its length, scipy's L-BFGS lowers
  the energy (five points a segment) by more than that tolerance; for the saddles, whose other way
  gains less, by more than a thousandth of it.

The curve through a solution's nodes is scipy's spline. Nothing of the verdict's own machinery is
used to judge it. Every class also says which verdicts it got. The result is
``results/fails_safely.json``.
"""

import argparse
import collections
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import scipy.interpolate
import scipy.optimize
from jaxtyping import Array, Float
from record import ROOT, origin, save

import geojax

RESULTS = ROOT / "benchmarks" / "results" / "fails_safely.json"
TOLERANCE = 0.05
STEPS = 300  # of L-BFGS


class Modes(eqx.Module):
    """Equal Gaussians of width 0.4."""

    means: Float[Array, "k d"]

    def __call__(self, x, args: Any = None):
        squares = jnp.sum((self.means - x[None]) ** 2, axis=1)
        return (jax.nn.softmax(-squares / 0.32) @ self.means - x) / 0.16


class Broken(eqx.Module):
    """The score of a Gaussian, not defined right of ``edge``."""

    edge: Float[Array, ""]

    def __call__(self, x, args: Any = None):
        return jnp.where(x[0] > self.edge, jnp.nan, -x)


class Jagged(eqx.Module):
    """A score that jumps from cell to cell of a grid."""

    size: Float[Array, ""]

    def __call__(self, x, args: Any = None):
        return -x + 3 * jnp.sign(jnp.sin(x / self.size))


class Whirl(eqx.Module):
    """Not the gradient of anything."""

    rate: Float[Array, ""]

    def __call__(self, x, args: Any = None):
        return -x + self.rate * jnp.stack([-x[1], x[0]])


class Circle(eqx.Module):
    """The score of a unit circle in the first two coordinates, a Gaussian in all others."""

    def __call__(self, x, args: Any = None):
        return (-x).at[:2].set((1 - jnp.sum(x[:2] ** 2)) * x[:2])


class Wall(eqx.Module):
    """The score of a Gaussian that is cut in two by a thin wall of low density at x_1 = place."""

    place: Float[Array, ""]
    width: Float[Array, ""]

    def __call__(self, x, args: Any = None):
        u = (x[0] - self.place) / self.width
        return (-x).at[0].add(3 * u * jnp.exp(-(u**2) / 2) / self.width)


class Problem(NamedTuple):
    """A metric, two points, a number of segments; the relative energy that a better path has to
    gain to prove the answer wrong.
    """

    metric: Any
    x0: Array
    x1: Array
    num_segments: int = 32
    gain: float = 1.5 * TOLERANCE


def ring(width, lam, dtype=jnp.float64):
    """A ring of radius 2."""
    score = geojax.Shell(jnp.asarray(2.0, dtype), jnp.asarray(width, dtype))
    return geojax.SteinScoreMetric(score, jnp.asarray(lam, dtype))


def on_circle(radius, angle, dtype=jnp.float64):
    """A point in the plane."""
    return jnp.asarray([radius * np.cos(angle), radius * np.sin(angle)], dtype)


def classes() -> dict[str, Callable[[np.random.Generator], Problem]]:
    """The kinds of trouble; each draws a problem."""
    unit = geojax.SteinScoreMetric

    def modes(dimension, lam, segments):
        def draw(rng):
            means = jnp.asarray(rng.normal(size=(5, dimension)))
            return Problem(unit(Modes(means), jnp.asarray(lam)), means[0], means[1], segments)

        return draw

    def stiff(rng, dtype=jnp.float64, segments=32):
        metric = ring(rng.uniform(0.1, 0.4), 10 ** rng.uniform(0, 4), dtype)
        ends = on_circle(rng.uniform(1.5, 2.5), 0, dtype), on_circle(2, rng.uniform(1, 3), dtype)
        return Problem(metric, *ends, segments)

    def opposite(rng):
        metric = ring(rng.uniform(0.2, 0.6), 10 ** rng.uniform(-1, 1))
        point = on_circle(2, rng.uniform(0, 6))
        return Problem(metric, point, -point)

    def opposite_norm(rng):
        score = geojax.Shell(jnp.asarray(2.0), jnp.asarray(rng.uniform(0.3, 0.6)))
        point = on_circle(2, rng.uniform(0, 6))
        return Problem(geojax.ScoreNormMetric(score, jnp.asarray(1.0)), point, -point)

    def coincident(rng):
        point = on_circle(rng.uniform(0.5, 3), rng.uniform(0, 6))
        return Problem(ring(0.3, 10.0), point, point)

    def nearly_coincident(rng):
        point = on_circle(2, rng.uniform(0, 6))
        shift = jnp.asarray(rng.normal(size=2) * 10 ** rng.uniform(-14, -4))
        return Problem(ring(0.3, 10.0), point, point + shift)

    def extreme(low, high):
        def draw(rng):
            ends = on_circle(2, 0), on_circle(1.7, rng.uniform(0.5, 3))
            return Problem(ring(0.3, 10 ** rng.uniform(low, high)), *ends)

        return draw

    def broken(rng):
        score = Broken(jnp.asarray(rng.uniform(-1, 2)))
        ends = on_circle(rng.uniform(0.5, 2), 0.3), on_circle(rng.uniform(0.5, 2), 2.5)
        return Problem(unit(score, jnp.asarray(1.0)), *ends)

    def jagged(rng):
        score = Jagged(jnp.asarray(10 ** rng.uniform(-2, 0)))
        return Problem(unit(score, jnp.asarray(1.0)), *jnp.asarray(rng.normal(size=(2, 2))))

    def whirl(rng):
        score = Whirl(jnp.asarray(rng.uniform(0.5, 4)))
        ends = jnp.asarray(rng.normal(size=(2, 2)))
        return Problem(unit(score, jnp.asarray(10 ** rng.uniform(-1, 2))), *ends)

    def axis(dimension, dtype, *values):
        return (
            jnp.zeros(dimension, dtype).at[jnp.arange(len(values))].set(jnp.asarray(values, dtype))
        )

    def saddle(dimension, dtype=jnp.float64):
        """The straight line through the middle of a circle, with one way out."""

        def draw(rng):
            metric = unit(Circle(), jnp.asarray(rng.uniform(3.5, 12), dtype))
            end = axis(dimension, dtype, 1.0)
            return Problem(metric, -end, end, 16, 1e-3 if dtype == jnp.float64 else 1e-2)

        return draw

    def wall(dimension, dtype=jnp.float64):
        """A ridge of the metric that lies between the nodes of a path, or on one of them."""

        def draw(rng):
            score = Wall(
                jnp.asarray(rng.uniform(-0.3, 0.3), dtype),
                jnp.asarray(rng.uniform(0.03, 0.2), dtype),
            )
            ends = axis(dimension, dtype, -1.3, 0.2), axis(dimension, dtype, 1.3, 0.1)
            return Problem(unit(score, jnp.asarray(10 ** rng.uniform(-2, 2), dtype)), *ends, 16)

        return draw

    def thin_ring(dimension, dtype):
        """A stiff ring in many dimensions."""

        def draw(rng):
            metric = ring(rng.uniform(0.2, 0.4), 10 ** rng.uniform(0, 3), dtype)
            angle = rng.uniform(0.5, 2)
            ends = (
                axis(dimension, dtype, 2.0),
                axis(dimension, dtype, 2 * np.cos(angle), 2 * np.sin(angle)),
            )
            return Problem(metric, *ends, 16)

        return draw

    return {
        "stiff ring": stiff,
        "stiff ring, float32": lambda rng: stiff(rng, jnp.float32),
        "few segments": lambda rng: stiff(rng, segments=4),
        "modes apart, lam = 1": modes(2, 1.0, 32),
        "modes apart, lam = 100": modes(2, 100.0, 64),
        "modes apart, D = 50": modes(50, 1.0, 32),
        "opposite points": opposite,
        "opposite points, score norm": opposite_norm,
        "coincident points": coincident,
        "nearly coincident points": nearly_coincident,
        "tiny lam": extreme(-14, -6),
        "huge lam": extreme(6, 14),
        "undefined region": broken,
        "jumping score": jagged,
        "no gradient": whirl,
        "wall": wall(2),
        "saddle, D = 16,384": saddle(16_384),
        "saddle, D = 36,864": saddle(36_864),
        "saddle, D = 16,384, float32": saddle(16_384, jnp.float32),
        "wall, D = 16,384": wall(16_384),
        "wall, D = 36,864, float32": wall(36_864, jnp.float32),
        "stiff ring, D = 16,384, float32": thin_ring(16_384, jnp.float32),
    }


SOLVERS = {
    "default": None,
    "L-BFGS": geojax.PathEnergy(optx.LBFGS(1e-10, 1e-10)),
    "Newton": geojax.Newton(),
    "GEORCE": geojax.Georce(dense=True),
    "shooting": geojax.Shooting(),
}


IN_MANY_DIMENSIONS = ("default", "L-BFGS")  # the others make D x D matrices or are slow there

# Shooting ends at its last shot: at the other point to its documented tolerance.
MISS = {("shooting", "float64"): 1e-8, ("shooting", "float32"): 1e-4}


@eqx.filter_jit
def solve(metric, x0, x1, solver, num_segments):
    """The door under test, with its default settings."""
    return geojax.geodesic(metric, x0, x1, solver=solver, num_segments=num_segments, throw=False)


def spline(num_segments, order):
    """scipy's cubic spline through equally spaced nodes: the matrices to its points and velocities
    at ``order`` Gauss-Legendre points a segment, and their weights.
    """
    places, weights = np.polynomial.legendre.leggauss(order)
    ts = np.linspace(0, 1, num_segments + 1)
    times = (ts[:-1, None] + (places + 1) / 2 / num_segments).reshape(-1)
    curve = scipy.interpolate.CubicSpline(ts, np.eye(num_segments + 1))
    return curve(times), curve(times, 1), np.tile(weights / 2 / num_segments, num_segments)


@eqx.filter_jit
def priced(metric, xs, mesh):
    """The energy of the spline through the nodes ``xs``, and its gradient by the inner ones."""
    points, velocities, weights = map(jnp.asarray, mesh)

    def energy(inner):
        nodes = jnp.concatenate([xs[:1], inner, xs[-1:]])
        # Differences of nodes first: of one point twice the velocity is zero, to the last digit.
        velocity = velocities @ (nodes - xs[0])
        squares = jax.vmap(lambda x, v: metric.inner(x, v, v))(points @ nodes, velocity)
        return jnp.sum(weights * squares) / 2

    return jax.value_and_grad(energy)(xs[1:-1])


def in_double(tree):
    """The judge computes in float64."""
    return jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, tree)


def fault(problem: Problem, solution, miss: float = 0.0) -> str | None:
    """What is wrong with a solution that calls itself successful. ``miss`` is by how much of the
    distance its ends may be off.
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
