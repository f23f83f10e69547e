"""The density of a data set against the mixture it is, and what its evaluation holds in memory."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.scores import VE, Empirical, GaussianMixture, VPCosine


def points(count, shape, dtype=jnp.float64):
    return jnp.asarray(np.random.default_rng(0).normal(size=(count, *shape)), dtype)


@eqx.filter_jit
def evaluate(density, x, t):
    return density(x, t), density.log_density(x, t)


@pytest.mark.parametrize("shape, chunk_sizes", [((3,), [7]), ((1, 4, 4), [1, 7, 1000])], ids=str)
def test_equals_the_mixture_of_its_points_in_any_chunks(shape, chunk_sizes):
    data = points(20, shape)
    x = 0.8 * data[3] + 0.1
    for t in jnp.asarray([0.05, 0.4, 1.0]):
        score, log_density = evaluate(GaussianMixture(data, 0.0, schedule=VPCosine()), x, t)
        for chunk_size in chunk_sizes:
            found = evaluate(Empirical(data, VPCosine(), chunk_size), x, t)
            np.testing.assert_allclose(found[0], score, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(found[1], log_density, rtol=1e-12)


@pytest.mark.slow
def test_score_is_the_gradient_and_jacobians_agree_in_both_modes():
    data = points(23, (1, 2, 3))
    density, mixture = (
        Empirical(data, VE(), 5).at(0.4),
        GaussianMixture(data, 0.0, schedule=VE()).at(0.4),
    )
    x = data[0] / 2

    @jax.jit
    def derivatives(x):
        gradient = jax.grad(density.log_density)
        return (
            density(x) - gradient(x),
            jax.jacfwd(density)(x),
            jax.jacrev(density)(x),
            jax.jacfwd(gradient)(x),
            jax.jacrev(mixture)(x),
        )

    difference, *jacobians, dense = derivatives(x)
    np.testing.assert_allclose(difference, 0, atol=1e-10)
    for jacobian in jacobians:
        np.testing.assert_allclose(jacobian, dense, atol=1e-10)


def test_third_derivatives_and_derivatives_in_the_data_and_the_time_are_exact():
    data, x, v = points(9, (3,)), jnp.asarray([0.1, 0.3, -0.2]), jnp.asarray([1.0, -0.5, 0.2])

    @eqx.filter_jit
    def derivatives(make, data, t):
        def twice(x):
            return jax.jvp(make(data).at(t), (x,), (v,))[1]

        def log_density(data, t):
            return make(data).log_density(x, t)

        return jax.jvp(twice, (x,), (v,))[1], jax.grad(log_density, (0, 1))(data, t)

    ours = derivatives(lambda data: Empirical(data, VPCosine(), 4), data, jnp.asarray(0.5))
    exact = derivatives(
        lambda data: GaussianMixture(data, 0.0, schedule=VPCosine()), data, jnp.asarray(0.5)
    )
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(exact), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


def test_vmap_is_a_loop():
    data = points(11, (3,))
    density, xs = Empirical(data, VE(), 4), points(5, (3,)) / 2
    batch, _ = jax.vmap(lambda x: evaluate(density, x, 0.4))(xs)
    np.testing.assert_allclose(batch, [evaluate(density, x, 0.4)[0] for x in xs], rtol=1e-12)


def test_float32_close_to_the_data():
    """Expanded squares would lose the distances, here 1e-5 of the coordinates."""
    data = (np.asarray(points(50, (20,))) + 100).astype(np.float32)
    x = data[7] + 1e-3 * (data[8] - data[9])
    found, exact = (
        evaluate(Empirical(data.astype(dtype), VE(1e-3, 1.0), 16), jnp.asarray(x, dtype), 0.0)
        for dtype in (np.float32, np.float64)
    )
    for ours, theirs in zip(found, exact, strict=True):
        assert ours.dtype == jnp.float32
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_a_far_point_underflows_nothing():
    data, x = points(20, (3,)), jnp.full(3, 1e3)
    density = Empirical(data, VE(0.1, 1.0), 6)
    nearest = data[np.argmin(np.sum((np.asarray(data) - 1e3) ** 2, axis=1))]
    score, log_density = evaluate(density, x, 0.0)
    np.testing.assert_allclose(score, (nearest - x) / 0.01, rtol=1e-6)
    assert np.isfinite(log_density)


def test_a_rotation_of_the_data_rotates_the_score():
    data, x = np.asarray(points(12, (4,))), np.asarray([0.5, 0.0, -0.2, 0.4])
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))
    score, _ = evaluate(Empirical(data, VE()), jnp.asarray(x), 0.5)
    turned, _ = evaluate(Empirical(data @ rotation.T, VE()), jnp.asarray(rotation @ x), 0.5)
    np.testing.assert_allclose(turned, rotation @ score, rtol=1e-11)


COUNT, SIZE, CHUNK = 4096, 64, 64


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f, x, v: f(x),
        lambda f, x, v: jax.jvp(f, (x,), (v,))[1],
        lambda f, x, v: jax.vjp(f, x)[1](v)[0],
        lambda f, x, v: jax.jvp(lambda y: jax.vjp(f, y)[1](v)[0], (x,), (v,))[1],
        lambda f, x, v: jax.vjp(lambda y: jax.jvp(f, (y,), (v,))[1], x)[1](v)[0],
    ],
    ids=["score", "jvp", "vjp", "forward-over-reverse", "reverse-over-forward"],
)
def test_an_evaluation_needs_memory_for_a_few_chunks(derivative):
    def evaluate(data, x):
        return derivative(Empirical(data, VE(), CHUNK).at(0.4), x, x)

    data, x = jnp.zeros((COUNT, SIZE), jnp.float32), jnp.ones(SIZE, jnp.float32)
    memory = jax.jit(evaluate).lower(data, x).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 8 * CHUNK * SIZE * 4 < data.nbytes / 4


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"data must have shape .* got \(0, 3\)"):
        Empirical(jnp.zeros((0, 3)))
    with pytest.raises(ValueError, match="chunk_size must be at least 1, got 0"):
        Empirical(jnp.zeros((2, 3)), chunk_size=0)
    with pytest.raises(ValueError, match=r"x must have shape \(3,\), got \(2,\)"):
        Empirical(jnp.zeros((2, 3)))(jnp.zeros(2), 0.4)


@pytest.mark.parametrize("t", [0, 0.0])
def test_a_time_without_noise_is_refused(t):
    density, x = Empirical(jnp.zeros((2, 3))), jnp.zeros(3)
    at = eqx.tree_at(lambda at: at.t, density.at(0.5), jnp.asarray(0.0))
    for evaluated in (
        lambda x: density.at(t),
        lambda x: density(x, t),
        lambda x: density.log_density(x, t),
        jax.jit(lambda x: density(x, t)),
        at,
        at.log_density,
    ):
        with pytest.raises(ValueError, match=r"no noise.*Take t > 0"):
            evaluated(x)
