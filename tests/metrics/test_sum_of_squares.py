"""Metrics whose path energy is a sum of squares: displacements, sums, multiples, order."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax import DenseMetric, Euclidean, JacobianMetric, SteinScoreMetric
from geojax.metrics import (
    AbstractSumOfSquaresMetric,
    LowRankSum,
    SumMetric,
    SumOfSquaresScaled,
    SumOfSquaresSum,
)
from tests.metrics.fields import gradient, matrix, points, whirl

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
def test_energies_are_sums_of_squared_displacements(metric):
    xs = jnp.stack(points((2, 3), jnp.float64, 5))
    displacement = eqx.filter_jit(metric.displacement)
    whole, energies = jax.device_get(
        jax.jit(lambda xs: (metric.displacements(xs), metric.segment_energies(xs)))(xs)
    )
    xs = np.asarray(xs)
    for i in range(4):
        one = displacement(xs[i], xs[i + 1])
        assert len(one) == len(whole)
        for part, parts in zip(one, whole, strict=True):
            np.testing.assert_allclose(part, parts[i], rtol=1e-12, atol=1e-14)
        back = displacement(xs[i + 1], xs[i])
        np.testing.assert_allclose(square(back), square(one), rtol=1e-12)
    squares = sum(np.sum(p.reshape(4, -1) ** 2, axis=1) for p in whole)
    np.testing.assert_allclose(energies, 2 * squares, rtol=1e-12)


@each
def test_a_short_segment_is_priced_to_second_order(metric):
    """|displacement|^2 is the squared norm at the middle, up to O(|Delta|^2) of it."""
    m, v, _ = points((5,), jnp.float64)

    @jax.jit
    def error(h):
        exact = metric.inner(m, v, v)
        parts = metric.displacement(m - h * v / 2, m + h * v / 2)
        return abs(sum(jnp.sum(part**2) for part in parts) / h**2 / exact - 1)

    coarse, fine = error(0.1), error(0.05)
    assert fine <= coarse / 3.5 or coarse < 1e-12


@pytest.mark.slow
def test_the_jacobian_metric_of_a_linear_score_is_a_matrix():
    rows = jax.random.normal(jax.random.key(0), (4, 4))
    metric = JacobianMetric(lambda x, args: rows @ x, 0.3, mu=2.0)
    dense = 2.0 * np.eye(4) + 0.3 * rows.T @ rows
    x, v, _ = points((4,), jnp.float64)
    np.testing.assert_allclose(metric.as_matrix(x), dense, rtol=1e-12)
    np.testing.assert_allclose(metric.sharp(x, v), np.linalg.solve(dense, v), rtol=1e-9)
    np.testing.assert_array_equal(metric.acceleration(x, v), jnp.zeros(4))


def test_an_energy_evaluates_the_score_once_a_node_and_takes_no_derivative():
    calls = []

    def score(x, args):
        jax.debug.callback(lambda _: calls.append("score"), x[0])
        return jnp.sin(x)

    metric = JacobianMetric(score, 1.0)
    xs = jnp.stack(points((3,), jnp.float64, 6))
    metric.segment_energies(xs).block_until_ready()
    jax.effects_barrier()
    assert len(calls) == 6


@pytest.mark.parametrize("metric", [JACOBIAN, 0.5 * JACOBIAN + STEIN], ids=["one", "sum"])
def test_energies_have_derivatives_at_weight_zero(metric):
    """dE/dlam at lam = 0 is the score's part of the energy, neither NaN nor 0."""
    xs = jnp.stack(points((3,), jnp.float64, 4))

    @jax.jit
    def energy(lam):
        return jnp.sum((metric + JacobianMetric(gradient, lam)).segment_energies(xs))

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
    xs = jnp.stack(points((3,), jnp.float64, 4))
    parts = JACOBIAN.segment_energies(xs) + DenseMetric(matrix).segment_energies(xs)
    np.testing.assert_allclose(mixed.segment_energies(xs), parts, rtol=1e-12)
    np.testing.assert_allclose((3 * mixed).segment_energies(xs), 3 * parts, rtol=1e-12)


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
