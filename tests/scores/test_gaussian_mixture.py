"""Gaussian mixtures against dense linear algebra, and against their own derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from geojax.scores import VE, GaussianMixture, VPCosine, VPLinear

TIMES = [0.0, 0.1, 0.4, 1.0]
WEIGHTS = np.asarray([0.5, 2.0, 1.0])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def mixture(kind, shape, dtype=jnp.float64):
    scales = {
        "isotropic": np.asarray([0.4, 0.7, 1.1]).reshape(3, *(1 for _ in shape)),
        "diagonal": 0.3 + normal(3, *shape) ** 2,
    }
    factors = normal(3, 2, *shape, seed=1) if kind.endswith("low-rank") else None
    arrays = normal(3, *shape, seed=2), scales[kind.split("-")[0]], factors
    arrays = jax.tree.map(lambda a: a.astype(dtype), arrays)
    return GaussianMixture(*arrays, weights=WEIGHTS, schedule=VPCosine())


@eqx.filter_jit
def evaluate(density, x, t):
    """Score, log-density, and the gradient of the log-density."""
    log_density, gradient = jax.value_and_grad(density.log_density)(x, t)
    return density(x, t), log_density, gradient


KINDS = ["isotropic", "diagonal", "isotropic-low-rank", "diagonal-low-rank"]


def dense_log_density(density, x, t):
    alpha, sigma = float(density.schedule.alpha(t)), float(density.schedule.sigma(t))
    logs = []
    for k, mean in enumerate(np.asarray(density.means)):
        scale = np.broadcast_to(np.asarray(density.scales[k]), mean.shape).ravel()
        covariance = np.diag(scale**2)
        if density.factors is not None:
            rows = np.asarray(density.factors[k]).reshape(len(density.factors[k]), -1)
            covariance = covariance + rows.T @ rows
        covariance = alpha**2 * covariance + sigma**2 * np.eye(mean.size)
        logs.append(multivariate_normal.logpdf(x.ravel(), alpha * mean.ravel(), covariance))
    return logsumexp(logs, b=WEIGHTS / WEIGHTS.sum())


@pytest.mark.parametrize(
    "kind, shape", [("isotropic", (3,)), *((kind, (1, 4, 4)) for kind in KINDS)]
)
def test_density_and_score_are_exact_at_every_time(kind, shape):
    density = mixture(kind, shape)
    x = jnp.asarray(0.7 * normal(*shape, seed=5))
    for t in TIMES:
        score, log_density, gradient = evaluate(density, x, jnp.asarray(t))
        assert float(log_density) == pytest.approx(dense_log_density(density, x, t), 1e-12)
        np.testing.assert_allclose(score, gradient, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["isotropic", "diagonal-low-rank"])
def test_derivatives_agree_in_both_modes(kind):
    density = mixture(kind, (1, 4, 4))
    x = jnp.asarray(0.7 * normal(1, 4, 4, seed=5))

    @jax.jit
    def jacobians(x):
        score = density.at(0.1)
        hessian = jax.jacfwd(jax.grad(score.log_density))(x)
        return jax.jacfwd(score)(x), jax.jacrev(score)(x), hessian

    forward, reverse, hessian = (np.reshape(j, (16, 16)) for j in jacobians(x))
    np.testing.assert_allclose(forward, reverse, atol=1e-10)
    np.testing.assert_allclose(forward, hessian, atol=1e-10)
    np.testing.assert_allclose(forward, forward.T, atol=1e-10)


@pytest.mark.slow
def test_float32_keeps_its_digits():
    kind = "diagonal-low-rank"
    x = jnp.asarray(0.7 * normal(1, 4, 4, seed=5))
    single, double = mixture(kind, x.shape, dtype=jnp.float32), mixture(kind, x.shape)
    for t in jnp.asarray([0.0, 0.4]):
        found, expected = evaluate(single, x.astype(jnp.float32), t), evaluate(double, x, t)
        assert {part.dtype for part in found} == {jnp.dtype(jnp.float32)}
        for ours, exact in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, exact, rtol=2e-5, atol=2e-5)


def test_a_point_along_a_long_factor_loses_no_digits_in_float32():
    """The plain form of Woodbury's identity subtracts two numbers of 1e8 here."""
    factors = jnp.zeros((1, 1, 3)).at[0, 0, 0].set(1e4)
    x = jnp.asarray([1e4, 1.0, 0.0])
    density = GaussianMixture(jnp.zeros((1, 3), jnp.float32), 1.0, factors)
    expected = multivariate_normal.logpdf(x, np.zeros(3), np.diag([1e8 + 1, 1, 1]))
    _, log_density, _ = evaluate(density, x.astype(jnp.float32), jnp.asarray(0.0))
    assert float(log_density) == pytest.approx(expected, 1e-6)


