"""The structured algebra of Gauss-Newton against dense matrices, and its digits in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.geodesics import TwoPointProblem
from geojax.geodesics._gauss_newton import _gram, _model, _propose
from tests.metrics.fields import gradient, whirl
from tests.programs import largest_array

N, D = 6, 3
METRIC = 0.7 * geojax.SteinScoreMetric(gradient, 0.9) + geojax.SteinScoreMetric(whirl, 0.4)
BASE = 1.7
PATH = jax.random.normal(jax.random.key(0), (N + 1, D)) / 2
PROBLEM = TwoPointProblem(METRIC, geojax.Midpoint(), None)


@jax.jit
def proposal(xs, damping):
    model = _model(PROBLEM, xs)
    return model, _propose(xs, model, _gram(model), damping)


@jax.jit
def derivatives(xs):
    """The increments sqrt(lam) h, their Jacobian by the inner nodes, the energy's gradient."""

    def increments(inner):
        path = xs.at[1:-1].set(inner)
        _, weights, scores, _ = METRIC.terms()
        pairs = zip(weights, scores, strict=True)
        return jnp.concatenate(
            [jnp.sqrt(w) * PROBLEM.rule.increments(s, path, None) for w, s in pairs]
        )

    inner = xs[1:-1]
    jacobian = jax.jacrev(increments)(inner).reshape(2 * N, -1)
    gradient = jax.grad(lambda inner: PROBLEM.energy(xs.at[1:-1].set(inner)))(inner)
    return increments(inner), jacobian, gradient.reshape(-1)


@pytest.mark.parametrize("damping", [0.0, 0.3, 100.0])
def test_the_step_is_that_of_the_dense_system(damping):
    """``(N (b (1 + mu) L + A^T A)) d = -gradient``, with all figures that follow from it."""
    model, state = proposal(PATH, damping)
    h, a, gradient = (np.asarray(part) for part in derivatives(PATH))
    laplacian = np.kron(2 * np.eye(N - 1) - np.eye(N - 1, k=1) - np.eye(N - 1, k=-1), np.eye(D))
    hessian = N * (BASE * laplacian + a.T @ a)
    damped = hessian + N * BASE * damping * laplacian
    step = np.linalg.solve(damped, -gradient)

    np.testing.assert_allclose(model.h, h, rtol=1e-12)
    np.testing.assert_allclose(model.energy, PROBLEM.energy(PATH), rtol=1e-12)
    np.testing.assert_allclose(_gram(model), a @ np.linalg.solve(laplacian, a.T), atol=1e-10)
    np.testing.assert_allclose(state.step.reshape(-1), step, rtol=1e-10, atol=1e-12)
    gain = -gradient @ step - step @ hessian @ step / 2
    np.testing.assert_allclose(state.predicted, gain, rtol=1e-10)
    decrement = -gradient @ step / model.energy
    np.testing.assert_allclose(state.decrement, (1 + damping) * decrement, rtol=1e-8)
    undamped = gradient @ np.linalg.solve(hessian, gradient) / model.energy
    assert state.decrement >= undamped * (1 - 1e-10)


def big_score(x, args):
    return -x - jnp.sin(x)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_many_dimensions_and_a_stiff_metric(dtype):
    """D = 16,384, N = 128, lam |s|^2 of 1e8: no negative decrement, no success that is none."""
    x0, x1 = jax.random.normal(jax.random.key(3), (2, 16384)).astype(dtype)
    metric = geojax.SteinScoreMetric(big_score, 1e4)
    options = {"num_segments": 128, "max_steps": 30, "throw": False}
    line = geojax.geodesic(metric, x0, x1, **options | {"max_steps": 0})
    found = geojax.geodesic(metric, x0, x1, **options)
    assert found.energy.dtype == found.stats["decrement"].dtype == dtype
    assert 0 <= found.energy < line.energy
    assert found.stats["decrement"] >= 0
    if found.result == geojax.RESULTS.successful:
        assert found.stats["decrement"] <= (1e-6 if dtype == jnp.float32 else 1e-10)


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
            geojax.geodesic(metric, x, v, geojax.PathEnergy(), num_segments=n, throw=False).energy
        ),
    }
    for name, program in programs.items():
        most = 4 * size if name not in ("geodesic", "Adam") else 12 * n * size
        found = largest_array(jax.make_jaxpr(program)(*points).jaxpr)
        assert size <= found <= most or name == "log_det", (name, found)
    assert largest_array(jax.make_jaxpr(lambda x, v: metric.as_matrix(x))(*points).jaxpr) >= size**2
