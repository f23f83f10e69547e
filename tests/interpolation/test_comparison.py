"""Three paths side by side: their figures are those of `geodesic`, and failures are said."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.interpolation import METHODS, MethodSettings, against_truth
from geojax.interpolation._default import chosen_geometry, has_start_metric
from geojax.interpolation._geodesic import _cheapest
from geojax.interpolation._seconds import _covered
from geojax.interpolation._verdict import verdict
from geojax.scores import AbstractScore, DataPrediction


class Wells(AbstractScore):
    """log p = sum_i 2/3 log cosh(3 x_i) - x_i^2 / 2 at every time: four wells, quick to compile."""

    schedule: geojax.VPLinear = geojax.VPLinear()

    def evaluate(self, x, t, args):
        return 2 * jnp.tanh(3 * x) - x


def log_density(x):
    return np.sum(2 / 3 * np.log(np.cosh(3 * x)) - x**2 / 2)


SCORE = Wells()
T, LAM, SEGMENTS = 0.2, 1.0, 12
ROUTE = geojax.NoiseRoute(SCORE, t=T, noising="shared", num_steps=4)
A, B = jnp.array([1.5, 0.3]), jnp.array([-1.0, 1.0])


def metric(lam=LAM):
    return geojax.SteinScoreMetric(SCORE.at(T), jnp.asarray(lam))


def run(pipeline=ROUTE, **changes):
    settings = {"key": jax.random.key(0), "lam": jnp.asarray(LAM), "num_segments": SEGMENTS}
    settings |= {"until": 1.5, "frames": 5}
    return geojax.compare(pipeline, A, B, **(settings | changes))


@pytest.mark.slow
def test_figures_are_those_of_geodesic():
    result = run()
    z0, z1 = (ROUTE.to_level(x, key=jax.random.key(0)) for x in (A, B))
    ts = jnp.linspace(0, 1, SEGMENTS + 1)
    for name, interpolator in (("LERP", geojax.Lerp()), ("SLERP", geojax.Slerp())):
        priced = geojax.geodesic(
            metric(),
            z0,
            z1,
            init=interpolator(z0, z1, ts),
            num_segments=SEGMENTS,
            max_steps=0,
            throw=False,
        )
        figures = result.records[name].figures
        np.testing.assert_allclose(figures["energy"], priced.energy, rtol=1e-10)
        np.testing.assert_allclose(figures["length"], priced.length, rtol=1e-10)
        np.testing.assert_allclose(figures["energy_fine"], priced.stats["energy_fine"], rtol=1e-3)
        error = abs(figures["energy_fine"] - figures["energy"]) / figures["energy"]
        assert figures["discretisation_error"] == pytest.approx(error)
    found, solution = result.records["geodesic"].figures, result.solution
    np.testing.assert_allclose(found["energy"], solution.energy, rtol=1e-10)
    np.testing.assert_allclose(found["energy_fine"], solution.stats["energy_fine"], rtol=1e-3)
    np.testing.assert_allclose(found["length"], solution.length, rtol=1e-10)
    assert found["iterations"] == solution.stats["num_steps"]
    assert not result.problems


def test_log_density_is_the_line_integral_of_the_score():
    result = run()
    z0 = ROUTE.to_level(A, key=jax.random.key(0))
    for record in result.records.values():
        expected = log_density(record.points[-1]) - log_density(np.asarray(z0))
        np.testing.assert_allclose(record.log_density[-1], expected, atol=2e-3)
        assert record.log_density[0] == 0


def test_times_reach_beyond_b():
    result = run()
    np.testing.assert_allclose(result.frame_times, [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5])
    assert len(result.node_times) == SEGMENTS + 6 + 1
    assert list(result.records) == list(METHODS)
    for record in result.records.values():
        assert record.images.shape == record.points.shape == (7, 2)
        assert record.energy_density.shape == (18,)
    lerp = result.records["LERP"].points
    np.testing.assert_allclose(lerp[6] - lerp[4], (lerp[4] - lerp[0]) / 2)
    drift = result.extension_figures["energy_drift"]
    density = result.records["geodesic"].energy_density
    np.testing.assert_allclose(density[SEGMENTS:], density[SEGMENTS - 1], rtol=0.05 + drift)


@pytest.mark.slow
def test_without_extrapolation_it_ends_at_b():
    result = run(until=1.0)
    assert result.extension is None
    assert result.extension_figures == {}
    np.testing.assert_allclose(result.frame_times, [0, 0.25, 0.5, 0.75, 1])
    for record in result.records.values():
        np.testing.assert_allclose(record.points[[0, -1]], result.records["LERP"].points[[0, -1]])


def test_stages_are_announced_in_order():
    stages = []
    run(on_stage=stages.append)
    assert stages == ["noise", "geodesic", "extension", "methods", "figures", "images"]


@pytest.mark.slow
def test_a_solve_that_fails_is_a_problem_not_an_exception():
    result = run(max_steps=1)
    assert len(result.problems) == 1
    assert "used up its steps" in str(result.problems[0])
    assert "Raise --max-steps" in result.problems[0].text("command line")


def test_a_metric_that_is_not_finite_is_a_problem_not_an_exception():
    result = run(lam=jnp.asarray(jnp.nan))
    assert len(result.problems) == 2
    assert all("not finite" in str(problem) for problem in result.problems)


def test_a_geodesic_that_is_lerp_is_said_to_be():
    assert any("indistinguishable from LERP" in str(n) for n in run(lam=jnp.asarray(0.0)).notes)
    assert not any("indistinguishable" in str(note) for note in run().notes)


def test_a_score_that_is_no_gradient_and_a_path_of_high_energy_have_notes():
    result = run()
    stats = result.solution.stats | {"path_dependence": jnp.asarray(0.4)}
    solution = eqx.tree_at(lambda s: s.stats, result.solution, stats)
    records = dict(result.records)
    expensive = records["geodesic"].figures | {"energy_fine": 1e9}
    records["geodesic"] = records["geodesic"]._replace(figures=expensive)
    problems, notes = verdict(records, solution, result.extension, result.contrast)
    assert not problems
    assert any("not exactly a gradient" in str(note) and "40%" in str(note) for note in notes)
    assert any("straight line has less energy" in str(note) for note in notes)
    assert any("A geodesic cannot follow the data here" in str(note) for note in notes)


def test_seconds_count_compilation_once():
    figures = run().records["geodesic"].figures
    assert 0 <= figures["compile_seconds"] <= figures["seconds"]
    assert _covered([(0.0, 4.0), (1.0, 2.0), (3.0, 5.0), (7.0, 8.0)]) == 6.0
    assert _covered([]) == 0.0


def test_impossible_arguments():
    with pytest.raises(ValueError, match=r"until must be at least 1, the time of B, got 0\.5"):
        run(until=0.5)
    with pytest.raises(ValueError, match="frames must be at least 2, got 1"):
        run(frames=1)


class Scaled(geojax.AbstractPipeline):
    """Points are pictures over three; clean points are seen at level 0.1."""

    score: AbstractScore
    t: float = 0.1

    def encode(self, image):
        return jnp.asarray(image) / 3

    def decode(self, point):
        return 3 * jnp.asarray(point)


@pytest.mark.slow
def test_a_pipeline_of_ones_own_and_a_truth():
    """On a ring whose pictures are known: figures of the pictures, contrast, lambda by the rule."""
    ring = geojax.NoisedSphere(1.0, schedule=geojax.VE(0.1, 1.0))

    def truth(time):
        angle = 2.0 * time
        return 3 * np.asarray([np.cos(angle), np.sin(angle)])

    a, b = truth(0.0), truth(1.0)
    options = {"key": jax.random.key(0), "num_segments": SEGMENTS, "until": 1.5, "frames": 5}
    result = geojax.compare(Scaled(ring), a, b, methods=(), truth=truth, **options)
    assert list(result.records) == ["LERP", "geodesic"] and not result.problems
    line, path = (record.figures for record in result.records.values())
    assert path["psnr"] > line["psnr"] + 8 and path["psnr_beyond"] > line["psnr_beyond"] + 8
    assert line["detour"] == pytest.approx(1) and 1.05 < path["detour"] < 1.2
    np.testing.assert_allclose(result.truth[-1], truth(1.5))
    contrast = geojax.score_contrast(ring.at(0.1), (a / 3)[None], (b / 3)[None])
    assert result.lam == pytest.approx(float(contrast.lam), rel=1e-5)
    assert bool(result.contrast.knows_the_chord)
    # Points without noise: the metric of the Jacobian, from the geodesic of that of the score.
    stein = geojax.SteinScoreMetric(ring.at(0.1), contrast.lam)
    weight = 10 * float(ring.schedule.sigma(0.1)) ** 4
    jacobian = geojax.JacobianMetric(ring.at(0.1), weight)
    solve = {"num_segments": SEGMENTS, "throw": False}
    plain = geojax.GaussNewton(rtol=1e-3, curvature_steps=0)
    first = geojax.geodesic(stein, a / 3, b / 3, solver=plain, diagnostics="none", **solve)
    second = geojax.geodesic(jacobian, a / 3, b / 3, init=first.curve.xs, **solve)
    np.testing.assert_allclose(result.solution.curve.xs, second.curve.xs, atol=1e-6)
    assert result.leading is not None
    np.testing.assert_allclose(result.leading.energy, first.energy, rtol=1e-6)
    both = (first.stats, second.stats)
    assert path["iterations"] == sum(int(stats["num_steps"]) for stats in both)
    choice = 2 * 2 * SEGMENTS  # to price the straight line and that path
    spent = sum(int(stats["score_evaluations"]) for stats in both) + choice
    beyond = result.extension_figures["score_evaluations"]
    assert path["score_evaluations"] == spent + beyond
    named = f"I + {weight:.4g} J^T J (10 sigma^4), from the geodesic of I + {result.lam:.4g} s s^T"
    assert result.metric == named
    images = geojax.interpolate(Scaled(ring), a, b, frames=5, num_segments=SEGMENTS, throw=False)
    assert images.metric == named and named in str(images)
    np.testing.assert_allclose(images.points, result.records["geodesic"].points[:5], atol=1e-6)
    assert images.solution.stats["score_evaluations"] == spent
    assert not any("cannot follow" in str(note) for note in result.notes)
    with pytest.raises(ValueError, match="NoiseDiffusion' needs a pipeline that adds noise"):
        geojax.compare(Scaled(ring), a, b, methods=["NoiseDiffusion"], **(options | {"until": 1.0}))
    with pytest.raises(ValueError, match="truth must return images of the shape of image_a"):
        geojax.compare(Scaled(ring), a, b, methods=(), truth=lambda time: np.zeros(3), **options)


def test_which_metric_leads_to_which():
    """Only where points carry no noise, and nobody asked for another."""
    own, ring = Scaled(SCORE), geojax.NoisedSphere(1.0, schedule=geojax.VE(0.1, 1.0))
    assert has_start_metric(own, "auto", None) and has_start_metric(own, "auto", geojax.Midpoint())
    quadrature = geojax.geodesics.Quadrature()
    for case in ((ROUTE, "auto", None), (own, 2.0, None), (own, "auto", quadrature)):
        assert not has_start_metric(*case)
    route = geojax.NoiseRoute(ring, t=0.1, noising="none", denoising="none")
    settings = MethodSettings(route, (2,), jax.random.key(0), lam=2.0)
    square = float(ring.schedule.sigma(0.1)) ** 2
    of = functools.partial(chosen_geometry, settings=settings)
    alone = of(None, with_start=False, auto=True)
    assert isinstance(alone.metric, geojax.SteinScoreMetric) and alone.description == "I + 2 s s^T"
    for name in ("Stein", "Jacobian", "combined"):
        assert of(name, with_start=True, auto=True).start_metric is None
    by_name, default = (of(name, with_start=True, auto=True).metric for name in ("Jacobian", None))
    for metric in (by_name, default):
        assert isinstance(metric, geojax.JacobianMetric) and float(metric.mu) == 1
        assert float(metric.lam) == pytest.approx(10 * square**2)
    given = of("Jacobian", with_start=True, auto=False).metric
    assert isinstance(given, geojax.JacobianMetric)
    assert float(given.lam) == pytest.approx(2.0 * square)
    own = of(lambda settings: geojax.Euclidean(), with_start=True, auto=True)
    assert own.description == "Euclidean" and own.start_metric is None


def test_a_path_of_more_energy_than_the_straight_line_is_no_start():
    line = np.linspace([0.0, 0.0], [1.0, 0.0], 5)
    flat = geojax.Euclidean(), geojax.Midpoint(), None
    problem = geojax.geodesics.TwoPointProblem(*flat, *jnp.asarray(line[[0, -1]]))
    bent, broken = line.copy(), line * np.nan
    bent[1, 1] = 1.0
    for paths in ((bent, line), (broken, line), (line, bent)):
        np.testing.assert_array_equal(_cheapest(problem, jnp.asarray(np.stack(paths))), line)


def test_psnr_is_that_of_the_squared_error():
    truth = np.zeros((4, 2, 2))
    images = np.stack([np.full((2, 2), e) for e in (9.0, 0.2, 9.0, 0.02)])
    found = against_truth(truth, images, np.asarray([0.0, 0.5, 1.0, 1.5]))
    assert found == {"psnr": pytest.approx(20.0), "psnr_beyond": pytest.approx(40.0)}
    assert against_truth(None, images, np.zeros(4)) == {}


def test_a_metric_or_a_weight_that_is_none():
    with pytest.raises(ValueError, match="unknown metric 'Fisher'"):
        run(metric="Fisher")
    with pytest.raises(ValueError, match="lam must be a number or 'auto', got 'big'"):
        run(lam="big")


@pytest.mark.slow
def test_interpolate_uses_the_conditions_of_a_pipeline():
    """As `args`, or different ones at A and at B, which `compare` uses in the same way."""
    score = DataPrediction(lambda x, t, args: 0.3 * jnp.tanh(x) + args, geojax.ScaledLinear())
    a, b, options = jnp.array([0.5, 0.1]), jnp.array([-0.4, 0.6]), {"lam": 0.1, "num_segments": 4}
    way = {"t": 0.3, "noising": "inversion", "num_steps": 2}
    first, second = jnp.array([0.3, 0.0]), jnp.array([0.0, -0.3])
    given = geojax.interpolate(score, a, b, first, frames=3, **way, **options)
    route = geojax.NoiseRoute(score, args=first, **way)
    own = geojax.interpolate(route, a, b, frames=3, **options)
    np.testing.assert_allclose(own.images, given.images, atol=1e-9)
    mixed = geojax.NoiseRoute(score, between=(first, second), **way)
    path = geojax.interpolate(mixed, a, b, frames=3, **options)
    wanted = geojax.compare(mixed, a, b, key=jax.random.key(0), frames=3, **options)
    np.testing.assert_allclose(path.images, wanted.records["geodesic"].images, atol=1e-6)
    assert np.max(np.abs(path.images[1] - given.images[1])) > 1e-3
