"""Spaces of constant curvature: their closed forms against other models, and the solvers against
them.
"""

import equinox as eqx
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
X, Y, V = (np.asarray(p) / 2 for p in points((2, 3), jnp.float64))


def on_sphere(x, radius):
    """The point of the sphere in R^(D+1) that the chart's x stands for."""
    square = jnp.sum(x**2) / radius**2
    return jnp.append(2 * x.reshape(-1), radius * (1 - square)) / (1 + square)


def to_half_plane(z):
    """The Cayley transform: from the unit disc to the upper half-plane, an isometry."""
    z = jax.lax.complex(z[0], z[1])
    w = 1j * (1 + z) / (1 - z)
    return jnp.stack([w.real, w.imag])


@pytest.mark.slow
def test_the_sphere_is_the_round_one():
    space = SPACES["sphere"]
    embedded = geojax.PullbackMetric(lambda x, args: on_sphere(x, 1.5))

    @jax.jit
    def figures(x, y, v):
        ends = on_sphere(x, 1.5), on_sphere(y, 1.5), space.distance(x, y)
        return ends, [(m.flat(x, v), m.acceleration(x, v)) for m in (embedded, space)]

    (a, b, distance), (found, expected) = jax.device_get(figures(X, Y, V))
    np.testing.assert_allclose(np.linalg.norm(a), 1.5)
    np.testing.assert_allclose(distance, 1.5 * np.arccos(a @ b / 1.5**2), rtol=1e-12)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-8)


def test_the_ball_is_the_half_plane():
    """Distances by the half-plane's own formula, products by the isometry's derivative."""
    space, x, y, v = PoincareBall(), X[0, :2], Y[0, :2], V[0, :2]
    half_plane = DenseMetric(lambda x, args: jnp.eye(2) / x[1] ** 2)

    @jax.jit
    def figures(x, y, v):
        a, moved = jax.jvp(to_half_plane, (x,), (v,))
        b = to_half_plane(y)
        return a, b, space.distance(x, y), space.norm(x, v), half_plane.norm(a, moved)

    a, b, distance, norm, moved = jax.device_get(figures(x, y, v))
    expected = np.arccosh(1 + np.sum((a - b) ** 2) / (2 * a[1] * b[1]))
    np.testing.assert_allclose(distance, expected, rtol=1e-12)
    np.testing.assert_allclose(norm, moved, rtol=1e-12)


@pytest.mark.slow
@each
def test_the_maps_are_each_others_inverse(space):
    exp, log = eqx.filter_jit(space.exponential_map), eqx.filter_jit(space.log_map)
    distance, geodesic = eqx.filter_jit(space.distance), eqx.filter_jit(space.geodesic)
    v = log(X, Y)
    np.testing.assert_allclose(exp(X, v), Y, rtol=1e-12)
    np.testing.assert_allclose(eqx.filter_jit(space.norm)(X, v), distance(X, Y), rtol=1e-12)
    np.testing.assert_allclose(log(X, exp(X, V)), V, rtol=1e-11)
    np.testing.assert_allclose(distance(Y, X), distance(X, Y), rtol=1e-12)
    half = geodesic(X, Y, 0.5)
    np.testing.assert_allclose(geodesic(Y, X, 0.5), half, rtol=1e-11)
    np.testing.assert_allclose(2 * distance(X, half), distance(X, Y), rtol=1e-11)
    np.testing.assert_array_equal(log(X, X), np.zeros_like(X))
    np.testing.assert_allclose(geodesic(X, X, 0.3), X, rtol=1e-12)
    _, slope = jax.jvp(lambda v: exp(X, v), (0 * V,), (V,))
    np.testing.assert_allclose(slope, V)


@each
def test_its_geodesics_solve_the_geodesic_equation(space):
    """x'' of the closed form is the acceleration of the metric."""
    path = lambda t: space.exponential_map(X, t * V)  # noqa: E731
    velocity = lambda t: jax.jvp(path, (t,), (1.0,))[1]  # noqa: E731

    @jax.jit
    def figures(t):
        speed, bend = jax.jvp(velocity, (t,), (1.0,))
        return space.acceleration(path(t), speed), bend

    found, expected = figures(0.4)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@each
