"""Properties that hold for every metric and every solve, on problems that hypothesis makes up.

The contracts beside this file check chosen problems in depth; here the numbers are drawn, with the
extremes that nobody would choose. One compiled function serves all examples of a test.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import geojax
from geojax import RESULTS
from tests.geodesics.problems import Blobs

D = 3
PHASES = (Phase.explicit, Phase.generate)
MODERATE = settings(max_examples=60, deadline=None, derandomize=True, database=None, phases=PHASES)
FEW = settings(MODERATE, max_examples=25)

numbers = st.floats(-3, 3, allow_subnormal=False)
vectors = arrays(np.float64, D, elements=numbers)
directions = vectors.filter(lambda v: np.linalg.norm(v) > 1e-3)
lams = st.one_of(st.just(0.0), st.floats(-8, 8).map(lambda e: 10.0**e))
bases = st.floats(-3, 3).map(lambda e: 10.0**e)
seeds = st.integers(0, 2**32 - 1)


def blobs(seed) -> Blobs:
    """Three Gaussians or rings."""
    rng = np.random.default_rng(seed)
    widths = rng.uniform(0.3, 1.0, 3)
    radii = rng.choice([0.0, 1.0], 3) * rng.uniform(0.5, 2.0, 3)
    return Blobs(*map(jnp.asarray, (rng.normal(size=(3, D)), radii, widths)))


def stein(seed, lam, base=1.0) -> geojax.metrics.AbstractMetric:
    weights = jnp.asarray(base), jnp.asarray(lam / base)
    return weights[0] * geojax.SteinScoreMetric(blobs(seed), weights[1])


# Metrics -----------------------------------------------------------------------------------------


@eqx.filter_jit
def everything(metric, x, u, v):
    """Each product that a metric offers."""
    return {
        "matrix": metric.as_matrix(x),
        "flat": metric.flat(x, u),
        "inner": metric.inner(x, u, v),
        "norm": metric.norm(x, u),
        "sharp": metric.sharp(x, metric.flat(x, u)),
        "log_det": metric.log_det(x),
        "acceleration": metric.acceleration(x, v),
        "reversed": metric.acceleration(x, -2.0 * v),
    }


@pytest.mark.slow
@MODERATE
@given(seeds, lams, bases, vectors, directions, directions)
def test_a_metric_is_an_inner_product(seed, lam, base, x, u, v):
    """Its products are those of its matrix, which is symmetric and at least the base."""
    found = everything(stein(seed, lam, base), *map(jnp.asarray, (x, u, v)))
    matrix = np.asarray(found["matrix"])
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12, atol=1e-30)
    scale = np.linalg.norm(matrix, 2)
    assert np.linalg.eigvalsh(matrix)[0] >= base * (1 - 1e-9) - 1e-14 * scale
    size = scale * np.linalg.norm(u)
    np.testing.assert_allclose(found["flat"], matrix @ u, atol=1e-12 * size)
    np.testing.assert_allclose(found["inner"], u @ matrix @ v, atol=1e-12 * size * 6)
    np.testing.assert_allclose(found["norm"] ** 2, u @ matrix @ u, rtol=1e-9)
    # sharp after flat loses the digits of the condition number.
    lost = 1e-14 * scale / base * np.linalg.norm(u)
    np.testing.assert_allclose(found["sharp"], u, rtol=1e-9, atol=1e-12 + lost)
    dense = np.linalg.slogdet(matrix)[1]
    np.testing.assert_allclose(found["log_det"], dense, atol=1e-8 + 1e-14 * scale / base)


@MODERATE
@given(seeds, lams, vectors, directions)
def test_acceleration_is_quadratic_and_does_not_know_the_unit(seed, lam, x, v):
    """A multiple of a metric has the same geodesics, however fast they are run through."""
    metric, x, v = stein(seed, lam), jnp.asarray(x), jnp.asarray(v)
    found = everything(metric, x, v, v)
    size = 1e-12 + float(jnp.max(jnp.abs(found["acceleration"])))
    np.testing.assert_allclose(found["reversed"], 4 * found["acceleration"], atol=1e-9 * size)
    other = everything(stein(seed, 7.0 * lam, 7.0), x, v, v)
    np.testing.assert_allclose(other["acceleration"], found["acceleration"], atol=1e-9 * size)


@pytest.mark.slow
@MODERATE
@given(seeds, seeds, lams, lams, vectors, directions)
def test_sums_and_multiples(seed, other, lam, mu, x, v):
    first, second, x, v = stein(seed, lam), stein(other, mu), jnp.asarray(x), jnp.asarray(v)
    parts = [float(everything(metric, x, v, v)["inner"]) for metric in (first, second)]
    whole = everything(first + 3.0 * second, x, v, v)["inner"]
    np.testing.assert_allclose(whole, parts[0] + 3 * parts[1], rtol=1e-12)


# Solves ------------------------------------------------------------------------------------------


@eqx.filter_jit
def _from(metric, a, b, init):
    return geojax.geodesic(metric, a, b, init=init, num_segments=24, max_steps=60, throw=False)


def solved(metric, a, b):
    """From the straight line, by the program that also starts from a path."""
    w = np.linspace(0, 1, 25)[:, None]
    return _from(metric, a, b, jnp.asarray((1 - w) * np.asarray(a) + w * np.asarray(b)))


@eqx.filter_jit
def straight(metric, a, b):
    """The energy of the line, by two Gauss-Legendre points of 24 segments."""
    pair = 0.5 + jnp.asarray([-0.5, 0.5]) / np.sqrt(3)
    times = ((jnp.arange(24.0)[:, None] + pair[None]) / 24).reshape(-1)
    return jnp.mean(jax.vmap(lambda w: metric.inner(a + w * (b - a), b - a, b - a))(times)) / 2


def is_good(solution) -> bool:
    return bool(solution.result == RESULTS.successful)


def test_the_contract_of_every_solution():
    """Found or not: its ends, its energy below the straight line's, the order of its figures."""
    good = []

    @FEW
    @given(seeds, st.floats(-3, 9), directions, directions)
    def check(seed, power, a, b):
        metric = stein(seed, 10**power)
        solution = solved(metric, jnp.asarray(a), jnp.asarray(b))
        xs = np.asarray(solution.curve.xs)
        np.testing.assert_array_equal(xs[[0, -1]], [a, b])
        assert np.all(np.isfinite(xs))
        energy, stats = float(solution.energy), solution.stats
        assert energy >= np.linalg.norm(b - a) ** 2 / 2 * (1 - 1e-12)
        line = float(straight(metric, jnp.asarray(a), jnp.asarray(b)))
        assert energy <= line * (1 + 1e-9) + 1e-25  # the digits of points that coincide
        assert float(solution.length) ** 2 / 2 <= energy * (1 + 1e-9)
        good.append(is_good(solution))
        if good[-1]:
            assert solution.message == "successful"
            slack = 1e-6 + float(stats["discretisation_error"])
            assert float(stats["lower_bound"]) <= float(solution.length) * (1 + slack)
            fine = float(stats["energy_fine"])
            assert abs(fine / max(energy, 1e-30) - 1) < 0.06 or energy < 1e-20
        else:
            assert len(solution.message) > 20  # a remedy

    check()
    assert 5 <= sum(good) < len(good)  # both kinds were met


