"""A condition that changes from A to B."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.scores import ConditionBetween, DataPrediction, ScaledLinear

SCHEDULE = ScaledLinear()
SCORE = DataPrediction(lambda x, t, args: 0.5 * x + args["centre"], SCHEDULE)
CLEAN, NOISE = jax.random.normal(jax.random.key(0), (2, 2, 3))
CONDITIONS = ({"centre": jnp.zeros(3)}, {"centre": jnp.asarray([1.0, 0.0, -1.0])})
BETWEEN = ConditionBetween(SCORE, CLEAN, NOISE)


@pytest.mark.parametrize("t", [0.01, 0.4, 1.0])
@pytest.mark.parametrize("u, share", [(-0.5, 0.0), (0.0, 0.0), (0.3, 0.3), (1.0, 1.0), (1.5, 1.0)])
def test_on_the_line_it_follows_the_parameter_of_the_path(t, u, share):
    a, b = SCHEDULE.add_noise(CLEAN, NOISE, t)
    x = (1 - u) * a + u * b
    expected = SCORE(x, t, {"centre": share * CONDITIONS[1]["centre"]})
    np.testing.assert_allclose(BETWEEN(x, t, CONDITIONS), expected, rtol=1e-9)


def test_equal_conditions_are_one():
    x = jnp.ones(3)
    one = CONDITIONS[1]
    np.testing.assert_allclose(BETWEEN(x, 0.4, (one, one)), SCORE(x, 0.4, one), rtol=1e-12)


@pytest.mark.slow
def test_a_geodesic_under_two_conditions():
    metric = geojax.SteinScoreMetric(BETWEEN.at(0.4), 0.1)
    a, b = SCHEDULE.add_noise(CLEAN, NOISE, 0.4)
    solution = geojax.geodesic(metric, a, b, args=CONDITIONS, num_segments=8)
    assert solution.result == geojax.RESULTS.successful


def test_arguments():
    with pytest.raises(ValueError, match="args must be the pair of conditions, got dict"):
        BETWEEN(jnp.ones(3), 0.4, CONDITIONS[0])
