"""Denoising score matching: the exact score is its minimum, and a network gets there."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from geojax.scores import (
    VE,
    AbstractSchedule,
    AbstractScore,
    NoisePrediction,
    VPCosine,
    batch_loss,
    denoising_score_matching_loss,
    training_step,
)

MEAN, SCALE = 0.7, 0.5


class Linear(AbstractScore):
    """`gain * exact + shift` for the data N(MEAN, SCALE^2), noised."""

    schedule: AbstractSchedule
    gain: jax.Array
    shift: jax.Array

    def evaluate(self, x, t, args):
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        exact = (alpha * MEAN - x) / (alpha**2 * SCALE**2 + sigma**2)
        return self.gain * exact + self.shift


@pytest.mark.parametrize("weighting", ["noise", "velocity"])
@pytest.mark.parametrize("t", [0.2, 0.7])
def test_the_exact_score_is_the_minimum(weighting, t):
    """The loss is quadratic in x0 and eps: two Gauss-Hermite nodes give its mean exactly."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(2)
    u, eps = (jnp.asarray(grid.reshape(-1, 1)) for grid in np.meshgrid(nodes, nodes))
    weights = jnp.asarray(np.outer(weights, weights).ravel() / (2 * np.pi))

    def expected_loss(parameters):
        score = Linear(VPCosine(), *parameters)
        losses = jax.vmap(
            lambda u, eps: denoising_score_matching_loss(
                score, MEAN + SCALE * u, t, eps, weighting=weighting
            )
        )(u, eps)
        return jnp.sum(weights * losses)

    exact = (jnp.asarray(1.0), jnp.asarray(0.0))
    gradient = jax.jit(jax.grad(expected_loss))(exact)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-12)
    hessian = np.asarray(jax.jit(jax.hessian(expected_loss))(exact))
    assert np.linalg.eigvalsh(hessian).min() > 0.1


def test_the_loss_is_the_error_of_the_predicted_noise_or_velocity():
    schedule, t = VPCosine(), 0.4
    x0, eps, prediction = jnp.asarray(np.random.default_rng(0).normal(size=(3, 1, 4, 4)))
    score = NoisePrediction(lambda x, t, args: prediction, schedule)
    loss = denoising_score_matching_loss(score, x0, t, eps)
    assert float(loss) == pytest.approx(float(np.mean((eps - prediction) ** 2)), 1e-12)
    # The velocity that goes with a predicted noise, and the true one.
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    x = schedule.add_noise(x0, eps, t)
    velocities = [alpha * e - sigma * (x - sigma * e) / alpha for e in (eps, prediction)]
    loss = denoising_score_matching_loss(score, x0, t, eps, weighting="velocity")
    assert float(loss) == pytest.approx(float(np.mean((velocities[0] - velocities[1]) ** 2)), 1e-10)


def test_an_unknown_weighting_is_refused():
    score = NoisePrediction(lambda x, t, args: x, VE())
    with pytest.raises(ValueError, match="'noise' or 'velocity', got 'data'"):
        denoising_score_matching_loss(score, jnp.ones(3), 0.4, jnp.ones(3), weighting="data")


def test_a_batch_has_one_time_in_every_cell_and_its_own_conditions():
    def network(x, t, args):
        # Its error is 4^args t: a batch of 4 shows which times and conditions it was given.
        return jnp.full(x.shape, jnp.sqrt(t * 4.0**args))

    class Revealing(AbstractScore):
        schedule: AbstractSchedule

        def evaluate(self, x, t, args):
            return -network(x, t, args) / self.schedule.sigma(t)

        def predicted_noise(self, x, t, args=None):
            # The noise itself, recovered from the clean point zero, and the network's error.
            return x / self.schedule.sigma(t) - network(x, t, args)

    args = jnp.arange(4.0)

    @jax.jit
    def loss(key):
        return batch_loss(
            Revealing(VE()), jnp.zeros((4, 2)), args, key=key, time_power=2.0, time_min=0.1
        )

    def bound(u):
        return np.mean((0.1 + 0.9 * u**2) * 4.0 ** np.arange(4))

    low, high = bound(np.arange(4) / 4), bound(np.arange(1, 5) / 4)
    losses = [float(loss(jax.random.key(seed))) for seed in range(20)]
    assert low <= min(losses) and max(losses) <= high
    assert len(set(losses)) == 20
    assert float(loss(jax.random.key(0))) == losses[0]


class Network(eqx.Module):
    """A little MLP of the point and the time."""

    mlp: eqx.nn.MLP

    def __call__(self, x, t, args):
        features = jnp.concatenate([x, jnp.stack([t, jnp.sqrt(t)])])
        return self.mlp(features.astype(x.dtype))


@pytest.mark.slow
def test_training_approaches_the_exact_score():
    schedule = VPCosine()
    mlp = eqx.nn.MLP(4, 2, 16, 1, activation=jax.nn.silu, key=jax.random.key(0))
    score = NoisePrediction(Network(mlp), schedule)
    optimiser = optax.adam(optax.cosine_decay_schedule(2e-2, 200))
    state = optimiser.init(eqx.filter(score, eqx.is_inexact_array))
    rng = np.random.default_rng(0)
    data = np.asarray(MEAN + SCALE * rng.normal(size=(200, 256, 2)))
    xs = jnp.asarray(rng.normal(size=(64, 2)))

    @eqx.filter_jit
    def error(score):
        exact = Linear(schedule, jnp.asarray(1.0), jnp.asarray(0.0))

        def one(x, t):
            # Where the noised data are.
            alpha, sigma = schedule.alpha(t), schedule.sigma(t)
            x = alpha * MEAN + jnp.sqrt(alpha**2 * SCALE**2 + sigma**2) * x
            return jnp.sum((sigma * (score(x, t) - exact(x, t))) ** 2)

        ts = jnp.asarray([0.2, 0.4, 0.7])
        return jnp.sqrt(jnp.mean(jax.vmap(lambda t: jax.vmap(lambda x: one(x, t))(xs))(ts)))

    before, losses = float(error(score)), []
    for step, x0 in enumerate(data):
        key = jax.random.key(step)
        score, state, loss = training_step(score, optimiser, state, jnp.asarray(x0), None, key=key)
        losses.append(float(loss))
    after = float(error(score))
    print(before, after)
    assert before > 0.5
    assert after < 0.12
    assert np.mean(losses[-20:]) < np.mean(losses[:20])


@pytest.mark.slow
def test_a_step_returns_the_loss_before_it_and_goes_downhill():
    score = Linear(VPCosine(), jnp.asarray(0.2), jnp.asarray(0.5))
    optimiser = optax.sgd(1e-2)
    state = optimiser.init(eqx.filter(score, eqx.is_inexact_array))
    x0, key = jnp.asarray(np.random.default_rng(0).normal(size=(16, 1))), jax.random.key(0)
    new, _, loss = training_step(score, optimiser, state, x0, None, key=key)
    assert float(loss) == pytest.approx(float(batch_loss(score, x0, None, key=key)), 1e-10)
    assert float(batch_loss(new, x0, None, key=key)) < float(loss)
