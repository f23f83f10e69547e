"""GEORCE: the published step, its two forms of algebra, its energy and what that hides."""

import functools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS, Georce
from geojax.geodesics import TwoPointProblem
from tests.geodesics.problems import clairaut_length, metric, on_circle
from tests.metrics.fields import gradient, whirl
from tests.programs import largest_array

SHAPE, N = (2, 3), 6
ANY = 0.7 * geojax.Euclidean() + geojax.SteinScoreMetric(whirl, 2.0)
ANY = ANY + geojax.SteinScoreMetric(gradient, 0.5)
A, B = (jax.random.normal(jax.random.key(i), SHAPE) / 2 for i in (0, 1))
W = jnp.linspace(0, 1, N + 1)[:, None, None]
BUMP = 0.2 * jnp.sin(jnp.pi * W) * jax.random.normal(jax.random.key(2), (N + 1, *SHAPE))
PATH = (1 - W) * A[None] + W * B[None] + BUMP
TS = jnp.asarray([0, 0.1, 0.25, 0.4, 0.6, 0.9, 1.0])
RULE = geojax.Midpoint()


def problem_of(ts=None):
    return TwoPointProblem(ANY, RULE, None, A, B, ts)


def iterates(solver, count, ts=None):
    """The states of the first iterations, from `PATH`."""
    problem = problem_of(ts)
    states = [first_step(solver, problem, problem.offsets(PATH))]
    for _ in range(count):
        states.append(next_step(solver, problem, states[-1]))
    return states


@eqx.filter_jit
def first_step(solver, problem, offsets):
    return solver.step(problem, solver.init(problem, offsets))


@eqx.filter_jit
def next_step(solver, problem, state):
    return solver.step(problem, state)


def solve(solver, a=A, b=B, of=ANY, **options):
    options = {"num_segments": N, "max_steps": 300, "discretisation_tolerance": 1.0, **options}
    options = {"diagnostics": "price", **options}
    return geojax.geodesic(of, a, b, solver=solver, throw=False, **options)


@functools.cache
def published_step():
    """The equations of the paper, word for word, with the metric at the left ends."""
    xs = PATH

    @jax.jit
    @jax.vmap
    def matrix_and_gradient(x, v):
        return ANY.as_matrix(x), jax.grad(lambda x: ANY.inner(x, v, v))(x)

    g, nu = matrix_and_gradient(xs[:-1], jnp.asarray(np.diff(xs, axis=0)))
    nodes, nu, w = (
        np.asarray(xs).reshape(N + 1, -1),
        np.asarray(nu).reshape(N, -1),
        np.linalg.inv(g),
    )
    s = np.asarray([np.sum(nu[t + 1 :], axis=0) for t in range(N)])
    right = 2 * (nodes[-1] - nodes[0]) + np.einsum("tij,tj->i", w, s)
    mu = -np.linalg.solve(np.sum(w, axis=0), right)
    u = -0.5 * np.einsum("tij,tj->ti", w, mu + s)
    return np.concatenate([nodes[:1], nodes[0] + np.cumsum(u, axis=0)]).reshape(xs.shape)


