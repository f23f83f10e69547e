"""Work against precision: `GaussNewton()` and its alternatives on the same problems.

    python benchmarks/peers/install.py          # once: the peers, each in its own environment
    python benchmarks/work_precision.py         # everything; about ten minutes on two cores
    python benchmarks/work_precision.py --dimensions 2 50 --contenders gauss-newton scipy

The problems are a ring density in D = 2 to 16,384 dimensions, embedded by a rotation, and two
points with a known geodesic. Every solver starts from the straight line with the same number of
nodes, in float64. The figure shows the true energy of the path, by five Gauss-Legendre points a
segment, against time and against evaluations of the score. Compilation and imports are not counted
but reported separately. A run past the time limit is recorded as such, with its last path.

Our solvers run with growing budgets of steps, each run from the start. Peers record their path
during the run (see `peers/recording.py`), and their metric counts its calls. The machine may be
shared: only ratios of times within one run can be compared.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.optimize
from peers.install import CACHE, is_complete, python_of
from peers.recording import OutOfTime, Recorder
from record import ROOT, origin, save
from work_precision_figure import comparison, draw

import geojax
from geojax.geodesics import TwoPointProblem

RESULTS = ROOT / "benchmarks" / "results" / "work_precision.json"
DIMENSIONS = (2, 10, 50, 200, 1000, 16384)
MEMORY = 8e9  # bytes that a dense metric may take
PEERS = ("geomstats", "stochman")
_GRACE = 60.0  # seconds beyond its limit that a peer may need to start and to end


class Case(NamedTuple):
    """A two-point problem with a known answer."""

    name: str
    lam: float
    end_radius: float
    exact: float  # energy; design by Clairaut's relation, see tests/geodesics/problems.py


CASES = (
    Case("ring", 1.0, 2.0, 7.241123),
    Case("stiff ring", 10.0, 1.5, 25.75529),
)


class Problem(NamedTuple):
    """A case in D dimensions."""

    case: Case
    metric: geojax.SteinScoreMetric
    x0: jax.Array
    x1: jax.Array
    num_segments: int
    embedding: np.ndarray

    @property
    def line(self) -> jax.Array:
        w = jnp.linspace(0, 1, self.num_segments + 1)[:, None]
        return (1 - w) * self.x0[None] + w * self.x1[None]


class Trace(NamedTuple):
    """Paths, with the work that each needed."""

    seconds: list[float]
    evaluations: list[int]
    energies: list[float]
    status: str
    compile_seconds: float = 0.0
    versions: dict[str, str] | None = None


def place(case: Case, dimension: int, num_segments: int) -> Problem:
    """The case, rotated into `dimension` dimensions."""
    embedding = geojax.scores.random_embedding(2, dimension, key=jax.random.key(dimension))
    ring = geojax.Shell(2.0, 0.25, embedding=embedding)
    metric = geojax.SteinScoreMetric(ring, jnp.asarray(case.lam))
    x0 = jnp.array([2.0, 0.0]) @ embedding
    x1 = case.end_radius * jnp.array([np.cos(2.0), np.sin(2.0)]) @ embedding
    return Problem(case, metric, x0, x1, num_segments, np.asarray(embedding))


@eqx.filter_jit
def true_energy(metric, xs):
    """The fine energy of the spline through the nodes, for all solvers."""
    solution = geojax.geodesic(
        metric, xs[0], xs[-1], solver=geojax.PathEnergy(), init=xs, num_segments=len(xs) - 1,
        max_steps=0, throw=False, diagnostics="price",
    )  # fmt: skip
    return solution.stats["energy_fine"]


# Our solvers -------------------------------------------------------------------------------------


@eqx.filter_jit
def _run(solver, metric, xs, budget):
    """The loop of an iterative solver, whose budget of steps is a number, not a constant."""
    rule = geojax.Midpoint() if isinstance(solver, geojax.Georce) else geojax.SplineGauss()
    problem = TwoPointProblem(metric, rule, None, xs[0], xs[-1])

    def body(carry):
        state, evaluated = carry
        return solver.step(problem, state), evaluated + 1

    start = solver.init(problem, problem.offsets(xs)), jnp.asarray(0)
    going = lambda carry: solver.going(*carry, budget)  # noqa: E731
    output = solver.output(problem, *jax.lax.while_loop(going, body, start))
    return output, problem.nodes(output.offsets)


def ours(solver, dense: bool = False) -> Callable[[Problem, float], Trace]:
    """A solver of the library, with budgets of 1, 2, 3, 4, 6, 8, 12, ... steps."""

    def trace(problem: Problem, limit: float) -> Trace:
        needed = 4 * 8 * problem.num_segments * problem.x0.size**2 if dense else 0
        if needed > MEMORY:
            return Trace([], [], [], f"not run: its matrices need {needed / 1e9:.0f} GB")
        start, budget, spent = time.perf_counter(), 0, 0.0
        compiled = _run.lower(solver, problem.metric, problem.line, jnp.asarray(0)).compile()
        rows = Trace([], [], [], "time limit", time.perf_counter() - start)
        while True:
            arguments = solver, problem.metric, problem.line, jnp.asarray(budget)
            times = []
            for _ in range(5):
                start = time.perf_counter()
                output, nodes = jax.block_until_ready(compiled(*arguments))
                times.append(time.perf_counter() - start)
                if sum(times) > 0.2:
                    break
            spent = statistics.median(times)
            rows.seconds.append(spent)
            rows.evaluations.append(int(output.score_evaluations))
            rows.energies.append(float(true_energy(problem.metric, nodes)))
            if int(output.num_steps) < budget:
                return rows._replace(status=_words(output.result))
            if spent > limit / 2:
                return rows
            grown = budget * 3 // 2 if budget & (budget - 1) == 0 else budget // 3 * 4
            budget = max(grown, budget + 1)

    return trace


def _words(result) -> str:
    text = geojax.RESULTS[result]
    return text.split(".")[0] if text else "converged"


# Peers -------------------------------------------------------------------------------------------


def scipy_lbfgs(problem: Problem, limit: float) -> Trace:
    """SciPy's L-BFGS-B on the midpoint energy, its gradient compiled by JAX."""
    n, d = problem.num_segments, problem.x0.size
    line = problem.line
    whole = TwoPointProblem(problem.metric, geojax.Midpoint(), None, line[0], line[-1])

    def energy(inner):
        return whole.energy(whole.offsets(line.at[1:-1].set(inner.reshape(n - 1, d))))

    start = time.perf_counter()
    first, ends = line[1:-1].reshape(-1), (np.asarray(line[:1]), np.asarray(line[-1:]))
    compiled = jax.jit(jax.value_and_grad(energy)).lower(first).compile()
    jax.block_until_ready(compiled(first))
    compile_seconds, status = time.perf_counter() - start, "ended by its own rule"

    def fun(inner):
        recorder.evaluations += n
        value, gradient = compiled(jnp.asarray(inner))
        return float(value), np.asarray(gradient)

    def record(inner, last=False):
        path = lambda: np.concatenate([ends[0], inner.reshape(n - 1, d), ends[1]])  # noqa: E731
        recorder.record(path, last)

    options = {"maxiter": 100_000, "maxfun": 100_000, "ftol": 1e-14, "gtol": 1e-9}
    inner, recorder = np.asarray(first), Recorder(limit)
    try:
        record(inner)
        found = scipy.optimize.minimize(
            fun, inner, jac=True, method="L-BFGS-B", callback=record, options=options
        )
        record(found.x, last=True)
    except OutOfTime:
        status = "time limit"
    return _priced(problem, **recorder.arrays(), status=status, compile_seconds=compile_seconds)


