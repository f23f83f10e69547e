"""Hard problems: saddles, several starts, paths through samples, meshes that adapt."""

import os
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import geojax
from geojax import RESULTS
from geojax.geodesics._leading import leading_metric
from geojax.geodesics._neighbours import _nearest
from geojax.models import load_mnist, rotated_batch
from tests.geodesics.problems import metric, on_circle

RING = metric(2, 0.5, 1.0)
A, B = jnp.asarray([2.0, 0.0]), jnp.asarray([-2.0, 0.0])
FEW = {"num_segments": 32, "discretisation_tolerance": 1.0}  # one program for most tests
PLAIN = geojax.GaussNewton(curvature_steps=0)


class Modes(eqx.Module):
    """Equal Gaussians, as a score and a log-density."""

    means: Float[Array, "k *shape"]
    width: float = 0.4

    def log_density(self, x, args: Any = None):
        squares = jnp.sum((self.means - x[None]) ** 2, axis=tuple(range(1, self.means.ndim)))
        return jax.nn.logsumexp(-squares / (2 * self.width**2))

    def __call__(self, x, args: Any = None):
        squares = jnp.sum((self.means - x[None]) ** 2, axis=tuple(range(1, self.means.ndim)))
        weights = jax.nn.softmax(-squares / (2 * self.width**2))
        return (jnp.tensordot(weights, self.means, axes=1) - x) / self.width**2


@pytest.mark.slow
def test_from_the_straight_line_between_opposite_points_it_goes_around():
    """The line is a geodesic by symmetry, and a saddle."""
    line = geojax.geodesic(RING, A, B, solver=PLAIN, **FEW, throw=False)
    assert line.result == RESULTS.saddle_point
    np.testing.assert_allclose(line.curve.xs[:, 1], 0, atol=1e-12)
    blind = geojax.geodesic(RING, A, B, solver=PLAIN, **FEW, diagnostics="price")
    assert blind.result == RESULTS.successful  # as it was asked not to look
    around = geojax.geodesic(RING, A, B, **FEW)
    assert around.energy < 0.5 * line.energy
    assert np.linalg.norm(around.curve.xs, axis=1).min() > 1.3
    with pytest.raises(RuntimeError, match="saddle"):
        geojax.geodesic(RING, A, B, solver=PLAIN, **FEW)


@pytest.mark.slow
def test_a_sum_of_squares_leaves_its_saddle_too():
    norm = geojax.ScoreNormMetric(RING.score, 1.0)
    around = geojax.geodesic(norm, A, B, **FEW)
    assert np.linalg.norm(around.curve.xs, axis=1).min() > 1.3


@pytest.mark.slow
def test_of_several_starts_the_lowest_fine_energy_wins():
    angles = np.linspace(0, 2 * np.pi - 2.0, 9)
    long_way = jnp.asarray(2 * np.stack([np.cos(angles), -np.sin(angles)], axis=1))
    target = on_circle(2, 2.0)
    both = geojax.geodesic(RING, A, target, init=[long_way, long_way[:2]], **FEW)
    assert both.stats["start"] == 1
    assert both.stats["start_energies"][0] > 2 * both.stats["start_energies"][1]
    assert float(both.energy) == pytest.approx(
        float(geojax.geodesic(RING, A, target, **FEW).energy)
    )
    alone = geojax.geodesic(RING, A, target, init=long_way, **FEW)
    assert alone.stats["score_evaluations"] < both.stats["score_evaluations"]
    with pytest.raises(ValueError, match="at least one path"):
        geojax.geodesic(RING, A, target, init=[], **FEW)


@pytest.mark.slow
def test_uneven_steps_give_the_same_geodesic():
    target = on_circle(1.5, 2.0)
    ts = jnp.asarray(np.linspace(0, 1, 33) ** 1.3)
    even = geojax.geodesic(RING, A, target, num_segments=32)
    uneven = geojax.geodesic(RING, A, target, num_segments=32, ts=ts)
    assert float(uneven.length) == pytest.approx(float(even.length), rel=2e-3)
    np.testing.assert_allclose(uneven.curve.evaluate(0.5), even.curve.evaluate(0.5), atol=0.02)
    np.testing.assert_allclose(uneven.final_velocity, even.final_velocity, rtol=0.03)
    assert uneven.stats["speed_defect"] < 0.02
    with pytest.raises(ValueError, match="33 nodes"):
        geojax.geodesic(RING, A, target, num_segments=32, ts=ts[1:])
    with pytest.raises(RuntimeError, match="rise from 0 to 1"):
        geojax.geodesic(RING, A, target, num_segments=32, ts=ts[::-1])


