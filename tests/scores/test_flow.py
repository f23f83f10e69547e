"""DDIM and the probability-flow ODE against the closed-form flow of Gaussian data."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.scores import (
    EDM,
    VE,
    AbstractSchedule,
    DataPrediction,
    NoisePrediction,
    RectifiedFlow,
    ScaledLinear,
    VPCosine,
    VPLinear,
    counted_probability_flow,
    ddim,
    probability_flow,
    sample,
)

MEAN, SCALE = 0.7, 0.4
SCHEDULES = [VPLinear(), ScaledLinear(), VPCosine(), VE(), EDM(sigma_max=20.0), RectifiedFlow()]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
each_move = pytest.mark.parametrize("move", [ddim, probability_flow])


class Denoiser(eqx.Module):
    """The denoiser of data N(mean, scale^2 I)."""

    schedule: AbstractSchedule
    mean: float = MEAN
    scale: float = SCALE

    def __call__(self, x, t, args):
        mean = self.mean if args is None else args
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)
        gain = alpha * self.scale**2 / (alpha**2 * self.scale**2 + sigma**2)
        return mean + gain * (x - alpha * mean)


def gaussian(schedule):
    return DataPrediction(Denoiser(schedule), schedule)


def exact_flow(schedule, x, t_from, t_to):
    """The flow keeps the number of standard deviations that x is from the mean."""

    def spread(t):
        return jnp.sqrt((schedule.alpha(t) * SCALE) ** 2 + schedule.sigma(t) ** 2)

    away = (x - schedule.alpha(t_from) * MEAN) / spread(t_from)
    return schedule.alpha(t_to) * MEAN + spread(t_to) * away


X = jnp.asarray([[[1.5, -0.3], [0.2, 0.9]]])


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [VPLinear(), VPCosine(), VE()], ids=["linear", "cosine", "VE"])
def test_probability_flow_is_the_exact_flow(schedule):
    score = gaussian(schedule)
    for t_from, t_to in [(0.8, 0.1), (0.05, 0.6), (0.4, 0.4)]:
        moved = probability_flow(score, X, t_from, t_to, rtol=1e-9, atol=1e-9)
        exact = exact_flow(schedule, X, t_from, t_to)
        np.testing.assert_allclose(moved, exact, rtol=1e-6, atol=1e-6)


@each_schedule
def test_ddim_is_of_first_order(schedule):
    score, steps = gaussian(schedule), [100, 400, 1600]
    for t_from, t_to in [(0.8, 0.1), (0.1, 0.8)]:
        exact = exact_flow(schedule, X, t_from, t_to)
        moved = [ddim(score, X, t_from, t_to, num_steps=n) for n in steps]
        errors = [float(jnp.max(jnp.abs(x - exact))) for x in moved]
        slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
        assert -1.1 < slope < -0.9


@pytest.mark.parametrize("schedule", [VPCosine(), VE()], ids=["cosine", "VE"])
@each_move
def test_level_zero_is_clean(move, schedule):
    """Where all data are one point, every level-0 point is that point, to the last digits."""
    score = DataPrediction(lambda x, t, args: jnp.full_like(x, MEAN), schedule)
    np.testing.assert_allclose(move(score, X, 0.5, 0.0), jnp.full_like(X, MEAN), rtol=1e-9)


@pytest.mark.slow
def test_from_level_one_where_alpha_vanishes():
    schedule = VPCosine()
    score, exact = gaussian(schedule), exact_flow(schedule, X, 1.0, 0.0)
    np.testing.assert_allclose(ddim(score, X, 1.0, 0.0, num_steps=2000), exact, atol=5e-3)
    np.testing.assert_allclose(probability_flow(score, X, 1.0, 0.0), exact, atol=5e-3)


@pytest.mark.slow
def test_there_and_back_is_the_identity():
    score = gaussian(VPLinear())
    noised = probability_flow(score, X, 0.0, 0.6)
    # Not to the solver's tolerance: between 0 and T_MIN both ways are one DDIM step.
    np.testing.assert_allclose(noised, exact_flow(score.schedule, X, 0.0, 0.6), atol=2e-3)
    np.testing.assert_allclose(probability_flow(score, noised, 0.6, 0.0), X, atol=1e-3)
    errors = []
    for n in (50, 200):
        noised = ddim(score, X, 0.0, 0.6, num_steps=n)
        errors.append(float(jnp.max(jnp.abs(ddim(score, noised, 0.6, 0.0, num_steps=n) - X))))
    assert errors[1] < 0.03
    assert errors[1] < errors[0] / 3


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["ddim", "probability_flow"])
def test_samples_have_the_mean_and_spread_of_the_data(sampler):
    score = gaussian(VPCosine())
    keys = jax.random.split(jax.random.key(0), 2000)
    xs = jax.vmap(lambda key: sample(score, (1, 2), key=key, num_steps=100, sampler=sampler))(keys)
    assert xs.shape == (2000, 1, 2)
    np.testing.assert_allclose(jnp.mean(xs, axis=0), jnp.full((1, 2), MEAN), atol=0.03)
    np.testing.assert_allclose(jnp.std(xs, axis=0), jnp.full((1, 2), SCALE), atol=0.03)


@pytest.mark.slow
@each_move
def test_args_reach_the_score(move):
    score = gaussian(VE())
    given = move(score, X, 0.5, 0.0, args=-0.2)
    other = DataPrediction(Denoiser(VE(), mean=-0.2), VE())
    np.testing.assert_allclose(given, move(other, X, 0.5, 0.0))


@pytest.mark.slow
@each_move
def test_jit_with_traced_times_and_vmap(move):
    score, zero, level = gaussian(VE()), jnp.asarray(0.0), jnp.asarray(0.3)
    xs = jnp.stack([X, -X])
    loop = jnp.stack([move(score, x, 0.3, 0.0) for x in xs])
    batch = jax.jit(jax.vmap(lambda x, t, u: move(score, x, t, u), in_axes=(0, None, None)))
    np.testing.assert_allclose(batch(xs, level, zero), loop, rtol=1e-9)
    np.testing.assert_allclose(batch(xs, zero, level)[0], move(score, X, 0.0, 0.3), rtol=1e-9)


@pytest.mark.slow
@each_move
def test_float32_stays_float32(move):
    score = gaussian(VPCosine())
    moved = move(score, X.astype(jnp.float32), jnp.asarray(0.6, jnp.float32), 0.0)
    assert moved.dtype == jnp.float32
    np.testing.assert_allclose(moved, move(score, X, 0.6, 0.0), atol=1e-4)


@pytest.mark.slow
@each_move
def test_gradients_agree_with_finite_differences(move):
    score = gaussian(VE())

    def end(scale):
        return jnp.sum(move(score, scale * X, 0.5, 0.1) ** 2)

    step = 1e-4
    difference = (end(1 + step) - end(1 - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(end)(1.0), difference, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "t_from, t_to, rtol, schedule",
    [
        (0.0, 0.4, 1e-4, VPLinear()),
        (0.4, 0.0, 1e-4, VPLinear()),
        (0.6, 0.2, 1e-3, VPLinear()),
        (0.4, 0.4, 1e-3, VPLinear()),
        (5e-4, 0.0, 1e-3, VPLinear()),
        (1.0, 0.4, 1e-3, VPLinear()),
        (1.0, 0.4, 1e-3, RectifiedFlow()),
        (0.4, 1.0, 1e-3, VPCosine()),
    ],
)
def test_evaluations_are_counted_as_they_are_made(t_from, t_to, rtol, schedule):
    """Those of rejected first steps, of the clean ends and of pure noise too, and none where there
    is no way.
    """
    calls = []

    def network(x, t, args):
        # Without a batch dimension: else one call would stand for many.
        jax.debug.callback(calls.append, x[0])
        return 0.3 * jnp.tanh(x) + 0.1 * jnp.sin(20 * x)

    score = DataPrediction(network, schedule)
    x = jnp.asarray([1.6, -0.4, 0.3])
    _, reported = counted_probability_flow(score, x, t_from, t_to, rtol=rtol, atol=rtol)
    reported = int(reported)
    jax.effects_barrier()
    assert reported == len(calls)
    if (t_from, t_to) == (0.0, 0.4):  # steeper than its first step, which is tried again
        assert (reported - 1) % 6 > 1


def broken(x, t, args):
    return jnp.where(x[0] > 1, jnp.nan, x)


@pytest.mark.slow
def test_a_failed_solve_raises():
    score = NoisePrediction(broken, VE())
    with pytest.raises(Exception, match="maximum number of solver steps"):
        probability_flow(score, jnp.full(2, 0.5), 0.9, 0.1, max_steps=2)


@pytest.mark.slow
def test_a_failed_lane_fails_alone():
    score = NoisePrediction(broken, VE())
    xs = jnp.asarray([[0.2, 0.2], [2.0, 2.0]])
    moved = jax.vmap(lambda x: probability_flow(score, x, 0.3, 0.2, throw=False))(xs)
    assert jnp.all(jnp.isfinite(moved[0]))
    assert jnp.all(jnp.isnan(moved[1]))


@each_move
def test_levels_outside_the_unit_interval(move):
    score = gaussian(VPLinear())
    with pytest.raises(ValueError, match=r"t_from must lie in \[0, 1\], got 400"):
        move(score, X, 400, 0.0)
    with pytest.raises(ValueError, match=r"t_to must lie in \[0, 1\], got -0.1"):
        move(score, X, 0.4, -0.1)


def test_other_wrong_arguments():
    score = gaussian(VPLinear())
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        ddim(score, X, 0.4, 0.0, num_steps=0)
    with pytest.raises(ValueError, match="sampler must be one of ddim, probability_flow, got 'x'"):
        sample(score, (2,), key=jax.random.key(0), sampler="x")