def peer(name: str, cache: Path) -> Callable[[Problem, float], Trace]:
    """A library in its own environment, started as a separate process."""

    def trace(problem: Problem, limit: float) -> Trace:
        needed = 2 * 8 * problem.num_segments * problem.x0.size**2
        if needed > MEMORY:
            return Trace([], [], [], f"not run: its matrices need {needed / 1e9:.0f} GB")
        shell = problem.metric.score
        with tempfile.TemporaryDirectory() as folder:
            given, found = Path(folder) / "problem.npz", Path(folder) / "found.npz"
            np.savez(
                given, embedding=problem.embedding, radius=shell.radius, width=shell.width,
                lam=problem.case.lam, x0=problem.x0, x1=problem.x1, limit=limit,
                num_segments=problem.num_segments,
            )  # fmt: skip
            worker = ROOT / "benchmarks" / "peers" / f"{name}_worker.py"
            command = [str(python_of(name, cache)), str(worker), str(given), str(found)]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=limit + _GRACE, check=False
                )
            except subprocess.TimeoutExpired:
                return Trace([], [], [], "time limit before the first step")
            if done.returncode:
                lines = done.stderr.strip().splitlines() or ["no message"]
                return Trace([], [], [], f"exit status {done.returncode}: {lines[-1]}")
            with np.load(found) as file:
                arrays = {key: file[key] for key in ("seconds", "evaluations", "paths")}
                information = json.loads(str(file["information"]))
        return _priced(problem, **arrays, **information)

    return trace


