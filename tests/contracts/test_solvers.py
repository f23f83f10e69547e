"""Every solver reaches the same energy on every problem. A new solver is one line in `SOLVERS`."""

import jax.numpy as jnp
import numpy as np
import optax
import optimistix as optx
import pytest

import geojax
from geojax import (
    CoarseToFine,
    GaussNewton,
    Georce,
    LambdaContinuation,
    Newton,
    PathEnergy,
    Shooting,
)
from tests.geodesics.problems import Blobs, Matrix

NUM_SEGMENTS = 12
PLAIN = GaussNewton(curvature_steps=0)  # twice as quick to compile
ADAM = optax.adam(optax.cosine_decay_schedule(0.03, 3000), b2=0.95)
BFGS, LBFGS = optx.BFGS(rtol=1e-9, atol=1e-9), optx.LBFGS(rtol=1e-9, atol=1e-9)
# The solver, the rule, the steps that it may take. The first of a rule is the reference for it.
SOLVERS = {
    "GaussNewton": (PLAIN, geojax.Midpoint(), 60),
    "GaussNewton, graph": (PLAIN, geojax.LogDensityChord(), 60),
    "GaussNewton, quadrature": (PLAIN, geojax.Quadrature(), 60),
    "GaussNewton, exact curvature": (GaussNewton(), geojax.Midpoint(), 60),
    "Adam": (PathEnergy(ADAM, rtol=1e-7), geojax.Midpoint(), 3000),
    "BFGS": (PathEnergy(BFGS, rtol=1e-6), geojax.Midpoint(), 2000),
    "LBFGS": (PathEnergy(LBFGS, rtol=1e-6), geojax.LogDensityChord(), 2000),
    "Georce": (Georce(), geojax.Midpoint(), 200),
    "Newton": (Newton(), geojax.Midpoint(), 60),
    "CoarseToFine": (CoarseToFine(PLAIN, levels=2), geojax.Midpoint(), 60),
    "CoarseToFine of LBFGS": (
        CoarseToFine(PathEnergy(LBFGS, rtol=1e-6), levels=2),
        geojax.Midpoint(),
        2000,
    ),
    "LambdaContinuation": (LambdaContinuation(PLAIN, (0.1,)), geojax.Midpoint(), 60),
}
RULES = "GaussNewton", "GaussNewton, graph", "GaussNewton, quadrature"
# With the same rule, as rules differ by O(1 / N^2).
REFERENCES = {type(rule): (s, rule, n) for s, rule, n in reversed(SOLVERS.values())}


def blobs(centres, radii, widths):
    return Blobs(jnp.asarray(centres), jnp.asarray(radii), jnp.asarray(widths))


FAR = [9.0, 9.0, 9.0]
# One structure, so that a solver is compiled once for all: the score, lam, the two points.
PROBLEMS = {
    "Gaussian": (
        blobs([[0.0, 0.0, 0.0], FAR], [0.0, 0.0], [1.0, 1.0]),
        1.0,
        ([1.0, 0.0, 0.0], [-0.8, 0.6, 0.1]),
    ),
    "ring": (
        blobs([[0.0, 0.0, 0.0], FAR], [2.0, 0.0], [0.5, 0.5]),
        1.0,
        ([2.0, 0.0, 0.0], [-0.5, 1.9, 0.2]),
    ),
    "ring and Gaussian": (
        blobs([[0.0, 0.0, 0.0], [1.5, -1.0, 0.5]], [2.0, 0.0], [0.6, 0.8]),
        1.0,
        ([1.0, 0.2, 0.0], [-0.5, 1.9, 0.2]),
    ),
    "two Gaussians": (
        blobs([[0.0, 0.0, 0.0], [1.5, 1.0, 0.0]], [0.0, 0.0], [0.8, 1.0]),
        0.5,
        ([-0.7, 0.3, 0.2], [2.0, 1.5, -0.4]),
    ),
}


