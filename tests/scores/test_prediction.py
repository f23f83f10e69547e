"""Every parameterisation of a network gives the same, true score."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.scores import (
    EDM,
    PREDICTIONS,
    VE,
    GaussianMixture,
    NoisePrediction,
    RectifiedFlow,
    ScaledLinear,
    VPCosine,
    VPLinear,
)

SCHEDULES = [VPLinear(), ScaledLinear(), VPCosine(), VE(), EDM(), RectifiedFlow()]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)


def predictions(score, schedule):
    """What perfect networks of the four kinds would predict, from the true score."""

    def noise(x, t, args):
        return -schedule.sigma(t) * score(x, t)

    def data(x, t, args):
        return (x + schedule.sigma(t) ** 2 * score(x, t)) / schedule.alpha(t)

    def velocity(x, t, args):
        return schedule.alpha(t) * noise(x, t, args) - schedule.sigma(t) * data(x, t, args)

    def flow(x, t, args):
        alpha_rate, sigma_rate = schedule.rates(t)
        return alpha_rate * data(x, t, args) + sigma_rate * noise(x, t, args)

    return {"noise": noise, "data": data, "velocity": velocity, "flow": flow}


@pytest.mark.parametrize(
    "schedule, shape",
    [(schedule, (3,)) for schedule in SCHEDULES] + [(VPLinear(), (1, 4, 4))],
    ids=lambda value: str(value).partition("(sigma")[0],
)
def test_all_parameterisations_agree_with_the_truth(schedule, shape):
    means, x = np.split(np.random.default_rng(0).normal(size=(4, *shape)), [3])
    density = GaussianMixture(
        means, np.asarray([0.3, 0.6, 1.0]).reshape(3, *(1 for _ in shape)), schedule=schedule
    )
    x = jnp.asarray(x[0])

    @jax.jit
    def evaluate(t):
        truth = density(x, t)
        networks = predictions(lambda x, t: truth, schedule)
        scores = [PREDICTIONS[name](networks[name], schedule) for name in PREDICTIONS]
        clean = (scores[-1].denoised(x, t) * schedule.alpha(t) - x) / schedule.sigma(t) ** 2
        return truth, clean, [score(x, t) for score in scores], [s.at(t)(x) for s in scores]

    for t in (0.05, 0.4, 0.8):
        truth, *found = evaluate(t)
        for score in jax.tree.leaves(found):
            np.testing.assert_allclose(score, truth, rtol=1e-10, atol=1e-10)


def test_a_density_has_a_log_density_and_a_network_has_none():
    density = GaussianMixture(jnp.zeros((1, 3)))
    network = predictions(density, density.schedule)["noise"]
    assert not hasattr(NoisePrediction(network, density.schedule).at(0.4), "log_density")
    x = jnp.ones(3)
    assert density.at(0.4).log_density(x) == density.log_density(x, 0.4)


@each_schedule
def test_noise_and_denoised_undo_the_noise(schedule):
    """One Gaussian: the posterior mean and the mean noise are known."""
    mean, scale, t = jnp.asarray([1.0, -2.0, 0.5]), 0.4, 0.4
    density = GaussianMixture(mean[None], scale, schedule=schedule)
    x = jnp.asarray([0.3, 0.1, -0.7])
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    gain = alpha * scale**2 / (alpha**2 * scale**2 + sigma**2)
    denoised = mean + gain * (x - alpha * mean)
    found, noise = jax.jit(lambda x: (density.denoised(x, t), density.predicted_noise(x, t)))(x)
    np.testing.assert_allclose(found, denoised, rtol=1e-9)
    np.testing.assert_allclose(noise, (x - alpha * denoised) / sigma, rtol=1e-9)
    np.testing.assert_allclose(schedule.add_noise(found, noise, t), x, rtol=1e-12)


@pytest.mark.parametrize("adapter", PREDICTIONS.values())
def test_network_is_given_the_point_the_time_and_the_condition(adapter):
    seen = []

    def network(x, t, args):
        seen.append((x.shape, t, args))
        return x

    adapter(network, VPLinear()).at(0.25)(jnp.ones((1, 4, 4)), {"label": 7})
    assert seen == [((1, 4, 4), 0.25, {"label": 7})]


@pytest.mark.parametrize("adapter", PREDICTIONS.values())
def test_a_float32_point_has_a_float32_score(adapter):
    score = adapter(lambda x, t, args: jnp.sin(x), VPLinear())
    x = jnp.asarray([0.1, -0.4, 2.0])
    single = score(x.astype(jnp.float32), 0.4)
    assert single.dtype == jnp.float32
    assert score.denoised(x.astype(jnp.float32), 0.4).dtype == jnp.float32
    np.testing.assert_allclose(single, score(x, 0.4), rtol=1e-5)


def test_an_integer_time_is_a_time():
    score = NoisePrediction(lambda x, t, args: x * t, VPLinear())
    np.testing.assert_array_equal(score.at(1)(jnp.ones(3)), score.at(1.0)(jnp.ones(3)))


def test_times_may_be_mapped_over():
    score, x = NoisePrediction(lambda x, t, args: x * t, VPLinear()), jnp.ones(3)
    batch = jax.vmap(lambda t: score.at(t)(x))(jnp.asarray([0.1, 0.5]))
    np.testing.assert_allclose(batch, [score(x, 0.1), score(x, 0.5)], rtol=1e-12)
