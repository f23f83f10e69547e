"""The smoothed Stein metric: its limits, its solver, and one network in the program."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import SmoothedSteinScoreMetric, SteinScoreMetric
from tests.metrics.fields import gradient, points, sampled, whirl

X, V, W = map(np.asarray, points((4,), jnp.float64))
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def metric():
    return SmoothedSteinScoreMetric.draw(whirl, (4,), 3, delta=0.2, lam=0.6, key=KEY)


def test_it_is_the_mean_over_its_probes(metric):
    rows = jax.jit(jax.vmap(whirl))(X[None] + 0.2 * np.asarray(metric.probes))
    expected = np.eye(4) + 0.2 * np.asarray(rows).T @ rows
    np.testing.assert_allclose(
        eqx.filter_jit(metric.as_matrix)(X), expected, rtol=1e-12, atol=1e-14
    )
    base, weights, scores, conservative = metric.terms()
    assert base == 1 and len(weights) == len(scores) == 3 and conservative == (False,) * 3


def test_one_probe_at_no_distance_is_the_stein_metric():
    metric = SmoothedSteinScoreMetric(whirl, jnp.ones((1, 4)), 0.0, 0.6)
    stein = SteinScoreMetric(whirl, 0.6)
    for name in ("flat", "sharp", "acceleration"):
        found, expected = (eqx.filter_jit(getattr(g, name))(X, V) for g in (metric, stein))
        np.testing.assert_allclose(found, expected)


def test_probes_of_unit_covariance_add_the_jacobians_part():
    """For a linear score the mean is s s^T + delta^2 J J^T exactly."""
    rows = np.random.default_rng(0).normal(size=(4, 4)) / 2
    probes = 2 * np.concatenate([np.eye(4), -np.eye(4)])
    metric = SmoothedSteinScoreMetric(lambda x, args: rows @ x, probes, 0.7, 0.6)
    s = rows @ X
    expected = np.eye(4) + 0.6 * (np.outer(s, s) + 0.7**2 * rows @ rows.T)
    np.testing.assert_allclose(
        eqx.filter_jit(metric.as_matrix)(X), expected, rtol=1e-12, atol=1e-14
    )


def test_a_known_density_moves_with_the_score():
    density = geojax.from_log_density(lambda x, args: -jnp.sum(x**4) / 4)
    metric = SmoothedSteinScoreMetric.draw(density, (4,), 2, delta=0.3, key=KEY, conservative=True)
    for score in metric.terms().scores:
        slope, found = jax.jit(lambda x, s=score: (jax.grad(s.log_density)(x), s(x)))(X)
        np.testing.assert_allclose(slope, found, rtol=1e-12)


@pytest.mark.parametrize(
    "use, evaluations",
    [
        (lambda g: g.flat(X, V), 1),
        (lambda g: g.sharp(X, V), 1),
        (lambda g: g.root(X, V), 1),
        (lambda g: g.acceleration(X, V), 2),
        (lambda g: (g + SteinScoreMetric(gradient)).flat(X, V), 1),
        (lambda g: (0.5 * g).roots(sampled(jnp.stack([X, V, W]))), 1),
    ],
)
def test_a_program_contains_the_score_once(use, evaluations):
    """As often as for one probe, not K times."""
    calls = []

    def score(x, args):
        calls.append(x)
        return whirl(x)

    metric = SmoothedSteinScoreMetric.draw(score, (4,), 5, delta=0.3, key=KEY)
    jax.make_jaxpr(lambda: use(metric))()
    assert len(calls) == evaluations


def solve(metric):
    return geojax.geodesic(metric, X, V, num_segments=6, throw=False, discretisation_tolerance=1.0)


@pytest.mark.slow
def test_a_geodesic_has_the_score_in_its_program_as_often_as_for_one_probe():
    def evaluations(count):
        calls = []

        def score(x, args):
            calls.append(x)
            return gradient(x)

        metric = SmoothedSteinScoreMetric.draw(score, (4,), count, delta=0.3, key=KEY)
        jax.eval_shape(lambda: solve(metric).energy)
        return len(calls)

    assert 0 < evaluations(4) == evaluations(1)


@pytest.mark.slow
def test_gauss_newton_solves_it(metric):
    """Its path is stationary for the energy written out."""
    found = solve(metric)
    assert found.result == geojax.RESULTS.successful

    def energy(inner):
        xs = found.curve.xs.at[1:-1].set(inner)
        rule = geojax.SplineGauss()
        path, weights = geojax.geodesics.sampled_path(rule, found.curve.ts, xs)
        squares = jnp.sum(path.velocities**2, axis=1)
        for eps in metric.probes:
            scores = jax.vmap(lambda x, eps=eps: whirl(x + 0.2 * eps))(path.points)
            squares = squares + 0.2 * jnp.sum(scores * path.velocities, axis=1) ** 2
        return jnp.sum(weights * squares) / 2

    value, gradient = jax.jit(jax.value_and_grad(energy))(found.curve.xs[1:-1])
    np.testing.assert_allclose(found.energy, value, rtol=1e-12)
    assert float(jnp.max(jnp.abs(gradient))) < 1e-4 * value


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SmoothedSteinScoreMetric(None, X[None], 0.1), "score must be a callable"),
        (lambda: SmoothedSteinScoreMetric(whirl, X[None], -0.1), "delta must be a finite"),
        (lambda: SmoothedSteinScoreMetric(whirl, X[None], 0.1, -1), "lam must be a finite"),
        (lambda: SmoothedSteinScoreMetric(whirl, X[:0, None], 0.1), "probes must have shape"),
        (lambda: SmoothedSteinScoreMetric(whirl, V, 0.1).flat(X, V), "shape of a probe"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
