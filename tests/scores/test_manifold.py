"""Spheres against quadrature, mixtures and special functions, in every dimension."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gammaln, ive

from geojax.scores import (
    VE,
    Empirical,
    GaussianMixture,
    NoisedSphere,
    Shell,
    VPCosine,
    random_embedding,
)
from geojax.scores._bessel import bessel_ratio, log_scaled_bessel

DIMS = [1, 2, 3, 7, 50]
each_dim = pytest.mark.parametrize("dim", DIMS)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def rotation(size):
    return np.linalg.qr(normal(size, size, seed=9))[0]


def ring_points(count, radius):
    angles = 2 * np.pi * np.arange(count) / count
    zeros = np.zeros(count)
    return radius * np.stack([np.cos(angles), np.sin(angles), zeros], axis=1)


@eqx.filter_jit
def evaluate(density, x, t):
    """Score, log-density, and the gradient of the log-density."""
    log_density, gradient = jax.value_and_grad(density.log_density)(x, t)
    return density(x, t), log_density, gradient


@eqx.filter_jit
def jacobians(score, x):
    """Of the score in both modes, and of the gradient of the log-density."""
    return jax.jacfwd(score)(x), jax.jacrev(score)(x), jax.jacfwd(jax.grad(score.log_density))(x)


@each_dim
def test_bessel_functions_from_tiny_to_huge_arguments(dim):
    order, z = dim / 2 - 1, np.logspace(-3, 6, 40)
    ours = jax.jit(jax.vmap(lambda z: (bessel_ratio(order, z**2), log_scaled_bessel(order, z))))(
        jnp.asarray(z)
    )
    known = ive(order, z) > 1e-290
    z, ratio, logarithm = z[known], *(np.asarray(part)[known] for part in ours)
    np.testing.assert_allclose(ratio * z, ive(order + 1, z) / ive(order, z), rtol=1e-13)
    expected = gammaln(order + 1) + order * np.log(2 / z) + np.log(ive(order, z))
    np.testing.assert_allclose(logarithm, expected, rtol=1e-11, atol=1e-11)


def slope(f):
    return lambda w: jax.jvp(f, (w,), (jnp.ones_like(w),))[1]


def test_bessel_ratio_at_zero_and_its_derivatives():
    """By division of the series of I_1 and I_0: h(w) = (1 - w / 8 + w^2 / 48 ...) / 2."""

    def ratio(w):
        return bessel_ratio(0.0, w)

    found = jax.jit(lambda w: (ratio(w), slope(ratio)(w), slope(slope(ratio))(w)))(0.0)
    np.testing.assert_allclose(found, [1 / 2, -1 / 16, 1 / 48], rtol=1e-12)


@pytest.mark.parametrize("dtype, tolerance", [(jnp.float64, 1e-14), (jnp.float32, 1e-6)])
def test_the_slope_of_the_ratio_keeps_its_digits_at_huge_arguments(dtype, tolerance):
    """At order 1/2, h(w) = coth(z) / z - 1 / z^2."""
    w = np.asarray([1e4, 1e8, 1e12])
    found = jax.jit(jax.vmap(slope(lambda w: bessel_ratio(0.5, w))))(jnp.asarray(w, dtype))
    np.testing.assert_allclose(found, 1 / w**2 - 0.5 / w**1.5, rtol=tolerance)


@pytest.mark.parametrize("shape, width", [((3,), 0.0), ((1, 2, 3), 0.3)], ids=str)
def test_ring_is_the_mixture_of_many_of_its_points(shape, width):
    centres = np.zeros((300, *shape))
    centres.reshape(300, -1)[:, :3] = ring_points(300, 1.5)
    ring = NoisedSphere(1.5, width=width, schedule=VPCosine())
    mixture = (
        GaussianMixture(centres, width, schedule=VPCosine())
        if width
        else Empirical(centres, VPCosine(), 64)
    )
    for x in jnp.asarray(normal(2, *shape)):
        for t in jnp.asarray([0.1, 0.4, 0.9] + [0.0] * (width > 0)):
            score, log_density, _ = evaluate(ring, x, t)
            expected, expected_log, _ = evaluate(mixture, x, t)
            np.testing.assert_allclose(score, expected, rtol=1e-10, atol=1e-10)
            assert float(log_density) == pytest.approx(float(expected_log), abs=1e-10)


@pytest.mark.parametrize("dim", [3, 4])
def test_sphere_is_the_convolution_of_its_uniform_law(dim):
    """The cosine u to the axis of x has the density (1 - u^2)^((dim - 3) / 2), normalised."""
    radius, sigma = 1.2, 0.4
    x = normal(dim + 2)
    r, square = np.linalg.norm(x[:dim]), np.sum(x**2)

    def integrand(angle):
        distance2 = square + radius**2 - 2 * radius * r * np.cos(angle)
        return np.exp(-distance2 / (2 * sigma**2)) * np.sin(angle) ** (dim - 2)

    mass = quad(lambda angle: np.sin(angle) ** (dim - 2), 0, np.pi)[0]
    integral = quad(integrand, 0, np.pi, epsabs=0, epsrel=1e-12)[0]
    expected = np.log(integral / mass) - x.size / 2 * np.log(2 * np.pi * sigma**2)
    sphere = NoisedSphere(radius, dim=dim, schedule=VE(sigma, 1.0))
    _, log_density, _ = evaluate(sphere, jnp.asarray(x), 0.0)
    assert float(log_density) == pytest.approx(expected, abs=1e-11)


def test_a_sphere_of_dimension_one_is_two_points():
    x, two = jnp.asarray([0.3, -0.4]), jnp.asarray([[-1.5, 0.0], [1.5, 0.0]])
    ours = evaluate(NoisedSphere(1.5, dim=1, schedule=VE()), x, 0.4)
    for found, expected in zip(ours, evaluate(Empirical(two, VE()), x, 0.4), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize("dim", [1, 2, 50])
@pytest.mark.parametrize("radius", [0.0, 1e-9, 0.7, 2.0, 5.0])
def test_score_is_the_gradient_everywhere(dim, radius):
    """From z = 0 at the centre to z = 250 000 at t = 0."""
    x = normal(60)
    x[:dim] *= radius / np.linalg.norm(x[:dim])
    sphere = NoisedSphere(2.0, dim=dim, width=0.01, schedule=VPCosine())
    for t in jnp.asarray([0.0, 0.4]):
        score, log_density, gradient = evaluate(sphere, jnp.asarray(x), t)
        scale = np.abs(score).max()
        np.testing.assert_allclose(score, gradient, rtol=1e-10, atol=1e-10 * scale)
        assert np.isfinite(log_density)


@pytest.mark.parametrize("radius", [0.0, 2.1])
def test_jacobians_of_the_sphere_agree_at_the_centre_too(radius):
    sphere = NoisedSphere(2.0, dim=3, width=0.2, schedule=VPCosine()).at(0.0)
    x = np.zeros(4) if radius == 0 else radius * normal(4) / np.linalg.norm(normal(4)[:3])
    forward, reverse, hessian = jacobians(sphere, jnp.asarray(x))
    np.testing.assert_allclose(forward, reverse, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(forward, hessian, rtol=1e-10, atol=1e-9)
    if radius == 0:
        inside = (2.0**2 / (3 * 0.2**2) - 1) / 0.2**2
        outside = -1 / 0.2**2
        np.testing.assert_allclose(forward, np.diag([inside] * 3 + [outside]), atol=1e-9)


def test_derivatives_in_the_parameters_are_exact():
    """Against the mixture of points, whose radius and width are parameters too."""
    points, x = jnp.asarray(ring_points(200, 1.0)), jnp.asarray([0.9, 0.3, -0.2])

    @jax.jit
    def both(radius, width):
        sphere = NoisedSphere(radius, width=width, schedule=VE()).log_density(x, 0.3)
        mixture = GaussianMixture(radius * points, width, schedule=VE())
        return sphere, mixture.log_density(x, 0.3)

    sphere, mixture = jax.jit(jax.jacrev(both, (0, 1)))(jnp.asarray(1.3), jnp.asarray(0.2))
    np.testing.assert_allclose(sphere, mixture, rtol=1e-9)


@pytest.mark.parametrize("width", [1e-3, 0.1])
def test_sphere_in_float32(width):
    x = np.float32(1.01 * normal(6) / np.linalg.norm(normal(6)[:3]))
    found, exact = (
        evaluate(
            NoisedSphere(1.0, 3, None, jnp.asarray(width, dtype), VPCosine()),
            jnp.asarray(x, dtype),
            jnp.asarray(0.0),
        )
        for dtype in (np.float32, np.float64)
    )
    for ours, theirs in zip(found, exact, strict=True):
        assert ours.dtype == jnp.float32
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-4 / width)


def test_ring_density_integrates_to_one():
    axis = np.linspace(-4, 4, 161)
    grid = jnp.asarray(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    density = NoisedSphere(1.5, width=0.2, schedule=VE())
    values = jax.jit(jax.vmap(density.at(0.0).log_density))(grid)
    assert np.exp(values).sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1.0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda rows: NoisedSphere(1.3, 2, rows, 0.3, VPCosine()).at(0.2),
        lambda rows: Shell(1.3, 0.3, 2, rows),
    ],
    ids=["sphere", "shell"],
)
def test_an_embedding_rotates_the_score(make):
    turn, x = rotation(6), normal(6)

    @eqx.filter_jit
    def both(density, x):
        return density(x), density.log_density(x)

    score, log_density = both(make(None), jnp.asarray(x))
    turned, turned_log = both(make(jnp.asarray(turn.T[:2])), jnp.asarray(turn @ x))
    np.testing.assert_allclose(turned, turn @ score, rtol=1e-10, atol=1e-10)
    assert float(turned_log) == pytest.approx(float(log_density), rel=1e-11)
    image, _ = both(make(jnp.asarray(turn.T[:2])), jnp.asarray(turn @ x).reshape(1, 2, 3))
    np.testing.assert_allclose(image.ravel(), turned, rtol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("shape", [(3,), (1, 4, 4)], ids=str)
def test_shell_is_its_formula_and_its_gradient(dim, shape):
    shell, x = Shell(2.0, 0.25, dim), normal(*shape)
    r, rest = np.linalg.norm(x.ravel()[:dim]), x.ravel()[dim:]
    expected = -((r - 2.0) ** 2 + np.sum(rest**2)) / (2 * 0.25**2)

    @jax.jit
    def values(x):
        return shell(x), shell.log_density(x), jax.grad(shell.log_density)(x)

    score, log_density, gradient = values(jnp.asarray(x))
    assert float(log_density) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(score, gradient, rtol=1e-10, atol=1e-10)


def test_jacobians_of_the_shell_agree():
    forward, reverse, hessian = jacobians(Shell(2.0, 0.25, 2), jnp.asarray(normal(4)))
    np.testing.assert_allclose(forward, reverse, atol=1e-10)
    np.testing.assert_allclose(forward, hessian, atol=1e-10)


def test_shell_at_its_centre_has_no_direction_and_no_nan():
    forward, reverse, _ = jacobians(Shell(2.0, 0.5, 2), jnp.asarray([0.0, 0.0, 1.0]))
    assert np.isfinite(forward).all() and np.isfinite(reverse).all()
    np.testing.assert_allclose(Shell(2.0, 0.5, 2)(jnp.asarray([0.0, 0.0, 1.0])), [0, 0, -4])


def test_nothing_of_size_d_squared_is_made():
    size = 4000
    rows = jnp.asarray(np.linalg.qr(normal(size, 2))[0].T)
    x = jnp.ones(size)
    for density in (Shell(2.0, 0.3, 2, rows), NoisedSphere(2.0, 2, rows, 0.3, VE()).at(0.1)):
        product = jax.jit(lambda x, f=density: jax.vjp(f, x)[1](x))
        memory = product.lower(x).compile().memory_analysis()
        assert memory.temp_size_in_bytes < 50 * size * 8


@pytest.mark.parametrize("dim, ambient_dim", [(2, 50), (3, 3)])
def test_random_embedding_has_orthonormal_rows(dim, ambient_dim):
    rows = random_embedding(dim, ambient_dim, key=jax.random.key(0))
    assert rows.shape == (dim, ambient_dim)
    np.testing.assert_allclose(rows @ rows.T, np.eye(dim), atol=1e-12)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: random_embedding(3, 2, key=jax.random.key(0)), "dim=3, ambient_dim=2"),
        (lambda: random_embedding(0, 2, key=jax.random.key(0)), "dim=0, ambient_dim=2"),
        (lambda: NoisedSphere(0.0), "radius must be a finite number > 0, got 0.0"),
        (lambda: NoisedSphere(1.0, width=-0.1), "width must be a finite number >= 0, got -0.1"),
        (lambda: NoisedSphere(1.0, dim=0), "dim must be at least 1, got 0"),
        (lambda: Shell(-1.0, 0.1), "radius must be a finite number >= 0, got -1.0"),
        (lambda: Shell(1.0, 0.0), "width must be a finite number > 0, got 0.0"),
        (lambda: Shell(1.0, 0.1, 3, jnp.eye(4)[:2]), r"\(dim, D\) with dim = 3 .* \(2, 4\)"),
        (lambda: Shell(1.0, 0.1, 3)(jnp.ones(2)), r"at least dim = 3 entries, got shape \(2,\)"),
        (lambda: Shell(1.0, 0.1, 2, jnp.eye(4)[:2])(jnp.ones(3)), "the embedding's 4 entries"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make", [lambda rows: Shell(1.0, 0.1, 2, rows), lambda rows: NoisedSphere(1.0, 2, rows)]
)
def test_an_embedding_that_is_not_orthonormal_is_refused(make):
    with pytest.raises(RuntimeError, match="embedding must have orthonormal rows"):
        make(jnp.asarray([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]))


def test_a_thin_sphere_without_noise_is_refused():
    with pytest.raises(ValueError, match=r"t = 0 has no noise.*positive width"):
        NoisedSphere(1.0).at(0)(jnp.ones(3))
    assert np.isfinite(NoisedSphere(1.0, schedule=VE()).at(0)(jnp.ones(3))).all()