@pytest.mark.slow
def test_modes_far_apart_settle():
    """Five modes, lam = 100: the coarse path hides its motion; what comes out does not."""
    modes = Modes(jax.random.normal(jax.random.key(1), (5, 2)))
    stein = geojax.SteinScoreMetric(modes, 100.0)
    stages = []
    solution = geojax.robust_geodesic(
        stein,
        modes.means[0],
        modes.means[1],
        num_segments=8,
        discretisation_tolerance=0.05,
        callback=lambda stage, found: stages.append((stage, found)),
    )
    assert stages[0][1].result == RESULTS.under_resolved
    assert solution.result == RESULTS.successful
    assert solution.stats["discretisation_error"] <= 0.05
    assert solution.length >= 0.995 * solution.stats["lower_bound"]
    assert len(solution.curve.ts) > 9 and np.ptp(np.diff(solution.curve.ts)) > 1e-3
    total = sum(int(found.stats["score_evaluations"]) for _, found in stages)
    assert solution.stats["score_evaluations"] == total


def test_the_metric_that_leads_to_one_with_a_jacobian():
    score, target = RING.score, on_circle(2, 2.0)
    jacobian = geojax.JacobianMetric(score, 0.1)
    norm = geojax.ScoreNormMetric(score, 1.0)
    middle = np.asarray(A + target) / 2
    radius = np.linalg.norm(middle)
    square = ((radius - 2.0) / 0.5**2) ** 2  # |s|^2 where the chord is nearest to the centre
    for hard in (jacobian, 2 * jacobian, norm + jacobian, 0.5 * (RING + jacobian) + norm):
        found = leading_metric(hard, A, target, None)
        assert isinstance(found, geojax.SteinScoreMetric) and found.score is score
        assert float(found.lam) == pytest.approx(1000 / square)  # on the data the score is 0
    for other in (RING, norm, geojax.Euclidean(), RING + norm):
        assert leading_metric(other, A, target, None) is None
    nowhere = geojax.JacobianMetric(lambda x, args: 0 * x, 0.1)
    assert leading_metric(nowhere, A, target, None) is None


@pytest.mark.slow
def test_the_geodesic_of_the_stein_metric_is_a_start():
    """Round a narrow ring, in the Jacobian metric: nothing that is spent on it is forgotten."""
    score, target = geojax.Shell(2.0, 0.2), on_circle(2, 2.5)
    jacobian = geojax.JacobianMetric(score, 1e-2)
    stages = []
    found = geojax.robust_geodesic(
        jacobian, A, target, throw=False, callback=lambda *stage: stages.append(stage)
    )
    names = [name for name, _ in stages]
    assert names == [
        "Stein metric, 16 segments",
        "start 0, 16 segments",
        "start 1, 16 segments",
    ]
    first, _, led = (solution for _, solution in stages)
    stein = leading_metric(jacobian, A, target, None)
    assert stein is not None
    np.testing.assert_allclose(first.energy, geojax.geodesic(stein, A, target).energy, rtol=1e-6)
    np.testing.assert_allclose(found.stats["start_energies"][1], led.stats["energy_fine"])
    assert found.stats["energy_fine"] == min(found.stats["start_energies"])
    assert led.stats["num_steps"] < stages[1][1].stats["num_steps"]
    total = sum(int(solution.stats["score_evaluations"]) for _, solution in stages)
    assert found.stats["score_evaluations"] == total


