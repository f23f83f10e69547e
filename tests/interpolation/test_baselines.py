"""What the baselines compute, against closed forms and plain loops."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import geojax
from geojax.interpolation import (
    DensityFlow,
    MethodSettings,
    Nao,
    NoiseDiffusion,
    NormPriorMetric,
    ScoreWalk,
    TangentStep,
    interpolator,
    nao_centroid,
)

TS = jnp.linspace(0, 1, 9)
nao = jax.jit(lambda x0, x1: Nao(num_segments=16)(x0, x1, TS))


def test_the_cost_of_nao_is_the_likelihood_of_the_norm():
    x = np.asarray([2.0, -1.0, 0.5])
    for dim in (3, 50):
        expected = -scipy.stats.chi.logpdf(np.linalg.norm(x), dim)
        norm = eqx.filter_jit(NormPriorMetric(dim).norm)
        np.testing.assert_allclose(norm(x, x / np.linalg.norm(x)), expected)


@pytest.mark.slow
def test_nao_goes_through_likely_norms():
    """From seeds of a likely norm it is the arc; from short ones it bends out to it."""
    x0, x1 = 10 * np.eye(100)[[3, 7]].reshape(2, 5, 20)
    angles = np.pi / 2 * np.asarray(TS)[:, None, None]
    arc = np.cos(angles) * x0 + np.sin(angles) * x1
    np.testing.assert_allclose(nao(x0, x1), arc, atol=0.1)
    norms = np.linalg.norm(nao(0.9 * x0, 0.9 * x1), axis=(1, 2))
    assert norms[4] > 9.5
    np.testing.assert_allclose(norms[[0, 8]], 9.0, rtol=1e-9)


@pytest.mark.slow
def test_the_centroid_of_two_seeds_is_the_middle_of_their_path():
    seeds = x0, x1 = 1.05 * np.random.default_rng(0).normal(size=(2, 5, 20))
    middle = np.asarray(jax.jit(lambda seeds: nao_centroid(seeds, num_segments=8))(seeds))
    assert middle.shape == (5, 20)
    np.testing.assert_allclose(*(np.linalg.norm(middle - x) for x in seeds), rtol=0.2)
    assert np.linalg.norm(middle - nao(x0, x1)[4]) < 0.1 * np.linalg.norm(x1 - x0)


@pytest.mark.slow
def test_nao_finds_its_path_in_float32():
    """Between seeds as wide as an image."""
    seeds = np.random.default_rng(0).normal(size=(6, 2, 784)).astype(np.float32)
    middle = np.asarray([0.5], np.float32)
    points, results = jax.jit(
        lambda seeds: jax.lax.map(lambda pair: _run(Nao(throw=False), *pair, middle), seeds)
    )(seeds)
    assert np.all(results)
    assert np.all(np.abs(np.linalg.norm(points[:, 0], axis=1) - 28) < 1)


def _run(method, *arguments):
    found = method.run(*arguments)
    return found.points, found.result == geojax.RESULTS.successful


def test_noise_diffusion_is_its_formula():
    score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=0.5)
    route = geojax.NoiseRoute(score, t=0.3, noising="shared", num_steps=3, denoising="none")
    x0, x1, key = np.asarray([0.3, -0.8]), np.asarray([1.0, 0.1]), jax.random.key(4)
    alpha, sigma = float(score.schedule.alpha(0.3)), float(score.schedule.sigma(0.3))
    n0, n1 = (np.asarray(jax.random.normal(k, (2,))) for k in jax.random.split(key))
    n0, n1 = np.clip(n0, -0.5, 0.5), np.clip(n1, -0.5, 0.5)
    method = NoiseDiffusion(route, boundary=0.5)
    found = jax.jit(lambda a, b: method(a, b, TS, key=key))(x0, x1)
    for t, x in zip(np.asarray(TS), np.asarray(found), strict=True):
        a, b = np.cos(np.pi * t / 2), np.sin(np.pi * t / 2)
        z0, z1 = x0 + sigma / alpha * n0, x1 + sigma / alpha * n1
        mu, nu = 1.2 * a / (a + b), 1.2 * b / (a + b)
        np.testing.assert_allclose(x, a * z0 + b * z1 + (mu - a) * x0 + (nu - b) * x1, atol=1e-9)


@pytest.mark.slow
def test_density_flow_finds_the_geodesic_of_the_density():
    """Of N(0, I): where Gauss-Newton finds the geodesic of the conformal metric."""
    density = geojax.from_log_density(lambda x, args: -jnp.sum(x**2) / 2)
    x0, x1 = jnp.asarray([1.0, 0.0]), jnp.asarray([-0.3, 0.9])
    flow = DensityFlow(density, beta=0.5, num_iterations=200)
    path = np.asarray(jax.jit(lambda a, b: flow(a, b, TS))(x0, x1))
    metric = geojax.DensityMetric(density, beta=0.5, reference=jnp.zeros(2))
    solution = geojax.geodesic(metric, x0, x1, num_segments=32, diagnostics="price")
    nodes = np.asarray(solution.curve.xs)
    gaps = [np.min(np.linalg.norm(nodes - x, axis=1)) for x in path]
    assert max(gaps) < 0.04  # half of the nodes' distance, to be between two of them
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=0.02)


@pytest.mark.slow
def test_spherical_flow_keeps_norms():
    flow = DensityFlow(lambda x, args: -x, levels=3, spherical=True)
    path = jax.jit(lambda a, b: flow(a, b, TS))(3 * np.eye(3)[0], 4 * np.eye(3)[1])
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 3 + np.asarray(TS), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("noising", ["inversion", "none"])
def test_the_density_flow_keeps_norms_between_inverted_points(noising):
    """By name: as published, latents keep norms like those of the ends; clean points need not."""
    ring = geojax.NoisedSphere(1.0, schedule=geojax.VPLinear())
    route = geojax.NoiseRoute(ring, t=0.6, noising=noising, denoising="none")
    method = interpolator("density flow", MethodSettings(route, (2,), jax.random.key(0)))
    path = jax.jit(lambda a, b: method(a, b, TS))(np.array([1.0, 0.0]), np.array([-0.2, 1.0]))
    norms = np.linalg.norm(path, axis=1)
    line = np.linspace(norms[0], norms[-1], len(TS))
    assert np.allclose(norms, line, rtol=2e-3) == (noising == "inversion")


def test_extrapolations_of_a_straight_line_without_a_score_are_straight():
    x0, x1 = np.asarray([0.0, 1.0]), np.asarray([1.0, 1.5])
    ts = np.asarray([0.5, 1.0, 1.5, 2.0])
    line = x0 + ts[:, None] * (x1 - x0)
    for method in (TangentStep(lambda x, args: 0 * x, 1.0), ScoreWalk(lambda x, args: 0 * x, 1.0)):
        path = jax.jit(lambda a, b, ts, method=method: method(a, b, ts))(x0, x1, ts)
        np.testing.assert_allclose(path, line, atol=1e-12)


def test_the_walk_stays_on_a_circle_and_has_the_requested_length():
    ring = geojax.Shell(radius=1.0, width=0.1)
    x0, x1 = (np.asarray([np.cos(a), np.sin(a)]) for a in (0.0, 0.2))
    walk = eqx.filter_jit(ScoreWalk(ring, 0.01, num_steps=200).__call__)
    further = np.asarray(walk(x0, x1, np.asarray([6.0]))[0])
    np.testing.assert_allclose(np.linalg.norm(further), 1.0, atol=1e-2)
    np.testing.assert_allclose(np.arctan2(further[1], further[0]), 1.2, atol=0.03)
