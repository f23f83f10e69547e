"""Paths among latents: what does not change the result, what does, and what it costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.geodesics import GaussNewton, Midpoint, Quadrature
from geojax.interpolation import compare_latents
from geojax.scores import DataPrediction, ScaledLinear
from tests.models.stable_diffusion.parity import tiny_model

SCHEDULE = ScaledLinear()
# Data around a centre that the condition names.
SCORE = DataPrediction(lambda x, t, args: 0.3 * jnp.tanh(x) + args, SCHEDULE)
LATENTS = jax.random.normal(jax.random.key(1), (2, 4))
CONDITIONS = (jnp.zeros(4), jnp.asarray([1.0, -1.0, 0.5, 0.0]))
# Two conditions make no gradient of the two scores: the exact derivative is wanted.
OPTIONS: dict = {"num_segments": 6, "rule": Midpoint(batch_size=4), "certify": False}
OPTIONS["solver"] = GaussNewton(curvature_steps=0)


def run(**changes):
    settings = {
        "metric": lambda s: geojax.SteinScoreMetric(s, 0.1),
        "decode": lambda z: 2 * z,
        "conditions": CONDITIONS,
        "t": 0.4,
        "key": jax.random.key(0),
        "num_steps": 5,
        "frames": 4,
        "options": OPTIONS,
    }
    return compare_latents(SCORE, LATENTS, 2 * LATENTS, **(settings | changes))


@pytest.fixture(scope="module")
def result():
    return run()


def test_the_geodesic_has_the_least_energy(result):
    energies = {name: record.figures["energy"] for name, record in result.records.items()}
    assert min(energies, key=energies.get) == "geodesic"
    assert not result.problems
    solution = result.solution
    figures = result.records["geodesic"].figures
    np.testing.assert_allclose(figures["energy"], solution.energy, rtol=1e-6)
    np.testing.assert_allclose(figures["energy_fine"], solution.stats["energy_fine"], rtol=1e-2)
    np.testing.assert_allclose(figures["length"], solution.length, rtol=1e-6)


def test_chunks_do_not_change_the_result(result):
    other = run(chunk=3)
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


def test_inversion_tells_what_it_loses():
    one = CONDITIONS[:1] * 2
    (note,) = run(noising="inversion", conditions=one, num_steps=20).notes
    assert note.startswith("DDIM inversion and back changes the latents of A and B by")


def test_beyond_b():
    result = run(until=1.5)
    assert result.frame_times[-1] == 1.5
    assert result.records["geodesic"].images.shape == (6, 4)
    assert result.extension_figures["score_evaluations"] > 0


@pytest.mark.parametrize(
    "change, message",
    [
        ({"chunk": 0}, "chunk must be at least 1"),
        ({"frames": 1}, "frames must be at least 2"),
        ({"until": 0.5}, "until must be at least 1, the time of B"),
    ],
)
def test_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        run(**change)


def test_few_evaluations_of_a_network_and_none_of_its_derivatives():
    """16 segments, forward evaluations only: at most 400, all checks included."""
    model = tiny_model("small")
    text = jax.random.normal(jax.random.key(2), (77, 12), jnp.float32)
    a, b = jax.random.normal(jax.random.key(3), (2, 4, 8, 8), jnp.float32)
    solution = geojax.geodesic(
        geojax.SteinScoreMetric(model.score.at(0.4), 1e-3),
        a,
        b,
        GaussNewton(rtol=1e-2, curvature_steps=0),
        args=text,
        rule=Quadrature(batch_size=16),
        num_segments=16,
        certify=False,
        throw=False,
    )
    assert solution.result == geojax.RESULTS.successful
    assert solution.stats["score_evaluations"] <= 400
    assert solution.stats["score_products"] == 0
    straight = jnp.sum((b - a) ** 2) / 2
    assert solution.energy > straight  # the metric is not the Euclidean one
