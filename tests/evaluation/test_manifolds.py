"""Manifolds by one contract, and against closed forms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

import geojax
from geojax.evaluation import (
    EmbeddedSphere,
    FlatTorus,
    Torus,
    TwoMoons,
    c_shape,
    closed_curve,
    path_figures,
    spiral,
    swiss_roll,
)

KEY = jax.random.key(0)
WIGGLY = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.3], [0.0, 0.0, 0.0], [0.25, -0.25, 0.0]])
# The manifold and how exact it is: closed forms, or tables.
MANIFOLDS = {
    "circle": (lambda: EmbeddedSphere(1, 2.0), 1e-9),
    "sphere": (lambda: EmbeddedSphere(3).embedded(9, key=KEY), 1e-9),
    "flat torus": (lambda: FlatTorus().embedded(6, key=KEY), 1e-9),
    "torus": (lambda: Torus().embedded(5, key=KEY), 1e-9),
    "wiggly curve": (lambda: closed_curve(WIGGLY, 801).embedded(8, key=KEY), 1e-3),
    "C": (lambda: c_shape(num_nodes=801), 1e-3),
    "Swiss roll": (lambda: swiss_roll(), 1e-3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MANIFOLDS)
def test_every_manifold(name):
    make, exactness = MANIFOLDS[name]
    manifold = make()

    @jax.jit
    def figures():
        points = manifold.sample(30, key=KEY)
        a, b = points[:2]
        path = manifold.geodesic(a, b, jnp.linspace(0, 1, 201))
        stops = jnp.stack([a, path[100], b])
        starts, ends = stops[jnp.array([0, 0, 1])], stops[jnp.array([2, 1, 2])]
        lengths = jax.vmap(manifold.distance)(starts, ends)
        project = jax.jit(jax.vmap(manifold.project))  # traced once
        projected = project(jnp.concatenate([path, (a + 0.05)[None]]))
        on, near = projected[:-1], projected[-1]
        again = project(jnp.stack([near] * 202))[0]
        return points, path, on, near, again, lengths, path_figures(path)

    points, path, on, near, again, (distance, *halves), found = jax.device_get(figures())
    a, b = points[:2]
    np.testing.assert_allclose(path[[0, -1]], [a, b], atol=1e-6)
    np.testing.assert_allclose(on, path, atol=1e-6)
    np.testing.assert_allclose(again, near, atol=1e-6)
    others = np.linalg.norm(points - (a + 0.05), axis=1)
    assert np.linalg.norm(near - (a + 0.05)) <= np.min(others) + 1e-9
    np.testing.assert_allclose(found.length, distance, rtol=max(exactness, 2e-4))
    assert found.speed_defect < 0.01
    np.testing.assert_allclose(sum(halves), distance, rtol=1e-6)
    assert np.linalg.norm(a - b) <= distance + 1e-9


def test_lengths_in_closed_form():
    circle = closed_curve(np.array([[2.0, 2.0]]))
    np.testing.assert_allclose(circle.length, 4 * np.pi, rtol=1e-6)
    np.testing.assert_allclose(c_shape(1.0).length, 2 * np.pi - 1, rtol=1e-6)
    start, end = 1.5 * np.pi, 4.5 * np.pi
    antiderivative = lambda u: (u * np.hypot(u, 1) + np.arcsinh(u)) / 2  # noqa: E731
    expected = (antiderivative(end) - antiderivative(start)) / start
    np.testing.assert_allclose(spiral(1.5).length, expected, rtol=1e-6)
    a, b = np.asarray([0.0, 2.0]), np.asarray([-1e-3, -2.0])
    np.testing.assert_allclose(eqx.filter_jit(circle.distance)(a, b), 2 * np.pi, rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lengths_keep_their_digits_between_near_points_and_across_seams(dtype):
    """By angles that are known: near equal points, near antipodes, and where angles jump."""
    eps = np.finfo(dtype).eps
    sphere = EmbeddedSphere(1, 2.0)
    torus = FlatTorus((1.0, 0.5))
    lengths = jax.jit(lambda a, b, c, d: (sphere.distance(a, b), torus.distance(c, d)))
    for start in (0.3, np.pi - 1e-5, -np.pi / 2):
        for turn in (1e-6, 1e-3, 1.0, np.pi - 1e-3, np.pi - 1e-6):
            u, v = (np.array([np.cos(w), np.sin(w)], np.longdouble) for w in (start, start + turn))
            flat = [np.concatenate([x, np.array([0.5, 0.0])]).astype(dtype) for x in (u, v)]
            round_ = [np.asarray(2 * x, dtype) for x in (u, v)]
            found = lengths(*(jnp.asarray(x) for x in (*round_, *flat)))
            for (a, b), radius, length in zip((round_, flat), (2, 1), found, strict=True):
                a, b = (np.longdouble(x[:2]) for x in (a, b))
                across = a[0] * (b[1] - a[1]) - a[1] * (b[0] - a[0])
                expected = radius * np.abs(np.arctan2(across, a @ b))
                # The sphere's chord has what rounding puts between the radii, to second order.
                slack = 30 * eps + 4 * (eps / turn) ** 2
                np.testing.assert_allclose(length, float(expected), rtol=slack)


@pytest.mark.slow
def test_geodesics_between_equal_and_opposite_points():
    a, tangent = jnp.array([0.0, 0.6, 0.8]), jnp.array([1.0, 0.0, 0.0])
    sphere, flat = EmbeddedSphere(2), FlatTorus((1.0, 0.5))
    corner = jnp.array([-1.0, 0.0, 0.0, 0.5])
    problems = (
        (sphere, a, tangent),
        (flat, corner, jnp.array([0.0, 1.0, 0.0, 0.0])),
        (Torus(1.0, 0.4), on_torus(0.4, 0.0), jnp.array([0.0, 0.0, 1.0])),
    )
    for manifold, x, along in problems:

        @jax.jit
        def moved_end(x, along, manifold=manifold):
            at = lambda b: (manifold.geodesic(x, b, jnp.array([0.3]))[0], manifold.distance(x, b))  # noqa: E731
            return jax.jvp(at, (x,), (along,))

        (point, _), (moved, slope) = moved_end(x, along)
        np.testing.assert_allclose(point, x, atol=1e-12)
        np.testing.assert_allclose(moved, 0.3 * along, atol=1e-7)
        assert np.all(np.isfinite(slope))
    between = jax.jit(lambda a, b: sphere.geodesic(a, b, jnp.linspace(0, 1, 5)))
    a, tangent = np.asarray(a), np.asarray(tangent)
    for gap in (0.0, 1e-12, 1e-6):
        b = -np.cos(gap) * a + np.sin(gap) * tangent
        path = np.asarray(between(a, b))
        np.testing.assert_allclose(np.linalg.norm(path, axis=1), 1, rtol=1e-12)
        np.testing.assert_allclose(path[[0, -1]], np.stack([a, b]), atol=1e-14)


TORUS = Torus(1.0, 0.4)
torus_distance = eqx.filter_jit(TORUS.distance)


def on_torus(u, v):
    reach = 1 + 0.4 * np.cos(v)
    return np.stack([reach * np.cos(u), reach * np.sin(u), 0.4 * np.sin(v)], axis=-1)


@pytest.mark.parametrize(
    "a, b, length",
    [
        ((0.3, 0.2), (0.3, 1.9), 0.4 * 1.7),  # meridian
        ((0.0, 0.0), (0.9, 0.0), 1.4 * 0.9),  # outer equator, short of its conjugate point
        ((0.3, np.pi), (2.9, np.pi), 0.6 * 2.6),  # inner equator: nothing is shorter
        ((0.5, 0.5), (0.5, 0.5), 0.0),
    ],
)
def test_a_torus_has_the_lengths_of_its_closed_forms(a, b, length):
    np.testing.assert_allclose(torus_distance(on_torus(*a), on_torus(*b)), length, atol=1e-10)


def test_a_torus_has_no_shorter_way_than_its_geodesic():
    """Past the conjugate point of the outer equator too; against shortest paths in a fine graph."""
    shape = (160, 80)
    u, v = (np.arange(n) * 2 * np.pi / n for n in shape)
    points = on_torus(*np.meshgrid(u, v, indexing="ij"))
    nodes = np.arange(points[..., 0].size).reshape(shape)
    edges = []
    for shift in [(i, j) for i in range(-4, 5) for j in range(-4, 5) if np.gcd(i, j) == 1]:
        there = np.roll(points, shift, axis=(0, 1))
        weights = np.linalg.norm(points - there, axis=-1)
        edges.append((nodes, np.roll(nodes, shift, axis=(0, 1)), weights))
    rows, columns, weights = np.stack(edges, axis=1).reshape(3, -1)
    ends = np.random.default_rng(0).integers(0, nodes.size, (2, 20))
    ends[:, 0] = nodes[0, 0], nodes[70, 0]
    graph = csr_matrix((weights, (rows.astype(int), columns.astype(int))))
    by_graph = dijkstra(graph, indices=ends[0])
    flat = points.reshape(-1, 3)
    found = [torus_distance(flat[a], flat[b]) for a, b in ends.T]
    ratios = np.asarray(found) / by_graph[np.arange(20), ends[1]]
    assert np.all((ratios > 0.985) & (ratios < 1.002)), ratios  # a graph's edges are chords


@pytest.mark.slow
def test_geodesics_of_a_torus_are_straight_in_it():
    """Their acceleration in R^3 is normal to the surface, before and beyond b."""
    a, b = on_torus(0.2, 0.4), on_torus(1.7, -1.1)
    step = 1e-3
    ts = np.asarray([0.3, 1.4])[:, None] + step * np.asarray([-1.0, 0.0, 1.0])
    path = np.asarray(eqx.filter_jit(TORUS.geodesic)(a, b, ts.reshape(-1))).reshape(2, 3, 3)
    acceleration = (path[:, 0] - 2 * path[:, 1] + path[:, 2]) / step**2
    x = path[:, 1]
    out = x[:, :2] * (1 - 1 / np.linalg.norm(x[:, :2], axis=1, keepdims=True))
    normal = np.concatenate([out, x[:, 2:]], axis=1) / 0.4
    tangential = acceleration - np.sum(acceleration * normal, axis=1, keepdims=True) * normal
    np.testing.assert_allclose(tangential, np.zeros((2, 3)), atol=1e-4)
    assert np.all(np.linalg.norm(acceleration, axis=1) > 0.1)


def test_a_torus_is_drawn_from_by_its_area():
    points = np.asarray(TORUS.sample(20_000, key=KEY))
    # The mean of cos v under the area's law, whose density is 1 + 0.4 cos v.
    cosines = (np.linalg.norm(points[:, :2], axis=1) - 1) / 0.4
    np.testing.assert_allclose(np.mean(cosines), 0.2, atol=0.02)


def test_a_torus_needs_a_hole():
    with pytest.raises(ValueError, match=r"0 < minor < major, got minor = 1.0 and major = 0.5"):
        Torus(0.5, 1.0)


def test_a_geodesic_goes_on_beyond_its_end():
    for manifold in (EmbeddedSphere(1), closed_curve(np.array([[1.0, 1.0]]))):
        at = lambda u: np.asarray([np.cos(u), np.sin(u)])  # noqa: E731
        further = eqx.filter_jit(manifold.geodesic)(at(0.5), at(-0.5), np.asarray([2.0]))[0]
        np.testing.assert_allclose(further, at(-1.5), atol=1e-5)


@pytest.mark.slow
def test_two_moons_are_two():
    moons = TwoMoons()
    geodesic, distance = eqx.filter_jit(moons.geodesic), eqx.filter_jit(moons.distance)
    ts = np.asarray([0, 0.5, 1.0])
    a, b, c = np.asarray(geodesic(*np.asarray([[-1.0, 0.0], [1.0, 0.0]]), ts))
    np.testing.assert_allclose(b, [0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(distance(a, c), np.pi, rtol=1e-6)
    other = np.asarray([1.0, -0.5])
    assert distance(a, other) == np.inf
    assert np.isnan(geodesic(a, other, ts)[1]).all()
    np.testing.assert_allclose(
        eqx.filter_jit(moons.project)(np.asarray([1.0, -0.6])), other, atol=1e-6
    )


@pytest.mark.slow
def test_noised_laws():
    schedule = geojax.VE(0.2, 2.0)
    sphere = EmbeddedSphere(2)
    exact = sphere.noised(schedule, key=KEY)
    assert isinstance(exact, geojax.NoisedSphere)
    x = np.asarray([0.3, 0.8, 0.1])
    drawn = geojax.Empirical(sphere.sample(4000, key=KEY), schedule)
    value = eqx.filter_jit(lambda law, x, t: law(x, t))
    np.testing.assert_allclose(value(drawn, x, 0.5), value(exact, x, 0.5), rtol=0.1, atol=0.05)
    curve = closed_curve(np.array([[1.0, 1.0]]), 101)
    assert curve.noised(schedule, num=50, key=KEY).data.shape == (50, 2)
    # Even points are the law itself: the circle's, and by a lattice the torus's.
    by_curve = curve.noised(schedule, num=50, key=KEY)
    exact = EmbeddedSphere(1).noised(schedule, key=KEY)
    for x in np.asarray([[0.9, 0.5], [0.2, -0.6]]):
        found, expected = value(by_curve, x, 0.2), value(exact, x, 0.2)
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)
    x = np.asarray([1.1, 0.7, 0.2])
    few, many = (value(TORUS.noised(schedule, num=n, key=KEY), x, 0.0) for n in (600, 6000))
    np.testing.assert_allclose(few, many, rtol=0.02, atol=0.05)
    drawn = value(geojax.Empirical(TORUS.sample(600, key=KEY), schedule), x, 0.0)
    # Drawn points are not: what evenness is for.
    assert not np.allclose(drawn, many, rtol=0.02, atol=0.05)


@pytest.mark.parametrize("dim", [1, 4])
def test_a_geodesic_between_antipodes_is_half_a_great_circle(dim):
    sphere = EmbeddedSphere(dim, 2.0)
    a = np.asarray(sphere.sample(1, key=KEY)[0])
    between = jax.jit(lambda a, b: sphere.geodesic(a, b, jnp.linspace(0, 1, 201)))
    for b in (-a, -a * (1 + 1e-16)):
        path = np.asarray(between(a, b))
        np.testing.assert_allclose(np.linalg.norm(path, axis=1), 2.0, rtol=1e-12)
        length = np.sum(np.linalg.norm(np.diff(path, axis=0), axis=1))
        np.testing.assert_allclose(length, 2 * np.pi, rtol=2e-4)
        np.testing.assert_allclose(path[-1], b, atol=1e-12)
