"""Whether a model knows a picture: against closed forms; photographs under the digits' model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.cli._images import read_image
from geojax.cli._known import LEVELS, Acquaintance, acquaintance, check_known, typical_surprise
from geojax.models import load, load_mnist


@pytest.mark.slow
def test_a_gaussian_knows_its_own_points():
    """Under N(0, s^2) the ratio of a point x is (sigma^2 |x|^2 / (alpha^2 s^4) + D) r / (D r) with
    r = alpha^2 s^2 / (alpha^2 s^2 + sigma^2), in the mean over the noise.
    """
    size, dimension = 0.5, 400
    score = geojax.GaussianMixture(jnp.zeros((1, dimension)), scales=size)
    near = size * jax.random.normal(jax.random.key(3), (dimension,))
    found = acquaintance(score, (near, 6 * near), 0.2, None)
    for surprise, x in zip(found.surprises, (near, 6 * near), strict=True):
        exact = []
        for t in LEVELS:
            alpha, sigma = float(score.schedule.alpha(t)), float(score.schedule.sigma(t))
            shrink = alpha * size**2 / (alpha**2 * size**2 + sigma**2)
            missed = (alpha * shrink - 1) ** 2 * float(jnp.sum(x**2))
            missed += (shrink * sigma) ** 2 * dimension
            exact.append(missed / (sigma**2 / alpha * shrink * dimension))
        assert surprise == pytest.approx(max(exact), rel=0.1)
    assert found.surprises[0] < 1.3 and found.surprises[1] > 2.25
    assert found.contrast == pytest.approx(1.0, rel=1e-6)  # its denoiser is linear


def judge(surprises, *, contrast=1.5, typical=1.0, force=False):
    found = Acquaintance(surprises, contrast)
    return check_known(
        ("a.png", "b.png"), found, lambda: typical, model="digits", t=0.2, force=force
    )


def test_errors_and_notices_about_unusual_pictures():
    assert judge((1.0, 1.7)) == []
    with pytest.raises(ValueError, match=r"does not know such pictures: .* b\.png is 3\.1 times"):
        judge((1.0, 3.1))
    (notice,) = judge((1.0, 3.1), force=True)
    assert "b.png is unusual for the model digits" in notice and "means nothing" in notice
    (notice,) = judge((2.0, 1.0))
    assert "a.png is unusual" in notice and "may mean little" in notice
    assert judge((2.0, 3.1), typical=2.5) == []  # a model that misjudges its own pictures too
    (notice,) = judge((1.0, 1.0), contrast=0.6)
    assert "contrast 0.60" in notice and "lower --t" in notice


@pytest.mark.slow
def test_the_ratio_is_relative_to_that_of_the_models_own_pictures():
    score = geojax.GaussianMixture(jnp.zeros((1, 100)), scales=0.5)
    draw = lambda count: 0.5 * jax.random.normal(jax.random.key(0), (count, 100))  # noqa: E731
    assert typical_surprise(score, draw, None) == pytest.approx(1.0, abs=0.3)


@pytest.mark.slow
def test_digits_pass_and_photographs_do_not(data_file):
    score = load("rotated_mnist")
    data_file("mnist/t10k-images-idx3-ubyte.gz")
    digits = load_mnist("test")[0][:6, None] / 127.5 - 1
    files = sorted(data_file("dreambooth_subset").rglob("*.jpg"))[:6]
    photographs = np.stack([read_image(path, (1, 28, 28))[0] for path in files])

    def surprises(images):
        points = jnp.asarray(images, jnp.float32)
        pairs = zip(points[::2], points[1::2], strict=True)
        return [s for pair in pairs for s in acquaintance(score, pair, 0.2, None).surprises]

    assert max(surprises(digits)) < 2.25
    found = surprises(photographs)
    assert min(found) > 1.8  # each is noticed, and each pair refused
    assert all(max(pair) > 2.25 for pair in zip(found[::2], found[1::2], strict=True))
    assert min(surprises(-digits)) > 2.25  # dark on light
