"""What the baselines compute, against closed forms and plain loops."""

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


def test_nao_prices_a_point_by_the_likelihood_of_its_norm():
    x = jnp.asarray([2.0, -1.0, 0.5])
    for dim in (3, 50):
        expected = -scipy.stats.chi.logpdf(float(jnp.linalg.norm(x)), dim)
        np.testing.assert_allclose(NormPriorMetric(dim).norm(x, x / jnp.linalg.norm(x)), expected)


def test_nao_goes_through_likely_norms():
    """From seeds of a likely norm it is the arc; from short ones it bends out to it."""
    x0, x1 = jnp.zeros((2, 100)).at[0, 3].set(10.0).at[1, 7].set(10.0)
    np.testing.assert_allclose(Nao()(x0, x1, TS), geojax.Slerp()(x0, x1, TS), atol=0.1)
    norms = jnp.linalg.norm(Nao()(0.9 * x0, 0.9 * x1, TS), axis=1)
    assert norms[4] > 9.5
    np.testing.assert_allclose(norms[jnp.asarray([0, 8])], 9.0, rtol=1e-9)


def test_the_centroid_of_two_seeds_is_the_middle_of_their_path():
    x0, x1 = 1.05 * jax.random.normal(jax.random.key(0), (2, 5, 8))
    middle = nao_centroid(jnp.stack([x0, x1]), num_segments=8)
    assert middle.shape == (5, 8)
    for x in (x0, x1):
        expected = jnp.linalg.norm(middle - x)
        np.testing.assert_allclose(expected, jnp.linalg.norm(middle - x0), rtol=0.2)
    on_path = Nao(num_segments=16)(x0, x1, jnp.asarray([0.5]))[0]
    assert jnp.linalg.norm(middle - on_path) < 0.1 * jnp.linalg.norm(x1 - x0)


def test_nao_finds_its_path_in_float32():
    """Between seeds as wide as an image."""
    seeds = jax.random.normal(jax.random.key(0), (6, 2, 784), jnp.float32)
    middle = jnp.asarray([0.5], jnp.float32)
    found = jax.vmap(lambda pair: Nao(throw=False).run(*pair, middle))(seeds)
    assert jnp.all(found.result == geojax.RESULTS.successful)
    assert jnp.all(jnp.abs(jnp.linalg.norm(found.points[:, 0], axis=1) - 28) < 1)


def test_noise_diffusion_is_its_formula():
    score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=0.5)
    route = geojax.NoiseRoute(score, t=0.3, noising="shared", num_steps=3, denoising="none")
    x0, x1, key = jnp.asarray([0.3, -0.8]), jnp.asarray([1.0, 0.1]), jax.random.key(4)
    alpha, sigma = score.schedule.alpha(0.3), score.schedule.sigma(0.3)
    n0, n1 = (jax.random.normal(k, (2,)) for k in jax.random.split(key))
    n0, n1 = jnp.clip(n0, -0.5, 0.5), jnp.clip(n1, -0.5, 0.5)
    found = NoiseDiffusion(route, boundary=0.5)(x0, x1, TS, key=key)
    for t, x in zip(TS, found, strict=True):
        a, b = np.cos(np.pi * t / 2), np.sin(np.pi * t / 2)
        z0, z1 = x0 + sigma / alpha * n0, x1 + sigma / alpha * n1
        mu, nu = 1.2 * a / (a + b), 1.2 * b / (a + b)
        np.testing.assert_allclose(x, a * z0 + b * z1 + (mu - a) * x0 + (nu - b) * x1, atol=1e-9)


def test_density_flow_finds_the_geodesic_of_the_density():
    """Of N(0, I): where Gauss-Newton finds the geodesic of the conformal metric."""
    density = geojax.from_log_density(lambda x, args: -jnp.sum(x**2) / 2)
    x0, x1 = jnp.asarray([1.0, 0.0]), jnp.asarray([-0.3, 0.9])
    path = DensityFlow(density, beta=0.5, num_iterations=200)(x0, x1, TS)
    metric = geojax.DensityMetric(density, beta=0.5, reference=jnp.zeros(2))
    solution = geojax.geodesic(metric, x0, x1, num_segments=32)
    nodes = np.asarray(solution.curve.xs)
    gaps = [np.min(np.linalg.norm(nodes - np.asarray(x), axis=1)) for x in path]
    assert max(gaps) < 0.04  # half of the nodes' distance, to be between two of them
    steps = jnp.linalg.norm(path[1:] - path[:-1], axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=0.02)


def test_spherical_flow_keeps_norms():
    x0, x1 = 3 * jnp.eye(3)[0], 4 * jnp.eye(3)[1]
    path = DensityFlow(lambda x, args: -x, levels=3, spherical=True)(x0, x1, TS)
    np.testing.assert_allclose(jnp.linalg.norm(path, axis=1), 3 + TS, rtol=1e-6)


@pytest.mark.parametrize("noising", ["inversion", "none"])
def test_the_density_flow_keeps_norms_between_inverted_points(noising):
    """By name: as published, latents keep norms like those of the ends; clean points need not."""
    ring = geojax.NoisedSphere(1.0, schedule=geojax.VPLinear())
    route = geojax.NoiseRoute(ring, t=0.6, noising=noising, denoising="none")
    method = interpolator("density flow", MethodSettings(route, (2,), jax.random.key(0)))
    path = method(jnp.array([1.0, 0.0]), jnp.array([-0.2, 1.0]), TS)
    norms = jnp.linalg.norm(path, axis=1)
    line = jnp.linspace(norms[0], norms[-1], len(TS))
    assert bool(jnp.allclose(norms, line, rtol=2e-3)) == (noising == "inversion")


def test_extrapolations_of_a_straight_line_without_a_score_are_straight():
    x0, x1 = jnp.asarray([0.0, 1.0]), jnp.asarray([1.0, 1.5])
    ts = jnp.asarray([0.5, 1.0, 1.5, 2.0])
    for method in (TangentStep(lambda x, args: 0 * x, 1.0), ScoreWalk(lambda x, args: 0 * x, 1.0)):
        np.testing.assert_allclose(method(x0, x1, ts), geojax.Lerp()(x0, x1, ts), atol=1e-12)


def test_the_walk_stays_on_a_circle_and_goes_as_far_as_asked():
    ring = geojax.Shell(radius=1.0, width=0.1)
    x0, x1 = (jnp.asarray([np.cos(a), np.sin(a)]) for a in (0.0, 0.2))
    further = ScoreWalk(ring, 0.01, num_steps=200)(x0, x1, jnp.asarray([6.0]))[0]
    np.testing.assert_allclose(jnp.linalg.norm(further), 1.0, atol=1e-2)
    np.testing.assert_allclose(jnp.arctan2(further[1], further[0]), 1.2, atol=0.03)
