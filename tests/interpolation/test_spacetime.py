"""Spacetime geodesics: of one Gaussian, whose posteriors are known; between two modes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS
from geojax.geodesics import Midpoint
from geojax.interpolation import SpacetimeGeodesic

MEAN, SCALE = np.asarray([0.5, -1.0, 0.2]), 2.0
GAUSSIAN = geojax.GaussianMixture(MEAN[None], scales=SCALE)
SPACETIME = SpacetimeGeodesic(GAUSSIAN, 0.05, num_segments=24, shown="noisy")
X0, X1 = np.asarray([1.0, 0.0, 0.4]), np.asarray([-1.0, 0.5, 0.0])


def schedule_at(times):
    alphas = jax.jit(jax.vmap(GAUSSIAN.schedule.alpha))(np.asarray(times, float))
    sigmas = jax.jit(jax.vmap(GAUSSIAN.schedule.sigma))(np.asarray(times, float))
    return np.asarray(alphas), np.asarray(sigmas)


def posterior(xs, times):
    """Mean and variance of N(MEAN, SCALE^2 I) after alpha x_0 + sigma e = x was seen."""
    alphas, sigmas = schedule_at(times)
    variances = 1 / (1 / SCALE**2 + alphas**2 / sigmas**2)
    seen = MEAN / SCALE**2 + (alphas / sigmas**2)[:, None] * xs
    return variances[:, None] * seen, variances


def test_moments_of_one_gaussian():
    xs, times = np.random.default_rng(0).normal(size=(4, 3)), np.asarray([0.05, 0.2, 0.5, 0.9])
    means, squares = jax.jit(jax.vmap(SPACETIME.moments))(xs, times)
    expected, variances = posterior(xs, times)
    np.testing.assert_allclose(means, expected, rtol=1e-10)
    np.testing.assert_allclose(squares, np.sum(expected**2, 1) + 3 * variances, rtol=1e-10)


def test_the_divergence_goes_by_batches_of_dimensions():
    """The last of which is not full."""
    score = geojax.GaussianMixture(np.zeros((1, 4, 5)), scales=SCALE, schedule=geojax.VE(0.5, 2.0))
    x = np.random.default_rng(0).normal(size=(4, 5))
    mean, square = eqx.filter_jit(SpacetimeGeodesic(score, 0.1).moments)(x, 0.5)  # of level 1
    share = SCALE**2 / (SCALE**2 + 1)
    np.testing.assert_allclose(mean, share * x, rtol=1e-10)
    np.testing.assert_allclose(square, share**2 * np.sum(x**2) + 20 * share, rtol=1e-10)


def test_steps_cost_the_symmetric_divergence_of_two_gaussians():
    """And fine ones the squared Fisher-Rao length, in a hyperbolic space that is known."""
    price = eqx.filter_jit(SPACETIME.segment_energies)
    rng, count = np.random.default_rng(1), 40
    xs, times = rng.normal(size=(count + 1, 3)), rng.uniform(0.02, 0.9, size=count + 1)
    means, v = posterior(xs, times)
    gaps = np.sum(np.diff(means, axis=0) ** 2, axis=1) * (1 / v[1:] + 1 / v[:-1]) / 2
    expected = gaps + 3 / 2 * (v[1:] / v[:-1] + v[:-1] / v[1:] - 2)
    np.testing.assert_allclose(price(xs, times), expected, rtol=1e-8)
    shares = np.linspace(0, 1, count + 1)
    xs, times = xs[0] + shares[:, None] * (xs[1] - xs[0]), 0.1 + 0.3 * shares**2
    means, v = posterior(xs, times)
    fine = np.sqrt(
        np.sum(np.diff(means, axis=0) ** 2, axis=1) / v[1:] ** 0.5 / v[:-1] ** 0.5
        + 3 / 2 * np.diff(np.log(v)) ** 2
    )
    np.testing.assert_allclose(np.sum(np.sqrt(price(xs, times))), np.sum(fine), rtol=1e-3)


@pytest.mark.slow
def test_probes_give_the_trace():
    """Of two coordinates that hang together: either kind of signs errs by as much, up or down."""
    factors = [[[1.0, 0.5]], [[-0.3, 1.0]]]
    score = geojax.GaussianMixture([[1.0, 0.0], [-1.0, 0.0]], 0.3, factors)
    x = np.asarray([0.2, -0.4])
    exact = eqx.filter_jit(SpacetimeGeodesic(score, 0.2).moments)(x, 0.2)[1]

    @jax.jit
    def estimate(seed):
        key = jax.random.key(seed)
        return SpacetimeGeodesic(score, 0.2, num_probes=1, key=key).moments(x, 0.2)[1]

    values = [estimate(seed).item() for seed in range(12)]
    assert max(values) - min(values) > 1e-3
    np.testing.assert_allclose((max(values) + min(values)) / 2, exact, rtol=1e-9)


@pytest.mark.slow
def test_the_geodesic_of_one_gaussian_is_a_half_circle():
    """Over (mean / sqrt(2 D), standard deviation) of its posteriors."""
    path = jax.jit(lambda a, b: SPACETIME.run(a, b, jnp.linspace(0, 1, 25)))(X0, X1)
    assert path.successful, path.message
    assert path.gradient < 1e-10
    (first, last), variances = posterior(np.stack([X0, X1]), [0.05, 0.05])
    half = np.linalg.norm(last - first) / 24**0.5 / variances[0] ** 0.5
    reach = np.arcsinh(half)
    s = reach * np.linspace(-1, 1, 25)
    means, v = posterior(np.asarray(path.noisy), path.levels)
    line = (first + last) / 2 + np.tanh(s)[:, None] / np.tanh(reach) * (last - first) / 2
    np.testing.assert_allclose(means, line, atol=5e-3)
    np.testing.assert_allclose(v**0.5, variances[0] ** 0.5 * np.cosh(reach) / np.cosh(s), rtol=5e-3)
    # The length is sqrt(2 D) times that of the half-circle, and energies are half its square.
    np.testing.assert_allclose(path.length, 6**0.5 * 2 * reach, rtol=3e-3)
    np.testing.assert_allclose(path.energy, (6**0.5 * 2 * reach) ** 2 / 2, rtol=6e-3)
    np.testing.assert_allclose(path.points[jnp.array([0, -1])], [X0, X1], atol=1e-12)
    steps = int(path.num_steps)
    assert 23 * steps < path.score_evaluations < 23 * 2 * (steps + 3)


MODES = geojax.GaussianMixture([[-1.0, 0.0], [1.0, 0.0]], scales=0.2, schedule=geojax.VE(0.05, 5.0))
ENDS = np.asarray([[-1.0, 0.1], [1.0, 0.1]])


@pytest.fixture(scope="module")
def between_modes():
    method = SpacetimeGeodesic(MODES, 0.2, num_segments=16, rule=Midpoint(batch_size=4))
    return method, jax.jit(lambda a, b: method.run(a, b, jnp.linspace(0, 1, 17)))(*ENDS)


@pytest.mark.slow
def test_between_two_modes_it_rises_in_noise(between_modes):
    method, path = between_modes
    assert path.successful, path.message
    levels = np.asarray(path.levels)
    np.testing.assert_allclose(levels, levels[::-1], atol=1e-4)  # the two modes are alike
    np.testing.assert_allclose(levels[[0, -1]], 0.2, atol=1e-12)
    assert np.argmax(levels) == 8 and np.all(np.diff(levels[:9]) > 0)
    assert MODES.schedule.sigma(levels[8]) > 3 * MODES.schedule.sigma(0.2)
    # Below the straight line at a constant level, and where it started from.
    line = ENDS[0] + np.linspace(0, 1, 17)[:, None] * (ENDS[1] - ENDS[0])
    constant = eqx.filter_jit(method.segment_energies)(line, np.full(17, 0.2))
    assert path.energy < 0.5 * 16 / 2 * np.sum(constant)
    assert path.energy < 0.9 * path.start_energy
    again = eqx.filter_jit(method.segment_energies)(path.noisy, levels)
    np.testing.assert_allclose(16 / 2 * np.sum(again), path.energy, rtol=1e-9)
    np.testing.assert_allclose(np.sum(np.sqrt(again)), path.length, rtol=1e-9)


@pytest.mark.slow
def test_adam_with_probes_comes_near(between_modes):
    """To the energy of L-BFGS with the exact divergence, and says that it has not arrived."""
    method = SpacetimeGeodesic(MODES, 0.2, num_segments=16, num_probes=1, max_steps=300)
    run = jax.jit(lambda a, b, key: method.run(a, b, jnp.zeros(1), key=key))
    path = run(*ENDS, jax.random.key(0))
    best = between_modes[1]
    assert best.energy - 0.02 < path.energy < best.energy + 0.1 * (path.start_energy - best.energy)
    assert (path.result == RESULTS.successful) == (path.gradient <= 1e-4)
    assert path.result != RESULTS.negative_energy


@pytest.mark.slow
def test_followed_down_its_points_are_data(between_modes):
    """Near one mode or the other but for the middle, and the ends are the given points."""
    points = np.asarray(between_modes[1].points)
    np.testing.assert_allclose(points[[0, -1]], ENDS, atol=1e-12)
    gaps = np.linalg.norm(np.abs(points) - [1.0, 0.0], axis=1)
    assert np.all(np.delete(gaps, 8) < 0.6)


@pytest.mark.slow
def test_it_succeeds_in_float32():
    """From a low level, where natural parameters are large. Shown are means of posteriors."""
    method = SpacetimeGeodesic(MODES, 0.05, num_segments=8, shown="mean")
    path = eqx.filter_jit(method.run)(*ENDS.astype(np.float32), np.asarray([0, 0.5], np.float32))
    assert path.successful, path.message
    assert path.points.dtype == path.levels.dtype == np.float32
    # By symmetry the mean in the middle is on the axis; at an end it is drawn to the mode.
    share = 0.2**2 / (0.2**2 + float(MODES.schedule.sigma(0.05)) ** 2)
    np.testing.assert_allclose(path.points[0], [-1.0, 0.1 * share], atol=1e-5)
    assert abs(path.points[1, 0]) < 1e-3


@pytest.mark.slow
def test_equal_ends_stay():
    method = SpacetimeGeodesic(MODES, 0.2, num_segments=4, rule=Midpoint(batch_size=4))
    path = eqx.filter_jit(method.run)(ENDS[0], ENDS[0], np.asarray([0.0, 0.5]))
    assert path.successful, path.message
    np.testing.assert_allclose(path.points, ENDS[[0, 0]], atol=1e-6)
    assert path.energy < 1e-9


@pytest.mark.slow
def test_a_score_of_no_density_is_found_out():
    """Whose denoised point goes back where the noised one goes forth."""
    score = geojax.scores.DataPrediction(lambda x, t, args: -x, geojax.VE(0.1, 1.0))
    path = SpacetimeGeodesic(score, 0.2, num_segments=4, max_steps=5).run(*ENDS, jnp.zeros(1))
    assert path.result == RESULTS.negative_energy
    assert "negative energy" in path.message


def test_refusals():
    with pytest.raises(ValueError, match=r"t must lie in \(0, 1\]"):
        SpacetimeGeodesic(MODES, 0.0)
    flow = geojax.GaussianMixture(jnp.zeros((1, 2)), schedule=geojax.RectifiedFlow())
    with pytest.raises(ValueError, match=r"t must be at most 0.999 with this schedule.*got 1"):
        SpacetimeGeodesic(flow, 1.0)
    with pytest.raises(ValueError, match="num_flow_steps must be at least 1, got 0"):
        SpacetimeGeodesic(MODES, 0.2, num_flow_steps=0)
    with pytest.raises(ValueError, match=r"num_probes draws random vectors: pass key="):
        SpacetimeGeodesic(MODES, 0.2, num_probes=1).run(*ENDS, jnp.zeros(1))
