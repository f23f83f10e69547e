"""Metrics from a user's lineax operators."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from geojax import DenseMetric, OperatorMetric
from tests.metrics.fields import banded, points

X, V, W = points((2, 2), jnp.float64)


def diagonal(x, args=None):
    return lx.DiagonalLinearOperator(1 + x**2)


@pytest.mark.parametrize("function", [banded, diagonal])
def test_it_is_the_dense_metric_of_its_matrix(function):
    metric = OperatorMetric(function)
    dense = DenseMetric(metric.as_matrix)

    @jax.jit
    def figures(x, v):
        return [(g.sharp(x, v), g.log_det(x), g.acceleration(x, v)) for g in (metric, dense)]

    tolerances = (1e-10, 1e-12, 1e-9)
    for found, expected, rtol in zip(*figures(X, V), tolerances, strict=True):
        np.testing.assert_allclose(found, expected, rtol=rtol)


def test_a_diagonal_is_inverted_entry_by_entry():
    """However badly conditioned."""
    values = jnp.logspace(0, 300, 4).reshape(2, 2)
    metric = OperatorMetric(lambda x, args: lx.DiagonalLinearOperator(values))
    np.testing.assert_allclose(metric.sharp(X, V), V / values, rtol=1e-14)
    np.testing.assert_allclose(metric.log_det(X), jnp.sum(jnp.log(values)), rtol=1e-14)


@pytest.mark.parametrize(
    "function, message",
    [
        (jnp.eye(2), "function must be a callable"),
        (lambda x, args: jnp.eye(4), "must return a lineax operator, got .* use DenseMetric"),
        (lambda x, args: lx.MatrixLinearOperator(jnp.eye(4)), "operator on arrays of shape"),
        (lambda x, args: lx.DiagonalLinearOperator(x.astype(jnp.float32)), "dtype float64"),
    ],
)
def test_other_objects_than_metrics_are_refused(function, message):
    with pytest.raises(ValueError, match=message):
        OperatorMetric(function).flat(X, V)