@pytest.mark.slow
@pytest.mark.parametrize("dense", [False, True])
def test_a_step_is_the_published_one(dense):
    (state,) = iterates(Georce(dense=dense, left_end=True), 0)
    expected = published_step()
    np.testing.assert_allclose(expected[-1], PATH[-1], atol=1e-12)
    step = (expected - np.asarray(PATH))[1:-1].reshape(N - 1, -1)
    np.testing.assert_allclose(state.direction, step, rtol=1e-9, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize(
    "left_end, ts", [(False, None), pytest.param(True, TS, marks=pytest.mark.slow)]
)
def test_the_matrix_free_iterates_are_the_dense_ones(left_end, ts):
    free = iterates(Georce(left_end=left_end), 6, ts)
    dense = iterates(Georce(left_end=left_end, dense=True), 6, ts)
    for one, other in zip(free, dense, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
    energies = np.stack([state.energy for state in free])
    assert np.all(np.diff(energies) <= 0) and energies[-1] < energies[0] - 0.1


@pytest.mark.parametrize("left_end", [False, True])
def test_the_decrement_is_the_slope_of_the_energy(left_end):
    """Along the change that is proposed, relative to the energy: by a difference quotient."""
    problem, solver = problem_of(), Georce(left_end=left_end)
    start = problem.offsets(PATH)
    state = first_step(solver, problem, start)

    def energy(w):
        moved = np.array(start)
        moved[1:-1] += w * np.reshape(state.direction, moved[1:-1].shape)
        return float(first_step(solver, problem, jnp.asarray(moved)).energy)

    slope = (energy(1e-5) - energy(-1e-5)) / 2e-5
    np.testing.assert_allclose(-slope / state.energy, state.decrement, rtol=1e-6)


@pytest.mark.slow
def test_with_the_midpoint_rule_it_has_the_minimum_of_gauss_newton():
    plain = geojax.GaussNewton(curvature_steps=0)
    found, expected = solve(Georce()), solve(plain, rule=geojax.Midpoint())
    assert found.result == RESULTS.successful
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-8)
    np.testing.assert_allclose(found.curve.xs, expected.curve.xs, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("left_end, order", [(False, 2), (True, 1)])
def test_the_order_of_its_energy(left_end, order):
    """Between radii 1 and 2 around a Gaussian, whose metric grows with the radius."""
    exact = clairaut_length(0, 1, 1, 1, 2, 1.0) ** 2 / 2
    ends, meter = (on_circle(1.0, 0.3), on_circle(2.0, 1.3)), diffrax.NoProgressMeter()
    problem = TwoPointProblem(metric(0, 1, 1), RULE, None, *ends)
    errors = []
    for n in (25, 100):
        line = jnp.zeros((n + 1, 2))
        output = eqx.filter_jit(Georce(left_end=left_end).solve)(problem, line, 200, meter)
        errors.append(float(output.energy) / exact - 1)
    slope = np.log(abs(errors[1] / errors[0])) / np.log(4)
    assert -order - 0.15 < slope < -order + 0.1, (slope, errors)


@pytest.mark.slow
def test_an_exploited_energy_is_not_called_good():
    """The left-end rule is minimised by a jump across the hole of the ring, where s is small."""
    exact = clairaut_length(2, 0.25, 3, 2, 1.5, 2.0) ** 2 / 2
    ends, thin = (on_circle(2.0, 0.3), on_circle(1.5, 2.3)), metric(2, 0.25, 3.0)
    options = {"num_segments": 8, "max_steps": 3000, "discretisation_tolerance": 0.05}
    found = solve(Georce(left_end=True, rtol=1e-3), *ends, thin, **options)
    assert found.result == RESULTS.under_resolved
    assert found.energy < 0.8 * exact < 4 * exact < found.stats["energy_fine"]


@pytest.mark.slow
def test_hyperbolic_space():
    """Conformal: matrix-free although the base varies from point to point."""
    ball = geojax.metrics.PoincareBall()
    a, b = jnp.asarray([0.5, 0.1, 0.0]), jnp.asarray([-0.3, 0.6, 0.2])
    found = geojax.geodesic(ball, a, b, solver=Georce(), num_segments=64, diagnostics="price")
    np.testing.assert_allclose(found.length, ball.distance(a, b), rtol=5e-4)


def test_no_array_of_size_d_squared_is_made_by_default():
    size = 4096

    def program(a, b):
        options = {"solver": Georce(), "num_segments": 4, "throw": False, "diagnostics": "price"}
        return geojax.geodesic(ANY, a, b, **options).energy

    points = jnp.ones(size), jnp.zeros(size)
    assert largest_array(jax.make_jaxpr(program)(*points).jaxpr) < 100 * size


@pytest.mark.slow
def test_float32():
    single, double = solve(Georce(), *(p.astype(jnp.float32) for p in (A, B))), solve(Georce())
    assert single.result == RESULTS.successful and single.energy.dtype == jnp.float32
    assert float(single.energy) == pytest.approx(float(double.energy), rel=1e-5)


# Failures ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_too_few_steps():
    assert solve(Georce(), max_steps=1).result == RESULTS.max_steps_reached


@pytest.mark.slow
def test_not_finite():
    broken = geojax.SteinScoreMetric(lambda x, args: x + jnp.nan, 1.0)
    assert solve(Georce(), of=broken).result == RESULTS.non_finite
    # Finite, but its derivative is not.
    rough = geojax.SteinScoreMetric(lambda x, args: x + jnp.sqrt(0 * x), 1.0)
    assert solve(Georce(), of=rough).result == RESULTS.non_finite


def test_coincident_points():
    solution = solve(Georce(), A, A)
    assert float(solution.energy) == 0 and solution.result == RESULTS.successful


@pytest.mark.slow
def test_it_makes_no_matrices_by_default():
    jacobian = geojax.JacobianMetric(lambda x, args: -x, 3.0)  # it is 4 I everywhere
    with pytest.raises(ValueError, match=r"Georce\(dense=True\)"):
        solve(Georce(), of=jacobian)
    found = solve(Georce(dense=True), of=jacobian)
    np.testing.assert_allclose(found.length, 2 * np.linalg.norm(np.subtract(B, A)), rtol=1e-12)


def test_other_rules_are_refused():
    with pytest.raises(ValueError, match=r"rule=Midpoint\(\)"):
        solve(Georce(), of=metric(0, 1.0, 1.0), rule=geojax.LogDensityChord())
