"""Manifolds by one contract, and against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.evaluation import (
    FlatTorus,
    Sphere,
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
    "circle": (Sphere(1, 2.0), 1e-9),
    "sphere": (Sphere(3).embedded(9, key=KEY), 1e-9),
    "torus": (FlatTorus().embedded(6, key=KEY), 1e-9),
    "wiggly curve": (closed_curve(WIGGLY, 801).embedded(8, key=KEY), 1e-3),
    "C": (c_shape(num_nodes=801), 1e-3),
    "Swiss roll": (swiss_roll(), 1e-3),
}


@pytest.mark.parametrize("name", MANIFOLDS)
def test_every_manifold(name):
    manifold, exactness = MANIFOLDS[name]

    @jax.jit
    def figures(a, b, x):
        ts = jnp.linspace(0, 1, 201)
        path = manifold.geodesic(a, b, ts)
        middle = manifold.geodesic(a, b, jnp.asarray([0.5]))[0]
        halves = manifold.distance(a, middle), manifold.distance(middle, b)
        on = jax.vmap(manifold.project)(path)
        near = manifold.project(x)
        return path, on, near, manifold.project(near), manifold.distance(a, b), halves

    points = manifold.sample(30, key=KEY)
    a, b = points[:2]
    path, on, near, again, distance, halves = figures(a, b, a + 0.05)
    np.testing.assert_allclose(path[jnp.asarray([0, -1])], [a, b], atol=1e-6)
    np.testing.assert_allclose(on, path, atol=1e-6)
    np.testing.assert_allclose(again, near, atol=1e-6)
    others = jnp.linalg.norm(points - (a + 0.05)[None], axis=1)
    assert jnp.linalg.norm(near - (a + 0.05)) <= jnp.min(others) + 1e-9
    found = path_figures(path)
    np.testing.assert_allclose(found.length, distance, rtol=max(exactness, 2e-4))
    assert found.speed_defect < 0.01
    np.testing.assert_allclose(sum(halves), distance, rtol=1e-6)
    assert jnp.linalg.norm(a - b) <= distance + 1e-9


def test_lengths_in_closed_form():
    circle = closed_curve(np.array([[2.0, 2.0]]))
    np.testing.assert_allclose(circle.length, 4 * np.pi, rtol=1e-6)
    np.testing.assert_allclose(c_shape(1.0).length, 2 * np.pi - 1, rtol=1e-6)
    start, end = 1.5 * np.pi, 4.5 * np.pi
    antiderivative = lambda u: (u * np.hypot(u, 1) + np.arcsinh(u)) / 2  # noqa: E731
    expected = (antiderivative(end) - antiderivative(start)) / start
    np.testing.assert_allclose(spiral(1.5).length, expected, rtol=1e-6)
    a, b = jnp.asarray([0.0, 2.0]), jnp.asarray([0.0, -2.0]) + jnp.asarray([-1e-3, 0.0])
    np.testing.assert_allclose(circle.distance(a, b), 2 * np.pi, rtol=1e-3)


def test_a_geodesic_goes_on_beyond_its_end():
    for manifold in (Sphere(1), closed_curve(np.array([[1.0, 1.0]]))):
        at = lambda u: jnp.asarray([np.cos(u), np.sin(u)])  # noqa: E731
        further = manifold.geodesic(at(0.5), at(-0.5), jnp.asarray([2.0]))[0]
        np.testing.assert_allclose(further, at(-1.5), atol=1e-5)


def test_two_moons_are_two():
    moons = TwoMoons()
    a, b, c = moons.geodesic(*jnp.asarray([[-1.0, 0.0], [1.0, 0.0]]), jnp.asarray([0, 0.5, 1.0]))
    np.testing.assert_allclose(b, [0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(moons.distance(a, c), np.pi, rtol=1e-6)
    other = jnp.asarray([1.0, -0.5])
    assert moons.distance(a, other) == jnp.inf
    assert jnp.all(jnp.isnan(moons.geodesic(a, other, jnp.asarray([0.5]))))
    np.testing.assert_allclose(moons.project(jnp.asarray([1.0, -0.6])), other, atol=1e-6)


def test_noised_laws():
    schedule = geojax.VE(0.2, 2.0)
    sphere = Sphere(2)
    exact = sphere.noised(schedule, key=KEY)
    assert isinstance(exact, geojax.NoisedSphere)
    x = jnp.asarray([0.3, 0.8, 0.1])
    drawn = geojax.Empirical(sphere.sample(4000, key=KEY), schedule)
    np.testing.assert_allclose(drawn(x, 0.5), exact(x, 0.5), rtol=0.1, atol=0.05)
    curve = closed_curve(np.array([[1.0, 1.0]]), 101)
    assert curve.noised(schedule, num=50, key=KEY).data.shape == (50, 2)
