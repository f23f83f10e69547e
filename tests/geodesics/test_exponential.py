"""The exponential and logarithmic maps: invariants, each other, and Clairaut's relation."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS
from geojax.geodesics._shot import differentiated
from tests.geodesics.problems import (
    angular_momentum,
    clairaut_length,
    climb,
    metric,
    on_circle,
    shell,
)
from tests.metrics.fields import whirl

START, VELOCITY = jnp.asarray([2.0, 0.0]), jnp.asarray([-0.4, 3.0])


def shoot(stein, x0=START, v0=VELOCITY, **options):
    return geojax.exponential_map(stein, x0, v0, num_segments=16, **options)


@eqx.filter_jit
def speeds(stein, xs, vs):
    return jax.vmap(stein.norm)(xs, vs)


@eqx.filter_jit
def read(curve, times):
    return jax.vmap(curve.evaluate)(times), jax.vmap(curve.velocity)(times)


def test_speed_and_angular_momentum_stay_constant():
    stein = metric(2, 0.25, 1)
    solution = shoot(stein)
    assert solution.result == RESULTS.successful
    assert solution.stats["energy_drift"] < 1e-4 and solution.stats["speed_defect"] < 1e-4
    xs, vs = solution.curve.xs, solution.curve.vs
    squared = np.asarray(speeds(stein, xs, vs)) ** 2
    np.testing.assert_allclose(squared, squared[0], rtol=1e-4)
    momenta = angular_momentum(xs, vs)
    np.testing.assert_allclose(momenta, momenta[0], rtol=1e-4)
    np.testing.assert_allclose(solution.energy, squared[0] / 2, rtol=1e-12)
    np.testing.assert_allclose(solution.length, np.sqrt(squared[0]), rtol=1e-12)
    np.testing.assert_array_equal(xs[0], START)
    np.testing.assert_array_equal(solution.initial_velocity, VELOCITY)
    # The dense output meets the nodes and has their velocities as its derivative.
    curve = solution.curve
    (_, x, _), (_, v, slope) = read(curve, jnp.stack([0.3, curve.ts[5], 0.3 + 1e-5]))
    np.testing.assert_allclose(x, xs[5], atol=1e-10)
    np.testing.assert_allclose(v, vs[5], atol=1e-10)
    increment = jax.jit(lambda curve: curve.evaluate(0.3, 0.3 + 1e-5))(curve) / 1e-5
    np.testing.assert_allclose(increment, slope, rtol=1e-2)


def test_the_end_agrees_with_clairauts_relation():
    """Its distance from the start is the length of the initial velocity."""
    end = shoot(metric(2, 0.25, 1), v0=VELOCITY / 2).curve.xs[-1]
    angle = float(np.arctan2(end[1], end[0]))
    exact = clairaut_length(2, 0.25, 1, 2, float(np.linalg.norm(end)), angle)
    (length,) = speeds(metric(2, 0.25, 1), START[None], VELOCITY[None] / 2)
    assert float(length) == pytest.approx(exact, rel=1e-5)


def test_a_radial_geodesic_stays_radial_and_is_as_long_as_its_climb():
    solution = shoot(metric(2, 0.25, 1), v0=jnp.asarray([-0.6, 0.0]))
    np.testing.assert_array_equal(solution.curve.xs[:, 1], 0)
    end = float(solution.curve.xs[-1, 0])
    assert float(solution.length) == pytest.approx(climb(2, 0.25, 1, 2, end), rel=1e-5)


def test_without_lam_it_is_the_straight_line_and_without_velocity_the_point():
    line = shoot(metric(2, 0.25, 0))
    np.testing.assert_allclose(line.curve.xs[-1], START + VELOCITY, rtol=1e-12)
    still = shoot(metric(2, 0.25, 1), v0=0 * VELOCITY)
    assert still.result == RESULTS.successful and float(still.length) == 0
    np.testing.assert_array_equal(still.curve.xs, np.tile(START, (17, 1)))


@pytest.mark.slow
def test_a_score_that_is_no_gradient_must_not_be_called_one():
    """The short form of the geodesic equation conserves g(v, v) along any field, but its curve is
    then no geodesic: another path between its ends is shorter.
    """
    x0, v0 = jnp.asarray([0.5, -0.2]), jnp.asarray([1.0, 1.5])
    right = geojax.SteinScoreMetric(whirl, 10.0)
    wrong = geojax.SteinScoreMetric(whirl, 10.0, conservative=True)
    ends, excesses = [], []
    plain = {"solver": geojax.GaussNewton(curvature_steps=0), "diagnostics": "price"}
    for stein in (right, wrong):
        shot = shoot(stein, x0, v0)
        assert shot.stats["energy_drift"] < 1e-5
        shortest = geojax.geodesic(right, x0, shot.curve.xs[-1], num_segments=64, **plain)
        assert shortest.result == RESULTS.successful
        ends.append(shot.curve.xs[-1])
        excesses.append(float(shot.length / shortest.length) - 1)
    assert np.max(np.abs(ends[0] - ends[1])) > 0.05
    assert abs(excesses[0]) < 1e-5 and excesses[1] > 5e-4


@pytest.mark.slow
def test_a_loose_integration_reports_its_drift():
    loose = {"rtol": 0.3, "atol": 0.3, "drift_tolerance": 1e-4}
    assert shoot(metric(2, 0.25, 1), throw=False, **loose).result == RESULTS.energy_drift
    with pytest.raises(RuntimeError, match="Lower rtol and atol"):
        shoot(metric(2, 0.25, 1), **loose)


@pytest.mark.slow
def test_failures_are_results():
    undefined = geojax.SteinScoreMetric(shell(2, jnp.asarray(jnp.nan)), jnp.asarray(1.0))
    assert shoot(undefined, throw=False).result == RESULTS.non_finite
    with pytest.raises(RuntimeError, match="not finite"):
        shoot(undefined)
    stopped = shoot(metric(2, 0.25, 1), max_steps=3, throw=False)
    assert stopped.result == RESULTS.integration_stopped
    assert not np.isfinite(stopped.curve.xs[-1]).any()


@pytest.mark.slow
@pytest.mark.parametrize("num_segments", [8, pytest.param(24, marks=pytest.mark.slow)])
def test_exp_undoes_log(num_segments):
    """At any number of segments: the velocity is corrected until the integrated geodesic hits."""
    stein = metric(2, 0.5, 1)
    end = on_circle(1.8, 1.2)
    velocity = geojax.log_map(stein, START, end, num_segments=num_segments)
    hit = shoot(stein, v0=velocity).curve.xs[-1]
    np.testing.assert_allclose(hit, end, atol=5e-6)
    exact = clairaut_length(2, 0.5, 1, 2, 1.8, 1.2)
    assert float(speeds(stein, START[None], velocity[None])[0]) == pytest.approx(exact, rel=1e-5)
    if num_segments == 8:
        broken = geojax.SteinScoreMetric(shell(2, jnp.asarray(jnp.nan)), jnp.asarray(1.0))
        lost = geojax.log_map(broken, START, end, num_segments=num_segments, throw=False)
        assert np.isnan(lost).all()
        same = geojax.log_map(stein, START, START, num_segments=num_segments)
        np.testing.assert_array_equal(same, 0)


@pytest.mark.slow
def test_a_batch_is_a_loop():
    stein = metric(2, 0.25, 1)
    v0s = jnp.stack([VELOCITY, 0.3 * VELOCITY, -VELOCITY])
    batch = eqx.filter_jit(eqx.filter_vmap(lambda v: shoot(stein, v0=v, throw=False)))(v0s)
    np.testing.assert_array_equal(batch.result == RESULTS.successful, True)
    for lane, v0 in enumerate(v0s):
        alone = shoot(stein, v0=v0)
        np.testing.assert_allclose(batch.curve.xs[lane], alone.curve.xs, atol=1e-7)
        assert int(batch.stats["num_steps"][lane]) == int(alone.stats["num_steps"])
    assert str(batch).startswith("3 geodesics, 3 successful\n")


@pytest.mark.slow
def test_without_the_dense_output_the_curve_is_cubic_between_the_nodes():
    stein, v = metric(2, 0.5, 1), jnp.asarray([0.0, 2.0])
    shots = [
        shoot(stein, v0=v),
        *(geojax.exponential_map(stein, START, v, dense=False, num_segments=n) for n in (16, 32)),
    ]
    np.testing.assert_allclose(shots[0].curve.xs, shots[1].curve.xs, atol=1e-14)
    times = jnp.linspace(0, 1, 201)
    (exact, right), coarse, (fine, velocity) = (read(shot.curve, times) for shot in shots)
    coarse, fine = (np.max(np.abs(xs - exact)) for xs in (coarse[0], fine))
    assert fine < 1e-6 and 8 < coarse / fine < 32  # of the fourth order
    np.testing.assert_allclose(velocity, right, atol=1e-4)
    between, curve = times + 1e-3, shots[2].curve
    slope = jax.jit(jax.vmap(jax.jacfwd(curve.evaluate)))(between)
    np.testing.assert_allclose(slope[1:-1], read(curve, between)[1][1:-1])


def test_the_dense_output_is_not_kept_where_it_would_fill_the_memory():
    big = geojax.SteinScoreMetric(lambda x, args: -x)
    shot = eqx.filter_eval_shape(geojax.exponential_map, big, jnp.ones(5000), jnp.ones(5000))
    assert max(leaf.size for leaf in jax.tree.leaves(shot)) == 33 * 5000


def closed(radius, x, v):
    return geojax.metrics.StereographicSphere(radius).exponential_map(x, v)


@pytest.mark.slow
def test_derivatives_are_those_of_the_closed_form():
    """In both modes, and by the metric's number."""
    inputs = jnp.asarray(1.3), jnp.asarray([0.3, 0.1]), jnp.asarray([0.63, -0.99])

    def end(adjoint):
        def end(radius, x, v):
            sphere = geojax.metrics.StereographicSphere(radius)
            options = {"num_segments": 1, "dense": False, "adjoint": adjoint}
            return geojax.exponential_map(sphere, x, v, throw=False, **options).curve.xs[-1]

        return end

    by_all = (0, 1, 2)
    exact = jax.jacfwd(closed, by_all)(*inputs)
    forward = jax.jit(jax.jacfwd(end(diffrax.ForwardMode()), by_all))(*inputs)
    reverse = jax.jit(jax.jacrev(end(None), by_all))(*inputs)
    for got, other, expected in zip(forward, reverse, exact, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)
        np.testing.assert_allclose(other, got, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_unit_of_the_data_does_not_matter(dtype):
    """Nor does the origin: what counts is the motion."""
    tol = 1e-4 if dtype == "float32" else 1e-7
    x, v = jnp.asarray([0.3, 0.1], dtype), jnp.asarray([0.63, -0.99], dtype)
    for unit in (1e-6, 1e-3, 1e6):
        unit = jnp.asarray(unit, dtype)
        sphere = geojax.metrics.StereographicSphere(unit)
        shot = geojax.exponential_map(sphere, unit * x, unit * v, num_segments=2, throw=False)
        assert shot.result == RESULTS.successful
        exact = closed(unit, unit * x, unit * v)
        np.testing.assert_allclose(shot.curve.xs[-1] / unit, exact / unit, atol=tol)
        middle = closed(unit, unit * x, unit * v / 2)
        np.testing.assert_allclose(shot.curve.evaluate(0.5) / unit, middle / unit, atol=tol)


@pytest.mark.slow
def test_log_has_the_derivatives_of_the_closed_form():
    """By the implicit function theorem, at a velocity that is known; both modes, under vmap."""

    def log(radius, x, y):
        sphere = geojax.metrics.StereographicSphere(radius)
        velocity = jax.lax.stop_gradient(sphere.log_map(x, y))
        return differentiated(velocity, sphere, x, y, None, 1e-8)

    exact = lambda *a: geojax.metrics.StereographicSphere(a[0]).log_map(*a[1:])  # noqa: E731
    inputs = jnp.asarray(1.3), jnp.asarray([0.3, 0.1]), jnp.asarray([0.9, -0.7])
    by_all = (0, 1, 2)
    expected = jax.jacrev(exact, by_all)(*inputs)
    both = jax.jit(lambda *a: (jax.jacfwd(log, by_all)(*a), jax.jacrev(log, by_all)(*a)))
    for found in both(*inputs):
        for got, true in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, true, atol=1e-6)
    with pytest.raises(ValueError, match="first derivatives only"):
        jax.hessian(lambda y: log(*inputs[:2], y)[0])(inputs[2])


