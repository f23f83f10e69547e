"""Paths of a pipeline: what does not change the result, what does, and what it costs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import geojax
from geojax.geodesics import (
    GaussNewton,
    Midpoint,
    PathEnergy,
    Quadrature,
    SplineGauss,
    TwoPointProblem,
)
from geojax.interpolation import NAMED_METRICS, MethodSettings
from geojax.interpolation._pictures import denoised, pictures
from geojax.scores import DataPrediction, ScaledLinear
from tests.models.stable_diffusion.parity import tiny_model

SCHEDULE = ScaledLinear()
TRACED = []


def network(x, t, args):
    """Data around a centre that the condition names."""
    TRACED.append(x.shape)
    return 0.3 * jnp.tanh(x) + args


SCORE = DataPrediction(network, SCHEDULE)
LATENTS = jax.random.normal(jax.random.key(1), (2, 4))
CONDITIONS = (jnp.zeros(4), jnp.asarray([1.0, -1.0, 0.5, 0.0]))
# Two conditions make no gradient of the two scores: the exact derivative is wanted.
SOLVER = GaussNewton(curvature_steps=0)
OPTIONS: dict = {"num_segments": 6, "solver": SOLVER, "diagnostics": "price"}


def gaussian(x, t, args):
    """The denoised point for data around the condition, with standard deviation 1/2."""
    alpha, square = SCHEDULE.alpha(t), SCHEDULE.sigma(t) ** 2
    return args + 0.25 * alpha / (0.25 * alpha**2 + square) * (x - alpha * args)


def halved(image):
    return image / 2


def doubled(point):
    return 2 * point


def route_of(score=SCORE, conditions=CONDITIONS, **changes):
    """A picture is twice a point."""
    one = conditions[0] is conditions[1]
    settings = {
        "t": 0.4,
        "noising": "shared",
        "num_steps": 5,
        "args": conditions[0],
        "between": None if one else conditions,
        "encoder": halved,
        "decoder": doubled,
        "throw": False,
    }
    return geojax.NoiseRoute(score, **(settings | changes))


def run(score=SCORE, latents=LATENTS, conditions=CONDITIONS, **changes):
    of_the_route = ("noising", "denoising", "num_steps", "rtol", "decoder")
    route = route_of(score, conditions, **{n: changes.pop(n) for n in of_the_route if n in changes})
    settings = {"lam": 0.1, "key": jax.random.key(0), "frames": 4, **OPTIONS}
    return geojax.compare(route, *(2 * latents), **(settings | changes))


@pytest.fixture(scope="module")
def result():
    return run()


@pytest.mark.slow
def test_the_geodesic_has_the_least_energy(result):
    energies = {name: record.figures["energy"] for name, record in result.records.items()}
    assert min(energies, key=energies.get) == "geodesic"
    assert not result.problems
    solution = result.solution
    figures = result.records["geodesic"].figures
    np.testing.assert_allclose(figures["energy"], solution.energy, rtol=1e-6)
    np.testing.assert_allclose(figures["energy_fine"], solution.stats["energy_fine"], rtol=1e-2)
    np.testing.assert_allclose(figures["length"], solution.length, rtol=1e-6)


@pytest.mark.slow
def test_chunks_do_not_change_the_result(result):
    other = run(rule=SplineGauss(batch_size=3, devices=geojax.device_mesh()))
    for name, record in result.records.items():
        np.testing.assert_allclose(other.records[name].images, record.images, rtol=1e-9)
        np.testing.assert_allclose(other.records[name].log_density, record.log_density, rtol=1e-9)


def test_the_ends_are_denoised_under_their_own_conditions(result):
    for end, condition in enumerate(CONDITIONS):
        z = SCHEDULE.add_noise(LATENTS[end], jax.random.normal(jax.random.key(0), (4,)), 0.4)
        image = 2 * geojax.scores.ddim(SCORE, z, 0.4, 0.0, num_steps=5, args=condition)
        for record in result.records.values():
            np.testing.assert_allclose(record.images[-end], image, rtol=1e-9)


def test_every_evaluation_is_counted(result):
    figures = result.records["geodesic"].figures
    assert figures["network_evaluations"] == figures["score_evaluations"] + 4 * 5
    assert result.records["LERP"].figures["network_evaluations"] == 4 * 5


@pytest.mark.slow
def test_the_counts_are_the_calls_that_are_made():
    calls = []

    def network(x, t, args):
        jax.debug.callback(calls.append, x[0])
        return 0.3 * jnp.tanh(x) + args

    score = DataPrediction(network, SCHEDULE)
    options = {"num_segments": 3, "solver": PathEnergy(optax.adam(1e-3)), "max_steps": 2}
    given = options | {"diagnostics": "price", "conditions": CONDITIONS[:1] * 2}
    given["rule"] = Midpoint()  # at once: no block is filled up
    # Not so far beyond B that the continuation refuses its first step, which is not counted.
    result = run(score, until=1.1, frames=2, noising="inversion", num_steps=2, **given)
    jax.effects_barrier()
    figures = [record.figures for record in result.records.values()]
    pricing = sum(each["pricing_evaluations"] for each in figures)
    # The inversion, 4 ways of two steps, serves every path and is counted for each.
    asked = sum(each["network_evaluations"] for each in figures) - (len(figures) - 1) * 4 * 2
    assert len(calls) == asked + pricing
    beyond, path = result.extension_figures, result.records["geodesic"].figures
    for name in ("score_evaluations", "score_products"):
        assert path[name] == result.solution.stats[name] + beyond[name] > beyond[name] > 0


@pytest.mark.slow
def test_inversion_reports_its_error():
    one = CONDITIONS[:1] * 2
    note, *_ = run(noising="inversion", conditions=one, num_steps=20).notes
    message = "DDIM backwards and forwards again changes A and B by"
    assert str(note).startswith(message)


@pytest.mark.slow
def test_the_probability_flow_is_many_steps_of_ddim():
    """There and back, and every evaluation of it is counted."""
    options = {"score": DataPrediction(gaussian, SCHEDULE), "noising": "inversion"}
    ways = [
        run(denoising="ddim", num_steps=2000, **options),
        run(denoising="probability_flow", rtol=1e-6, **options),
    ]
    steps, flow = (way.records["geodesic"] for way in ways)
    np.testing.assert_allclose(flow.points, steps.points, atol=5e-3)
    np.testing.assert_allclose(flow.images, steps.images, atol=5e-3)
    found = flow.figures
    asked = found["network_evaluations"] - found["score_evaluations"]
    assert 4 * 20 < asked < 8 * 2000
    assert str(ways[1].notes[0]).startswith("The probability flow backwards and forwards again")


@pytest.mark.slow
def test_baselines_by_name():
    """Among noised latents, under two conditions, with their cost and their verdict."""
    solved = [
        "NAO",
        "string method",
        "spacetime",
        "density flow",
        "Jacobian as published",
        "Stein as published",
        "smoothed",
    ]
    names = ["NoiseDiffusion", *solved]
    options = OPTIONS | {"max_steps": 3, "num_steps": 2}
    result = run(methods=names, rule=Midpoint(batch_size=3), **options)
    assert list(result.records) == ["LERP", *names, "geodesic"]
    for name, record in result.records.items():
        assert record.images.shape == (4, 4) and np.isfinite(record.images).all(), name
        # NoiseDiffusion sharpens the ends too, as published; NAO goes by level 1 in two steps, the
        # string method by clean latents.
        if name not in ("NoiseDiffusion", "NAO", "string method"):
            ends = result.records["LERP"].points[[0, -1]]
            np.testing.assert_allclose(record.points[[0, -1]], ends, atol=1e-9)
    for name in solved:
        figures = result.records[name].figures
        assert figures["score_evaluations"] > 0 and figures["seconds"] > 0, name
        # Only those by a geodesic of the score differentiate it.
        free = ("NAO", "string method", "density flow")
        assert (figures["score_products"] > 0) == (name not in free), name
    for name in ("Stein as published", "spacetime"):
        assert any(str(note).startswith(f"{name}: ") for note in result.notes), name


@pytest.mark.slow
def test_metrics_by_name():
    noised, args = SCORE.at(0.4), CONDITIONS[0]
    route = geojax.NoiseRoute(SCORE, 0.4)
    by_matrix = ("Stein", "combined", "Jacobian", "norm")

    @jax.jit
    def figures(x):
        settings = MethodSettings(route, x.shape, jax.random.key(0), lam=0.3, reference=0 * x)
        found = {name: NAMED_METRICS[name](settings).as_matrix(x, args) for name in by_matrix}
        density = NAMED_METRICS["density"](settings)
        slope = jax.grad(lambda y: density.norm(y, x, args))(0 * x)
        at = lambda y: noised(y, args)  # noqa: E731
        by_score = at(x), jax.jacobian(at)(x), at(0 * x)
        return found, by_score, density.as_matrix(0 * x, args), slope

    found, by_score, density, slope = figures(LATENTS[0])
    s, jacobian, at_reference = map(np.asarray, by_score)
    identity, sigma = np.eye(4), float(SCHEDULE.sigma(0.4))
    bend = 0.3 * sigma**2 * jacobian.T @ jacobian
    expected = {
        "Stein": identity + 0.3 * np.outer(s, s),
        "combined": (1 + 1e-6) * identity + 0.3 * np.outer(s, s) + bend,
        "Jacobian": identity + bend,
        "norm": (1 + 0.3 * s @ s) * identity,
    }
    for name, matrix in expected.items():
        np.testing.assert_allclose(found[name], matrix, rtol=1e-9)
    np.testing.assert_allclose(density, identity, rtol=1e-9)
    np.testing.assert_allclose(slope / np.linalg.norm(LATENTS[0]), -at_reference / 4, rtol=1e-9)
    assert set(NAMED_METRICS) == {*expected, "smoothed", "density"}


@pytest.mark.slow
def test_another_metric_in_chunks():
    """One that is not of low rank, whose segments are seen three at a time."""
    result = run(metric=NAMED_METRICS["density"], methods=(), frames=2, num_steps=1, lam=0.0)
    figures = result.records["geodesic"].figures
    assert not result.problems
    assert figures["energy"] < result.records["LERP"].figures["energy"]


def test_programs_are_compiled_once_for_all_pairs():
    """A network's Python runs where a program is traced, and not for a second pair."""
    run()
    first = len(TRACED)
    assert first > 0
    run(latents=LATENTS[::-1] + 1, key=jax.random.key(2))
    assert len(TRACED) == first


