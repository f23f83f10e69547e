"""The figures of an inspection against their definitions, and the advice that follows."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.evaluation import DIRECTIONS, inspect_score, recommend

KEY = jax.random.key(1)
IMAGES = 2 * jnp.array([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], [[-0.6, 0.8, 0.1]]])
TS = (0.3, 0.1)


class Twisted(geojax.AbstractScore):
    """The score of a ring, and a rotation: no gradient."""

    part: geojax.NoisedSphere
    amount: jax.Array

    @property
    def schedule(self):
        return self.part.schedule

    def evaluate(self, x, t, args):
        return self.part(x, t) + self.amount * jnp.roll(x, 1) * jnp.array([[1.0, -1.0, 1.0]])


@pytest.fixture(scope="module")
def ring():
    plain = geojax.NoisedSphere(2.0, width=0.2)  # pyright: ignore[reportCallIssue]
    return Twisted(plain, jnp.asarray(0.0))  # pyright: ignore[reportCallIssue]


@pytest.fixture(scope="module")
def found(ring):
    return inspect_score(ring, IMAGES, TS, key=KEY, num_values=3, noising="shared")


@pytest.mark.slow
def test_the_figures_agree_with_their_definitions(ring, found):
    np.testing.assert_array_equal(found.ts, sorted(TS))
    score = ring.at(jnp.asarray(0.1))
    noise_key, probe_key, _ = jax.random.split(KEY, 3)

    @jax.jit
    def at_level(images, places):
        noise = jax.random.normal(noise_key, (9, 1, 3))[0]
        x = jax.vmap(lambda image: ring.schedule.add_noise(image, noise, 0.1))(images)
        lines = x[None, :-1] + places[:, None, None, None] * (x[1:] - x[:-1])[None]
        return x, jax.vmap(score)(x), jax.vmap(jax.vmap(score))(lines)

    # Along the straight lines: the nodes of the midpoint rule.
    x, s, lines = map(np.asarray, at_level(IMAGES, (np.arange(32) + 0.5) / 32))
    np.testing.assert_allclose(found.score_norms[0], np.sum(s**2, axis=(1, 2)), rtol=1e-10)
    assert tuple(found.cosines) == DIRECTIONS
    chord = np.ravel(x[1] - x[0])
    first = np.ravel(s[0])
    cosine = abs(first @ chord) / np.linalg.norm(first) / np.linalg.norm(chord)
    np.testing.assert_allclose(found.cosines["another image"][0, 0], cosine, rtol=1e-10)
    assert np.max(found.asymmetry) < 1e-10
    np.testing.assert_array_equal(found.pairs, [[0, 1], [1, 2]])

    # lam: with it the score's term is 0.3 times the Euclidean one along the straight lines.
    v = np.diff(x, axis=0)
    rates = np.mean(np.einsum("npij,pij->np", lines, v) ** 2, axis=0) / np.sum(v**2, axis=(1, 2))
    np.testing.assert_allclose(found.lams[0], np.array([0.3, 1]) / np.median(rates), rtol=1e-9)

    metric = geojax.SteinScoreMetric(score, found.lams[0, 1])
    solution = geojax.geodesic(metric, x[0], x[1], num_segments=16, diagnostics="price")
    line = x[0] + np.asarray(solution.curve.ts)[:, None, None] * v[0]
    apart = np.linalg.norm((np.asarray(solution.curve.xs) - line).reshape(17, -1), axis=1)
    deviation = np.max(apart) / np.linalg.norm(chord)
    np.testing.assert_allclose(found.deviation[0, 1, 0], deviation, rtol=0.02)
    probes = geojax.curvature.trace_probes((1, 3), 8, key=probe_key)
    ricci = eqx.filter_jit(geojax.ricci_curvature)(metric, x[0], v[0], probes=probes).value / 2
    np.testing.assert_allclose(found.curvature[0, 1, 0], ricci, rtol=1e-6)
    # Noise above the width and below the radius: one direction along the ring.
    assert found.dimension.dimension[0] == 1


@pytest.mark.slow
def test_by_default_the_points_are_those_of_the_default_route(ring, found):
    """Inverted: what is measured there is of these points; contrast and dimension are the same."""
    by_inversion = inspect_score(ring, IMAGES, TS, key=KEY, num_values=3)
    route = geojax.NoiseRoute(ring, t=0.1, num_steps=20)
    x = jax.jit(jax.vmap(route.to_level))(IMAGES)
    np.testing.assert_allclose(by_inversion.seen[0], x[0], rtol=1e-6)
    s = np.asarray(jax.jit(jax.vmap(ring.at(0.1)))(x))
    np.testing.assert_allclose(by_inversion.score_norms[0], np.sum(s**2, axis=(1, 2)), rtol=1e-5)
    assert not np.allclose(by_inversion.score_norms, found.score_norms, rtol=0.1)
    np.testing.assert_allclose(by_inversion.contrast, found.contrast, rtol=1e-10)
    np.testing.assert_array_equal(by_inversion.dimension.dimension, found.dimension.dimension)


def test_the_contrast_is_larger_at_the_middle_of_a_chord_than_on_the_ring(found):
    """At low noise the denoiser leaves the ring's points and moves the chord's middle outwards."""
    assert found.contrast[0, 0] > 1.5
    assert found.contrast[0, 1] < 1  # these two are near: the chord is within the noise of the arc
    assert found.recommendation.t == 0.1
    assert "stray from LERP" in found.findings[0]


@pytest.mark.slow
def test_a_score_that_is_no_gradient_is_ruled_out(ring):
    """With lambdas of the user's own, between two images."""
    twisted = eqx.tree_at(lambda s: s.amount, ring, jnp.asarray(30.0))
    levels = []
    found = inspect_score(
        twisted, IMAGES[:2], (0.1,), key=KEY, lams=(0.01, 0.02), num_values=3,
        on_level=levels.append,
    )  # fmt: skip
    assert levels == [0]
    np.testing.assert_array_equal(found.lams, [[0.01, 0.02]])
    np.testing.assert_array_equal(found.pairs, [[0, 1]])
    assert found.lam_names == ["λ = 0.01", "λ = 0.02"]
    assert np.all(found.asymmetry > 0.5)
    assert found.recommendation.t is None
    assert "not a gradient" in found.findings[0]