@pytest.mark.slow
def test_the_path_through_samples():
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 150)
    samples = jnp.asarray(2 * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    path = geojax.neighbour_path(samples, A, on_circle(2, 2.0), neighbours=5)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 2, rtol=1e-12)
    turned = np.arctan2(path[:, 1], path[:, 0])
    assert (np.diff(turned) > 0).all() and turned[-1] == pytest.approx(2.0)
    flat = geojax.neighbour_path(samples, A, on_circle(2, 2.0), geojax.Euclidean(), neighbours=5)
    np.testing.assert_array_equal(flat, path)
    # Modes that no short edge joins.
    apart = np.concatenate([samples[:75], samples[75:] + 50.0])
    joined = geojax.neighbour_path(apart, A, A + 50.0, neighbours=5)
    assert np.linalg.norm(np.diff(joined, axis=0), axis=1).max() > 40
    with pytest.raises(ValueError, match="samples must have shape"):
        geojax.neighbour_path(samples[0], A, B)
    with pytest.raises(ValueError, match="finite"):
        geojax.neighbour_path(samples * jnp.nan, A, B)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e4])
def test_neighbours_far_from_zero_in_float32(offset):
    """Along an arc every hop is one step of the samples; squares of 1e8 have 8 in their last place.

    A second arc as far away again leaves nothing to be gained by a common centre.
    """
    angles = np.linspace(0, np.pi, 60)
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    arcs = np.float32(np.concatenate([arc + offset, arc - np.array([2 * offset + 5, 0])]))
    for samples in (jnp.asarray(arcs[:60]), jnp.asarray(arcs)):
        path = geojax.neighbour_path(samples, samples[0], samples[59], neighbours=2)
        hops = np.linalg.norm(np.diff(np.asarray(path, np.float64), axis=0), axis=1)
        assert np.max(hops) < 0.06


def test_neighbours_are_those_of_all_distances():
    """Of pixels in 0 ... 255 and of points that lie many times nearer to each other than to 0."""
    rng = np.random.default_rng(0)
    for spread, centre in ((60.0, 128.0), (1e-3, 50.0)):
        points = np.float32(centre + spread * rng.standard_normal((200, 30)))
        lengths, others = _nearest(jnp.asarray(points), 5)
        apart = np.linalg.norm(np.float64(points[:, None]) - points[None], axis=-1)
        np.fill_diagonal(apart, np.inf)
        np.testing.assert_allclose(lengths, np.sort(apart, axis=1)[:, :5], rtol=1e-4)
        np.testing.assert_allclose(np.take_along_axis(apart, others, axis=1), lengths, rtol=1e-4)


@pytest.mark.skipif("GEOJAX_DATA_DIR" not in os.environ, reason="needs GEOJAX_DATA_DIR")
@pytest.mark.slow
def test_a_turning_digit_is_followed():
    """One digit turned in steps of 2 degrees; the geodesic over 90 degrees is the rotation.

    From the straight line the path ends on the wrong side of a ridge that only fine pricing sees.
    Three points a segment, each of which crosses a ridge between two of the pictures.
    """
    images, _ = load_mnist("test")

    def turned(degrees):
        degrees = jnp.asarray(degrees, jnp.float32)
        copies = jnp.broadcast_to(jnp.asarray(images[0]), (len(degrees), 28, 28))
        return rotated_batch(copies, jnp.deg2rad(degrees))[:, 0]

    orbit = turned(np.arange(0.0, 360.0, 2.0))
    score = Modes(orbit, 1.0)
    combined = geojax.ScoreNormMetric(score, 10.0) + geojax.SteinScoreMetric(score, 10.0)
    line = orbit[jnp.asarray([0, 45])]
    samples = geojax.neighbour_path(orbit[::5], orbit[0], orbit[45], neighbours=4)
    assert len(samples) >= 9
    solution = geojax.geodesic(
        combined,
        orbit[0],
        orbit[45],
        solver=geojax.GaussNewton(),
        init=[line, samples],
        rule=geojax.SplineGauss(order=3),
        num_segments=45,
        max_steps=20,
        throw=False,
    )
    assert solution.stats["start"] == 1
    worst, best = solution.stats["start_energies"]
    assert worst > 3 * best
    truth = turned(90 * np.asarray(solution.curve.ts))
    errors = jnp.mean((solution.curve.xs - truth) ** 2, axis=(1, 2))[1:-1]
    assert 10 * np.log10(4 / jnp.mean(errors)) > 40  # decibels; pixels are in [-1, 1]
