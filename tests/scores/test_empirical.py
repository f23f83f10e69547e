"""The density of a data set against the mixture it is, and what its evaluation holds in memory."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.scores import VE, Empirical, GaussianMixture


def points(count, shape, dtype=jnp.float64):
    return jax.random.normal(jax.random.key(0), (count, *shape), dtype)


@eqx.filter_jit
def evaluate(density, x, t):
    return density(x, t), density.log_density(x, t)


@pytest.mark.parametrize("shape", [(3,), (1, 4, 4)], ids=str)
def test_equals_the_mixture_of_its_points_in_any_chunks(shape):
    data = points(20, shape)
    x = 0.8 * data[3] + 0.1
    for t in jnp.asarray([0.05, 0.4, 1.0]):
        score, log_density = evaluate(GaussianMixture(data, 0.0), x, t)
        for chunk_size in (1, 7, 20, 1000):
            found = evaluate(Empirical(data, chunk_size=chunk_size), x, t)
            np.testing.assert_allclose(found[0], score, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(found[1], log_density, rtol=1e-12)


def test_score_is_the_gradient_and_jacobians_agree_in_both_modes():
    data = points(23, (1, 2, 3))
    density, mixture = Empirical(data, chunk_size=5).at(0.4), GaussianMixture(data, 0.0).at(0.4)
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

    ours = derivatives(lambda data: Empirical(data, chunk_size=4), data, jnp.asarray(0.3))
    exact = derivatives(lambda data: GaussianMixture(data, 0.0), data, jnp.asarray(0.3))
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(exact), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


def test_vmap_is_a_loop():
    data = points(11, (3,))
    density, xs = Empirical(data, chunk_size=4), points(5, (3,)) / 2
    batch, _ = jax.vmap(lambda x: evaluate(density, x, 0.2))(xs)
    np.testing.assert_allclose(batch, [evaluate(density, x, 0.2)[0] for x in xs], rtol=1e-12)


def test_float32_close_to_the_data():
    """Expanded squares would lose the distances, here 1e-5 of the coordinates."""
    data = points(50, (20,)) + 100
    x = data[7] + 1e-3 * points(20, ()).reshape(20)
    x = x.astype(jnp.float32).astype(jnp.float64)
    data = data.astype(jnp.float32).astype(jnp.float64)
    double, single = (Empirical(d, VE(1e-3, 1.0), 16) for d in (data, data.astype(jnp.float32)))
    found = evaluate(single, x.astype(jnp.float32), 0.0)
    assert {part.dtype for part in found} == {jnp.dtype(jnp.float32)}
    for ours, exact in zip(found, evaluate(double, x, 0.0), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-5)


def test_a_far_point_underflows_nothing():
    data, x = points(20, (3,)), jnp.full(3, 1e3)
    density = Empirical(data, VE(0.1, 1.0), 6)
    nearest = data[jnp.argmin(jnp.sum((data - x[None]) ** 2, axis=1))]
    score, log_density = evaluate(density, x, 0.0)
    np.testing.assert_allclose(score, (nearest - x) / 0.01, rtol=1e-6)
    assert jnp.isfinite(log_density)


def test_a_rotation_of_the_data_rotates_the_score():
    data, x = points(12, (4,)), jnp.asarray([0.5, 0.0, -0.2, 0.4])
    rotation, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(1), (4, 4)))
    score, _ = evaluate(Empirical(data), x, 0.3)
    turned, _ = evaluate(Empirical(data @ rotation.T), rotation @ x, 0.3)
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
def test_an_evaluation_holds_a_few_chunks_beside_the_data(derivative):
    def evaluate(data, x):
        return derivative(Empirical(data, chunk_size=CHUNK).at(0.4), x, x)

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
    at = density.at(t)
    for evaluated in (at, at.log_density, lambda x: density(x, t), jax.jit(lambda x: at(x))):
        with pytest.raises(ValueError, match=r"no noise.*Take t > 0"):
            evaluated(x)