def test_bad_input_is_refused(ring):
    def run(images: Any = IMAGES, ts=TS, **options):
        return inspect_score(ring, images, ts, key=KEY, **options)

    for arguments, options, text in (
        ((IMAGES[:1],), {}, "images must hold at least two, got 1"),
        ((jnp.stack([IMAGES[0]] * 2),), {}, "images 0 and 1 are equal"),
        ((IMAGES, (0.0,)), {}, r"ts must be in \(0, 1\], got 0"),
        ((IMAGES, ()), {}, "must not be empty"),
        ((), {"lams": (-1.0,)}, "lams must be finite and positive, got -1"),
        ((), {"num_pairs": 0}, "num_pairs must be at least 1"),
        ((), {"noising": "none"}, "noising must be 'inversion' or 'shared', got 'none'"),
    ):
        with pytest.raises(ValueError, match=text):
            run(*arguments, **options)
    flow = geojax.GaussianMixture(IMAGES, schedule=geojax.RectifiedFlow())
    with pytest.raises(ValueError, match="ts must be below 1 with this schedule, got 1: alpha is"):
        inspect_score(flow, IMAGES, (0.5, 1.0), key=KEY)


# The rules, on figures made up for them: two levels, two lambdas, one pair.
GOOD = {
    "ts": np.array([0.1, 0.4]),
    "lams": np.array([[0.5, 2.0], [1.0, 3.0]]),
    "deviation": np.array([[[0.10], [0.21]], [[0.20], [0.15]]]),
    "verdicts": np.full((2, 2, 1), "successful", dtype=object),
    "asymmetry": np.array([[0.1], [0.3]]),
    "contrast": np.array([[1.8], [1.2]]),
    "curvature": np.zeros((2, 2, 1)),
}


def advised(**changes):
    return recommend(**{**GOOD, **changes})


def test_of_similar_deviations_the_contrast_decides_then_the_lambda():
    findings, best = advised()
    assert (best.t, best.lam) == (0.1, 2.0)
    assert findings[0] == "t = 0.1: geodesics stray from LERP by 21 % of |B - A| (contrast 1.8)."
    assert "Caution" not in best.reason
    _, best = advised(contrast=np.array([[1.1], [1.2]]))
    assert (best.t, best.lam) == (0.4, 1.0)
    _, best = advised(deviation=np.full((2, 2, 1), 0.2))
    assert (best.t, best.lam) == (0.1, 0.5)
    failed = GOOD["verdicts"].copy()
    failed[0] = "The path is under-resolved: raise num_segments."
    _, best = advised(verdicts=failed)
    assert (best.t, best.lam) == (0.4, 1.0)


def test_where_it_can_be_avoided_the_curvature_is_below_pi_squared():
    bends = np.zeros((2, 2, 1))
    bends[0] = 12
    _, best = advised(curvature=bends)
    assert best.t == 0.4 and "Caution" not in best.reason
    _, best = advised(curvature=np.full((2, 2, 1), 12.0))
    assert best.t == 0.1 and "Caution: with a mean curvature of 12 / |B - A|^2" in best.reason


def test_a_level_that_cannot_be_used_is_never_recommended():
    findings, best = advised(asymmetry=np.array([[0.1], [0.7]]))
    assert (best.t, best.lam) == (0.1, 2.0)
    assert "not a gradient (asymmetry 0.7)" in findings[1]
    findings, best = advised(contrast=np.array([[0.9], [1.2]]))
    assert best.t == 0.4 and "contrast 0.9" in findings[0]
    for broken in ("asymmetry", "contrast"):
        _, best = advised(**{broken: np.full((2, 1), np.nan)})
        assert best.t is None and best.reason.startswith(
            "Nothing can be recommended. At no tested level"
        )


def test_without_a_recommendation_there_is_a_reason():
    _, best = advised(deviation=np.full((2, 2, 1), 0.02))
    assert best.lam is None and "LERP to within 2 % of |B - A|" in best.reason
    failed = np.full((2, 2, 1), "The solver stalled. In float32 ...", dtype=object)
    findings, best = advised(verdicts=failed)
    assert best.t is None and "more segments or a smaller lambda" in best.reason
    assert findings[0] == "t = 0.1: no lambda gave all geodesics (2 of 2: the solver stalled)."
    _, best = advised(deviation=np.full((2, 2, 1), np.nan))
    assert best.t is None
