"""What sums and multiples are made of, the two geodesic equations, and bad input."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

import geojax
from geojax import DenseMetric, Euclidean, SteinScoreMetric
from geojax.metrics import (
    AbstractMetric,
    LowRankScaled,
    LowRankSum,
    ScaledMetric,
    SumMetric,
)
from tests.metrics.fields import gradient, matrix, points, whirl


def test_low_rank_metrics_stay_low_rank():
    stein = SteinScoreMetric(gradient, 0.5, conservative=True)
    total = 2.0 * stein + 0.5 * (Euclidean() + SteinScoreMetric(whirl, 3.0))
    assert isinstance(total, LowRankSum) and isinstance(2 * stein, LowRankScaled)
    base, weights, scores, conservative = total.terms()
    assert float(base) == 3.0
    assert [float(w) for w in weights] == [1.0, 1.5]
    assert [s.func for s in scores] == [gradient, whirl] and conservative == (True, False)
    assert isinstance(DenseMetric(matrix) + stein, SumMetric)
    assert isinstance(2 * DenseMetric(matrix), ScaledMetric)


@pytest.mark.slow
def test_the_short_geodesic_equation_is_for_gradients_only():
    x, v, _ = points((4,), jnp.float64)
    for score, same in ((gradient, True), (whirl, False)):
        short, long = (
            SteinScoreMetric(score, 0.8, conservative=c).acceleration(x, v) for c in (True, False)
        )
        assert np.allclose(short, long, rtol=1e-10) is same


@pytest.mark.slow
def test_a_label_reaches_the_score():
    def score(x, args):
        return -x * args["scale"]

    stein = SteinScoreMetric(score, 1.0)
    x, v, _ = points((3,), jnp.float64)
    args = {"scale": 2.0}
    np.testing.assert_allclose(stein.inner(x, v, v, args), v @ v + 4 * (x @ v) ** 2)
    # Without it the score raises; tracing the solvers calls it wherever they do.
    with pytest.raises(TypeError):
        stein.flat(x, v)
    jax.eval_shape(lambda: geojax.geodesic(stein, x, v, args=args, throw=False).energy)
    jax.eval_shape(lambda: geojax.exponential_map(stein, x, v, args, throw=False).energy)


class Rough(AbstractMetric):
    """Nothing but an operator, not even tagged as positive definite, of condition number 1e12."""

    scale: float = 1.0

    def operator(self, x, args=None):
        values = self.scale * jnp.logspace(0, 12, x.size, dtype=x.dtype)
        return lx.DiagonalLinearOperator(values)


def test_the_default_inverse_is_right_or_nan_and_never_raises():
    """By conjugate gradients: right where they converge, NaN where they do not."""
    x, w, _ = points((6,), jnp.float64)
    sharp = Rough().sharp(x, w)
    np.testing.assert_allclose(Rough().flat(x, sharp), w, atol=1e-7)
    undefined = jax.vmap(lambda scale: Rough(scale).sharp(x, w))(jnp.asarray([jnp.nan, 1.0]))
    assert np.isnan(undefined[0]).all()
    np.testing.assert_allclose(undefined[1], sharp, rtol=1e-6)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SteinScoreMetric(3.0), "score must be a callable"),
        (lambda: SteinScoreMetric(gradient, -1.0), "lam must be a finite number >= 0"),
        (lambda: SteinScoreMetric(gradient, float("nan")), "lam must be a finite number >= 0"),
        (lambda: SteinScoreMetric(gradient, jnp.ones(2)), "lam must be a scalar"),
        (lambda: DenseMetric(jnp.eye(2)), "function must be a callable"),
        (lambda: DenseMetric(lambda x, args: jnp.eye(3)).flat(jnp.ones(2), jnp.ones(2)), "shape"),
        (lambda: 0 * Euclidean(), "a finite number > 0"),
        (lambda: -1.0 * DenseMetric(matrix), "a finite number > 0"),
        (lambda: float("inf") * Euclidean(), "a finite number > 0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("other", [1.0, "metric"])
def test_only_metrics_add(other):
    with pytest.raises(TypeError):
        _ = Euclidean() + other
    with pytest.raises(TypeError):
        _ = Euclidean() * Euclidean()
