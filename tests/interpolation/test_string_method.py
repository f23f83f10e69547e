"""The string method against one Gaussian, where every node is known, and on a ring."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.geodesics import Midpoint
from geojax.interpolation import StringMethod

TS = jnp.linspace(0, 1, 9)
MEAN, SCALE = np.asarray([0.5, -1.0]), 0.4
X0, X1 = np.asarray([1.0, 0.2]), np.asarray([-0.8, 0.4])


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_nodes_contract_to_the_mean_of_one_gaussian(gamma):
    """By (S^2 / (S^2 + level^2))^((1 + gamma^2) / 2) in the limit of many steps; by a known
    product with few.
    """
    score = geojax.GaussianMixture(MEAN[None], scales=SCALE)
    route = geojax.NoiseRoute(score, t=0.2, noising="none", denoising="none", num_steps=60)
    string = StringMethod(route, gamma, num_segments=8, ends="flow")
    found = jax.jit(lambda a, b: string.run(a, b, TS))(X0, X1)
    times = 0.2 * np.arange(60, 0, -1) / 60
    levels = np.asarray(jax.jit(jax.vmap(score.schedule.noise_to_signal))(times))
    # The part of the distance to the mean that the denoised point keeps.
    shares = SCALE**2 / (SCALE**2 + levels**2)
    kept = (np.append(levels[1:], 0) / levels) ** (1 + gamma**2)
    factor = np.prod(shares + kept * (1 - shares))
    line = X0 + np.asarray(TS)[:, None] * (X1 - X0)
    np.testing.assert_allclose(found.points, MEAN + factor * (line - MEAN), atol=1e-10)
    np.testing.assert_allclose(factor, shares[0] ** ((1 + gamma**2) / 2), rtol=0.05)
    assert found.score_evaluations == 60 * 9


@pytest.mark.slow
def test_ends_without_gamma_are_those_of_ddim():
    score = geojax.GaussianMixture([[1.0, 0.0], [-1.0, 1.0]], scales=0.3)
    route = geojax.NoiseRoute(score, t=0.3, noising="shared", num_steps=7)
    string = StringMethod(route, 0.0, num_segments=4, ends="flow")
    key = jax.random.key(0)
    z0 = route.to_level(X0, key=key)
    path = string(X0, X1, [0.0, 1.0], key=key)
    np.testing.assert_allclose(path[0], geojax.ddim(score, z0, 0.3, 0.0, num_steps=7), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("noising", ["none", "inversion"])
def test_nodes_lie_on_a_ring_at_equal_steps(noising):
    """From a chord that passes near the middle: what the circle's length is, is known."""
    ring = geojax.NoisedSphere(2.0, schedule=geojax.VE(0.1, 4.0))
    route = geojax.NoiseRoute(ring, t=0.7, noising=noising)
    ends = [2 * np.asarray([np.cos(a), np.sin(a)]) for a in (0.0, 2.8)]
    paths = [
        np.asarray(jax.jit(lambda a, b, s=string: s(a, b, jnp.linspace(0, 1, 17)))(*ends))
        for string in (
            StringMethod(route, 1.0, num_segments=16),
            StringMethod(route, 1.0, num_segments=16, rule=Midpoint(batch_size=4)),
        )
    ]
    np.testing.assert_allclose(paths[0], paths[1], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(paths[0], axis=1), 2.0, atol=0.02)
    np.testing.assert_allclose(paths[0][[0, -1]], ends, atol=1e-12)
    steps = np.linalg.norm(np.diff(paths[0], axis=0), axis=1)
    np.testing.assert_allclose(steps, 2.8 * 2 / 16, rtol=0.02)


@pytest.mark.slow
def test_gamma_takes_nodes_to_the_ridge_of_a_density():
    """A bent row of wide Gaussians, from a chord that ends before they are reached."""
    angles = np.linspace(-0.3, 2.8, 32)
    ridge = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    density = geojax.GaussianMixture(ridge, scales=0.5, schedule=geojax.VE(0.05, 4.0))
    route = geojax.NoiseRoute(density, t=0.7, noising="none", num_steps=30)
    run = jax.jit(lambda gamma: StringMethod(route, gamma)(ridge[3], ridge[-4], [0.5])[0])
    gaps = [abs(np.linalg.norm(run(gamma)) - 3) for gamma in (0.0, 1.0, 4.0)]
    assert gaps[0] > 0.9 and gaps[0] > gaps[1] > gaps[2] and gaps[2] < 0.1, gaps


def test_equal_ends_stay():
    score = geojax.GaussianMixture(MEAN[None], scales=SCALE)
    route = geojax.NoiseRoute(score, t=0.2, noising="none", num_steps=2)
    path = StringMethod(route, num_segments=1).run(X0, X0, [0.0, 0.5])
    assert path.successful
    np.testing.assert_array_equal(path.points, [X0, X0])


def test_refusals():
    score = geojax.GaussianMixture(MEAN[None], scales=SCALE)
    route = geojax.NoiseRoute(score, t=0.2)
    with pytest.raises(ValueError, match="gamma must be a finite number >= 0, got -1"):
        StringMethod(route, -1)
    with pytest.raises(ValueError, match="num_segments must be at least 1, got 0"):
        StringMethod(route, num_segments=0)
