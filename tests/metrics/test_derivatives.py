"""Derivatives of what metrics give, where a square root would have none: weight 0 and v = 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.metrics import LowRankOperator
from tests.metrics.fields import gradient, sampled, swirl, whirl

X, U, V, W = jax.random.normal(jax.random.key(0), (4, 3))
PATH = sampled(jnp.stack([X, X + 0.1 * U, X + 0.2 * V]), geojax.SplineGauss())
PROBES = jax.random.normal(jax.random.key(1), (3, 3))

# Each from its weight; the sums keep a weight that is not 0 beside it.
METRICS = {
    "Stein, any score": lambda w: geojax.SteinScoreMetric(whirl, w),
    "rank 2, gradients": lambda w: (
        geojax.SteinScoreMetric(gradient, w, conservative=True)
        + geojax.SteinScoreMetric(gradient, 2 * w + 0.3, conservative=True)
    ),
    "smoothed": lambda w: geojax.SmoothedSteinScoreMetric(swirl, PROBES, w, w),
    "Jacobian and score norm": lambda w: (
        geojax.JacobianMetric(swirl, w) + 2.0 * geojax.ScoreNormMetric(whirl, w)
    ),
}


def figures(name, metric):
    found = {
        "inner": metric.inner(X, U, V),
        "norm": metric.norm(X, V),
        "sharp": metric.sharp(X, V),
        "log_det": metric.log_det(X),
        "acceleration": metric.acceleration(X, V),
        "christoffel": metric.christoffel(X, U, V),
        "squared_speeds": metric.squared_speeds(PATH),
    }
    if name in ("Stein, any score", "rank 2, gradients"):  # others take minutes to compile
        found["curvature"] = geojax.curvature.riemann_curvature(metric, X, U, V, W)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "Stein, any score",
        *(pytest.param(name, marks=pytest.mark.slow) for name in list(METRICS)[1:]),
    ],
)
def test_by_a_weight_of_zero(name):
    """Forward and reverse, against one-sided differences of fourth order."""
    step, factors = 1e-3, np.array([-25, 48, -36, 16, -3]) / 12
    function = lambda w: figures(name, METRICS[name](w))  # noqa: E731

    @jax.jit
    def everything(zero):
        values = jax.vmap(function)(zero + step * jnp.arange(5.0))
        return values, jax.jacfwd(function)(zero), jax.jacrev(function)(zero)

    values, forward, reverse = everything(jnp.asarray(0.0))
    for figure, value in values.items():
        expected = np.tensordot(factors, value, axes=1) / step
        scale = 1 + np.abs(expected).max()
        for found in (forward[figure], reverse[figure]):
            np.testing.assert_allclose(found / scale, expected / scale, atol=1e-6, err_msg=figure)


def test_a_weight_of_zero_in_the_operator_is_no_term():
    factors = np.random.default_rng(2).normal(size=(3, 4))
    weights = np.array([0.5, 0.0, 2.0])
    operator = LowRankOperator(*map(jnp.asarray, (0.7, weights, factors)))
    matrix = 0.7 * np.eye(4) + factors.T @ (weights[:, None] * factors)
    v = np.arange(1.0, 5.0)

    @jax.jit
    def figures(v):
        return operator.mv(v), operator.inverse_mv(v), operator.log_det(), operator.as_matrix()

    product, inverse, log_det, dense = figures(v)
    np.testing.assert_allclose(product, matrix @ v, rtol=1e-12)
    np.testing.assert_allclose(inverse, np.linalg.solve(matrix, v), rtol=1e-10)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(matrix)[1], rtol=1e-10)
    np.testing.assert_allclose(dense, matrix, rtol=1e-12)


EVERY = {
    **{name: make(0.5) for name, make in METRICS.items()},
    "pullback": geojax.PullbackMetric(lambda x, args: jnp.sin(x), 0.1),
    "density": geojax.DensityMetric(swirl, 0.1, jnp.zeros(3)),
    "sphere": geojax.metrics.StereographicSphere(3.0),
    "dense": geojax.DenseMetric(lambda x, args: jnp.eye(3) * (1 + x[0] ** 2)),
}


@pytest.mark.parametrize("metric", EVERY.values(), ids=EVERY.keys())
def test_the_norm_of_zero_has_a_gradient_of_zero(metric):
    norm = lambda v: metric.norm(X, v)  # noqa: E731
    both = jax.jit(lambda v: (jax.grad(norm)(v), jax.jvp(norm, (v,), (U,))[1]))
    for slope in both(np.zeros(3)):
        np.testing.assert_array_equal(slope, 0)
