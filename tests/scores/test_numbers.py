"""The numbers of scores: another value compiles nothing, and a wrong one is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.scores import (
    VE,
    ClassifierFreeGuidance,
    GaussianMixture,
    NoisedSphere,
    NoisePrediction,
    Shell,
    ddim,
    ddim_path,
    probability_flow,
    probe_averaged,
)
from tests.programs import compilations

X = jnp.asarray([0.3, -1.2])
NETWORK = NoisePrediction(lambda x, t, args: x * t, VE(0.1, 2.0))


def test_a_number_in_a_score_does_not_compile_anew():
    """Levels, guidance, radii and tolerances: one program serves all."""
    traced = []

    def network(x, t, args):
        traced.append(x)
        return x * t if args is None else x * t + args

    score = NoisePrediction(network, VE(0.1, 2.0))
    made = {
        "level": lambda v: score.at(v),
        "integer level": lambda v: score.at(int(v > 0.2)),
        "guidance": lambda v: ClassifierFreeGuidance(score, 1 + v, -X).at(0.4),
        "averaged": lambda v: probe_averaged(score, v, (2,), 1, key=jax.random.key(0)),
        "shell": lambda v: Shell(1.0 + v, v),
        "sphere": lambda v: NoisedSphere(1.0 + v, width=v).at(v),
        "mixture": lambda v: GaussianMixture(jnp.full((1, 2), v), v).at(v),
    }
    evaluate = eqx.filter_jit(lambda s: s(X, X))
    flows = {
        "ddim": lambda v: ddim(score, X, v, 0.0, X, num_steps=2),
        "flow": lambda v: probability_flow(score, X, v, 0.05, X, rtol=v / 9, atol=v / 9),
        "path": lambda v: ddim_path(score, X, [v, 0.0], X, eta=v, key=jax.random.key(1)),
    }
    runs = {name: lambda v, make=make: evaluate(make(v)) for name, make in made.items()} | flows
    for name, run in runs.items():
        first = run(0.1)
        count = len(traced)
        with compilations() as compiled:
            second, third = run(0.31), run(0.17)
        assert not compiled, name
        assert len(traced) == count, name
        assert name == "integer level" or not np.allclose(first, second), name
        assert np.all(np.isfinite(third)), name


def test_compilations_are_counted():
    with compilations() as compiled:
        for number in (0.5, 0.25):
            jax.jit(lambda x, number=number: jnp.sin(x) * number)(X)
    assert len(compiled) >= 2


def test_scales_that_could_be_meant_in_two_ways_are_refused():
    means = jnp.asarray([[0.0, 1.0], [2.0, 0.0]])
    with pytest.raises(ValueError, match=r"scales\[:, None\].*scales\[None\]"):
        GaussianMixture(means, [0.1, 1.0])
    scales = jnp.asarray([0.1, 1.0])
    by_component = GaussianMixture(means, scales[:, None])
    by_coordinate = GaussianMixture(means, scales[None])
    np.testing.assert_array_equal(by_component.scales, [[0.1], [1.0]])
    np.testing.assert_array_equal(by_coordinate.scales, [[0.1, 1.0]] * 2)
    # Alone, a component leaves no doubt.
    assert GaussianMixture(means[:1, :1], [0.3]).scales.shape == (1, 1)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Shell(-1.0, 0.2), "radius must be a finite number >= 0, got -1"),
        (lambda: Shell(1.0, 0), "width must be a finite number > 0, got 0"),
        (lambda: NoisedSphere(1.0, width=-0.1), "width must be a finite number >= 0"),
        (lambda: NoisedSphere([1.0, 2.0]), r"radius must be a scalar, got shape \(2,\)"),
        (lambda: ClassifierFreeGuidance(NETWORK, None), "scale must be a number, got None"),
        (lambda: ClassifierFreeGuidance(NETWORK.at(0.4), 2.0), "score must be a geojax score"),
    ],
)
def test_numbers_of_scores_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
