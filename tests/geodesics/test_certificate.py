"""A saddle is found, or the chance that one was missed is bounded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.geodesics import _certificate as certificate
from geojax.geodesics import _gauss_newton
from geojax.geodesics import _path_hessian as ph
from geojax.geodesics._conjugate_gradients import truncated_cg
from geojax.geodesics._preconditioner import GaussNewtonPreconditioner, StiffnessPreconditioner
from geojax.geodesics._problem import TwoPointProblem
from geojax.geodesics._rules import SplineGauss

SHELL = geojax.SteinScoreMetric(geojax.Shell(radius=1.0, width=0.25), lam=1.0)
A, B = jnp.asarray([1.0, 0.0, 0.0]), jnp.asarray([-0.8, 0.6, 0.0])


@pytest.mark.parametrize("lowest", [-0.5, -1e-3, 0.0])
def test_the_missed_part_is_at_most_the_residual(lowest):
    """The bound itself, for 500 right-hand sides at three tolerances: exact, not on average."""
    size = 300
    eigenvalues = jnp.asarray(np.r_[lowest, np.linspace(0.5, 3.0, size - 1)])

    def run(key, rtol):
        right = jax.random.normal(key, (size,))
        found = truncated_cg(
            lambda d: eigenvalues * d,
            lambda r: r,
            right,
            right,
            jnp.sum(right**2),
            active=jnp.asarray(True),
            rtol=rtol,
            max_steps=60,
        )
        return found.negative, found.left, jnp.abs(right[0]) / jnp.linalg.norm(right)

    keys = jax.random.split(jax.random.key(0), 500)
    runs = jax.jit(jax.vmap(jax.vmap(run, (0, None)), (None, 0)))
    tolerances = jnp.asarray([1e-1, 1e-2, certificate.residual_needed(size)])
    negative, left, share = map(np.asarray, runs(keys, tolerances))
    assert np.all(negative | (share <= left * (1 + 1e-6)))
    missed = 1 - negative.mean(axis=1)
    if lowest < 0:
        assert missed[0] > 0.1  # a loose tolerance does miss it
        assert missed[2] < 0.03  # 1 % is promised


def test_noise_has_the_covariance_of_the_preconditioner():
    problem = TwoPointProblem(SHELL, SplineGauss(), None, A[:2], B[:2])
    offsets = jnp.zeros((4, 2))
    model = ph.linearise(problem, offsets)
    factor = ph.factorise(model, ph.gram(model), jnp.asarray(0.5))
    factors = jnp.linspace(1.0, 2.0, len(model.bends))
    stiff = StiffnessPreconditioner(model.basis, factors, jnp.asarray(2.0))
    keys = jax.random.split(jax.random.key(1), 40_000)
    for one in (GaussNewtonPreconditioner(model, factor), stiff):
        samples = jax.jit(jax.vmap(lambda key, one=one: one.noise(key, 2).reshape(-1)))(keys)
        inverse = jax.vmap(lambda row, one=one: one(row.reshape(2, 2)).reshape(-1))(jnp.eye(4))
        whitened = np.asarray(samples).T @ np.asarray(samples) / len(keys) @ np.asarray(inverse)
        assert np.allclose(whitened, np.eye(4), atol=0.05)


def test_a_saddle_check_without_conclusion_is_not_successful(monkeypatch):
    monkeypatch.setattr(_gauss_newton, "_CHECK", 1)
    options = {"num_segments": 8, "throw": False}
    few = geojax.geodesic(SHELL, A, B, solver=geojax.GaussNewton(curvature_steps=1), **options)
    assert few.result == geojax.RESULTS.unverified
    assert few.stats["missed_saddle"] > few.limits["missed_saddle"]
    assert "could not be verified" in few.message
    enough = geojax.geodesic(SHELL, A, B, **options)
    assert enough.successful and 0 < enough.stats["missed_saddle"] <= 0.01
    loose = geojax.geodesic(SHELL, A, B, diagnostics="price", **options)
    assert loose.successful and jnp.isnan(loose.stats["missed_saddle"])


def test_checks_cost_a_fraction_of_the_solve():
    """At most 30 % of the evaluations of ten steps; none that are known already."""
    n = 16
    counts = {
        kind: geojax.geodesic(SHELL, A, B, num_segments=n, diagnostics=kind).stats
        for kind in ("full", "price", "none")
    }
    evaluations = {kind: int(stats["score_evaluations"]) for kind, stats in counts.items()}
    steps = int(counts["none"]["num_steps"]) + 1
    assert evaluations["none"] == steps * 2 * n + 2
    assert evaluations["price"] - evaluations["none"] == (2 * n + 1) + n
    assert evaluations["full"] - steps * 2 * n <= 0.3 * 10 * 2 * n
    assert counts["price"]["score_products"] == counts["none"]["score_products"]


@pytest.mark.slow
@pytest.mark.parametrize("dim, lam, lowest", [(16_384, 4.5, 2.6628), (36_864, 6.0, 2.8764)])
def test_a_saddle_in_many_dimensions_is_left(dim, lam, lowest):
    """The straight line through a ring's middle, a saddle with one way out of N x D."""

    def log_density(x, args):
        return -((jnp.sum(x[:2] ** 2) - 1) ** 2) / 4 - jnp.sum(x[2:] ** 2) / 2

    a = jnp.zeros(dim).at[0].set(-1.0)
    metric = geojax.SteinScoreMetric(geojax.from_log_density(log_density), lam=lam)
    solution = geojax.geodesic(metric, a, -a)
    assert solution.successful and solution.energy < 0.9995 * lowest