def test_the_exponential_map_meets_it(space):
    solution = geojax.exponential_map(space, X, 2 * V, num_segments=4)
    exact = jax.jit(jax.vmap(lambda t: space.exponential_map(X, t * 2 * V)))(solution.curve.ts)
    np.testing.assert_allclose(solution.curve.xs, exact, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, sizes", [("sphere", (12,)), pytest.param("ball", (6, 12), marks=pytest.mark.slow)]
)
def test_the_two_point_solver_meets_it_to_fourth_order(name, sizes):
    space = SPACES[name]

    @jax.jit
    def exact(ts):
        return jax.vmap(lambda t: space.geodesic(X, Y, t))(ts), space.distance(X, Y)

    # All nodes are among those of the finest path, and so is the middle.
    nodes, distance = jax.device_get(exact(np.linspace(0, 1, sizes[-1] + 1)))

    def errors(n):
        options = {"num_segments": n, "diagnostics": "price"}
        solution = geojax.geodesic(space, X, Y, solver=geojax.GaussNewton(rtol=1e-14), **options)
        gaps = np.asarray(solution.curve.xs) - nodes[:: sizes[-1] // n]
        return abs(float(solution.length) / distance - 1), np.max(np.abs(gaps))

    *coarse, fine = (errors(n) for n in sizes)
    bend = np.max(np.abs((X + Y) / 2 - nodes[sizes[-1] // 2]))
    assert fine[0] < 2e-8 and fine[1] < 1e-4 * bend
    for wide in coarse:
        assert wide[0] > 14 * fine[0] and wide[1] > 8 * fine[1]  # the nodes are of third order


@pytest.mark.slow
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

    @jax.jit
    def figures(space, x, y):
        return space.distance(x, y), space.norm(x, space.log_map(x, y))

    sphere, x = StereographicSphere(jnp.asarray(1.5, dtype)), np.array([0.9, -2.0], dtype)
    antipode = (-x.astype(np.float64) * 1.5**2 / np.sum(x.astype(np.float64) ** 2)).astype(dtype)
    shift = np.array([1.0, 0.3])
    for base in (x, antipode):
        for gap in (1e-6, 1e-4, 1e-2, 0.3):
            y = (base + gap * shift).astype(dtype)
            expected = float(chordal(x, y, 1.5))
            distance, length = figures(sphere, jnp.asarray(x), jnp.asarray(y))
            np.testing.assert_allclose(distance, expected, rtol=20 * eps)
            np.testing.assert_allclose(length, expected, rtol=20 * eps)
    ball = PoincareBall(jnp.asarray(1.0, dtype))
    for depth in (0.5, 1e-2, 1e3 * eps):
        x = np.array([1 - depth, 0.0], dtype)
        for y in (-x, x * (1 - depth), x[::-1], x + np.array([0, depth / 10]), 0 * x):
            y = y.astype(dtype)
            expected = float(hyperbolic(x, y))
            distance, length = figures(ball, jnp.asarray(x), jnp.asarray(y))
            # The edge is known to eps, and the distance by the logarithm of the depth.
            slack = 10 * eps * (expected + 1 / depth)
            np.testing.assert_allclose(distance, expected, rtol=10 * eps, atol=slack)
            np.testing.assert_allclose(length, expected, rtol=20 * eps, atol=2 * slack)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_ball_is_never_left(dtype):
    ball = PoincareBall(jnp.asarray(2.0, dtype))

    @jax.jit
    @jax.vmap
    def shoot(x, v):
        y = ball.exponential_map(x, v)
        return y, ball.distance(x, y)

    angles = np.linspace(0, 2 * np.pi, 40)
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    starts = np.array([[0.0, 0.0], [1.9, 0.0], [1.2, -1.5], [2 * (1 - 1e-5), 0.0]])
    x, v = (a.reshape(-1, 2) for a in np.broadcast_arrays(starts[:, None], ways[None]))
    for size in (1e-3, 1.0, 50.0, 1e4):
        # By lengths in the metric, up to where the edge is nearer than rounding.
        speed = (1 - np.sum((x / 2) ** 2, axis=1, keepdims=True)) / 2
        y, lengths = shoot(np.asarray(x, dtype), np.asarray(size * speed * v, dtype))
        assert np.all(np.linalg.norm(y, axis=1) < 2)
        assert np.all(np.isfinite(lengths))
    # Across the middle and back out, from near the edge: no digits are lost.
    x, v = np.array([2 * 0.999, 0.0], dtype), np.array([-(1 - 0.999**2) * 7.0, 0.0003], dtype)
    across = eqx.filter_jit(ball.exponential_map)(x, v)
    exact = eqx.filter_jit(PoincareBall(2.0).exponential_map)(
        *(a.astype(np.float64) for a in (x, v))
    )
    np.testing.assert_allclose(across, exact, atol=100 * np.finfo(dtype).eps)


@pytest.mark.slow
@each
def test_second_derivatives_where_nothing_moves(space):
    """`exp` at v = 0 bends by the Christoffel symbols, and `log` the other way."""
    bend = np.asarray(eqx.filter_jit(space.christoffel)(X, V, V))
    for curve, expected in (
        (lambda t: space.exponential_map(X, t * V), -bend),
        (lambda t: space.log_map(X, X + t * V), bend),
    ):
        speed = lambda t, curve=curve: jax.jvp(curve, (t,), (1.0,))[1]  # noqa: E731
        second = jax.jit(lambda t, speed=speed: jax.jvp(speed, (t,), (1.0,)))
        velocity, acceleration = second(0.0)
        np.testing.assert_allclose(velocity, V, rtol=1e-12)
        np.testing.assert_allclose(acceleration, expected, rtol=1e-10, atol=1e-14)
    end, step = jax.jit(lambda x: space.exponential_map(x, V)), 1e-6
    slope = jax.jit(lambda x: jax.jvp(lambda x: space.exponential_map(x, V), (x,), (V,))[1])(0 * X)
    moved = (np.asarray(end(step * V)) - np.asarray(end(-step * V))) / (2 * step)
    np.testing.assert_allclose(slope, moved, rtol=1e-8)


@pytest.mark.parametrize("kind", [StereographicSphere, PoincareBall])
@pytest.mark.parametrize("radius, message", [(0.0, "> 0"), (-1.0, "> 0"), (jnp.ones(2), "scalar")])
def test_bad_radii_are_refused(kind, radius, message):
    with pytest.raises(ValueError, match=message):
        kind(radius)
