"""Multiple shooting against closed forms, and what it says when the shots do not meet.

To compile it takes long: the tests share three compiled functions, and only numbers differ. That
on the sphere is for the quick tier.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

import geojax
from geojax import RESULTS, Shooting
from tests.geodesics.problems import clairaut_length, metric, on_circle
from tests.programs import largest_array

SPHERE = geojax.metrics.StereographicSphere()
A, B = jnp.asarray([0.5, 0.1, 0.0]), jnp.asarray([-0.3, 0.6, 0.2])
TS = jnp.asarray([0, 0.05, 0.2, 0.3, 0.4, 0.45, 0.6, 0.9, 1.0])
OPTIONS = {"max_steps": 40, "throw": False, "diagnostics": "price"}
EVEN = jnp.linspace(0, 1, 9)
N = 48
great_circle = jax.jit(jax.vmap(lambda t: SPHERE.geodesic(A, B, t)))


def on_sphere(a, b, **options):
    """One shot, matrix-free, on a mesh that may be uneven."""
    solver, options = Shooting(1, dense=False), {**OPTIONS, "diagnostics": "full", **options}
    return geojax.geodesic(SPHERE, a, b, solver=solver, num_segments=8, **options)


def on_ring(end=(1.5, 2.0), width=0.25, **options):
    """By a matrix, from the point at angle 0."""
    points = on_circle(2.0, 0.0), on_circle(*end)
    ring = metric(2, width, 1.0)
    return geojax.geodesic(ring, *points, solver=Shooting(), num_segments=N, **OPTIONS, **options)


def in_one_shot(end, **options):
    """Newton's method without safeguards, with a loose tolerance."""
    points = on_circle(2.0, 0.0), on_circle(*end)
    solver = Shooting(1, rtol=1e-4, root_finder=optx.Newton(1e-3, 1e-3))
    options = {"num_segments": 8, **OPTIONS, **options}
    return geojax.geodesic(metric(2, 0.25, 1.0), *points, solver=solver, **options)


@pytest.mark.slow
@pytest.mark.parametrize("ts", [EVEN, TS])
def test_nodes_are_exact_on_the_sphere(ts):
    """However few, and wherever: to the integrator's tolerance."""
    w = np.asarray(ts)[:, None]
    line = (1 - w) * np.asarray(A) + w * np.asarray(B)
    found = on_sphere(A, B, ts=ts, init=jnp.asarray(line))
    assert found.result == RESULTS.successful and found.stats["decrement"] < 1e-8
    np.testing.assert_allclose(found.curve.xs, great_circle(ts), atol=1e-8)
    np.testing.assert_array_equal(found.curve.xs[0], A)


@pytest.mark.slow
@pytest.mark.parametrize("end", [(1.5, 2.0), (2.0, 2.0)])
def test_the_length_on_the_ring(end):
    """That of the spline through nodes that are exact."""
    found, exact = on_ring(end), clairaut_length(2, 0.25, 1, 2, *end)
    assert found.result == RESULTS.successful
    assert float(found.energy) == pytest.approx(exact**2 / 2, rel=1e-4)
    assert float(found.length) == pytest.approx(exact, rel=1e-4)


@pytest.mark.slow
def test_the_last_node_is_where_the_last_shot_ends():
    """Not the target, which it meets up to the tolerance."""
    angles = np.linspace(0, 0.5, 9)
    start = np.stack([2 * np.cos(angles), 2 * np.sin(angles)], axis=1)
    found = in_one_shot((2.0, 0.5), init=jnp.asarray(start))
    assert found.result == RESULTS.successful
    miss = np.max(np.abs(found.curve.xs[-1] - start[-1]))
    assert 1e-12 < miss < 1e-4
    np.testing.assert_array_equal(found.curve.xs[0], start[0])
    assert float(found.length) == pytest.approx(clairaut_length(2, 0.25, 1, 2, 2, 0.5), rel=1e-2)


@pytest.mark.slow
def test_many_dimensions_without_a_matrix_in_float32():
    size = 1024
    stein = geojax.SteinScoreMetric(lambda x, args: -x, 1.0)
    solve = functools.partial(geojax.geodesic, stein, num_segments=8, solver=Shooting(2), **OPTIONS)
    one = np.zeros((4, 16, 16), np.float32)
    one[:, ::4, ::8] = 1 / np.sqrt(32)
    a, b = map(jnp.asarray, (one, np.float32(-0.8 * one + 0.6 * np.roll(one, 1, axis=2))))
    found = solve(a, b)
    assert found.result == RESULTS.successful and found.curve.xs.dtype == jnp.float32
    assert float(found.energy) == pytest.approx(2.25186, rel=1e-2)
    program = jax.make_jaxpr(lambda a, b: solve(a, b).energy)(a, b)
    assert largest_array(program.jaxpr) < size**2 / 4


# Failures ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_shots_that_do_not_meet():
    """Across a thinner ring the chord is too wild a guess: no path, and what to do."""
    failed = on_ring((2.0, 2.0), width=0.1)
    assert failed.result == RESULTS.not_closed and failed.stats["decrement"] == np.inf
    assert "init=" in failed.message


@pytest.mark.slow
def test_too_few_steps():
    assert in_one_shot((2.0, 1.0)).result == RESULTS.max_steps_reached


def test_more_energy_than_at_the_start_is_no_success():
    """A great circle the other way round, in the direction that the start turns back from."""
    angles = np.asarray([0, -0.175, *np.linspace(0, 0.6, 8)[1:]]) * np.pi
    start = jnp.asarray([[np.cos(t), np.sin(t), 0.0] for t in angles])
    found = on_sphere(start[0], start[-1], init=start, ts=EVEN)
    np.testing.assert_allclose(np.linalg.norm(found.curve.xs, axis=1), 1, atol=1e-7)
    assert found.curve.xs[4, 0] < -0.5 and found.result == RESULTS.not_shortest


def test_a_great_circle_the_other_way_round_is_a_saddle():
    angles = np.linspace(0, -1.4 * np.pi, 9)
    start = jnp.asarray([[np.cos(t), np.sin(t), 0.0] for t in angles])
    found = on_sphere(start[0], start[-1], init=start, ts=EVEN)
    np.testing.assert_allclose(found.curve.xs, start, atol=1e-7)
    assert found.result == RESULTS.saddle_point


@pytest.mark.slow
def test_not_finite():
    assert on_ring(width=jnp.asarray(jnp.nan)).result == RESULTS.non_finite


@pytest.mark.slow
def test_coincident_points():
    found = on_ring((2.0, 0.0))
    assert float(found.energy) == 0 and found.result == RESULTS.successful


@pytest.mark.parametrize("shots, match", [(0, "at least 1"), (3, "must divide num_segments")])
def test_bad_options(shots, match):
    with pytest.raises(ValueError, match=match):
        geojax.geodesic(SPHERE, A, B, solver=Shooting(shots), num_segments=16)
