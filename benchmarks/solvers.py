"""Two-point solvers side by side: steps, score evaluations, energy, time and memory.

    python benchmarks/solvers.py                    # everything; hours on two cores
    python benchmarks/solvers.py exact scaling      # only these sections
    python benchmarks/solvers.py network --pairs 2  # the bundled network, two pairs of digits

Sections:

- `exact`: Gaussian and rings, whose geodesics are known, in D = 2 and 50, N = 100, float64;
- `empirical`: the exact score of 3,000 MNIST digits (D = 784), N = 16 and 64, float64;
- `network`: the bundled network at t = 0.4, lam = 1000, N = 16 and 32, with end-points drawn from
  the model by class; float32, and for Gauss-Newton float64 too;
- `scaling`: Gauss-Newton outside the score: milliseconds and memory of an iteration for D up to
  16,384 and N up to 256, float32.

Every row is added to `results/solvers.json` as soon as it is measured. A section that is run again
replaces its rows, or with `--resume` measures only the missing ones. Counts are exact. Times are
medians on a machine that may be shared: only ratios within one run can be compared. Fine energies
are those by five Gauss-Legendre points a segment.
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix as optx
from record import ROOT, origin, save, with_row

import geojax
from geojax.geodesics import TwoPointProblem
from geojax.models import load, load_mnist
from geojax.scores import sample

RESULTS = ROOT / "benchmarks" / "results" / "solvers.json"
T, LAM = 0.4, 1000.0


class Problem(NamedTuple):
    """Two points, a score `(x, args) -> s` at one noise level, and the exact energy if known."""

    name: str
    score: Callable[..., Any]
    lam: float
    x0: jax.Array
    x1: jax.Array
    num_segments: int
    exact: float | None = None


class Contender(NamedTuple):
    """A solver with its number of steps."""

    name: str
    solver: Any
    max_steps: int
    rule: Any = None


def contenders() -> dict[str, Contender]:
    """The default solver, and published procedures, which move polylines."""
    polyline = geojax.Midpoint()
    cosine = optax.cosine_decay_schedule(1e-3, 500)
    return {
        "gauss-newton": Contender("GaussNewton()", geojax.GaussNewton(), 200),
        "gauss-newton-40": Contender("GaussNewton(), 40 steps", geojax.GaussNewton(), 40),
        "without-curvature": Contender(
            "GaussNewton(curvature_steps=0), 40 steps", geojax.GaussNewton(curvature_steps=0), 40
        ),
        "adam-500": Contender(
            "Adam 1e-3, cosine, 500 steps", geojax.PathEnergy(optax.adam(cosine)), 500, polyline
        ),
        "adam-2000": Contender(
            "Adam 1e-2, 2,000 steps", geojax.PathEnergy(optax.adam(1e-2)), 2000, polyline
        ),
        "lbfgs": Contender("L-BFGS, 2,000 steps", geojax.PathEnergy(optx.LBFGS(1e-9, 1e-9)), 2000),
    }


@eqx.filter_jit
def _solve(score, lam, x0, x1, solver, num_segments, max_steps, rule):
    metric = geojax.SteinScoreMetric(score, lam)
    options = {"num_segments": num_segments, "max_steps": max_steps, "throw": False, "rule": rule}
    # The counts of Gauss-Newton include all checks; the other procedures have none.
    diagnostics = "full" if isinstance(solver, geojax.GaussNewton) else "price"
    return geojax.geodesic(metric, x0, x1, solver=solver, diagnostics=diagnostics, **options)


@eqx.filter_jit
def _newton_decrement(score, lam, xs):
    """The Newton decrement, as the same measure of convergence for all solvers."""
    metric = geojax.SteinScoreMetric(score, lam)
    options = {"init": xs, "num_segments": len(xs) - 1, "max_steps": 0, "throw": False}
    judge = geojax.GaussNewton(damping=0.0, curvature_steps=0)
    return geojax.geodesic(metric, xs[0], xs[-1], solver=judge, diagnostics="price", **options)


_programs: dict[Any, tuple[Any, float]] = {}


def _compiled(arguments):
    """The program, and the seconds of its compilation; one for all pairs of the network."""
    arrays, static = eqx.partition(arguments, eqx.is_array)
    leaves, structure = jax.tree.flatten(static)
    shapes = tuple((a.shape, a.dtype) for a in jax.tree.leaves(arrays))
    key = (*leaves, structure, shapes)
    if key not in _programs:
        start = time.perf_counter()
        compiled = _solve.lower(*arguments).compile()
        _programs[key] = compiled, time.perf_counter() - start
    return _programs[key]


def race(problem: Problem, contender: Contender) -> dict[str, Any]:
    """One row: a contender on a problem."""
    lam = jnp.asarray(problem.lam)
    arguments = (problem.score, lam, problem.x0, problem.x1)
    arguments += (contender.solver, problem.num_segments, contender.max_steps, contender.rule)
    compiled, compile_seconds = _compiled(arguments)
    start = time.perf_counter()
    solution = jax.block_until_ready(compiled(*arguments))
    seconds = time.perf_counter() - start
    judged = _newton_decrement(problem.score, lam, solution.curve.xs)
    stats = {name: value.item() for name, value in solution.stats.items()}
    row = {
        "problem": problem.name,
        "dimension": int(problem.x0.size),
        "num_segments": problem.num_segments,
        "lam": problem.lam,
        "dtype": str(problem.x0.dtype),
        "solver": contender.name,
        "verdict": solution.message.split(".")[0],
        "steps": stats["num_steps"],
        "score_evaluations": stats["score_evaluations"],
        "score_products": stats["score_products"],
        "newton_decrement": judged.stats["decrement"].item(),
        "energy": solution.energy.item(),
        "energy_fine": stats["energy_fine"],
        "length_over_bound": (solution.length / stats["lower_bound"]).item(),
        "seconds": round(seconds, 3),
        "compile_seconds": round(compile_seconds, 1),
    }
    if problem.exact is not None:
        row["relative_error"] = row["energy"] / problem.exact - 1
    return row


def _is_of(row, problem: Problem, contender: Contender) -> bool:
    """Whether a row of the result file is of this contender on this problem."""
    values = [row[k] for k in ("problem", "dimension", "num_segments", "dtype", "solver")]
    wanted = [problem.name, problem.x0.size, problem.num_segments, str(problem.x0.dtype)]
    return values == [*wanted, contender.name]


def exact_problems() -> list[Problem]:
    """Problems on surfaces of revolution, exact by Clairaut's relation."""
    problems = []
    for d in (2, 50):
        embedding = geojax.scores.random_embedding(2, d, key=jax.random.key(d))

        def place(*point, embedding=embedding):
            return jnp.asarray(point) @ embedding

        def gaussian(x, args):
            return -x

        c, s = np.cos(2.0), np.sin(2.0)
        ring = geojax.Shell(2.0, 0.25, dim=2, embedding=embedding)
        start = place(2.0, 0.0)
        problems += [
            Problem(
                "Gaussian", gaussian, 1.0, place(1.0, 0.0), place(-0.8, 0.6), 100, 2.25186030165255
            ),
            Problem("ring", ring, 1.0, start, place(2 * c, 2 * s), 100, 7.241123),
            Problem("ring, uneven radii", ring, 1.0, start, place(1.5 * c, 1.5 * s), 100, 7.67411),
            Problem("stiff ring", ring, 10.0, start, place(1.5 * c, 1.5 * s), 100, 25.75529),
        ]
    return problems


