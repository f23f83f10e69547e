"""Every interpolation and extrapolation method by one contract. A new one is one line in its table.

On a noised ring, whose score is exact; "ends" says whether the method returns the given points.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS
from geojax.interpolation import (
    ENDING_AT_B,
    EXTRAPOLATORS,
    INTERPOLATORS,
    MethodSettings,
    interpolator,
)
from geojax.scores import AbstractScore


class Ring(AbstractScore):
    """About the unit circle in the plane of the first two coordinates; quick to compile."""

    schedule: geojax.VE = geojax.VE(0.2, 2.0)

    def evaluate(self, x, t, args):
        inside = x * jnp.asarray([[1.0, 1.0, 0.0]])
        nearest = inside / jnp.sqrt(jnp.sum(inside**2) + 1e-6)
        return (nearest - x) / self.schedule.sigma(t) ** 2


SCORE = Ring()
# An exact one: the energies in spacetime are those of posteriors, which the ring's field has not.
DENSITY = geojax.GaussianMixture(jnp.zeros((1, 1, 3)), scales=0.5, schedule=geojax.VE(0.2, 2.0))
SCORES = {"spacetime": DENSITY}
CLEAN = geojax.NoiseRoute(SCORE, t=0.1, noising="none", denoising="none")
NOISED = geojax.NoiseRoute(SCORE, t=0.1, noising="shared", num_steps=4)
X0, X1 = jnp.asarray([[1.0, 0.0, 0.0]]), jnp.asarray([[0.2, 0.9, 0.1]])
TS = jnp.asarray([0.0, 0.3, 0.5, 1.0])
# The methods whose path does not begin and end at the given points, and those that use no solver
# that could fail.
MOVES_ENDS = {"NoiseDiffusion"}
BUDGETED = {"Jacobian as published", "Stein as published"}  # 500 steps of Adam, whatever they reach


def settings(route, name=""):
    route = dataclasses.replace(route, score=SCORES.get(name, SCORE))
    return MethodSettings(route, X0.shape, jax.random.key(1), lam=0.5, num_segments=8)


# Of each kind one in the quick tier: a formula, a flow, a solve.
QUICK = {"LERP", "SLERP", "NoiseDiffusion", "density flow", "Stein", "straight line"}
QUICK |= {"exponential map", "tangent step"}


def tiers(names):
    marks = {True: (), False: pytest.mark.slow}
    params = [pytest.param(name, marks=marks[name in QUICK]) for name in names]
    return pytest.mark.parametrize("name", params)


@pytest.mark.slow
@tiers(INTERPOLATORS)
def test_every_method(name):
    key = jax.random.key(2)
    method = interpolator(name, settings(CLEAN, name))
    path = method.run(X0, X1, TS, key=key)
    assert path.points.shape == (4, 1, 3)
    assert path.points.dtype == X0.dtype
    assert np.all(np.isfinite(path.points))
    assert path.score_evaluations >= 0
    geodesics = {
        "Jacobian as published",
        "Stein as published",
        "spacetime",
        "Stein",
        "combined",
        "smoothed",
        "norm + Stein",
    }
    assert (path.score_products > 0) == (name in geodesics)
    if name not in BUDGETED:
        assert path.result == RESULTS.successful, path.message
    if name not in MOVES_ENDS:
        np.testing.assert_allclose(np.asarray(path.points)[[0, 3]], [X0, X1], atol=1e-10)
    np.testing.assert_array_equal(method(X0, X1, TS, key=key), path.points)
    noised = interpolator(name, settings(NOISED, name))
    points = noised(X0, X1, TS, key=key)
    np.testing.assert_array_equal(points, noised(X0, X1, TS, key=key))
    assert np.all(np.isfinite(points))


@pytest.mark.slow
@tiers(EXTRAPOLATORS)
def test_every_extrapolation(name):
    method = interpolator(name, settings(CLEAN))
    ts = jnp.asarray([0.5, 1.0, 1.0 + 1e-6, 1.5])
    path = method.run(X0, X1, ts)
    assert path.points.shape == (4, 1, 3)
    assert path.result == RESULTS.successful, path.message
    points = np.asarray(path.points)
    np.testing.assert_allclose(points[1], X1, atol=1e-10)
    limit = 0.1 if name == "tangent step" else 1e-4  # its corrections do not begin at zero
    np.testing.assert_allclose(points[2], X1, atol=limit)
    # Forward: away from x0, to the far side of x1.
    assert np.vdot(points[3] - np.asarray(X1), np.subtract(X1, X0)) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "following",
    [
        ("density flow", "Stein"),
        pytest.param(("combined", "smoothed"), marks=pytest.mark.slow),
    ],
    ids=["quick", "slow"],
)
def test_geodesics_follow_the_ring_where_lerp_does_not(following):
    """On the same points, by how far their norms are from the ring's."""
    ends = jnp.asarray([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])
    furthest = {}
    ts = jnp.linspace(0, 1, 9)
    for name in ("LERP", *following):
        path = interpolator(name, settings(CLEAN)._replace(lam=3.0))(*ends, ts)
        furthest[name] = np.max(np.abs(np.linalg.norm(path[:, 0], axis=1) - 1))
    lerp = furthest.pop("LERP")
    assert furthest and all(gap < 0.7 * lerp for gap in furthest.values()), (lerp, furthest)


def test_an_unknown_method():
    with pytest.raises(ValueError, match=r"unknown method 'spline'. Known: LERP, SLERP"):
        interpolator("spline", settings(CLEAN))


@pytest.mark.parametrize("name", ENDING_AT_B)
def test_methods_between_the_ends_only(name):
    with pytest.raises(RuntimeError, match="between its end-points only"):
        interpolator(name, settings(CLEAN))(X0, X1, jnp.asarray([1.5]), key=jax.random.key(0))
