"""`geodesic_batch`: a loop's answers, at little more than the work that its lanes need."""

import collections
import inspect

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix as optx
import pytest

import geojax
from geojax import RESULTS
from geojax.geodesics import AbstractIterativeSolver
from tests.geodesics.problems import on_circle, shell

CALLS = collections.Counter()
SMALL: dict = {"num_segments": 6, "discretisation_tolerance": 0.2, "max_steps": 25}
SMALL |= {"diagnostics": "price", "throw": False}
RING = shell(2, 0.5)


def score(x, width_factor):
    """The lanes differ in their `args`."""
    return RING(x) / width_factor


METRIC = geojax.SteinScoreMetric(score, 1.0)
STARTS = np.stack([on_circle(2 + 0.02 * i, 0.3 * i) for i in range(11)])
ENDS = np.stack([on_circle(1.9, 0.3 * i + 0.5 + 0.1 * i) for i in range(11)])
ENDS[5] = STARTS[5]
STARTS, ENDS = jnp.asarray(STARTS), jnp.asarray(ENDS)
# A lane whose score is undefined, and one so stiff that it does not get there in time.
ARGS = np.ones(11)
ARGS[2], ARGS[7] = np.nan, 1e-3
ARGS = jnp.asarray(ARGS)
PLAIN = geojax.GaussNewton(curvature_steps=0)  # quicker to compile
SOLVERS = {
    "plain": PLAIN,
    "GaussNewton": geojax.GaussNewton(),
    "CoarseToFine": geojax.CoarseToFine(geojax.PathEnergy(optax.adam(0.05), rtol=0.1), levels=2),
    "LBFGS": geojax.PathEnergy(optx.LBFGS(rtol=1e-9, atol=1e-9), rtol=1e-6),
}


def solve_all(solver=PLAIN, batch_size=4, args=ARGS, **options):
    options = {**SMALL, "args_axis": 0, **options}
    return geojax.geodesic_batch(
        METRIC, STARTS, ENDS, solver=solver, args=args, batch_size=batch_size, **options
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "plain" else pytest.mark.slow) for n in SOLVERS]
)
def test_a_batch_is_a_loop_and_a_failed_lane_fails_alone(name):
    solver = SOLVERS[name]
    batch = solve_all(solver)
    assert batch.curve.xs.shape == (11, 7, 2)
    for lane in range(11):
        alone = geojax.geodesic(
            METRIC, STARTS[lane], ENDS[lane], solver=solver, args=ARGS[lane], **SMALL
        )
        assert batch[lane].message == alone.message
        if lane in (2, 7):
            assert alone.result != RESULTS.successful
            continue
        np.testing.assert_allclose(batch[lane].curve.xs, alone.curve.xs, atol=1e-7)
        np.testing.assert_allclose(batch[lane].length, alone.length, rtol=1e-9)
        np.testing.assert_allclose(batch[lane].final_velocity, alone.final_velocity, atol=1e-6)
        if name == "LBFGS":  # whose line searches hang on the last digit
            continue
        for figure in ("num_steps", "score_evaluations", "score_products"):
            assert int(batch[lane].stats[figure]) == int(alone.stats[figure])
    if name != "CoarseToFine":
        assert str(batch).startswith("11 geodesics, 9 successful\n")
    assert batch[2].result == RESULTS.non_finite


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_the_answers_do_not_depend_on_the_batch_size(batch_size):
    batch, expected = solve_all(batch_size=batch_size), solve_all()
    np.testing.assert_array_equal(batch.result == RESULTS.successful, ARGS == 1)
    good = np.asarray(ARGS == 1)
    np.testing.assert_allclose(batch.curve.xs[good], expected.curve.xs[good], atol=1e-9)
    np.testing.assert_array_equal(batch.stats["num_steps"][good], expected.stats["num_steps"][good])


class Patient(AbstractIterativeSolver):
    """Takes as many steps as `args` says, and leaves the path as it is."""

    rtol: float | None = 0.5

    def init(self, problem, xs):
        return xs, jnp.asarray(jnp.inf), problem.args

    def step(self, problem, state):
        xs, _, left = state
        jax.debug.callback(lambda _: CALLS.update(["step"]), left)
        return xs, problem.energy(xs), left - 1

    def read(self, state):
        xs, energy, left = state
        return xs, energy, jnp.maximum(left, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 4])