@pytest.mark.slow
def test_log_map_differentiates_as_it_varies():
    """By every number, against differences; and exp after log is the identity to first order."""
    inputs = jnp.asarray([2.0, 0.5, 1.0, *on_circle(2, 0), *on_circle(1.8, 1.2)])

    def log(inputs):
        stein = metric_of(*inputs[:3])
        return geojax.log_map(stein, inputs[3:5], inputs[5:], rtol=1e-8, throw=False)

    found = jax.jit(jax.jacrev(log))(inputs)
    value, step = jax.jit(log), 1e-4
    for i in range(len(inputs)):
        ahead, behind = (value(inputs.at[i].add(s)) for s in (step, -step))
        np.testing.assert_allclose(found[:, i], (ahead - behind) / (2 * step), atol=2e-4)

    def there(y):
        stein = metric_of(*inputs[:3])
        velocity = geojax.log_map(stein, inputs[3:5], y, throw=False)
        forward = {"adjoint": diffrax.ForwardMode(), "num_segments": 1}
        return geojax.exponential_map(stein, inputs[3:5], velocity, **forward).curve.xs[-1]

    np.testing.assert_allclose(jax.jit(jax.jacfwd(there))(inputs[5:]), np.eye(2), atol=1e-5)


def metric_of(radius, width, lam):
    return geojax.SteinScoreMetric(geojax.Shell(radius, width), lam)
