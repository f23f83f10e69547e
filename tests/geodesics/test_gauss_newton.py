"""The structured algebra of Gauss-Newton against dense matrices, and its digits in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.geodesics import TwoPointProblem
from geojax.geodesics import _path_hessian as ph
from geojax.geodesics._curve import straight_line
from tests.metrics.fields import gradient, whirl
from tests.programs import largest_array

N, D = 6, 3
METRIC = 0.7 * geojax.SteinScoreMetric(gradient, 0.9) + geojax.SteinScoreMetric(whirl, 0.4)
BASE = 1.7
PATH = jax.random.normal(jax.random.key(0), (N + 1, D)) / 2
PROBLEM = TwoPointProblem(METRIC, geojax.Midpoint(), None)


TS = jnp.asarray([0.0, 0.1, 0.3, 0.45, 0.6, 0.9, 1.0])


@jax.jit
def model_and_steps(xs, damping, right, ts):
    model = ph.linearise(PROBLEM._replace(ts=ts), xs)
    factor = ph.factorise(model, ph.gram(model), damping)
    return model, ph.gram(model), ph.downhill(model, factor), ph.solve(model, factor, right)


gradient_of = jax.jit(ph.gradient)


@jax.jit
def laplacians(taus, nodes, product):
    return ph.laplacian(taus, nodes), ph.inverse_laplacian(taus, product)


@jax.jit
def derivatives(xs, ts):
    """The increments sqrt(lam / tau) h, their Jacobian, and the gradient of the energy."""
    roots = jnp.sqrt(1 / jnp.diff(ts))

    def increments(inner):
        path = xs.at[1:-1].set(inner)
        _, weights, scores, _ = METRIC.terms()
        pairs = zip(weights, scores, strict=True)
        return jnp.concatenate(
            [jnp.sqrt(w) * roots * PROBLEM.rule.increments(s, path, None) for w, s in pairs]
        )

    inner = xs[1:-1]
    jacobian = jax.jacrev(increments)(inner).reshape(2 * N, -1)
    gradient = jax.grad(lambda inner: PROBLEM._replace(ts=ts).energy(xs.at[1:-1].set(inner)))(inner)
    energy = PROBLEM._replace(ts=ts).energy(xs)
    return increments(inner), jacobian, gradient.reshape(-1), energy


@pytest.mark.parametrize("damping", [0.0, 0.3, 100.0])
@pytest.mark.parametrize("ts", [jnp.linspace(0, 1, N + 1), TS], ids=["even", "uneven"])
def test_the_steps_are_those_of_the_dense_system(damping, ts):
    """``(b (1 + mu) L + A^T A) d`` against matrices, for any mesh."""
    right = jax.random.normal(jax.random.key(5), (N - 1, D))
    model, gram, downhill, solved = model_and_steps(PATH, jnp.asarray(damping), right, ts)
    h, a, gradient, energy = (np.asarray(part) for part in derivatives(PATH, ts))
    weights, roots = 1 / np.diff(ts), np.sqrt(model.weights)
    laplacian = np.diag(weights[:-1] + weights[1:])
    laplacian -= np.diag(weights[1:-1], 1) + np.diag(weights[1:-1], -1)
    laplacian = np.kron(laplacian, np.eye(D))
    damped = BASE * (1 + damping) * laplacian + a.T @ a

    np.testing.assert_allclose(roots * model.h, h, rtol=1e-12)
    np.testing.assert_allclose(model.energy, energy, rtol=1e-12)
    np.testing.assert_allclose(gradient_of(model).reshape(-1), gradient, atol=1e-10)
    np.testing.assert_allclose(gram, a @ np.linalg.solve(laplacian, a.T), atol=1e-10)
    step = np.linalg.solve(damped, -gradient)
    np.testing.assert_allclose(downhill.nodes.reshape(-1), step, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(roots * downhill.change, a @ step, rtol=1e-9, atol=1e-10)
    right = np.asarray(right).reshape(-1)
    expected = np.linalg.solve(damped, right)
    np.testing.assert_allclose(solved.nodes.reshape(-1), expected, rtol=1e-9, atol=1e-11)
    product = (laplacian @ expected).reshape(N - 1, D)
    found, again = laplacians(jnp.diff(ts), solved.nodes, product)
    np.testing.assert_allclose(found, product, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(again.reshape(-1), expected, rtol=1e-8, atol=1e-10)


def test_the_decrement_bounds_the_energy_still_to_be_gained():
    solver = geojax.GaussNewton(curvature_steps=0)
    state = jax.jit(lambda xs: solver.step(PROBLEM, solver.init(PROBLEM, xs)))(PATH)
    _, a, gradient, energy = map(np.asarray, derivatives(PATH, jnp.linspace(0, 1, N + 1)))
    laplacian = np.kron(2 * np.eye(N - 1) - np.eye(N - 1, k=1) - np.eye(N - 1, k=-1), np.eye(D))
    hessian = N * BASE * laplacian + a.T @ a
    step = np.linalg.solve(hessian + N * BASE * laplacian, -gradient)
    np.testing.assert_allclose(state.step.reshape(-1), step, rtol=1e-10)
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
    problem = TwoPointProblem(metric, geojax.Midpoint(), None)
    line = jax.jit(lambda: problem.energy(straight_line(x0, x1, num_segments)))()
    assert found.energy.dtype == found.stats["decrement"].dtype == dtype
    assert 0 <= found.energy < line
    assert found.stats["decrement"] >= 0
    if found.result == geojax.RESULTS.successful:
        assert found.stats["decrement"] <= (1e-6 if dtype == jnp.float32 else 1e-10)


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
