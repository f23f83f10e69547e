"""The cubic spline of a path, as a curve and as matrices, against scipy's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import CubicSpline as Reference

import geojax
from geojax._linalg import matmul
from geojax.geodesics import CubicSpline, TwoPointProblem, sampled_path

UNEVEN = np.array([0.0, 0.1, 0.3, 0.45, 0.6, 0.9, 1.0])
MESHES = {"even": np.linspace(0, 1, 7), "uneven": UNEVEN, "line": np.linspace(0, 1, 2),
          "parabola": np.array([0.0, 0.3, 1.0]), "cubic": np.linspace(0, 1, 4)}  # fmt: skip
each_mesh = pytest.mark.parametrize("ts", MESHES.values(), ids=MESHES.keys())
TIMES = np.linspace(0, 1, 23)


def nodes(ts):
    return np.random.default_rng(0).normal(size=(len(ts), 2))


def reference(ts, xs):
    """With not-a-knot ends; with two or three nodes the line or the parabola."""
    return Reference(ts, xs, bc_type="not-a-knot")


@jax.jit
def both(ts, xs, times):
    curve = CubicSpline(ts, xs)
    moved = lambda t: curve.evaluate(t)  # noqa: E731
    slopes = jax.vmap(lambda t: jax.jvp(moved, (t,), (jnp.ones_like(t),))[1])(times)
    return curve.evaluate(times), curve.velocity(times), slopes


@each_mesh
def test_the_curve_is_scipys_and_its_velocity_its_derivative(ts):
    xs = nodes(ts)
    right = reference(ts, xs)
    points, velocities, slopes = both(*map(jnp.asarray, (ts, xs, TIMES)))
    np.testing.assert_allclose(points, right(TIMES), atol=1e-12)
    np.testing.assert_allclose(velocities, right(TIMES, 1), atol=1e-11)
    np.testing.assert_allclose(velocities, slopes, atol=1e-11)


@functools.partial(jax.jit, static_argnames=("order", "even"))
def figures(ts, xs, order, even):
    """Of the rule that draws the path, and of the problem's offsets."""
    rule = geojax.SplineGauss(order=order)
    # Equal steps are not given to a problem: their matrices are made once, and kept.
    mesh, flat = None if even else ts, geojax.Euclidean()
    problem = TwoPointProblem(flat, rule, None, xs[0], xs[-1], mesh)
    offsets = problem.offsets(xs)
    again = problem.nodes(offsets), problem.path(offsets), problem.energy(offsets)
    basis = problem.basis(offsets)
    identity = matmul(basis.stiffness(jnp.ones_like(basis.times)), basis.inverse)
    path, shares = sampled_path(rule, ts, xs)
    return path, shares, path.rates(xs), offsets, *again, basis.times, identity


@pytest.mark.parametrize(
    "name, order", [(name, 2) for name in MESHES] + [("uneven", 3), ("even", 3)]
)
def test_the_matrices_are_those_of_scipys_spline_at_gauss_points(name, order):
    """Weights, points and velocities."""
    ts = MESHES[name]
    xs, steps = nodes(ts), np.diff(ts)[:, None]
    right, (places, weights) = reference(ts, xs), np.polynomial.legendre.leggauss(order)
    times = (ts[:-1, None] + steps * (places + 1) / 2).reshape(-1)
    even = bool(np.allclose(steps, steps[0]))
    found = figures(jnp.asarray(ts), jnp.asarray(xs), order=order, even=even)
    path, shares, rates, offsets, again, moved, energy, at, identity = found
    np.testing.assert_allclose(shares, (steps * weights / 2).reshape(-1), rtol=1e-14)
    for points, velocities in (path[:2], moved[:2]):
        np.testing.assert_allclose(points, right(times), atol=1e-12)
        np.testing.assert_allclose(velocities, right(times, 1), atol=1e-11)
    np.testing.assert_allclose(rates, path.velocities, atol=1e-11)
    np.testing.assert_array_equal(np.asarray(offsets)[[0, -1]], 0)
    np.testing.assert_allclose(again, xs, atol=1e-15)
    np.testing.assert_allclose(at, times, rtol=1e-14)
    exact = np.sum(np.asarray(shares)[:, None] * np.square(right(times, 1))) / 2
    np.testing.assert_allclose(energy, exact, rtol=1e-12)
    np.testing.assert_allclose(identity, np.eye(len(ts) - 2), atol=1e-11)


def test_it_has_derivatives_by_nodes_and_times():
    xs, times = nodes(UNEVEN), jnp.asarray(TIMES)

    @jax.jit
    def slopes(ts, xs):
        value = lambda ts, xs: jnp.sum(jnp.sin(CubicSpline(ts, xs).evaluate(times)))  # noqa: E731
        return value(ts, xs), jax.grad(value, (0, 1))(ts, xs)

    shift = np.random.default_rng(1).normal(size=(7, 2))
    bend = np.array([0, 0.1, -0.2, 0.1, 0.2, -0.1, 0])
    _, (by_times, by_nodes) = slopes(jnp.asarray(UNEVEN), jnp.asarray(xs))
    ends = [float(slopes(jnp.asarray(UNEVEN + h * bend), jnp.asarray(xs + h * shift))[0])
            for h in (-1e-5, 1e-5)]  # fmt: skip
    total = np.vdot(by_times, bend) + np.vdot(by_nodes, shift)
    np.testing.assert_allclose(total, (ends[1] - ends[0]) / 2e-5, rtol=1e-7)


def test_far_from_the_origin_velocities_keep_their_digits():
    xs, ts = nodes(UNEVEN), np.float32(UNEVEN)
    far = np.float32(np.round(xs * 64) / 64 + 4096)  # exact in float32
    _, velocities, _ = both(*map(jnp.asarray, (ts, far, np.float32(TIMES))))
    right = reference(np.float64(ts), np.float64(far) - 4096)
    np.testing.assert_allclose(velocities, right(TIMES, 1), atol=2e-4)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_it_needs_as_many_nodes_as_times(count):
    make = functools.partial(CubicSpline, jnp.linspace(0, 1, 2))
    with pytest.raises(ValueError, match="xs must"):
        make(jnp.zeros((count, 2)))
