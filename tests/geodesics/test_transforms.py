"""`geodesic` under jit, vmap and differentiation, in float32, watched, and printed."""

import inspect

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

import geojax
from geojax import RESULTS
from tests.geodesics.problems import metric, on_circle

A, B = on_circle(2.0, 0.0), on_circle(1.9, 1.0)
SMALL = {"num_segments": 6, "discretisation_tolerance": 0.1}
# Without exact curvature: twice as quick to compile.
PLAIN: dict = {**SMALL, "solver": geojax.GaussNewton(curvature_steps=0), "diagnostics": "price"}


def test_a_batch_is_a_loop_and_a_failed_lane_fails_alone():
    """Points, lam and score differ by lane; the verdicts too."""
    widths = jnp.asarray([0.5, jnp.nan, 0.5, 0.25, 0.5])
    lams = jnp.asarray([1.0, 1.0, 1.0, 1e4, 0.1])
    ends = jnp.stack([B, B, A, on_circle(2, 2.0), -B])

    def solve(width, lam, end):
        stein = geojax.SteinScoreMetric(geojax.Shell(jnp.asarray(2.0), width), lam)
        return geojax.geodesic(stein, A, end, throw=False, **PLAIN)

    batch = eqx.filter_jit(eqx.filter_vmap(solve))(widths, lams, ends)
    for lane in range(5):
        alone = solve(widths[lane], lams[lane], ends[lane])
        if lane == 3:  # stiff, so that rounding decides what the last digits are
            continue
        np.testing.assert_allclose(np.asarray(batch.curve.xs)[lane], alone.curve.xs, atol=1e-7)
        np.testing.assert_allclose(np.asarray(batch.energy)[lane], alone.energy, rtol=1e-9)
        assert np.asarray(batch.stats["num_steps"])[lane] == alone.stats["num_steps"]
        assert batch.messages[lane] == alone.message
    successful = batch.result == RESULTS.successful
    np.testing.assert_array_equal(successful[:4], [True, False, True, True])
    assert (batch.result == RESULTS.non_finite)[1]
    assert float(batch.length[2]) == 0
    assert f"5 geodesics, {successful.sum()} successful" in str(batch)


METERS = {"TextProgressMeter": {"minimum_increase": 0.1}, "TqdmProgressMeter": {"refresh_steps": 1}}


@pytest.mark.slow
@pytest.mark.parametrize("kind", METERS)
def test_progress_is_shown_under_jit_and_changes_nothing(kind, capfd):
    if kind == "TqdmProgressMeter":
        pytest.importorskip("tqdm")
    meter = getattr(diffrax, kind)(**METERS[kind])
    stein = metric(2, 0.5, 1)

    @jax.jit
    def solve(b):
        return geojax.geodesic(stein, A, b, progress_meter=meter, **PLAIN).curve.xs

    watched = jax.block_until_ready(solve(B))
    jax.effects_barrier()
    shown = "".join(capfd.readouterr())
    assert "100" in shown
    np.testing.assert_allclose(watched, geojax.geodesic(stein, A, B, **PLAIN).curve.xs, atol=1e-12)


