"""Principal geodesics against PCA, and against closed-form logarithms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax import frechet_mean, principal_geodesics
from tests.statistics.samples import FLAT, POINTS, SETTINGS, SHARES, WEIGHTS, ball


def analyse(space, num_components=3, **options):
    return principal_geodesics(space, POINTS, num_components, WEIGHTS, **{**SETTINGS, **options})


def pca(rows, shares):
    """Variances and components of rows that are already centred."""
    _, sizes, components = np.linalg.svd(np.sqrt(shares)[:, None] * rows, full_matrices=False)
    return sizes**2, components


@pytest.mark.slow
def test_in_flat_space_it_is_pca():
    fit = analyse(FLAT)
    points, shares = np.asarray(POINTS), np.asarray(SHARES)
    rows = 2 * (points - shares @ points)  # the metric is 4 I
    variances, components = pca(rows, SHARES)
    np.testing.assert_allclose(fit.variances, variances, rtol=1e-6)
    np.testing.assert_allclose(np.sum(fit.explained_variance_ratio), 1, rtol=1e-9)
    signs = np.sign(np.sum(np.asarray(fit.components) * components, axis=1))
    np.testing.assert_allclose(2 * fit.components, signs[:, None] * components, atol=1e-6)
    np.testing.assert_allclose(fit.coordinates, rows @ (signs[:, None] * components).T, atol=1e-6)


@pytest.mark.slow
def test_in_a_ball_it_is_pca_of_the_logarithms():
    space = ball(1.0)
    fit = analyse(space)

    @jax.jit
    def exact(mean):
        logs = jax.vmap(lambda x: space.log_map(mean, x))(POINTS)
        return logs * space.norm(mean, jnp.asarray([1.0, 0.0, 0.0])), space.as_matrix(mean)

    rows, matrix = jax.device_get(exact(fit.mean.point))  # conformal
    variances, _ = pca(rows, np.asarray(SHARES))
    np.testing.assert_allclose(fit.variances, variances, rtol=1e-5)
    components = np.asarray(fit.components)
    np.testing.assert_allclose(components @ matrix @ components.T, np.eye(3), atol=1e-9)
    # With all components nothing is lost; with fewer the rest is.
    np.testing.assert_allclose(fit.reconstruct(fit.coordinates[4]), POINTS[4], atol=1e-5)
    np.testing.assert_allclose(
        fit.project(POINTS[4], num_segments=4), fit.coordinates[4], atol=1e-5
    )
    path = jax.jit(lambda a: fit.reconstruct(a * jnp.asarray([1.0, 0.0, 0.0])))(jnp.asarray(0.3))
    assert float(space.distance(fit.mean.point, path)) == pytest.approx(0.3, rel=1e-5)


def test_logarithms_of_the_paths_will_do():
    fit = analyse(ball(1.0), 2, mean=frechet_mean(ball(1.0), POINTS, WEIGHTS, **SETTINGS))
    rough = analyse(ball(1.0), 2, mean=fit.mean, max_corrections=0)
    np.testing.assert_allclose(rough.variances, fit.variances, rtol=0.02)
    assert not np.allclose(rough.variances, fit.variances, rtol=1e-6)


def test_a_direction_without_variation_is_zero():
    flat_points = POINTS.at[:, 2].set(0.0)
    fit = principal_geodesics(FLAT, flat_points, 3, WEIGHTS, max_corrections=0, **SETTINGS)
    np.testing.assert_array_equal(fit.variances[2], 0)
    np.testing.assert_array_equal(fit.components[2], 0)
    assert np.all(fit.variances[:2] > 0)


@pytest.mark.parametrize("num_components", [0, 4])
def test_the_number_of_components_is_limited(num_components):
    with pytest.raises(ValueError, match="num_components must be from 1 to 3"):
        analyse(FLAT, num_components)


def test_a_mean_of_other_points_is_refused():
    mean = frechet_mean(FLAT, POINTS, WEIGHTS, **SETTINGS)
    with pytest.raises(ValueError, match="mean must be of these 6 points, got one of 7"):
        principal_geodesics(FLAT, POINTS[:6], 2, mean=mean)
