"""Classifier-free guidance is one formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.scores import VE, ClassifierFreeGuidance, NoisePrediction

SCHEDULE = VE(0.1, 2.0)
X = jnp.asarray([0.3, -1.2, 2.0])


def conditional(x, t, args):
    """Label None is no condition."""
    return x - (jnp.zeros(3) if args is None else args["centre"])


LABEL = {"centre": jnp.asarray([1.0, 0.0, -1.0])}
SCORE = NoisePrediction(conditional, SCHEDULE)


@pytest.mark.parametrize("scale", [0.0, 1.0, 7.5, jnp.asarray(3.0)], ids=str)
def test_is_the_unconditional_score_and_a_multiple_of_the_difference(scale):
    guided = ClassifierFreeGuidance(SCORE, scale)
    unconditional, given = SCORE(X, 0.4), SCORE(X, 0.4, LABEL)
    expected = unconditional + float(scale) * (given - unconditional)
    np.testing.assert_allclose(guided(X, 0.4, LABEL), expected, rtol=1e-12)
    np.testing.assert_allclose(guided.at(0.4)(X, LABEL), expected, rtol=1e-12)


def test_without_a_condition_it_is_the_unconditional_score():
    guided = ClassifierFreeGuidance(SCORE, 7.5)
    np.testing.assert_array_equal(guided(X, 0.4), SCORE(X, 0.4))


def test_the_null_condition_can_be_chosen():
    null = {"centre": jnp.ones(3)}
    guided = ClassifierFreeGuidance(SCORE, 2.0, null)
    np.testing.assert_array_equal(guided(X, 0.4), SCORE(X, 0.4, null))
    expected = 2 * SCORE(X, 0.4, LABEL) - SCORE(X, 0.4, null)
    np.testing.assert_allclose(guided(X, 0.4, LABEL), expected, rtol=1e-12)


def test_it_forwards_the_schedule():
    guided = ClassifierFreeGuidance(SCORE, 2.0)
    assert guided.schedule is SCHEDULE
    np.testing.assert_allclose(guided.denoised(X, 0.4), SCORE.denoised(X, 0.4), rtol=1e-12)


def test_the_unconditional_score_costs_one_evaluation():
    calls = []

    def network(x, t, args):
        calls.append(args)
        return x

    guided = ClassifierFreeGuidance(NoisePrediction(network, SCHEDULE), 2.0)
    guided(X, 0.4)
    assert calls == [None]
    guided(X, 0.4, 5)
    assert calls == [None, None, 5]


def test_dtype_of_the_point_is_kept_and_the_scale_may_be_traced():
    x = X.astype(jnp.float32)
    score = NoisePrediction(lambda x, t, args: 2 * x, SCHEDULE)

    @jax.jit
    def guided(scale):
        return ClassifierFreeGuidance(score, scale)(x, 0.4, 0)

    assert guided(jnp.asarray(2.0)).dtype == jnp.float32
