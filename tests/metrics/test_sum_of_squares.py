"""Metrics whose path energy is a sum of squares: roots, sums, multiples, order."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import DenseMetric, Euclidean, JacobianMetric, SteinScoreMetric
from geojax.metrics import (
    AbstractSumOfSquaresMetric,
    LowRankSum,
    SampledPath,
    SumMetric,
    SumOfSquaresScaled,
    SumOfSquaresSum,
)
from tests.metrics.fields import gradient, matrix, points, sampled, whirl

STEIN = SteinScoreMetric(whirl, 1.3)
JACOBIAN = JacobianMetric(whirl, 0.7, mu=0.5)
NAMED_METRICS = {
    "Euclidean": Euclidean(),
    "Stein": STEIN,
    "Jacobian": JACOBIAN,
    "Stein and Jacobian": STEIN + 0.2 * JACOBIAN,
    "nested": 2.0 * (0.5 * JACOBIAN + STEIN) + JacobianMetric(gradient, 0.1),
}
each = pytest.mark.parametrize("metric", NAMED_METRICS.values(), ids=NAMED_METRICS.keys())


def square(parts):
    return sum(np.sum(np.asarray(part) ** 2) for part in parts)


@each
def test_squared_speeds_are_sums_of_squares_linear_in_the_velocity(metric):
    x, u, v = points((2, 3), jnp.float64)
    path = SampledPath.straight(x, x + 1e-4 * v)

    @jax.jit
    def figures(x, u, v):
        roots = [metric.root(x, w) for w in (u, v, u - 2 * v)]
        along = metric.roots(path), metric.squared_speeds(path)
        return roots, (metric.inner(x, v, v), metric.inner(x, u, v)), along

    roots, (norm, inner), (along, speeds) = jax.device_get(figures(x, u, v))
    np.testing.assert_allclose(square(roots[1]), norm, rtol=1e-12)
    np.testing.assert_allclose(sum(np.vdot(p, q) for p, q in zip(*roots[:2], strict=True)), inner)
    for of_u, of_v, of_both in zip(*roots, strict=True):
        np.testing.assert_allclose(of_both, of_u - 2 * of_v, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(speeds, [square(along)], rtol=1e-12)
    np.testing.assert_allclose(speeds, [1e-8 * norm], rtol=1e-3)


@each
def test_the_roots_along_a_path_are_those_at_its_points_to_its_order(metric):
    """Those of a map's image are of order 2 for a polyline and of order 3 for a spline."""
    a, b, c = points((5,), jnp.float64)

    def error(rule, n):
        ts = np.linspace(0, 1, n + 1)
        nodes = a[None] + np.outer(np.sin(ts), b) + np.outer(np.cos(2 * ts), c)
        path, _ = geojax.geodesics.sampled_path(rule, jnp.asarray(ts), nodes)
        speeds = eqx.filter_jit(metric.squared_speeds)(path)
        exact = eqx.filter_jit(eqx.filter_vmap(metric.inner))(
            path.points, path.velocities, path.velocities
        )
        return np.max(np.abs(speeds / exact - 1))

    for rule, order in ((geojax.Midpoint(), 2), (geojax.SplineGauss(), 3)):
        coarse, fine = error(rule, 8), error(rule, 16)
        assert fine <= coarse / (0.8 * 2**order) or coarse < 1e-12, (rule, coarse, fine)


@pytest.mark.slow
def test_the_jacobian_metric_of_a_linear_score_is_a_matrix():
    rows = jax.random.normal(jax.random.key(0), (4, 4))
    metric = JacobianMetric(lambda x, args: rows @ x, 0.3, mu=2.0)
    dense = 2.0 * np.eye(4) + 0.3 * rows.T @ rows
    x, v, _ = points((4,), jnp.float64)
    np.testing.assert_allclose(metric.as_matrix(x), dense, rtol=1e-12)
    np.testing.assert_allclose(metric.sharp(x, v), np.linalg.solve(dense, v), rtol=1e-9)
    np.testing.assert_array_equal(metric.acceleration(x, v), jnp.zeros(4))


def test_an_energy_evaluates_a_map_once_a_node_and_takes_no_derivative():
    calls = []

    def score(x, args):
        jax.debug.callback(lambda _: calls.append("score"), x[0])
        return jnp.sin(x)

    metric = JacobianMetric(score, 1.0)
    xs = jnp.stack(points((3,), jnp.float64, 6))
    eqx.filter_jit(metric.squared_speeds)(sampled(xs, geojax.SplineGauss())).block_until_ready()
    jax.effects_barrier()
    assert len(calls) == 6


@pytest.mark.parametrize("metric", [JACOBIAN, 0.5 * JACOBIAN + STEIN], ids=["one", "sum"])
def test_energies_have_derivatives_at_weight_zero(metric):
    """dE/dlam at lam = 0 is the score's part of the energy, neither NaN nor 0."""
    path = sampled(jnp.stack(points((3,), jnp.float64, 4)), geojax.SplineGauss())

    @jax.jit
    def energy(lam):
        return jnp.sum((metric + JacobianMetric(gradient, lam)).squared_speeds(path))

    expected = energy(1.0) - energy(0.0)
    np.testing.assert_allclose(jax.grad(energy)(0.0), expected, rtol=1e-10)


@pytest.mark.slow
def test_the_inverse_by_conjugate_gradients_has_derivatives():
    """In both modes, as finite differences have it."""
    x, v, w = points((3,), jnp.float64)

    @jax.jit
    def value(lam):
        return jnp.vdot(w, JacobianMetric(whirl, lam).sharp(x, v))

    finite = (value(0.5 + 1e-5) - value(0.5 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(value)(0.5), finite, rtol=1e-6)
    np.testing.assert_allclose(jax.jvp(value, (0.5,), (1.0,))[1], finite, rtol=1e-6)


@pytest.mark.slow
def test_sums_and_multiples_of_sums_of_squares_are_such():
    assert isinstance(STEIN + JACOBIAN, SumOfSquaresSum)
    assert isinstance(JACOBIAN + STEIN, SumOfSquaresSum)
    assert isinstance(2 * JACOBIAN, SumOfSquaresScaled)
    assert isinstance(STEIN + Euclidean(), LowRankSum)
    assert isinstance(LowRankSum((STEIN,)), AbstractSumOfSquaresMetric)
    mixed = JACOBIAN + DenseMetric(matrix)
    assert isinstance(mixed, SumMetric) and not isinstance(mixed, AbstractSumOfSquaresMetric)
    path = sampled(jnp.stack(points((3,), jnp.float64, 4)))
    parts = JACOBIAN.squared_speeds(path) + DenseMetric(matrix).squared_speeds(path)
    np.testing.assert_allclose(mixed.squared_speeds(path), parts, rtol=1e-12)
    np.testing.assert_allclose((3 * mixed).squared_speeds(path), 3 * parts, rtol=1e-12)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: JacobianMetric(None), "score must be a callable"),
        (lambda: JacobianMetric(gradient, -1.0), "lam must be a finite number >= 0"),
        (lambda: JacobianMetric(gradient, 1.0, 0.0), "mu must be a finite number > 0"),
        (lambda: JacobianMetric(gradient, jnp.ones(2)), "lam must be a scalar"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
