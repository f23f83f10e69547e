"""DDIM through given levels: as `ddim` without noise, as the formula with it; and inversion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.scores import (
    VE,
    DataPrediction,
    GaussianMixture,
    ScaledLinear,
    VPLinear,
    ddim,
    ddim_inversion,
    ddim_path,
)

MIXTURE = GaussianMixture(jnp.asarray([[1.0, -0.5], [-1.0, 0.3]]), scales=0.4)
X = jnp.asarray([0.7, -1.2])
KEY = jax.random.key(0)


@pytest.mark.parametrize("t_from, t_to", [(0.9, 0.0), (0.0, 0.9)])
def test_equal_steps_are_those_of_ddim(t_from, t_to):
    states = ddim_path(MIXTURE, X, jnp.linspace(t_from, t_to, 6))
    assert states.shape == (5, 2)
    np.testing.assert_allclose(states[-1], ddim(MIXTURE, X, t_from, t_to, num_steps=5), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [VPLinear(), ScaledLinear(), VE()])
def test_ancestral_steps_keep_the_law(schedule):
    """Where the clean point is known, a step of any eta draws from the exact law of its level."""
    clean = jnp.asarray([0.3, -0.2])
    score = DataPrediction(lambda x, t, args: clean, schedule)
    keys = jax.random.split(KEY, 20_000)
    t, t_next = 0.8, 0.5

    def step(key, eta):
        first, second = jax.random.split(key)
        x = schedule.add_noise(clean, jax.random.normal(first, (2,)), t)
        return ddim_path(score, x, jnp.asarray([t, t_next]), eta=eta, key=second)[-1]

    for eta in (0.3, 1.0):
        states = np.asarray(jax.vmap(lambda k, eta=eta: step(k, eta))(keys))
        noise = (states - np.asarray(schedule.alpha(t_next) * clean)) / schedule.sigma(t_next)
        np.testing.assert_allclose(noise.mean(0), 0, atol=0.03)
        np.testing.assert_allclose(noise.std(0), 1, atol=0.03)


def test_ddpm_is_eta_one():
    """What a step adds anew has the variance of the DDPM posterior."""
    schedule = VPLinear()
    score = DataPrediction(lambda x, t, args: jnp.zeros(2), schedule)
    ts = jnp.asarray([0.8, 0.79])
    draws = [ddim_path(score, X, ts, eta=1.0, key=jax.random.key(i))[-1] for i in range(2)]
    bar, bar_next = (float(schedule.alpha(t)) ** 2 for t in (0.8, 0.79))
    posterior = np.sqrt((1 - bar_next) / (1 - bar) * (1 - bar / bar_next))
    noises = [jax.random.normal(jax.random.fold_in(jax.random.key(i), 0), (2,)) for i in range(2)]
    np.testing.assert_allclose(draws[1] - draws[0], posterior * (noises[1] - noises[0]))


def test_the_same_key_gives_the_same_path():
    ts = jnp.linspace(0.8, 0.0, 4)
    one, same, other = (
        ddim_path(MIXTURE, X, ts, eta=0.5, key=jax.random.key(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_inversion_reports_its_error_which_falls_with_the_step():
    coarse, fine = (ddim_inversion(MIXTURE, X, 0.6, num_steps=n) for n in (10, 80))
    assert fine.error < coarse.error / 4
    np.testing.assert_allclose(
        fine.error, np.linalg.norm(fine.reconstruction - X) / np.linalg.norm(X)
    )
    np.testing.assert_allclose(fine.point, ddim(MIXTURE, X, 0.0, 0.6, num_steps=80))


def test_arguments():
    with pytest.raises(ValueError, match="ts must be at least two levels, got 1"):
        ddim_path(MIXTURE, X, jnp.asarray([0.5]))
    with pytest.raises(ValueError, match=r"eta = 0.5 draws noise: pass key="):
        ddim_path(MIXTURE, X, jnp.asarray([0.5, 0.0]), eta=0.5)