def solve(metric, points, solver, rule, max_steps):
    return geojax.geodesic(
        metric,
        *map(jnp.asarray, points),
        solver=solver,
        num_segments=NUM_SEGMENTS,
        rule=rule,
        max_steps=max_steps,
        discretisation_tolerance=0.2,
        diagnostics="price",
    )


def agrees(name, metric, points):
    """A solver against Gauss-Newton with the same rule."""
    solver, rule, max_steps = SOLVERS[name]
    solution = solve(metric, points, solver, rule, max_steps)
    expected = solve(metric, points, *REFERENCES[type(rule)])
    np.testing.assert_allclose(solution.energy, expected.energy, rtol=1e-6)
    np.testing.assert_allclose(solution.curve.xs, expected.curve.xs, atol=5e-3)
    np.testing.assert_array_equal(solution.curve.xs[0], points[0])
    np.testing.assert_array_equal(solution.curve.xs[-1], points[1])


def tiers(names, *quick):
    """Those in `quick` for the quick tier, the others for the slow one."""
    marks = {True: (), False: pytest.mark.slow}
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=marks[name in quick]) for name in names]
    )


@pytest.mark.parametrize("problem", PROBLEMS)
@tiers(SOLVERS, *RULES, "LBFGS", "Georce", "CoarseToFine")
def test_every_solver_reaches_the_same_energy(name, problem):
    score, lam, points = PROBLEMS[problem]
    agrees(name, geojax.SteinScoreMetric(score, lam), points)


@pytest.mark.slow
@tiers(SOLVERS, "LBFGS")
def test_every_solver_minimises_a_sum_of_metrics(name):
    first, lam, points = PROBLEMS["ring"]
    second, _, _ = PROBLEMS["two Gaussians"]
    stein = geojax.SteinScoreMetric
    agrees(name, stein(first, lam) + 0.5 * stein(second, 1.0), points)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.slow
def test_shooting_samples_the_smooth_geodesic(problem):
    """Which the polyline of least energy approximates: the energies differ by O(1 / N^4)."""
    score, lam, points = PROBLEMS[problem]
    metric = geojax.SteinScoreMetric(score, lam)
    solution = solve(metric, points, Shooting(), geojax.Midpoint(), 40)
    expected = solve(metric, points, *REFERENCES[geojax.Midpoint])
    np.testing.assert_allclose(solution.energy, expected.energy, rtol=1e-4)
    np.testing.assert_allclose(solution.curve.xs, expected.curve.xs, atol=5e-3)
    np.testing.assert_array_equal(solution.curve.xs[0], points[0])
    np.testing.assert_allclose(solution.curve.xs[-1], points[1], atol=1e-7)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_quadrature_rule_agrees_with_the_graph_rule(problem):
    """Which it approximates from the score alone, to the accuracy of its quadrature."""
    score, lam, points = PROBLEMS[problem]
    metric = geojax.SteinScoreMetric(score, lam)
    energies = [
        solve(metric, points, *SOLVERS[name]).energy
        for name in ("GaussNewton, graph", "GaussNewton, quadrature")
    ]
    np.testing.assert_allclose(*energies, rtol=1e-5)


@pytest.mark.parametrize("problem", PROBLEMS)
@tiers(["LBFGS", "Adam", "Georce", "Newton"], "LBFGS")
def test_a_dense_metric_agrees_with_its_low_rank_form(name, problem):
    score, lam, points = PROBLEMS[problem]
    metric = geojax.SteinScoreMetric(score, lam)
    dense = geojax.DenseMetric(Matrix(metric))
    solver, _, max_steps = SOLVERS[name]
    solution = solve(dense, points, solver, geojax.Midpoint(), max_steps)
    expected = solve(metric, points, *SOLVERS["GaussNewton"])
    np.testing.assert_allclose(solution.energy, expected.energy, rtol=1e-6)
    np.testing.assert_allclose(solution.initial_velocity, expected.initial_velocity, atol=5e-3)
