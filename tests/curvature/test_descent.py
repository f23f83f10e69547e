"""Riemannian gradient descent: does g^-1 hold it at the data?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS, Euclidean, SteinScoreMetric, riemannian_gradient_descent

WIDTH = 0.1


def towards(aim):
    return lambda x: jnp.sum((x - aim) ** 2) / 2


def around(dim, lam):
    """The metric of a unit circle or sphere in codimension 1."""
    return SteinScoreMetric(geojax.Shell(1.0, WIDTH, dim=dim), jnp.asarray(float(lam)))


def off(xs):
    return float(jnp.max(jnp.abs(jnp.linalg.norm(xs, axis=1) - 1)))


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3], ids=["circle", "sphere"])
def test_it_goes_along_the_manifold_where_euclidean_descent_leaves_it(dim):
    """The minimum at distance 3 pulls outwards with force >= 2 at the nearest point. Along s the
    step is divided by `1 + lam d^2 / w^4` at the distance d, so that d grows by
    `d^3 lam / (3 w^4) = 2 t` only, while the nearest point is reached exponentially.
    """
    aim = jnp.zeros(dim).at[0].set(3.0)
    start = jnp.zeros(dim).at[-1].set(1.0)
    options = {"learning_rate": 0.01, "max_steps": 500}
    held = {}
    for lam in (1.0, 100.0):
        path = riemannian_gradient_descent(around(dim, lam), towards(aim), start, **options)
        assert np.all(np.diff(path.values) < 0)
        held[lam] = off(path.xs)
        drift = (3 * WIDTH**4 * 2 * 0.01 * 500 / lam) ** (1 / 3)
        assert 0.8 * drift < held[lam] < 1.2 * drift
        nearest = path.x / jnp.linalg.norm(path.x)
        np.testing.assert_allclose(nearest, aim / 3, atol=1e-3)
    assert held[100.0] < 0.05
    free = riemannian_gradient_descent(Euclidean(), towards(aim), start, **options)
    assert off(free.xs) > 1.9
    # Held back, not kept: where the gradient vanishes does not depend on the metric.
    np.testing.assert_allclose(path.gradient_norms[-1] ** 2, jnp.sum((path.x - aim) ** 2) / (
        1 + 100 * jnp.sum(geojax.Shell(1.0, WIDTH, dim=dim)(path.x) ** 2)
    ), rtol=1e-6)  # fmt: skip


def test_it_converges_to_the_minimum_for_every_metric():
    aim = jnp.array([0.3, -0.2])
    flat = SteinScoreMetric(lambda x, args: -x, 1.0)
    options = {"learning_rate": 1.0, "max_steps": 100, "gtol": 1e-9}
    path = riemannian_gradient_descent(flat, towards(aim), jnp.ones(2), **options)
    assert path.result == RESULTS.successful
    np.testing.assert_allclose(path.x, aim, atol=1e-8)
    assert path.step_sizes[-1] == 0  # it had ended
    short = {**options, "max_steps": 3, "throw": False}
    cut = riemannian_gradient_descent(flat, towards(aim), jnp.ones(2), **short)
    assert cut.result == RESULTS.not_converged


@pytest.mark.slow
def test_along_geodesics():
    """With exp for a retraction it stays in hyperbolic space, whatever the step."""
    half_plane = geojax.DenseMetric(lambda x, args: jnp.eye(2) / x[1] ** 2)

    def exp(x, v):
        return geojax.exponential_map(half_plane, x, v, num_segments=1, throw=False).curve.xs[-1]

    objective = lambda x: x[0] ** 2 + jnp.log(x[1]) ** 2  # noqa: E731
    start = jnp.array([0.5, 0.1])
    options = {"learning_rate": 0.5, "max_steps": 40, "gtol": 1e-6, "throw": False}
    path = riemannian_gradient_descent(half_plane, objective, start, retraction=exp, **options)
    assert path.result == RESULTS.successful
    np.testing.assert_allclose(path.x, [0.0, 1.0], atol=1e-5)
    assert jnp.min(path.xs[:, 1]) > 0
    first = jax.grad(objective)(start) * start[1] ** 2  # g^-1 df
    size = path.step_sizes[0]
    np.testing.assert_allclose(path.xs[1], exp(start, -size * first), atol=1e-8)


def test_failures_are_results_and_bad_input_is_refused():
    metric, start = Euclidean(), jnp.ones(2)
    run = lambda objective, **options: riemannian_gradient_descent(  # noqa: E731
        metric, objective, start, **{"learning_rate": 0.1, "max_steps": 5, **options}
    )
    assert run(lambda x: jnp.sum(x) / 0.0, throw=False).result == RESULTS.non_finite
    uphill = jax.custom_jvp(lambda x: jnp.sum(x**2))
    uphill.defjvp(lambda x, dx: (jnp.sum(x[0] ** 2), -jnp.vdot(x[0], dx[0])))
    stuck = run(uphill, throw=False)
    assert stuck.result == RESULTS.no_descent
    np.testing.assert_array_equal(stuck.x, start)
    with pytest.raises(RuntimeError, match="lowered the objective"):
        run(uphill)
    for options, text in (
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"gtol": -1.0}, "gtol must not be negative"),
    ):
        with pytest.raises(ValueError, match=text):
            run(jnp.sum, **options)
