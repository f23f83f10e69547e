"""The structured algebra of Gauss-Newton against dense matrices, and its digits in float32."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.geodesics import TwoPointProblem
from geojax.geodesics import _path_hessian as ph
from tests.metrics.fields import gradient, whirl
from tests.programs import largest_array

N, D = 6, 3
METRIC = 0.7 * geojax.SteinScoreMetric(gradient, 0.9) + geojax.SteinScoreMetric(whirl, 0.4)
BASE = 1.7
PATH = jax.random.normal(jax.random.key(0), (N + 1, D)) / 2
RULES = {"spline": geojax.SplineGauss(), "midpoint": geojax.Midpoint()}
UNEVEN = jnp.asarray([0.0, 0.1, 0.3, 0.45, 0.6, 0.9, 1.0])


def problem_of(rule, ts):
    return TwoPointProblem(METRIC, RULES[rule], None, PATH[0], PATH[-1], ts)


@functools.partial(jax.jit, static_argnames="rule")
def model_and_steps(rule, damping, right, ts):
    problem = problem_of(rule, ts)
    model = ph.linearise(problem, problem.offsets(PATH))
    factor = ph.factorise(model, ph.gram(model), damping)
    steps = ph.downhill(model, factor), ph.solve(model, factor, right)
    moved = ph.stiffness_product(model.basis, right), ph.h1_square(model.basis, right)
    return model, ph.gram(model), ph.gradient(model), ph.momenta(model), steps, moved


@functools.partial(jax.jit, static_argnames="rule")
def derivatives(rule, ts):
    """From the path's nodes alone, by automatic differentiation: the residuals
    sqrt(lam w) s(x) . x' and their Jacobian, the velocities' Jacobian, and the energy's gradient by
    inner nodes and by the ends.
    """
    _, weights, scores, _ = METRIC.terms()

    def parts(inner):
        xs = PATH.at[1:-1].set(inner)
        times = jnp.linspace(0, 1, N + 1) if ts is None else ts
        path, shares = geojax.geodesics.sampled_path(RULES[rule], times, xs)
        rates = [
            jnp.sqrt(lam * shares) * jnp.sum(jax.vmap(s)(path.points) * path.velocities, axis=1)
            for lam, s in zip(weights, scores, strict=True)
        ]
        return jnp.concatenate(rates), jnp.sqrt(shares)[:, None] * path.velocities

    def energy(offsets, x0, x1):
        return problem_of(rule, ts)._replace(x0=x0, x1=x1).energy(offsets)

    inner, offsets = PATH[1:-1], problem_of(rule, ts).offsets(PATH)
    (h, velocities), (a, v) = parts(inner), jax.jacfwd(parts)(inner)
    slopes = jax.grad(energy, (0, 1, 2))(offsets, PATH[0], PATH[-1])
    size = inner.size
    return h, velocities, a.reshape(len(h), size), v.reshape(-1, size), *slopes


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("ts", [None, UNEVEN], ids=["even", "uneven"])
def test_the_steps_are_those_of_the_dense_system(rule, ts):
    """`(b (1 + mu) K + A^T C A) d` against matrices, for any mesh."""
    right = jax.random.normal(jax.random.key(5), (N - 1, D))
    h, velocities, a, v, gradient, by_start, by_end = map(np.asarray, derivatives(rule, ts))
    stiffness, gradient = v.T @ v, gradient[1:-1].reshape(-1)
    for damping in (0.0, 0.3, 100.0):
        found = model_and_steps(rule, jnp.asarray(damping), right, ts)
        model, gram, slope, momenta, (downhill, solved), (moved, square) = found
        roots = np.sqrt(model.weights)
        damped = BASE * (1 + damping) * stiffness + a.T @ a

        np.testing.assert_allclose(roots * model.h, h, rtol=1e-11)
        energy = (BASE * np.sum(velocities**2) + h @ h) / 2
        np.testing.assert_allclose(model.energy, energy, rtol=1e-12)
        np.testing.assert_allclose(slope.reshape(-1), gradient, atol=1e-10)
        np.testing.assert_allclose(momenta, (-by_start, by_end), rtol=1e-10)
        np.testing.assert_allclose(gram, a @ np.linalg.solve(stiffness, a.T), atol=1e-10)
        step = np.linalg.solve(damped, -gradient)
        np.testing.assert_allclose(downhill.nodes.reshape(-1), step, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(roots * downhill.change, a @ step, rtol=1e-9, atol=1e-10)
        vector = np.asarray(right).reshape(-1)
        expected = np.linalg.solve(damped, vector)
        np.testing.assert_allclose(solved.nodes.reshape(-1), expected, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(moved.reshape(-1), stiffness @ vector, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(square, vector @ stiffness @ vector, rtol=1e-10)


@pytest.mark.parametrize("rule", RULES)
def test_the_decrement_bounds_the_energy_still_to_be_gained(rule):
    solver, problem = geojax.GaussNewton(curvature_steps=0), problem_of(rule, None)
    start = problem.offsets(PATH)
    state = jax.jit(lambda z: solver.step(problem, solver.init(problem, z)))(start)
    h, velocities, a, v, gradient, *_ = map(np.asarray, derivatives(rule, None))
    energy = (BASE * np.sum(velocities**2) + h @ h) / 2
    gradient, norm = gradient[1:-1].reshape(-1), BASE * v.T @ v
    hessian = norm + a.T @ a
    step = np.linalg.solve(hessian + norm, -gradient)
    np.testing.assert_allclose(state.step.reshape(-1), step, rtol=1e-9)
    gain = -gradient @ step - step @ hessian @ step / 2
    np.testing.assert_allclose(state.predicted, gain, rtol=1e-10)
    np.testing.assert_allclose(state.decrement, -2 * gradient @ step / energy, rtol=1e-8)
    assert state.decrement >= gradient @ np.linalg.solve(hessian, gradient) / energy


def big_score(x, args):
    return -x - jnp.sin(x)


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtype, size, num_segments",
    [
        (jnp.float32, 256, 32),
        pytest.param(jnp.float64, 256, 32, marks=pytest.mark.slow),
        pytest.param(jnp.float32, 4096, 128, marks=pytest.mark.slow),
    ],
)
def test_many_dimensions_and_a_stiff_metric(dtype, size, num_segments):
    """lam |s|^2 of 1e7: no negative decrement, no success that is none."""
    x0, x1 = jax.random.normal(jax.random.key(3), (2, size)).astype(dtype)
    metric = geojax.SteinScoreMetric(big_score, 1e4 * (4096 / size))
    options = {"num_segments": num_segments, "max_steps": 12, "throw": False}
    found = geojax.geodesic(metric, x0, x1, **options)
    problem = TwoPointProblem(metric, geojax.SplineGauss(), None, x0, x1)
    line = jax.jit(lambda: problem.energy(jnp.zeros((num_segments + 1, size), dtype)))()
    assert found.energy.dtype == found.stats["decrement"].dtype == dtype
    assert 0 <= found.energy < line
    assert found.stats["decrement"] >= 0
    if found.result == geojax.RESULTS.successful:
        least = max(1e-6 if dtype == jnp.float32 else 1e-10, float(found.stats["rounding_error"]))
        assert found.stats["decrement"] <= least * (1 + 1e-6)


@pytest.mark.slow
def test_nothing_of_size_d_squared_is_made():
    shape, n = (1, 30, 40), 8
    size = 1200
    metric = geojax.SteinScoreMetric(whirl, 1.0) + geojax.SteinScoreMetric(gradient, 0.5)
    points = jnp.ones(shape), jnp.zeros(shape)
    programs = {
        "flat": lambda x, v: metric.flat(x, v),
        "sharp": lambda x, v: metric.sharp(x, v),
        "inner": lambda x, v: metric.inner(x, v, v),
        "log_det": lambda x, v: metric.log_det(x),
        "acceleration": lambda x, v: metric.acceleration(x, v),
        "geodesic": lambda x, v: geojax.geodesic(metric, x, v, num_segments=n, throw=False).energy,
        "Adam": lambda x, v: (
            geojax.geodesic(
                metric, x, v, solver=geojax.PathEnergy(), num_segments=n, throw=False
            ).energy
        ),
    }
    for name, program in programs.items():
        most = 4 * size if name not in ("geodesic", "Adam") else 12 * n * size
        found = largest_array(jax.make_jaxpr(program)(*points).jaxpr)
        assert size <= found <= most or name == "log_det", (name, found)
    assert largest_array(jax.make_jaxpr(lambda x, v: metric.as_matrix(x))(*points).jaxpr) >= size**2
