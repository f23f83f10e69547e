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


@pytest.mark.parametrize(
    "name, sizes", [("sphere", (12,)), pytest.param("ball", (6, 12), marks=pytest.mark.slow)]
)
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


def chordal(x, y, radius):
    """The distance on the sphere by its points in R^(D+1), in NumPy's extended precision; near
    points by the chord that their difference in the chart has.
    """
    a, b = (on_sphere_extended(x, radius), on_sphere_extended(y, radius))
    squares = [1 + np.sum((np.asarray(z, np.longdouble) / radius) ** 2) for z in (x, y)]
    gap = np.asarray(x, np.longdouble) - np.asarray(y, np.longdouble)
    apart = 2 * np.sqrt(np.sum(gap**2) / (squares[0] * squares[1]))
    return 2 * radius * np.arctan2(apart, np.sqrt(np.sum((a + b) ** 2)))


def on_sphere_extended(x, radius):
    x = np.asarray(x, np.longdouble)
    square = np.sum(x**2) / radius**2
    return np.append(2 * x, radius * (1 - square)) / (1 + square)


def hyperbolic(x, y):
    x, y = (np.asarray(z, np.longdouble) for z in (x, y))
    inside = (1 - np.sum(x**2)) * (1 - np.sum(y**2))
    return 2 * np.arcsinh(np.sqrt(np.sum((x - y) ** 2) / inside))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_keep_their_digits_near_points_antipodes_and_the_edge(dtype):
    eps = np.finfo(dtype).eps
    figures = jax.jit(lambda space, x, y: (space.distance(x, y), space.log_map(x, y)))
    sphere, x = StereographicSphere(jnp.asarray(1.5, dtype)), np.array([0.9, -2.0], dtype)
    antipode = (-x.astype(np.float64) * 1.5**2 / np.sum(x.astype(np.float64) ** 2)).astype(dtype)
    shift = np.array([1.0, 0.3])
    for base in (x, antipode):
        for gap in (1e-6, 1e-4, 1e-2, 0.3):
            y = (base + gap * shift).astype(dtype)
            expected = float(chordal(x, y, 1.5))
            distance, log = figures(sphere, jnp.asarray(x), jnp.asarray(y))
            np.testing.assert_allclose(distance, expected, rtol=20 * eps)
            np.testing.assert_allclose(sphere.norm(jnp.asarray(x), log), expected, rtol=20 * eps)
    ball = PoincareBall(jnp.asarray(1.0, dtype))
    for depth in (0.5, 1e-2, 1e3 * eps):
        x = np.array([1 - depth, 0.0], dtype)
        for y in (-x, x * (1 - depth), x[::-1], x + np.array([0, depth / 10]), 0 * x):
            y = y.astype(dtype)
            expected = float(hyperbolic(x, y))
            distance, log = figures(ball, jnp.asarray(x), jnp.asarray(y))
            # The edge is known to eps, and the distance by the logarithm of the depth.
            slack = 10 * eps * (expected + 1 / depth)
            np.testing.assert_allclose(distance, expected, rtol=10 * eps, atol=slack)
            np.testing.assert_allclose(
                ball.norm(jnp.asarray(x), log), expected, rtol=20 * eps, atol=2 * slack
            )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_ball_is_never_left(dtype):
    ball = PoincareBall(jnp.asarray(2.0, dtype))
    shoot = jax.jit(jax.vmap(ball.exponential_map))
    angles = np.linspace(0, 2 * np.pi, 40)
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    starts = np.array([[0.0, 0.0], [1.9, 0.0], [1.2, -1.5], [2 * (1 - 1e-5), 0.0]])
    x, v = (a.reshape(-1, 2) for a in np.broadcast_arrays(starts[:, None], ways[None]))
    for size in (1e-3, 1.0, 50.0, 1e4):
        # By lengths in the metric, up to where the edge is nearer than rounding.
        speed = (1 - np.sum((x / 2) ** 2, axis=1, keepdims=True)) / 2
        y = shoot(jnp.asarray(x, dtype), jnp.asarray(size * speed * v, dtype))
        assert jnp.all(jnp.linalg.norm(y, axis=1) < 2)
        assert jnp.all(jnp.isfinite(jax.vmap(ball.distance)(jnp.asarray(x, dtype), y)))
    # Across the middle and back out, from near the edge: no digits are lost.
    x, v = np.array([2 * 0.999, 0.0], dtype), np.array([-(1 - 0.999**2) * 7.0, 0.0003], dtype)
    across = ball.exponential_map(jnp.asarray(x), jnp.asarray(v))
    exact = PoincareBall(2.0).exponential_map(*(jnp.asarray(a, jnp.float64) for a in (x, v)))
    np.testing.assert_allclose(across, exact, atol=100 * np.finfo(dtype).eps)


@each
def test_second_derivatives_where_nothing_moves(space):
    """``exp`` at v = 0 bends by the Christoffel symbols, and ``log`` the other way."""
    bend = space.christoffel(X, V, V)
    one = jnp.asarray(1.0)
    for curve, expected in (
        (lambda t: space.exponential_map(X, t * V), -bend),
        (lambda t: space.log_map(X, X + t * V), bend),
    ):
        speed = lambda t, curve=curve: jax.jvp(curve, (t,), (one,))[1]  # noqa: E731
        velocity, acceleration = jax.jvp(speed, (0 * one,), (one,))
        np.testing.assert_allclose(velocity, V, rtol=1e-12)
        np.testing.assert_allclose(acceleration, expected, rtol=1e-10, atol=1e-14)
    by_x = jax.jacfwd(lambda x: space.exponential_map(x, V))(0 * X)
    step = 1e-6
    moved = (space.exponential_map(step * V, V) - space.exponential_map(-step * V, V)) / (2 * step)
    np.testing.assert_allclose(jnp.tensordot(by_x, V, axes=2), moved, rtol=1e-8)


@pytest.mark.parametrize("kind", [StereographicSphere, PoincareBall])
@pytest.mark.parametrize("radius, message", [(0.0, "> 0"), (-1.0, "> 0"), (jnp.ones(2), "scalar")])
def test_bad_radii_are_refused(kind, radius, message):
    with pytest.raises(ValueError, match=message):
        kind(radius)