def test_symmetries():
    """Turned and run backwards, a problem has the turned and reversed geodesic."""
    compared = []

    @FEW
    @given(seeds, st.floats(-3, 2), directions, directions, st.floats(0, 2 * np.pi))
    def check(seed, power, a, b, angle):
        one, lam = stein(seed, 10**power), jnp.asarray(10**power)
        score = blobs(seed)
        rotation = np.eye(D)
        rotation[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        centres = jnp.asarray(np.asarray(score.centres) @ rotation.T)
        turned = eqx.tree_at(lambda s: s.centres, score, centres)
        one = solved(one, *map(jnp.asarray, (a, b)))
        ends = map(jnp.asarray, (rotation @ b, rotation @ a))
        two = solved(jnp.asarray(1.0) * geojax.SteinScoreMetric(turned, lam), *ends)
        if is_good(one) and is_good(two):
            # Each may have found a minimum of its own; what has the same energy is the same path.
            energies = float(one.energy), float(two.energy)
            if abs(energies[0] - energies[1]) < 1e-6 * energies[0]:
                back = np.asarray(two.curve.xs)[::-1] @ rotation
                compared.append(np.abs(back - one.curve.xs).max() / (np.linalg.norm(b - a) or 1))
                assert compared[-1] < 2e-2

    check()
    assert len(compared) >= 10


def test_a_multiple_of_a_metric_has_its_geodesics():
    compared = []

    @FEW
    @given(seeds, st.floats(-3, 1), directions, directions, bases)
    def check(seed, power, a, b, base):
        lam, ends = 10**power, tuple(map(jnp.asarray, (a, b)))
        one, two = solved(stein(seed, lam), *ends), solved(stein(seed, lam * base, base), *ends)
        assert one.result == two.result
        if is_good(one):
            np.testing.assert_allclose(two.energy, base * one.energy, rtol=1e-6)
            size = np.linalg.norm(b - a) or 1
            compared.append(np.abs(two.curve.xs - one.curve.xs).max() / size)
            assert compared[-1] < 1e-3

    check()
    assert len(compared) >= 15


@FEW
@given(seeds, directions, directions, st.floats(-2, 2), st.floats(0, 1))
def test_a_larger_metric_has_longer_distances(seed, a, b, power, more):
    """A solve in the smaller metric, started from the geodesic of the larger one, ends below it."""
    cheap, high = stein(seed, 10**power), stein(seed, 10 ** (power + more))
    a, b = jnp.asarray(a), jnp.asarray(b)
    above = solved(high, a, b)
    below = _from(cheap, a, b, above.curve.xs)
    assert float(below.energy) <= float(above.energy) * (1 + 1e-9)


@pytest.mark.slow
def test_exp_undoes_log_where_both_succeed():
    """The velocity of a geodesic that was found leads to its end."""
    compared = []

    @FEW
    @given(seeds, st.floats(-4, 4), directions, directions)
    def check(seed, power, a, b):
        metric, a, b = stein(seed, 10 ** min(power, 0.5)), jnp.asarray(a), jnp.asarray(b)
        velocity, shot = _there_and_back(metric, a, b)
        if np.all(np.isfinite(velocity)) and shot.result == RESULTS.successful:
            size = np.linalg.norm(np.subtract(b, a))
            compared.append(np.linalg.norm(np.subtract(shot.curve.xs[-1], b)))
            assert compared[-1] < 1e-4 * size + 1e-9

    check()
    assert len(compared) >= 15


@eqx.filter_jit
def _there_and_back(metric, a, b):
    log = geojax.log_map(metric, a, b, num_segments=24, throw=False)
    return log, geojax.exponential_map(metric, a, log, throw=False)


def test_the_seeds_give_different_problems():
    first, second = blobs(0), blobs(1)
    assert not np.array_equal(first.centres, second.centres)
    assert jax.tree.structure(first) == jax.tree.structure(second)