def test_slow_lanes_do_not_keep_the_others_waiting(batch_size):
    """Steps counted as they run: what `jax.vmap` spends on waiting, the queue does not."""
    needed = np.asarray([2, 40, 3, 2, 1, 2, 5, 3, 2, 30, 2])
    options = {"num_segments": 2, "throw": False}

    def run(function):
        CALLS.clear()
        solution = jax.block_until_ready(function())
        jax.effects_barrier()
        np.testing.assert_array_equal(solution.stats["num_steps"], needed - 1)
        return CALLS["step"]

    args = jnp.asarray(needed, jnp.float64)
    euclidean, patient = geojax.Euclidean(), Patient()
    steps = run(
        lambda: geojax.geodesic_batch(
            euclidean,
            STARTS,
            ENDS,
            solver=patient,
            args=args,
            args_axis=0,
            batch_size=batch_size,
            **options,
        )
    )
    assert needed.sum() <= steps <= needed.sum() + (batch_size - 1) * needed.max()
    one = lambda a, b, n: geojax.geodesic(euclidean, a, b, solver=patient, args=n, **options)  # noqa: E731
    if batch_size == 1:
        assert run(lambda: jax.vmap(one)(STARTS, ENDS, args)) == len(needed) * needed.max()


@pytest.mark.slow
def test_inside_a_jit_of_the_user_and_from_one_point():
    """And under a `jax.vmap` of the user, where one queue waits for the other."""

    one = jnp.asarray(1.0)

    @jax.jit
    @jax.vmap
    def total(lam):
        metric = geojax.SteinScoreMetric(score, lam)
        batch = geojax.geodesic_batch(
            metric, STARTS[0], ENDS[:6], args=one, batch_size=4, solver=PLAIN, **SMALL
        )
        return jnp.sum(batch.length), batch.curve.xs[5]

    sums, last = total(jnp.asarray([0.0, 1.0]))
    straight = np.sum(np.linalg.norm(ENDS[:6] - STARTS[:1], axis=1))
    np.testing.assert_allclose(sums[0], straight, rtol=1e-9)
    alone = geojax.geodesic(METRIC, STARTS[0], ENDS[5], solver=PLAIN, args=one, **SMALL)
    np.testing.assert_allclose(last[1], alone.curve.xs, atol=1e-9)


@pytest.mark.slow
def test_derivatives_go_through_the_queue():
    """In reverse, as through single solves: the loop itself is not differentiated."""

    @jax.jit
    def figure(lam):
        metric = geojax.SteinScoreMetric(score, lam)
        options = {**SMALL, "num_segments": 4, "batch_size": 2}
        solver = geojax.GaussNewton(rtol=1e-13, curvature_steps=0)
        one = jnp.asarray(1.0)
        batch = geojax.geodesic_batch(
            metric, STARTS[:3], ENDS[:3], solver=solver, args=one, **options
        )
        return jnp.sum(batch.curve.xs[:, 2] ** 2) + jnp.sum(batch.energy)

    here, step = jnp.asarray(1.0), 1e-4
    slope = jax.grad(figure)(here)
    differences = (figure(here + step) - figure(here - step)) / (2 * step)
    np.testing.assert_allclose(slope, differences, rtol=1e-4)


@pytest.mark.slow
def test_the_paths_to_start_from_are_used():
    good = jnp.where(ARGS == 1, ARGS, 1.0)
    first = solve_all(args=good)
    again = solve_all(args=good, init=first.curve.xs)
    assert first.successful.all() and again.successful.all()
    assert int(again.stats["num_steps"].max()) <= 1 < int(first.stats["num_steps"].max())
    np.testing.assert_allclose(again.curve.xs, first.curve.xs, atol=1e-4)


@pytest.mark.slow
def test_progress_counts_the_lanes_that_ended(capfd):
    meter = diffrax.TextProgressMeter(minimum_increase=0.2)
    watched = solve_all(progress_meter=meter)
    jax.effects_barrier()
    assert "100" in "".join(capfd.readouterr())
    assert str(watched) == str(solve_all())


@pytest.mark.slow
def test_a_failure_is_raised_with_its_remedy():
    with pytest.raises(RuntimeError, match="Check the score"):
        solve_all(throw=True)
    single = geojax.geodesic(
        METRIC, STARTS[0], ENDS[0], solver=PLAIN, args=jnp.asarray(1.0), **SMALL
    )
    with pytest.raises(TypeError, match="only a batch"):
        single[0]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"x1": ENDS[:4]}, "x0 and x1 must have one shape"),
        ({"x0": jnp.zeros((0, 2)), "x1": jnp.zeros((0, 2))}, "must not be empty"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"num_segments": 0}, "num_segments must be at least 1, got 0"),
        ({"max_steps": -1}, "max_steps must be at least 0, got -1"),
        ({"args_axis": 1}, "args_axis must be None or 0, got 1"),
        ({"args": jnp.zeros(3), "args_axis": 0}, "must have 11 lanes"),
        ({"init": jnp.zeros((11, 1, 2))}, "init must hold at least two nodes a lane"),
        ({"init": jnp.zeros((4, 7, 2))}, "init must hold at least two nodes a lane"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"metric": METRIC, "x0": STARTS, "x1": ENDS, **change}
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(geojax.geodesic_batch)(**arguments)