@pytest.mark.slow
def test_derivatives():
    """Against differences of whole solves, through the length and the path, by the default solver.

    By every number and at less cost in `test_gradients`.
    """

    @jax.jit
    def solve(lam, bend):
        found = geojax.geodesic(metric_of(lam), A, B + bend * jnp.asarray([0.3, -1.0]), **SMALL)
        return found.length, found.curve.xs[2]

    def metric_of(lam):
        return geojax.SteinScoreMetric(geojax.Shell(jnp.asarray(2.0), jnp.asarray(0.5)), lam)

    here, step = (jnp.asarray(1.0), jnp.asarray(0.1)), 1e-5
    _, tangents = jax.jvp(solve, here, (jnp.asarray(1.0), jnp.asarray(1.0)))
    above, below = (solve(here[0] + s, here[1] + s) for s in (step, -step))
    for tangent, high, low in zip(tangents, above, below, strict=True):
        np.testing.assert_allclose(tangent, (high - low) / (2 * step), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_float32_stays_float32():
    stein = metric(2, 0.5, 1)
    double = geojax.geodesic(stein, A, B, **PLAIN)
    single = geojax.geodesic(stein, A.astype(jnp.float32), B.astype(jnp.float32), **PLAIN)
    assert single.result == RESULTS.successful
    floats = [leaf for leaf in jax.tree.leaves(single) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    assert {leaf.dtype for leaf in floats} == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(single.curve.xs, double.curve.xs, atol=1e-3)
    np.testing.assert_allclose(single.energy, double.energy, rtol=1e-5)
    shot = geojax.exponential_map(stein, single.curve.xs[0], single.initial_velocity)
    assert shot.curve.xs.dtype == shot.stats["energy_drift"].dtype == jnp.float32
    np.testing.assert_allclose(shot.curve.xs[-1], B, atol=0.05)


def test_a_score_that_is_undefined_at_an_end_only_is_not_successful():
    """No rule evaluates the ends, but the velocities there do."""

    def score(x, args):
        return jnp.where(jnp.all(x == A), jnp.nan, -x)

    found = geojax.geodesic(geojax.SteinScoreMetric(score, 1.0), A, B, throw=False, **PLAIN)
    assert found.result == RESULTS.non_finite and np.isfinite(found.energy)


@pytest.mark.slow
def test_a_derivative_that_is_undefined_is_not_a_lack_of_steps():
    def score(x, args):
        return -x + 0 * jnp.sqrt(jnp.abs(x - x))

    stein = geojax.SteinScoreMetric(score, 1.0)
    for solver in (PLAIN["solver"], geojax.PathEnergy()):
        options = {**PLAIN, "solver": solver}
        found = geojax.geodesic(stein, A, B, throw=False, **options)
        assert found.result == RESULTS.non_finite
        with pytest.raises(RuntimeError, match="Check the score"):
            geojax.geodesic(stein, A, B, **options)


@pytest.mark.slow
def test_a_verdict_does_not_depend_on_the_unit_of_the_metric():
    """The half-plane of Poincaré in other units: the same path, not a straight line."""
    ends = jnp.asarray([-1.0, 0.5]), jnp.asarray([1.0, 0.5])

    def solve(metric):
        solver = geojax.PathEnergy(optx.LBFGS(rtol=1e-9, atol=1e-9), rtol=1e-6)
        return geojax.geodesic(metric, *ends, solver=solver, **SMALL)

    plain = geojax.DenseMetric(lambda x, args: jnp.eye(2) / x[1] ** 2)
    expected = solve(1.0 * plain)
    assert float(expected.length) == pytest.approx(2 * np.arcsinh(2.0), rel=0.05)
    for factor in (1e-10, 1e10):
        found = solve(factor * plain)
        np.testing.assert_allclose(found.curve.xs, expected.curve.xs, atol=1e-3)


def test_one_segment_is_the_straight_line():
    options = {**PLAIN, "num_segments": 1}
    found = geojax.geodesic(metric(2, 0.5, 1), A, B, throw=False, **options)
    np.testing.assert_array_equal(found.curve.xs, jnp.stack([A, B]))
    assert int(found.stats["num_steps"]) == 0


@pytest.mark.parametrize(
    "change, message",
    [
        ({"metric": lambda x: x}, "metric must be a geojax metric, got function"),
        ({"x1": jnp.zeros(3)}, "x0 and x1 must have one shape"),
        ({"x1": jnp.zeros(2, complex)}, "x1 must be real, got complex128"),
        ({"x0": jnp.zeros(0), "x1": jnp.zeros(0)}, r"x0 must not be empty, got shape \(0,\)"),
        ({"num_segments": 0}, "num_segments must be at least 1, got 0"),
        ({"max_steps": -1}, "max_steps must be at least 0, got -1"),
        ({"init": jnp.zeros((4, 3))}, "init must hold at least two nodes"),
        ({"init": jnp.zeros((1, 2))}, "init must hold at least two nodes"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"metric": metric(2, 0.5, 1), "x0": A, "x1": B, **change}
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(geojax.geodesic)(**arguments)
    if {"num_segments", "x0", "x1", "metric"} & set(change):
        arguments["v0"] = arguments.pop("x1")
        with pytest.raises(ValueError, match=message.replace("x1", "(x1|v0)")):
            inspect.unwrap(geojax.exponential_map)(**arguments)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: geojax.CoarseToFine(geojax.GaussNewton(), levels=0), "levels must be"),
        (lambda: geojax.LambdaContinuation(geojax.GaussNewton(), (0.5, 0.1)), "weights must be"),
        (lambda: geojax.LambdaContinuation(geojax.GaussNewton(), (1.0,)), "weights must be"),
        (lambda: geojax.Quadrature(order=2), "order must be at least 3"),
        (lambda: geojax.SplineGauss(order=1), "order must be at least 2"),
    ],
)
def test_solvers_and_rules_refuse_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_inputs_that_do_not_fit_together_are_refused():
    dense = geojax.DenseMetric(lambda x, args: jnp.eye(2))
    with pytest.raises(ValueError, match=r"Use solver=Newton"):
        geojax.geodesic(dense, A, B, solver=geojax.GaussNewton())
    with pytest.raises(ValueError, match=r"Use rule=SplineGauss"):
        geojax.geodesic(dense, A, B, rule=geojax.LogDensityChord())
    bare = geojax.SteinScoreMetric(lambda x, args: -x)
    with pytest.raises(ValueError, match="needs a score with a method log_density"):
        geojax.geodesic(bare, A, B, rule=geojax.LogDensityChord())


def test_the_results_name_a_remedy():
    messages = [RESULTS[getattr(RESULTS, name)] for name in RESULTS._name_to_item]
    assert messages.count("") == 1 and len(set(messages)) == len(messages)


def test_printing(capsys):
    stein = metric(2, 0.5, 1)
    found = geojax.geodesic(stein, A, B, **PLAIN)
    text = str(found)
    assert text.startswith("geodesic with 6 segments: successful\n")
    for name in ("energy", "length", *found.stats):
        assert f"\n  {name} " in text
    assert found.message == "successful"

    @jax.jit
    def inside(b):
        solution = geojax.geodesic(stein, A, b, throw=False, **PLAIN)
        assert str(solution).startswith("GeodesicSolution(")
        return solution

    jax.eval_shape(inside, B)