def test_the_memory_of_the_points_is_freed_while_they_are_denoised():
    """Their buffer is given up where a block is denoised, and what the caller holds is not."""
    rule = Midpoint(batch_size=2)
    route = route_of(num_steps=2)
    points, shares = LATENTS + 0, jnp.asarray([0.0, 1.0])
    clean, _ = denoised((route, rule, shares), points)
    assert points.is_deleted()
    images, evaluations = pictures(route, rule, LATENTS, np.asarray(shares))
    assert not LATENTS.is_deleted() and evaluations == 4
    np.testing.assert_allclose(images, 2 * clean, rtol=1e-12)


@pytest.mark.slow
def test_beyond_b():
    names = ["tangent step", "score-guided walk"]
    result = run(until=1.5, methods=names)
    assert result.frame_times[-1] == 1.5
    assert list(result.records) == ["LERP", *names, "geodesic"]
    up_to_b = result.frame_times <= 1
    for name in names:
        record, line = result.records[name], result.records["LERP"]
        assert record.images.shape == (6, 4) and record.figures["score_evaluations"] > 0
        np.testing.assert_allclose(record.points[up_to_b], line.points[up_to_b], atol=1e-12)
        assert not np.allclose(record.points[-1], line.points[-1], atol=1e-3)
    assert result.records["geodesic"].images.shape == (6, 4)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"methods": ["SLURP"]}, "unknown method 'SLURP'"),
        ({"methods": ["tangent step"]}, "tangent step continues beyond B: set until above 1."),
        ({"methods": ["NAO"], "until": 1.5}, "method 'NAO' ends at B: leave it out"),
        ({"frames": 1}, "frames must be at least 2"),
        ({"until": 0.5}, "until must be at least 1, the time of B"),
    ],
)
def test_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        run(**change)


@pytest.mark.slow
def test_few_evaluations_of_a_network_and_none_of_its_derivatives():
    """16 segments, forward evaluations only: at most 400, all checks included, to a path that is
    no straight line.
    """
    model = tiny_model("small")
    text = jax.random.normal(jax.random.key(2), (77, 12), jnp.float32)
    a, b = jax.random.normal(jax.random.key(3), (2, 4, 8, 8), jnp.float32)
    metric = geojax.SteinScoreMetric(model.score.at(0.4), jnp.asarray(0.1))
    solver, rule = GaussNewton(rtol=1e-3, curvature_steps=0), Quadrature(batch_size=16)
    options = {"rule": rule, "num_segments": 16, "diagnostics": "price", "throw": False}
    solution = geojax.geodesic(metric, a, b, solver=solver, args=text, **options)
    assert solution.result == geojax.RESULTS.successful
    assert solution.stats["score_evaluations"] <= 400
    assert solution.stats["score_products"] == 0
    assert solution.stats["num_steps"] >= 1
    straight = TwoPointProblem(metric, rule, text, a, b).energy(jnp.zeros((17, *a.shape), a.dtype))
    assert jnp.sum((b - a) ** 2) / 2 < solution.energy < 0.999 * straight
