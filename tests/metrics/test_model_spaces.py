"""Spaces of constant curvature: their closed forms against other models, and the solvers against
them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import DenseMetric
from geojax.metrics import PoincareBall, StereographicSphere
from tests.metrics.fields import points

SPACES = {"sphere": StereographicSphere(1.5), "ball": PoincareBall(1.5)}
each = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
X, Y, V = (p / 2 for p in points((2, 3), jnp.float64))


def on_sphere(x, radius):
    """The point of the sphere in R^(D+1) that the chart's x stands for."""
    square = jnp.sum(x**2) / radius**2
    return jnp.append(2 * x.reshape(-1), radius * (1 - square)) / (1 + square)


def to_half_plane(z):
    """The Cayley transform: from the unit disc to the upper half-plane, an isometry."""
    z = jax.lax.complex(z[0], z[1])
    w = 1j * (1 + z) / (1 - z)
    return jnp.stack([w.real, w.imag])


def test_the_sphere_is_the_round_one():
    space = SPACES["sphere"]
    a, b = on_sphere(X, 1.5), on_sphere(Y, 1.5)
    np.testing.assert_allclose(jnp.linalg.norm(a), 1.5)
    np.testing.assert_allclose(space.distance(X, Y), 1.5 * jnp.arccos(a @ b / 1.5**2), rtol=1e-12)
    embedded = geojax.PullbackMetric(lambda x, args: on_sphere(x, 1.5))
    np.testing.assert_allclose(embedded.flat(X, V), space.flat(X, V), rtol=1e-12)
    np.testing.assert_allclose(embedded.acceleration(X, V), space.acceleration(X, V), rtol=1e-8)


def test_the_ball_is_the_half_plane():
    """Distances by the half-plane's own formula, products by the isometry's derivative."""
    space, x, y, v = PoincareBall(), X[0, :2], Y[0, :2], V[0, :2]
    a, b = to_half_plane(x), to_half_plane(y)
    expected = jnp.arccosh(1 + jnp.sum((a - b) ** 2) / (2 * a[1] * b[1]))
    np.testing.assert_allclose(space.distance(x, y), expected, rtol=1e-12)
    half_plane = DenseMetric(lambda x, args: jnp.eye(2) / x[1] ** 2)
    _, moved = jax.jvp(to_half_plane, (x,), (v,))
    np.testing.assert_allclose(space.norm(x, v), half_plane.norm(a, moved), rtol=1e-12)


@each
def test_the_maps_are_each_others_inverse(space):
    v = space.log_map(X, Y)
    np.testing.assert_allclose(space.exponential_map(X, v), Y, rtol=1e-12)
    np.testing.assert_allclose(space.norm(X, v), space.distance(X, Y), rtol=1e-12)
    np.testing.assert_allclose(space.log_map(X, space.exponential_map(X, V)), V, rtol=1e-11)
    np.testing.assert_allclose(space.distance(Y, X), space.distance(X, Y), rtol=1e-12)
    half = space.geodesic(X, Y, 0.5)
    np.testing.assert_allclose(space.geodesic(Y, X, 0.5), half, rtol=1e-11)
    np.testing.assert_allclose(2 * space.distance(X, half), space.distance(X, Y), rtol=1e-11)
    np.testing.assert_array_equal(space.log_map(X, X), jnp.zeros_like(X))
    np.testing.assert_allclose(space.geodesic(X, X, 0.3), X, rtol=1e-12)
    np.testing.assert_allclose(jax.jvp(lambda v: space.exponential_map(X, v), (0 * V,), (V,))[1], V)


@each
def test_its_geodesics_solve_the_geodesic_equation(space):
    """x'' of the closed form is the acceleration of the metric."""
    path = lambda t: space.exponential_map(X, t * V)  # noqa: E731
    velocity = lambda t: jax.jvp(path, (t,), (1.0,))[1]  # noqa: E731
    speed, bend = jax.jvp(velocity, (0.4,), (1.0,))
    np.testing.assert_allclose(space.acceleration(path(0.4), speed), bend, rtol=1e-10, atol=1e-12)


@each
def test_the_exponential_map_meets_it(space):
    solution = geojax.exponential_map(space, X, 2 * V, num_segments=4)
    for t, x in zip(solution.curve.ts, solution.curve.xs, strict=True):
        np.testing.assert_allclose(x, space.exponential_map(X, t * 2 * V), atol=1e-6)


@pytest.mark.parametrize("name, sizes", [("sphere", (12,)), ("ball", (6, 12))])
def test_the_two_point_solver_meets_it_to_second_order(name, sizes):
    space = SPACES[name]

    def errors(n):
        solution = geojax.geodesic(space, X, Y, num_segments=n, certify=False)
        exact = jax.vmap(lambda t: space.geodesic(X, Y, t))(solution.curve.ts)
        length = abs(solution.length / space.distance(X, Y) - 1)
        return float(length), float(jnp.max(jnp.abs(solution.curve.xs - exact)))

    *coarse, fine = (errors(n) for n in sizes)
    bend = float(jnp.max(jnp.abs((X + Y) / 2 - space.geodesic(X, Y, 0.5))))
    assert fine[0] < 2e-4 and fine[1] < 5e-3 * bend
    for wide in coarse:
        assert 3.5 < wide[0] / fine[0] < 4.5 and 3.5 < wide[1] / fine[1] < 4.5


def test_outside_the_ball_nothing_is_defined():
    space, far = PoincareBall(1.5), jnp.array([2.0, 0.0])
    inside = jnp.zeros(2)
    assert jnp.isnan(space.norm(far, far))
    assert jnp.all(jnp.isnan(space.acceleration(far, far)))
    solution = geojax.exponential_map(space, far, far, throw=False)
    assert solution.result == geojax.RESULTS.non_finite
    assert jnp.isnan(space.distance(inside, far))


@pytest.mark.parametrize("kind", [StereographicSphere, PoincareBall])
@pytest.mark.parametrize("radius, message", [(0.0, "> 0"), (-1.0, "> 0"), (jnp.ones(2), "scalar")])
def test_bad_radii_are_refused(kind, radius, message):
    with pytest.raises(ValueError, match=message):
        kind(radius)
