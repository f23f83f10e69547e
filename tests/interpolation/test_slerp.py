"""SLERP against its formula in extended precision, at all angles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax import RESULTS, Slerp

TS = np.array([0.0, 0.25, 0.5, 1.0, 1.5])


def formula(x0, x1, ts):
    """Shoemake's, in NumPy's extended precision; the angle by Kahan's formula."""
    x0, x1 = (np.asarray(x, np.longdouble) for x in (x0, x1))
    n0, n1 = (np.sqrt(np.sum(x**2)) for x in (x0, x1))
    apart, together = (np.sqrt(np.sum((x1 * n0 + s * x0 * n1) ** 2)) for s in (-1, 1))
    angle = 2 * np.arctan2(apart, together)
    weights = [np.sin((1 - t) * angle) for t in ts], [np.sin(t * angle) for t in ts]
    return sum(np.outer(w, x) for w, x in zip(weights, (x0, x1), strict=True)) / np.sin(angle)


@jax.jit
def slerp(x0, x1):
    found = Slerp().run(x0, x1, jnp.asarray(TS))
    return found.points, found.result == RESULTS.successful


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_angle_has_its_digits(dtype):
    eps = np.finfo(dtype).eps
    for angle in (1e-6, 1e-3, 0.1, 1.0, 2.0, 3.0, np.pi - 1e-3):
        x0 = np.array([0.6, 0.8, 0.0], dtype)
        x1 = 3 * (np.cos(angle) * x0 + np.sin(angle) * np.array([0.0, 0.0, 1.0])).astype(dtype)
        points, good = slerp(jnp.asarray(x0), jnp.asarray(x1))
        expected = formula(x0, x1, TS)
        slack = 20 * eps * np.max(np.abs(expected))
        assert good and points.dtype == dtype
        np.testing.assert_allclose(points, np.asarray(expected, np.float64), atol=slack, rtol=0)


def test_ends_are_exact_for_any_pair():
    x = jnp.array([0.1, -0.7, 0.3])
    others = [x, -x, 2 * x, -3 * x, 0 * x, -x + 1e-12, -x + 1e-7, x + 1e-12, x[::-1]]
    for a, b in [(x, y) for y in others] + [(0 * x, x), (0 * x, 0 * x)]:
        points, _ = slerp(a, b)
        np.testing.assert_array_equal(points[0], a)
        np.testing.assert_array_equal(points[3], b)


def test_opposite_points_have_no_way_and_that_is_said():
    x = jnp.array([0.1, -0.7, 0.3])
    for y in (-x, -3 * x):
        points, good = slerp(x, y)
        assert not good and jnp.all(jnp.isnan(points[jnp.array([1, 2, 4])]))
    points, good = slerp(x, -x + 1e-8 * jnp.array([0.7, 0.1, 0.0]))  # of the same norm
    assert good
    np.testing.assert_allclose(jnp.linalg.norm(points, axis=1), jnp.linalg.norm(x), rtol=1e-6)


@pytest.mark.slow
def test_derivatives_are_right_where_the_points_align():
    """To first order SLERP is LERP there; second derivatives are those of points nearby."""
    x = jnp.array([1.0, 2.0, -0.5])

    @jax.jit
    def derivatives(a, b):
        path = lambda a, b: Slerp()(a, b, jnp.array([0.3, 1.0]))  # noqa: E731
        first = jax.jacrev(path, argnums=(0, 1))(a, b)
        return first, jax.jacfwd(jax.jacrev(path))(a, b)

    (by_a, by_b), second = derivatives(x, x)
    identity = np.eye(3)
    np.testing.assert_allclose(by_a, np.stack([0.7 * identity, 0 * identity]), atol=1e-12)
    np.testing.assert_allclose(by_b, np.stack([0.3 * identity, identity]), atol=1e-12)
    _, nearby = derivatives(x, x + jnp.array([2e-3, -1e-3, 1e-3]))
    np.testing.assert_allclose(second, nearby, atol=2e-3)
    assert np.max(np.abs(second)) > 0.02
    (at_zero, _), _ = derivatives(0 * x, x)
    assert np.all(np.isfinite(at_zero))


def test_its_velocity_at_the_ends_is_that_of_the_path():
    x0, x1 = jnp.array([1.0, 0.0]), jnp.array([0.0, 2.0])
    at = lambda t: Slerp()(x0, x1, t[None])[0]  # noqa: E731
    speed = jax.jit(lambda t: jax.jvp(at, (t,), (jnp.asarray(1.0),))[1])
    for t in (0.0, 1.0):
        velocity = speed(np.asarray(t))
        quarter = np.pi / 2
        expected = np.array([-quarter * np.sin(quarter * t), 2 * quarter * np.cos(quarter * t)])
        np.testing.assert_allclose(velocity, expected, atol=1e-12)


def test_half_precision_keeps_the_norms_of_large_latents():
    """|x|^2 of such noise is near the end of float16, 65504."""
    noise = jax.random.normal(jax.random.key(3), (2, 4, 128, 128)).astype(jnp.float16)
    middle = jax.jit(lambda a, b: Slerp()(a, b, jnp.array([0.5]))[0])(noise[0], noise[1])
    assert middle.dtype == jnp.float32
    np.testing.assert_allclose(np.std(middle), 1, atol=0.02)
