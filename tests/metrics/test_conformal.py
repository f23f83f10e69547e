"""Multiples of the identity: by a density, by line integrals of a score, by the score's norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import DensityMetric, ScoreNormMetric, SteinScoreMetric
from geojax.metrics import AbstractMetric, LowRankOperator
from tests.metrics.fields import gradient, points, whirl

X, V, W = points((2, 2), jnp.float64)


def log_density(x, args=None):
    """Not quadratic, and not symmetric."""
    del args
    return jnp.sum(jnp.sin(x)) - jnp.sum(x**2)


DENSITY = geojax.from_log_density(log_density)


def test_the_factor_is_the_power_of_the_density():
    density = DENSITY
    c = jnp.exp(density.log_density(X)) ** (-2 * 0.3)
    metric = DensityMetric(density, 0.3)
    np.testing.assert_allclose(metric.flat(X, V), c * V, rtol=1e-12)
    np.testing.assert_allclose(metric.log_det(X), 4 * jnp.log(c), rtol=1e-12)
    relative = DensityMetric(density, 0.3, reference=W)
    np.testing.assert_allclose(relative.flat(W, V), V, rtol=1e-12)
    np.testing.assert_allclose(
        relative.flat(X, V) / metric.flat(X, V), 1 / metric.flat(W, V / V), rtol=1e-12
    )


def test_a_score_alone_gives_the_same_by_line_integrals():
    """For a score that is a gradient; the error falls fast with the order."""
    density = DENSITY
    exact = DensityMetric(density, 0.5, reference=W)
    scored = lambda order: DensityMetric(lambda x, args: density(x, args), 0.5, W, order=order)  # noqa: E731
    error = lambda order: abs(scored(order).norm(X, V) / exact.norm(X, V) - 1)  # noqa: E731
    assert error(3) < 1e-3 and error(12) < 1e-11
    np.testing.assert_allclose(
        scored(12).acceleration(X, V), exact.acceleration(X, V), rtol=1e-8, atol=1e-10
    )


def test_the_geodesic_equation_is_that_of_the_factor_as_it_is_computed():
    """A score that is no gradient bends geodesics as the integral does, unless told otherwise."""
    metric = DensityMetric(whirl, 0.2, reference=W)
    np.testing.assert_allclose(
        metric.acceleration(X, V), AbstractMetric.acceleration(metric, X, V), rtol=1e-9
    )
    trusted = DensityMetric(whirl, 0.2, reference=W, conservative=True)
    p = -2 * 0.2 * whirl(X)
    expected = jnp.sum(V**2) * p / 2 - jnp.vdot(p, V) * V
    np.testing.assert_allclose(trusted.acceleration(X, V), expected, rtol=1e-12)
    assert not np.allclose(trusted.acceleration(X, V), metric.acceleration(X, V), rtol=1e-3)


def test_the_geodesic_equation_outlives_the_factor():
    """p^(-2 beta) overflows in many dimensions; the exponential map's field does not need it."""
    far = 100 * jnp.ones(50)
    metric = DensityMetric(geojax.from_log_density(lambda x, args: -jnp.sum(x**2) / 2), 1.0)
    assert jnp.isinf(metric.norm(far, far))
    assert jnp.all(jnp.isfinite(metric.acceleration(far, jnp.ones(50))))


def test_the_score_norm_prices_every_direction():
    s = gradient(X)
    metric = ScoreNormMetric(gradient, 0.4, power=1.5)
    np.testing.assert_allclose(metric.flat(X, V), (1 + 0.4 * jnp.sum(s**2)) ** 1.5 * V, rtol=1e-12)
    along = ScoreNormMetric(gradient, 0.4)
    across = V - jnp.vdot(V, s) / jnp.vdot(s, s) * s
    np.testing.assert_allclose(along.inner(X, s, s), SteinScoreMetric(gradient, 0.4).inner(X, s, s))
    assert along.norm(X, across) > 1.1 * jnp.linalg.norm(across)
    np.testing.assert_allclose(ScoreNormMetric(gradient, 0.0).flat(X, V), V)


def test_with_a_low_rank_metric_the_inverse_stays_closed_form():
    """(1 + lam |s|^2) I + lam s s^T, by Woodbury and not by conjugate gradients."""
    metric = ScoreNormMetric(gradient, 0.4) + 0.5 * SteinScoreMetric(whirl, 2.0)
    operator = metric.operator(X)
    assert isinstance(operator, LowRankOperator) and operator.factors.shape == (1, 2, 2)
    dense = metric.as_matrix(X)
    np.testing.assert_allclose(
        metric.sharp(X, V).ravel(), np.linalg.solve(dense, V.ravel()), rtol=1e-10
    )
    np.testing.assert_allclose(metric.log_det(X), np.linalg.slogdet(dense)[1], rtol=1e-10)
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
