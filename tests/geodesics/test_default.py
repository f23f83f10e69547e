"""Metrics of their users' own, by the solver that is taken where none is given, against closed
forms.
"""

import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

import geojax
from geojax import RESULTS, DenseMetric, OperatorMetric

BASIS = jnp.array([[[1.0, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1.0]]])


def half_plane(x, args):
    """Of curvature -1; and the normal laws' by mean and deviation, with 2 on the diagonal."""
    scale = jnp.ones(2, x.dtype) if args is None else args
    return jnp.diag(scale) / x[1] ** 2


def affine_invariant(x, args):
    """Of symmetric matrices by their entries above the diagonal."""
    moved = jnp.einsum("ij,ajk->aik", jnp.linalg.inv(jnp.tensordot(x, BASIS, axes=1)), BASIS)
    return jnp.einsum("aij,bji->ab", moved, moved)


def ball(x, args):
    return lx.DiagonalLinearOperator(jnp.full_like(x, 4 / (1 - jnp.sum(x**2)) ** 2))


def upper(x, y):
    return np.arccosh(1 + np.sum((np.subtract(x, y)) ** 2) / (2 * x[1] * y[1]))


def normal(x, y):
    flat = [(m / np.sqrt(2), s) for m, s in (x, y)]
    return np.sqrt(2) * upper(*flat)


def covariances(x, y):
    a, b = (np.array([[p, q], [q, r]]) for p, q, r in (x, y))
    return np.linalg.norm(np.log(np.linalg.eigvals(np.linalg.solve(a, b)).real))


def in_ball(x, y):
    inside = (1 - np.sum(np.square(x))) * (1 - np.sum(np.square(y)))
    return np.arccosh(1 + 2 * np.sum(np.subtract(x, y) ** 2) / inside)


PLANE, ONE, TWO = DenseMetric(half_plane), jnp.ones(2), jnp.array([1.0, 2.0])
PROBLEMS = {
    "half-plane": (PLANE, ONE, [0.0, 1.0], [30.0, 1.0], upper),
    "half-plane, up": (PLANE, ONE, [0.0, 1.0], [0.0, 100.0], upper),
    "normal laws": (PLANE, TWO, [0.0, 0.1], [5.0, 0.1], normal),
    "covariances": (
        DenseMetric(affine_invariant),
        None,
        [1.0, 0.0, 20.0],
        [5, 1.5, 1],
        covariances,
    ),
    "ball": (OperatorMetric(ball), None, [0.9, 0.0], [-0.6, 0.6], in_ball),
    "sum": (0.5 * PLANE + 0.5 * PLANE, None, [0.0, 1.0], [3.0, 2.0], upper),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_default_is_right(name):
    metric, args, x, y, closed_form = PROBLEMS[name]
    ends = jnp.array(x), jnp.array(y, float)
    solution = geojax.geodesic(metric, *ends, args=args, num_segments=64, diagnostics="price")
    np.testing.assert_allclose(solution.length, closed_form(x, y), rtol=3e-3)


@pytest.mark.slow
def test_an_unresolved_path_is_not_successful():
    x, y = jnp.array([0.0, 1.0]), jnp.array([300.0, 1.0])
    options = {"num_segments": 16, "diagnostics": "price", "throw": False}
    solution = geojax.geodesic(PLANE, x, y, args=ONE, **options)
    off = abs(float(solution.length) / upper(x, y) - 1)
    assert solution.result != RESULTS.successful or off < 0.03


@pytest.mark.slow
def test_many_coordinates_and_batches_have_a_default_too():
    """L-BFGS where the matrices would be many, or large."""
    metric = DenseMetric(lambda x, args: (1 + jnp.sum(x**2)) * jnp.eye(x.size))
    x, y = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
    expected = geojax.distance(metric, x, y, diagnostics="price")
    with pytest.raises(ValueError, match=r"Quadrature.* needs a metric of the form"):
        geojax.geodesic(metric, x, y, rule=geojax.Quadrature())
    operator = OperatorMetric(
        lambda x, args: lx.DiagonalLinearOperator(jnp.full_like(x, 1 + jnp.sum(x**2)))
    )
    many = [jnp.zeros(120).at[:2].set(z) for z in (x, y)]
    np.testing.assert_allclose(
        geojax.distance(operator, *many, num_segments=8, diagnostics="price"), expected, rtol=1e-2
    )
    in_batch = geojax.geodesic_batch(
        metric, jnp.stack([x, y]), jnp.stack([y, x]), diagnostics="price"
    )
    np.testing.assert_allclose(in_batch.length, jnp.full(2, expected), rtol=1e-6)