def _priced(problem: Problem, seconds, evaluations, paths, status: str, **rest) -> Trace:
    energies = [float(true_energy(problem.metric, jnp.asarray(path))) for path in paths]
    return Trace(list(map(float, seconds)), list(map(int, evaluations)), energies, status, **rest)


def contenders(cache: Path) -> dict[str, tuple[str, Callable[[Problem, float], Trace]]]:
    """By short name: the name in the figure, and the function that runs it."""
    published = geojax.Georce(dense=True, left_end=True)
    return {
        "gauss-newton": ("geojax GaussNewton()", ours(geojax.GaussNewton())),
        "georce-free": ("geojax Georce(), matrix-free, midpoint", ours(geojax.Georce())),
        "georce": ("GEORCE as published (ours, dense)", ours(published, dense=True)),
        "adam": ("Adam 1e-2, midpoint", ours(geojax.PathEnergy(optax.adam(1e-2)))),
        "scipy": ("SciPy L-BFGS, midpoint", scipy_lbfgs),
        "geomstats": ("geomstats path straightening", peer("geomstats", cache)),
        "stochman": ("stochman spline, Adam", peer("stochman", cache)),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the contenders named on the command line and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="*", default=DIMENSIONS)
    parser.add_argument("--contenders", nargs="*", help="by short name; default all")
    parser.add_argument("--problems", nargs="*", default=[case.name for case in CASES])
    parser.add_argument("--segments", type=int, default=100)
    parser.add_argument("--limit", type=float, default=10.0, help="seconds a run")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the peers are")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--redraw", action="store_true", help="only figure and comparison, from the rows"
    )
    options = parser.parse_args(arguments)
    if options.redraw:
        result = json.loads(options.out.read_text())
        save(options.out, result | {"comparison": comparison(result["rows"])})
        draw(result["rows"], options.out.with_suffix(".png"))
        return
    known = contenders(options.cache)
    names = options.contenders or list(known)
    missing = [n for n in names if n in PEERS and not is_complete(n, options.cache)]
    if unknown := set(names) - set(known):
        parser.error(f"unknown contenders {sorted(unknown)}; choose from {list(known)}")
    if missing:
        parser.error(f"{missing} are not installed: run {ROOT}/benchmarks/peers/install.py")
    jax.config.update("jax_enable_x64", True)
    rows: list[dict[str, Any]] = []
    for case in CASES:
        for dimension in options.dimensions if case.name in options.problems else ():
            problem = place(case, dimension, options.segments)
            for name in names:
                title, run = known[name]
                trace = run(problem, options.limit)
                row = {"problem": case.name, "dimension": dimension, "solver": title}
                row |= {"exact": case.exact, "num_segments": options.segments}
                rows.append(row | {k: v for k, v in trace._asdict().items() if v is not None})
                _report(rows[-1])
    result = {"origin": origin(), "limit_seconds": options.limit, "rows": rows}
    save(options.out, result | {"comparison": comparison(rows)})
    draw(rows, options.out.with_suffix(".png"))


def _report(row: dict[str, Any]) -> None:
    head = f"{row['problem']:<11} D={row['dimension']:<6} {row['solver']:<40}"
    if not row["energies"]:
        print(head, row["status"], flush=True)
        return
    best = min(row["energies"]) / row["exact"] - 1
    last = row["seconds"][-1], row["evaluations"][-1]
    print(f"{head} {last[0]:8.4f} s {last[1]:>9,} evaluations, excess {best:.2e}, {row['status']}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
