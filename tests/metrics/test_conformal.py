"""Multiples of the identity: by a density, by line integrals of a score, by the score's norm."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import DensityMetric, ScoreNormMetric, SteinScoreMetric
from geojax.metrics import AbstractMetric, LowRankOperator
from tests.metrics.fields import gradient, points, whirl

X, V, W = map(np.asarray, points((2, 2), jnp.float64))


def log_density(x, args=None):
    """Not quadratic, and not symmetric."""
    del args
    return jnp.sum(jnp.sin(x)) - jnp.sum(x**2)


DENSITY = geojax.from_log_density(log_density)


def test_the_factor_is_the_power_of_the_density():
    c = np.exp(log_density(X)) ** (-2 * 0.3)
    metric = DensityMetric(DENSITY, 0.3)
    flat = eqx.filter_jit(metric.flat)
    np.testing.assert_allclose(flat(X, V), c * V, rtol=1e-12)
    np.testing.assert_allclose(eqx.filter_jit(metric.log_det)(X), 4 * np.log(c), rtol=1e-12)
    relative = eqx.filter_jit(DensityMetric(DENSITY, 0.3, reference=W).flat)
    np.testing.assert_allclose(relative(W, V), V, rtol=1e-12)
    ratio = np.asarray(relative(X, V)) / flat(X, V)
    np.testing.assert_allclose(ratio, 1 / flat(W, np.ones_like(V)), rtol=1e-12)


def test_a_score_alone_gives_the_same_by_line_integrals():
    """For a score that is a gradient; the error falls fast with the order."""
    exact = DensityMetric(DENSITY, 0.5, reference=W)
    scored = lambda order: DensityMetric(lambda x, args: DENSITY(x, args), 0.5, W, order=order)  # noqa: E731

    @jax.jit
    def figures(x, v):
        norms = [metric.norm(x, v) for metric in (exact, scored(3), scored(12))]
        return norms, scored(12).acceleration(x, v), exact.acceleration(x, v)

    (norm, rough, fine), found, expected = figures(X, V)
    assert abs(rough / norm - 1) < 1e-3 and abs(fine / norm - 1) < 1e-11
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_the_geodesic_equation_is_that_of_the_factor_as_it_is_computed():
    """By default a score that is no gradient bends geodesics as the integral does."""
    metric = DensityMetric(whirl, 0.2, reference=W)
    trusted = DensityMetric(whirl, 0.2, reference=W, conservative=True)

    @jax.jit
    def figures(x, v):
        by_definition = AbstractMetric.acceleration(metric, x, v)
        return metric.acceleration(x, v), by_definition, trusted.acceleration(x, v), whirl(x)

    found, by_definition, straight, s = jax.device_get(figures(X, V))
    np.testing.assert_allclose(found, by_definition, rtol=1e-9)
    p = -2 * 0.2 * s
    expected = np.sum(V**2) * p / 2 - np.vdot(p, V) * V
    np.testing.assert_allclose(straight, expected, rtol=1e-12)
    assert not np.allclose(straight, found, rtol=1e-3)


def test_the_geodesic_equation_outlives_the_factor():
    """p^(-2 beta) overflows in many dimensions; the exponential map's field does not need it."""
    far = 100 * np.ones(50)
    metric = DensityMetric(geojax.from_log_density(lambda x, args: -jnp.sum(x**2) / 2), 1.0)
    assert np.isinf(eqx.filter_jit(metric.norm)(far, far))
    assert np.all(np.isfinite(eqx.filter_jit(metric.acceleration)(far, np.ones(50))))


def test_the_score_norm_makes_every_direction_expensive():
    s = np.asarray(gradient(X))
    metric = ScoreNormMetric(gradient, 0.4, power=1.5)
    expected = (1 + 0.4 * np.sum(s**2)) ** 1.5 * V
    np.testing.assert_allclose(eqx.filter_jit(metric.flat)(X, V), expected, rtol=1e-12)
    along, stein = ScoreNormMetric(gradient, 0.4), SteinScoreMetric(gradient, 0.4)
    across = V - np.vdot(V, s) / np.vdot(s, s) * s
    np.testing.assert_allclose(*(eqx.filter_jit(g.inner)(X, s, s) for g in (along, stein)))
    assert eqx.filter_jit(along.norm)(X, across) > 1.1 * np.linalg.norm(across)
    np.testing.assert_allclose(eqx.filter_jit(ScoreNormMetric(gradient, 0.0).flat)(X, V), V)


@pytest.mark.slow
def test_with_a_low_rank_metric_the_inverse_stays_closed_form():
    """(1 + lam |s|^2) I + lam s s^T, by Woodbury and not by conjugate gradients."""
    metric = ScoreNormMetric(gradient, 0.4) + 0.5 * SteinScoreMetric(whirl, 2.0)
    operator = metric.operator(X)
    assert isinstance(operator, LowRankOperator) and operator.factors.shape == (1, 2, 2)
    dense = eqx.filter_jit(metric.as_matrix)(X)
    sharp = eqx.filter_jit(metric.sharp)(X, V)
    np.testing.assert_allclose(sharp.ravel(), np.linalg.solve(dense, V.ravel()), rtol=1e-10)
    np.testing.assert_allclose(
        eqx.filter_jit(metric.log_det)(X), np.linalg.slogdet(dense)[1], rtol=1e-10
    )
    assert "while" not in str(jax.make_jaxpr(metric.sharp)(X, V))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DensityMetric(None), "score must be a callable"),
        (lambda: DensityMetric(gradient), "reference must be a point"),
        (lambda: DensityMetric(DENSITY, -1.0), "beta must be a finite number >= 0"),
        (lambda: DensityMetric(gradient, 1.0, X, order=0), "order must be at least 1"),
        (lambda: DensityMetric(gradient, 1.0, X).norm(X[0], X[0]), "shape of the point"),
        (lambda: ScoreNormMetric(2.0), "score must be a callable"),
        (lambda: ScoreNormMetric(gradient, -1.0), "lam must be a finite number >= 0"),
        (lambda: ScoreNormMetric(gradient, 1.0, 0), "power must be a finite number > 0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