def empirical_problems() -> list[Problem]:
    """The exact noised score of 3,000 digits, at two noise levels."""
    images, _ = load_mnist("train")
    data = jnp.asarray(images[:3000].reshape(3000, 784), jnp.float64) / 127.5 - 1
    score = geojax.Empirical(data, geojax.VPLinear())
    eps = jax.random.normal(jax.random.key(0), (784,), jnp.float64)
    problems = []
    for t in (0.4, 0.1):
        x0, x1 = (score.schedule.add_noise(data[i], eps, t) for i in (5, 15))
        problems += [
            Problem(f"MNIST, exact score, t = {t}", score.at(t), LAM, x0, x1, n) for n in (16, 64)
        ]
    return problems


def network_problems(num_pairs: int) -> list[Problem]:
    """Problems of the bundled network; ends drawn by class, noised with one noise a pair."""
    score = load("rotated_mnist")
    keys = [jax.random.split(jax.random.fold_in(jax.random.key(0), i), 3) for i in range(num_pairs)]
    classes = np.random.default_rng(0).integers(0, 10, (num_pairs, 2))
    problems = []
    draw = eqx.filter_jit(sample)
    levels = {
        dtype: jax.tree.map(
            lambda a, dtype=dtype: a.astype(dtype) if eqx.is_inexact_array(a) else a,
            score.at(jnp.asarray(T, dtype)),
        )
        for dtype in (jnp.float32, jnp.float64)
    }
    for n in (16, 32):
        for i in range(num_pairs):
            ends = [
                draw(score, (1, 28, 28), key=keys[i][j], args=jnp.asarray(int(classes[i, j])))
                for j in (0, 1)
            ]
            ends = [jnp.asarray(x, jnp.float32) for x in ends]
            eps = jax.random.normal(keys[i][2], (1, 28, 28), jnp.float32)
            x0, x1 = (score.schedule.add_noise(x, eps, T) for x in ends)
            for dtype, level in levels.items():
                both = x0.astype(dtype), x1.astype(dtype)
                problems.append(Problem(f"network, pair {i}", level, LAM, *both, n))
    return problems


