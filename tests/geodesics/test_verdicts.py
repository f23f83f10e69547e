"""Every way in which a solve can fail has its verdict, and bad input its error."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix as optx
import pytest

import geojax
from geojax import RESULTS

RING = geojax.Shell(2.0, 0.25)
METRIC = geojax.SteinScoreMetric(RING, 1.0)
A, B = jnp.array([2.0, 0.0]), jnp.array([2 * np.cos(2.0), 2 * np.sin(2.0)])


def broken(x, args):
    return jnp.full_like(x, jnp.nan)


def test_too_few_steps():
    solution = geojax.geodesic(METRIC, A, B, max_steps=2, throw=False)
    assert solution.result == RESULTS.max_steps_reached
    assert int(solution.stats["num_steps"]) == 2
    with pytest.raises(Exception, match="Raise max_steps"):
        geojax.geodesic(METRIC, A, B, max_steps=2)


def test_zero_steps_price_a_path():
    line = geojax.geodesic(METRIC, A, B, num_segments=100, max_steps=0, throw=False)
    assert float(line.energy) == pytest.approx(117.77, rel=1e-3)  # the straight line's, section 6


def test_not_finite():
    metric = geojax.SteinScoreMetric(broken, 1.0)
    assert geojax.geodesic(metric, A, B, throw=False).result == RESULTS.non_finite
    shot = geojax.exponential_map(metric, A, B, throw=False, max_steps=50)
    assert shot.result == RESULTS.non_finite
    assert jnp.isnan(geojax.distance(metric, A, B, throw=False))
    assert jnp.all(jnp.isnan(geojax.log_map(metric, A, B, throw=False)))


def test_under_resolved():
    stiff = geojax.SteinScoreMetric(RING, 1e4)
    solution = geojax.geodesic(stiff, A, B, num_segments=4, throw=False)
    assert solution.result == RESULTS.under_resolved
    assert float(solution.stats["discretisation_error"]) > 0.05


def test_coincident_points():
    solution = geojax.geodesic(METRIC, A, A)
    assert float(solution.length) == 0 and float(solution.energy) == 0
    np.testing.assert_array_equal(geojax.log_map(METRIC, A, A), 0 * A)


def test_integration_stopped():
    metric = geojax.SteinScoreMetric(RING, 1e3)
    shot = geojax.exponential_map(metric, A, 10 * B, max_steps=5, throw=False)
    assert shot.result == RESULTS.integration_stopped


def test_energy_drift():
    stiff = geojax.SteinScoreMetric(RING, 10.0)
    strict = geojax.exponential_map(stiff, A, 3 * B, drift_tolerance=1e-12, throw=False)
    assert strict.result == RESULTS.energy_drift
    assert geojax.exponential_map(stiff, A, 3 * B).result == RESULTS.successful


def test_a_failed_lane_fails_alone():
    ends = jnp.stack([B, jnp.full_like(B, jnp.nan), A])
    solve = jax.vmap(lambda b: geojax.geodesic(METRIC, A, b, throw=False))
    batch = solve(ends)
    good = batch.result == RESULTS.successful
    np.testing.assert_array_equal(good, [True, False, True])
    alone = geojax.geodesic(METRIC, A, B)
    assert float(batch.energy[0]) == pytest.approx(float(alone.energy), rel=1e-9)
    assert "2 successful" in str(batch)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x1": jnp.zeros(3)}, "one shape"),
        ({"x1": jnp.zeros(2, complex)}, "x1 must be real, got complex128"),
        ({"num_segments": 0}, "num_segments must be at least 1"),
        ({"max_steps": -1}, "max_steps must be at least 0"),
        ({"init": jnp.zeros((4, 3))}, "init must hold"),
        ({"metric": geojax.DenseMetric(lambda x, args: jnp.eye(2)), "solver": geojax.GaussNewton()},
         "solver=PathEnergy"),
        ({"metric": geojax.SteinScoreMetric(lambda x, args: -x), "rule": geojax.LogDensityChord()},
         "log_density"),
    ],
)  # fmt: skip
def test_bad_input(change, match):
    options = {"metric": METRIC, "x0": A, "x1": B} | change
    with pytest.raises(ValueError, match=match):
        geojax.geodesic(**options)


SOLVERS = {
    "gauss-newton": geojax.GaussNewton(),
    "coarse to fine": geojax.CoarseToFine(geojax.GaussNewton()),
    "continuation": geojax.LambdaContinuation(geojax.GaussNewton()),
    "bfgs": geojax.PathEnergy(optx.BFGS(1e-10, 1e-10)),
    "lbfgs": geojax.PathEnergy(optx.LBFGS(1e-10, 1e-10)),
    "adam": geojax.PathEnergy(optax.adam(optax.cosine_decay_schedule(3e-2, 8000))),
}
MIXTURE = geojax.GaussianMixture(jnp.array([[1.0, 0.0], [-1.0, 1.0]]), scales=0.8).at(0.1)
PROBLEMS = {
    "gaussian": (geojax.SteinScoreMetric(lambda x, args: -x, 1.0), A / 2, B / 2),
    "ring": (METRIC, A, B),
    "mixture": (geojax.SteinScoreMetric(MIXTURE, 1.0), A / 2, B),
    "sum": (METRIC + 0.5 * geojax.SteinScoreMetric(MIXTURE, 1.0), A, B),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_all_solvers_agree(solver, problem):
    metric, a, b = PROBLEMS[problem]
    reference = geojax.geodesic(metric, a, b, num_segments=16, discretisation_tolerance=1.0)
    solution = geojax.geodesic(
        metric, a, b, solver=SOLVERS[solver], num_segments=16, max_steps=8000, throw=False
    )
    assert float(solution.energy) == pytest.approx(float(reference.energy), rel=1e-6)
    np.testing.assert_array_equal(solution.curve.xs[0], a)
    np.testing.assert_array_equal(solution.curve.xs[-1], b)


def test_transforms_and_precision():
    solve = lambda a, b: geojax.geodesic(METRIC, a, b, throw=False)  # noqa: E731
    eager, jitted = solve(A, B), jax.jit(solve)(A, B)
    assert float(eager.energy) == pytest.approx(float(jitted.energy), rel=1e-12)
    single = solve(A.astype(jnp.float32), B.astype(jnp.float32))
    assert single.energy.dtype == jnp.float32 and single.result == RESULTS.successful
    assert float(single.energy) == pytest.approx(float(eager.energy), rel=1e-4)
    by_end = jax.grad(lambda b: solve(A, b).length)(B)
    assert by_end.shape == B.shape and np.all(np.isfinite(by_end))


def test_progress_meter(capsys):
    geojax.geodesic(METRIC, A, B, progress_meter=diffrax.TextProgressMeter(minimum_increase=0.3))
    jax.effects_barrier()
    assert "100.00%" in capsys.readouterr().out
