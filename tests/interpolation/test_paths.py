"""LERP, SLERP, the geodesic and its continuation, and the way to a noise level and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.interpolation import ExtendedGeodesic
from tests.geodesics.problems import metric, on_circle

TS = jnp.asarray([0.0, 0.25, 0.5, 1.0, 1.5])
lerp, slerp = (
    jax.jit(lambda x0, x1, method=method: method(x0, x1, TS))
    for method in (geojax.Lerp(), geojax.Slerp())
)
A, B = on_circle(2.0, 0.0), on_circle(1.9, 1.0)


def test_lerp_is_exact_at_the_ends_and_goes_on():
    x0, x1 = np.arange(4.0).reshape(1, 2, 2), np.ones((1, 2, 2))
    points = lerp(x0, x1)
    assert points.shape == (5, 1, 2, 2)
    np.testing.assert_array_equal(points[0], x0)
    np.testing.assert_array_equal(points[3], x1)
    np.testing.assert_allclose(points[4], x0 + 1.5 * (x1 - x0))
    assert lerp(x0.astype(np.float32), x1.astype(np.float32)).dtype == jnp.float32


@pytest.mark.parametrize("dtype, tol", [(jnp.float64, 1e-12), (jnp.float32, 1e-5)])
@pytest.mark.parametrize("angle", [1e-3, 0.7, 2.0, 3.1])
def test_slerp_keeps_the_norm_and_turns_evenly(angle, dtype, tol):
    around = lambda angle: 3 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)  # noqa: E731
    x0, x1 = (around(phi).astype(dtype) for phi in (0.4, 0.4 + angle))
    points = slerp(x0, x1)
    assert points.dtype == dtype
    expected = around(0.4 + np.asarray(TS) * angle)
    blur = tol / np.sin(angle)  # the sine divides
    np.testing.assert_allclose(points, expected, atol=3 * blur)


def test_slerp_of_parallel_and_of_opposite_points():
    x0, zero = np.asarray([1.0, 2.0]), np.zeros(2)
    np.testing.assert_allclose(slerp(x0, x0), np.tile(x0, (5, 1)), rtol=1e-14)
    np.testing.assert_allclose(slerp(x0, 3 * x0), lerp(x0, 3 * x0))
    np.testing.assert_allclose(slerp(zero, x0), lerp(zero, x0))
    assert np.isnan(slerp(x0, -x0)[1:3]).all()


@pytest.mark.slow
def test_the_euclidean_geodesic_is_lerp():
    x0, x1 = jnp.arange(4.0).reshape(1, 2, 2), jnp.ones((1, 2, 2))
    points = geojax.GeodesicInterpolator(geojax.Euclidean(), diagnostics="price")(x0, x1, TS)
    np.testing.assert_allclose(points, geojax.Lerp()(x0, x1, TS), atol=1e-12)


@pytest.mark.slow
def test_beyond_the_end_the_geodesic_is_the_exponential_map():
    stein = metric(2, 0.5, 1)
    path = geojax.GeodesicInterpolator(stein, num_segments=32)
    whole = path.solve(A, B, until=1.5)
    assert isinstance(whole, ExtendedGeodesic)
    points = path(A, B, TS)
    np.testing.assert_allclose(points, whole.evaluate(TS), atol=1e-12)
    np.testing.assert_array_equal(points[0], A)
    np.testing.assert_array_equal(points[3], B)
    velocity = whole.solution.final_velocity
    shot = geojax.exponential_map(stein, B, 0.5 * velocity)
    np.testing.assert_allclose(points[4], shot.curve.xs[-1], atol=1e-8)
    # It leaves as fast as the geodesic arrives, and keeps that speed.
    speed = float(stein.norm(B, velocity))
    assert speed == pytest.approx(float(whole.solution.length), rel=1e-3)
    assert float(whole.extension.length) == pytest.approx(0.5 * speed, rel=1e-9)

    assert path.solve(A, B).extension is None
    with pytest.raises(ValueError, match="until must be at least 1"):
        path.solve(A, B, until=0.5)
    for ts in (jnp.asarray([-0.1]), jnp.asarray([1.6])):
        with pytest.raises(RuntimeError, match="ts must lie in"):
            whole.evaluate(ts)


# The route to a noise level and back ------------------------------------------------------------

SCORE = geojax.GaussianMixture(jnp.asarray([[1.0, 0.0], [-1.0, 0.5]]), scales=0.3)
X0, X1 = jnp.asarray([1.1, -0.2]), jnp.asarray([-0.8, 0.6])


def test_shared_noise_keeps_the_difference():
    route = geojax.NoiseRoute(SCORE, t=0.3, noising="shared")
    z0, z1 = (route.to_level(x, key=jax.random.key(1)) for x in (X0, X1))
    alpha = SCORE.schedule.alpha(0.3)
    np.testing.assert_allclose(z1 - z0, alpha * (X1 - X0), atol=1e-14)
    again = route.to_level(X0, key=jax.random.key(1))
    np.testing.assert_array_equal(z0, again)
    with pytest.raises(ValueError, match=r"pass key=jax.random.key"):
        route.to_level(X0)


@pytest.mark.slow
@pytest.mark.parametrize("denoising, tol", [("probability_flow", 1e-3), ("ddim", 5e-2)])
def test_inversion_and_denoising_are_a_round_trip(denoising, tol):
    """The level must not be so high that one mode drowns the other in the tolerance."""
    route = geojax.NoiseRoute(SCORE, t=0.3, noising="inversion", denoising=denoising, num_steps=100)
    back = jax.jit(jax.vmap(lambda x: route.to_image(route.to_level(x))))(jnp.stack([X0, X1]))
    np.testing.assert_allclose(back, jnp.stack([X0, X1]), atol=tol)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"t": 0.0}, r"t must lie in \(0, 1\]"),
        ({"t": 400.0}, "step 400 of 1000 is"),
        ({"num_steps": 0}, "num_steps must be at least 1"),
    ],
)
def test_the_route_refuses_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        geojax.NoiseRoute(SCORE, **settings)


def test_the_library_and_the_commands_start_from_one_protocol():
    import inspect

    from geojax.cli import _defaults as defaults
    from geojax.cli._settings import Settings

    route, settings = geojax.NoiseRoute(SCORE), Settings()
    assert (route.t, route.noising, route.denoising) == (
        defaults.T,
        settings.noising.value,
        settings.denoising.value,
    )
    for function in (geojax.compare, geojax.interpolate):
        assert inspect.signature(function).parameters["lam"].default == defaults.LAM
