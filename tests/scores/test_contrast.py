"""The contrast of a score between chords and data, against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

import geojax

A = jnp.array([[2.0, 0.0], [0.0, 4.0]])
B = jnp.array([[0.0, 2.0], [0.0, -4.0]])


def linear(x, args):
    return -args * x


def test_it_is_the_ratio_of_mean_squares():
    """Of -k x: the middles have |x|^2 = 2 and 0, the ends 4 and 16."""
    found = geojax.score_contrast(linear, A, B, 3.0)
    np.testing.assert_allclose([found.middle, found.data], [9 * 1, 9 * 10])
    np.testing.assert_allclose([found.ratio, found.lam], [0.1, 1 / 90])
    assert not found.knows_the_chord
    assert "0.1 times" in str(found) and "a geodesic cannot follow the data here" in str(found)
    blocks = geojax.score_contrast(linear, A, B, 3.0, batch_size=1)
    np.testing.assert_allclose([blocks.middle, blocks.data], [found.middle, found.data])


@pytest.mark.parametrize(
    "ratio, steepness", [(0.5, 2.5), (2.0, 20.0), (20.0, 100.0), (200.0, 400.0), (5e4, 1000.0)]
)
def test_lambda_grows_with_the_contrast(ratio, steepness):
    """Twice the contrast, within 100 and 1000, over |s|^2 at the middle; below 10 ten times it."""
    found = geojax.ScoreContrast(jnp.asarray(7.0), jnp.asarray(7.0 / ratio))
    assert float(found.lam) == pytest.approx(steepness / 7, rel=1e-12)


def test_a_clean_ring_is_known_and_a_blurred_one_is_not():
    """By the closed form of the shell: s = -(|x| - r) / width^2 along x."""
    ends = 2 * jnp.array([[1.0, 0.02], [0.0, 1.03]]), 2 * jnp.array([[0.0, 1.02], [-1.02, 0.0]])
    for width in (0.2, 5.0):
        found = geojax.score_contrast(geojax.Shell(2.0, width), *ends)
        radii = [np.linalg.norm(x, axis=1) for x in (*ends, (ends[0] + ends[1]) / 2)]
        first, second, middle = (np.mean((r - 2) ** 2) / width**4 for r in radii)
        np.testing.assert_allclose(found.ratio, 2 * middle / (first + second), rtol=1e-9)
        assert found.knows_the_chord
    noised = geojax.NoisedSphere(2.0, width=0.2)
    few, much = (geojax.score_contrast(noised.at(t), *ends).ratio for t in (0.02, 0.9))
    assert much < 10 < few


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"score must be a callable \(x, args\) -> s"):
        geojax.score_contrast(3.0, A, B)
    with pytest.raises(ValueError, match="For a score that depends on time pass"):
        geojax.score_contrast(lambda x, t, args: -x, A, B)
    with pytest.raises(ValueError, match="shape"):
        geojax.score_contrast(linear, A[:1], B, 1.0)
    with pytest.raises(ValueError, match="not be empty"):
        geojax.score_contrast(linear, A[:0], B[:0], 1.0)
