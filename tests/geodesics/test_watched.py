"""`watched_geodesic`: the same steps as `geodesic`, reported and stopped."""

import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

import geojax

METRIC = geojax.SteinScoreMetric(geojax.Shell(radius=2.0, width=jnp.asarray(0.5)), lam=1.0)
ENDS = jnp.array([2.0, 0.0]), jnp.array([-1.0, 1.7])
OPTIONS = {"num_segments": 8, "throw": False}


PLAIN = geojax.GaussNewton(curvature_steps=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "solver",
    [
        PLAIN,
        pytest.param(geojax.CoarseToFine(geojax.GaussNewton(), levels=2), marks=pytest.mark.slow),
    ],
)
def test_the_same_answer_by_the_same_steps(solver):
    seen = []
    watched = geojax.watched_geodesic(METRIC, *ENDS, solver=solver, on_step=seen.append, **OPTIONS)
    whole = geojax.geodesic(METRIC, *ENDS, solver=solver, **OPTIONS)
    np.testing.assert_allclose(watched.curve.xs, whole.curve.xs, rtol=1e-12, atol=1e-12)
    assert watched.message == whole.message
    for name in ("num_steps", "score_evaluations", "score_products"):
        assert int(watched.stats[name]) == int(whole.stats[name])
    steps = [progress.num_steps for progress in seen]
    assert steps == sorted(steps) and steps[-1] == int(whole.stats["num_steps"])
    assert seen[-1].energy == pytest.approx(float(whole.energy))
    assert 0 <= seen[0].share < seen[-1].share <= 1

    # Stopped after the third call, in whatever stage: the path so far, of all segments.
    calls = []

    def stop(progress):
        calls.append(progress)
        return len(calls) == 3

    stopped = geojax.watched_geodesic(METRIC, *ENDS, solver=solver, on_step=stop, **OPTIONS)
    assert bool(stopped.result == geojax.RESULTS.interrupted)
    assert len(calls) == 3 and int(stopped.stats["num_steps"]) == calls[-1].num_steps
    assert stopped.curve.xs.shape == whole.curve.xs.shape
    assert float(whole.energy) < float(stopped.energy) < np.inf
    again = geojax.watched_geodesic(
        METRIC, *ENDS, solver=solver, init=stopped.curve.xs, on_step=seen.append, **OPTIONS
    )
    assert float(again.energy) == pytest.approx(float(whole.energy), rel=1e-8)


def test_a_solver_with_a_loop_of_its_own_runs_as_a_whole():
    solver = geojax.PathEnergy(optx.LBFGS(rtol=1e-6, atol=1e-6), rtol=1e-3)
    seen = []
    solution = geojax.watched_geodesic(METRIC, *ENDS, solver=solver, on_step=seen.append, **OPTIONS)
    assert seen == [] and bool(solution.result == geojax.RESULTS.successful)