def scaling_rows(repeats: int = 7) -> list[dict[str, Any]]:
    """The cost of an iteration of Gauss-Newton outside the score."""
    rows = []
    for d in (784, 4096, 16384):
        embedding = jnp.eye(2, d, dtype=jnp.float32)
        ring = geojax.Shell(2.0, 0.25, dim=2, embedding=embedding)
        x0 = jnp.zeros(d, jnp.float32).at[0].set(2.0)
        x1 = jnp.zeros(d, jnp.float32).at[:2].set(jnp.array([-0.8, 1.8], jnp.float32))
        metric = geojax.SteinScoreMetric(ring, 1.0)
        problem = TwoPointProblem(metric, geojax.SplineGauss(), None, x0, x1)
        solver = geojax.GaussNewton()
        for n in (16, 64, 256):
            offsets = jnp.zeros((n + 1, d), jnp.float32)
            state = eqx.filter_jit(solver.init)(problem, offsets)
            whole = jax.jit(functools.partial(_step, solver, problem))
            alone = jax.jit(functools.partial(_score_part, problem, ring))
            memory = whole.lower(state).compile().memory_analysis().temp_size_in_bytes
            times = [_timed(whole, state) - _timed(alone, offsets) for _ in range(repeats)]
            rows.append(
                {
                    "dimension": d,
                    "num_segments": n,
                    "milliseconds_outside_score": round(1e3 * statistics.median(times), 2),
                    "temporary_bytes": memory,
                    "temporary_bytes_per_node_coordinate": round(memory / (n * d), 1),
                    "bytes_of_a_dense_metric": 4 * d * d,
                }
            )
            print(rows[-1], flush=True)
    return rows


def _step(solver, problem, state):
    return solver.step(problem, state)


def _score_part(problem, score, offsets):
    return problem.rule.linearise(score, problem.path(offsets), None)


def _timed(function, argument) -> float:
    jax.block_until_ready(function(argument))
    start = time.perf_counter()
    jax.block_until_ready(function(argument))
    return time.perf_counter() - start


def main() -> None:
    """Run the sections named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sections = ("exact", "empirical", "network", "scaling")
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(sections)}; default all")
    parser.add_argument("--solvers", nargs="*", default=list(contenders()), help="by short name")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of digits of the network")
    parser.add_argument("--segments", type=int, nargs="*", help="only these numbers of segments")
    parser.add_argument(
        "--precision",
        choices=("float32", "float64"),
        nargs="*",
        default=("float32", "float64"),
        help="of the network; optimisers other than Gauss-Newton always run in float32",
    )
    parser.add_argument("--resume", action="store_true", help="only rows that the file lacks")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    unknown = set(options.sections) - set(sections)
    if unknown:
        parser.error(f"unknown section {sorted(unknown)}; choose from {sections}")
    jax.config.update("jax_enable_x64", True)
    every = contenders()
    result = json.loads(options.out.read_text()) if options.out.is_file() else {}
    problems = {
        "exact": exact_problems,
        "empirical": empirical_problems,
        "network": lambda: network_problems(options.pairs),
    }
    for section in options.sections or sections:
        if section == "scaling":
            result[section] = {"origin": origin(), "rows": scaling_rows()}
            save(options.out, result)
            continue
        drawn = problems[section]()
        for short in options.solvers:
            contender = every[short]
            for problem in drawn:
                if options.segments and problem.num_segments not in options.segments:
                    continue
                dtype = str(problem.x0.dtype)
                if section == "network" and dtype not in options.precision:
                    continue
                in_double = section == "network" and dtype == "float64"
                if in_double and not isinstance(contender.solver, geojax.GaussNewton):
                    continue
                rows = result.get(section, {}).get("rows", [])
                if options.resume and any(_is_of(row, problem, contender) for row in rows):
                    continue
                row = race(problem, contender)
                print({k: row[k] for k in list(row)[:3] + list(row)[5:]}, flush=True)
                same = ("problem", "dimension", "num_segments", "dtype", "solver")
                result[section] = with_row(rows, row, same)
                save(options.out, result)


if __name__ == "__main__":
    main()
