"""Schedules against the discrete products and formulas that they stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.scores import (
    EDM,
    SCHEDULES,
    VE,
    GaussianMixture,
    RectifiedFlow,
    ScaledLinear,
    VPCosine,
    VPLinear,
)

ALL = [
    VPLinear(),
    VPLinear(num_steps=250, beta_start=4e-4, beta_end=0.08),
    ScaledLinear(),
    VPCosine(),
    VE(),
    EDM(),
    RectifiedFlow(),
]
each_schedule = pytest.mark.parametrize("schedule", ALL, ids=repr)
TIMES = np.linspace(0.001, 0.999, 200)


@jax.jit
def levels(schedule, ts=TIMES):
    """alpha, sigma and their ratio, and the two rates, at every time."""

    def one(t):
        return schedule.alpha(t), schedule.sigma(t), schedule.noise_to_signal(t), schedule.rates(t)

    return jax.vmap(one)(jnp.asarray(ts))


@pytest.mark.parametrize(
    "schedule, betas",
    [
        (VPLinear(), np.linspace(1e-4, 2e-2, 1000)),
        (VPLinear(500, 2e-4, 3e-2), np.linspace(2e-4, 3e-2, 500)),
        (ScaledLinear(), np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2),
    ],
)
def test_meets_the_discrete_product_at_every_step(schedule, betas):
    products = np.cumprod(1 - betas)
    ts = np.arange(1, len(betas) + 1) / len(betas)
    alpha, sigma, *_ = levels(schedule, ts)
    np.testing.assert_allclose(alpha**2, products, atol=2e-9)
    np.testing.assert_allclose(sigma**2, 1 - products, rtol=1e-6)


def test_stable_diffusion_ends_where_it_is_known_to():
    assert float(ScaledLinear().alpha(0.001)) ** 2 == pytest.approx(0.99915, abs=1e-9)
    assert float(ScaledLinear().alpha(1.0)) ** 2 == pytest.approx(0.004660, abs=1e-6)


def test_cosine_is_the_formula():
    quarter = np.cos((TIMES + 0.008) / 1.008 * np.pi / 2) / np.cos(0.008 / 1.008 * np.pi / 2)
    np.testing.assert_allclose(levels(VPCosine())[0], quarter, rtol=1e-12)


def test_exploding_schedules_are_the_formulas():
    np.testing.assert_allclose(levels(VE(0.01, 50.0))[1], 0.01 * 5000.0**TIMES, rtol=1e-12)
    roots = 0.002 ** (1 / 7) + TIMES * (80 ** (1 / 7) - 0.002 ** (1 / 7))
    np.testing.assert_allclose(levels(EDM())[1], roots**7, rtol=1e-12)


@each_schedule
def test_noise_rises_and_signal_does_not(schedule):
    alpha, sigma, ratio, _ = levels(schedule)
    assert np.all(np.diff(sigma) > 0)
    assert np.all(np.diff(alpha) <= 0)
    assert np.all(np.diff(ratio) > 0)
    np.testing.assert_allclose(ratio, sigma / alpha, rtol=1e-12)


@each_schedule
def test_variance_is_preserved_or_the_signal_is(schedule):
    alpha, sigma, *_ = levels(schedule)
    kept = alpha if isinstance(schedule, VE | EDM) else alpha**2 + sigma**2
    if isinstance(schedule, RectifiedFlow):  # a straight line, not a circle
        kept = alpha + sigma
    np.testing.assert_allclose(kept, 1.0, rtol=1e-13)


@each_schedule
def test_rates_are_the_time_derivatives(schedule):
    step = 1e-6
    *_, rates = levels(schedule)
    after, before = levels(schedule, TIMES + step), levels(schedule, TIMES - step)
    for rate, high, low in zip(rates, after[:2], before[:2], strict=True):
        difference = (high - low) / (2 * step)
        np.testing.assert_allclose(rate[20:-1], difference[20:-1], rtol=1e-6, atol=1e-8)


def test_time_may_be_a_number_or_an_array():
    schedule = VPCosine()
    for level in (schedule.alpha, schedule.sigma):
        assert level(0.25).shape == ()
        assert level(0.25) == level(jnp.asarray(0.25))
        assert float(jax.jit(level)(0.25)) == pytest.approx(float(level(0.25)), 1e-14)
    assert schedule.alpha(0) == schedule.alpha(0.0)


def test_add_noise_keeps_the_dtype_of_the_point():
    x0, eps = jnp.ones((1, 4, 4), jnp.float32), jnp.full((1, 4, 4), 2.0, jnp.float32)
    noised = VPLinear().add_noise(x0, eps, 0.4)
    assert noised.dtype == jnp.float32
    expected = VPLinear().alpha(0.4) + 2 * VPLinear().sigma(0.4)
    np.testing.assert_allclose(noised, float(expected), rtol=1e-6)


def test_time_zero_is_exactly_clean_in_float32():
    """Rounding must not make 1 - alpha^2 negative, which would be a NaN."""
    with jax.enable_x64(False):
        for end in np.linspace(2e-3, 0.2, 12).tolist():
            for schedule in (VPLinear(1000, 1e-4, end), ScaledLinear(777, 3e-4, end), VPCosine()):
                alpha, sigma = schedule.alpha(0.0), schedule.sigma(0.0)
                assert sigma.dtype == jnp.float32
                assert (float(alpha), float(sigma)) == (1.0, 0.0)


def test_registry_names_every_schedule():
    assert {type(make()) for make in SCHEDULES.values()} == {type(s) for s in ALL}


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: VPLinear(num_steps=0), "num_steps must be at least 1, got 0"),
        (lambda: VPLinear(beta_start=0.02, beta_end=0.01), "beta_start <= beta_end"),
        (lambda: ScaledLinear(beta_end=0.4), "got 0.00085 and 0.4"),
        (lambda: VE(sigma_min=0.0), "sigma_min < sigma_max, got 0.0"),
        (lambda: EDM(sigma_max=0.001), "sigma_min < sigma_max, got 0.002"),
    ],
)
def test_bad_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("t", [-0.1, 1.5, 400])
def test_a_time_outside_the_unit_interval_is_refused(t):
    density = GaussianMixture(jnp.zeros((1, 3)))
    with pytest.raises(ValueError, match=rf"t must lie in \[0, 1\], got {t}.*t = 0\.4"):
        density.at(t)