def test_every_way_to_give_scales():
    means = jnp.arange(6.0).reshape(2, 3)
    x = jnp.asarray([0.5, 1.0, -1.0])
    full, *others = (
        evaluate(GaussianMixture(means, scales), x, 0.2)[0]
        for scales in (
            jnp.full((2, 3), 0.6),
            jnp.full(3, 0.6),
            jnp.full(2, 0.6),
            jnp.full((2, 1), 0.6),
            jnp.full((1, 3), 0.6),
            0.6,
        )
    )
    for score in others:
        np.testing.assert_allclose(score, full, rtol=1e-12)


def test_zero_weight_is_absence_and_the_sum_of_weights_does_not_matter():
    means, x = jnp.asarray([[0.0, 1.0], [2.0, 0.0], [9.0, 9.0]]), jnp.asarray([1.0, 0.4])
    three = GaussianMixture(means, weights=jnp.asarray([2.0, 6.0, 0.0]))
    two = GaussianMixture(means[:2], weights=jnp.asarray([0.25, 0.75]))
    pairs = zip(evaluate(three, x, 0.1), evaluate(two, x, 0.1), strict=True)
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_density_integrates_to_one():
    density = GaussianMixture(
        jnp.asarray([[-2.0], [1.0]]), jnp.asarray([0.3, 0.8]), weights=jnp.asarray([1.0, 3.0])
    )
    xs = jnp.linspace(-12, 12, 4001)[:, None]
    for t in (0.0, 0.3):
        values = np.exp(jax.jit(jax.vmap(density.at(t).log_density))(xs))
        assert values.sum() * float(xs[1, 0] - xs[0, 0]) == pytest.approx(1.0, abs=1e-10)


def test_far_from_all_components_the_score_is_finite():
    found = evaluate(mixture("isotropic", (3,)), jnp.full(3, 1e4), jnp.asarray(0.0))
    assert all(np.isfinite(part).all() for part in found)


def test_a_rotation_of_the_mixture_rotates_the_score():
    rotation, _ = np.linalg.qr(normal(3, 3))
    means, factors, x = np.eye(3), normal(3, 2, 3), np.asarray([0.2, -0.5, 0.9])
    score, *_ = evaluate(GaussianMixture(means, 0.5, factors), jnp.asarray(x), 0.3)
    turned = GaussianMixture(means @ rotation.T, 0.5, factors @ rotation.T)
    turned, *_ = evaluate(turned, jnp.asarray(rotation @ x), 0.3)
    np.testing.assert_allclose(turned, rotation @ score, rtol=1e-12)


def test_nothing_of_size_d_squared_is_made():
    size = 3000
    density = GaussianMixture(jnp.zeros((2, size)), 1.0, jnp.ones((2, 3, size)))
    x = jnp.ones(size)

    def product(x):
        return jax.vjp(density.at(0.4), x)[1](x)

    memory = jax.jit(product).lower(x).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 100 * size * 8


def test_samples_have_the_moments_of_the_density():
    t = 0.3
    density = mixture("isotropic-low-rank", (3,))
    draw = jax.jit(jax.vmap(lambda key: density.sample(t, key=key)))
    samples = draw(jax.random.split(jax.random.key(0), 20_000))
    alpha, sigma = float(density.schedule.alpha(t)), float(density.schedule.sigma(t))
    weights = WEIGHTS / WEIGHTS.sum()
    means, scales, factors = (
        np.asarray(a) for a in (density.means, density.scales, density.factors)
    )
    mean = weights @ means
    second = sum(
        w * (s**2 * np.eye(3) + f.T @ f + np.outer(m, m))
        for w, m, s, f in zip(weights, means, scales, factors, strict=True)
    )
    covariance = alpha**2 * (second - np.outer(mean, mean)) + sigma**2 * np.eye(3)
    np.testing.assert_allclose(np.mean(samples, 0), alpha * mean, atol=0.05)
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.12)


def test_the_schedule_is_vp_linear_unless_given():
    assert GaussianMixture(jnp.zeros((1, 2))).schedule == VPLinear()
    assert GaussianMixture(jnp.zeros((1, 2)), schedule=VE()).schedule == VE()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"means": jnp.zeros((0, 3))}, r"means must have shape .* got \(0, 3\)"),
        ({"scales": jnp.ones(5)}, r"scales must have shape .* got \(5,\)"),
        ({"scales": jnp.ones((3, 2))}, r"scales must have shape .* got \(3, 2\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**{"means": jnp.zeros((2, 3)), **arguments})


def test_a_point_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"x must have shape \(3,\), got \(4,\)"):
        GaussianMixture(jnp.zeros((2, 3)))(jnp.zeros(4), 0.1)


@pytest.mark.parametrize("weights", [[1.0, -0.5], [0.0, 0.0], [1.0, np.nan]])
def test_bad_weights_are_refused(weights):
    with pytest.raises(RuntimeError, match="weights must not be negative"):
        GaussianMixture(jnp.zeros((2, 3)), weights=jnp.asarray(weights))
