"""What goes into a score and what comes out of one: times, arrays, functions, numbers."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.scores import (
    EDM,
    PREDICTIONS,
    VE,
    AbstractScore,
    ClassifierFreeGuidance,
    ConditionBetween,
    DataPrediction,
    Empirical,
    GaussianMixture,
    NoisedSphere,
    NoisePrediction,
    RectifiedFlow,
    ScaledLinear,
    VPCosine,
    VPLinear,
    counted_probability_flow,
    ddim,
    ddim_inversion,
    ddim_path,
    denoising_score_matching_loss,
    from_log_density,
    probability_flow,
    probe_averaged,
    sample,
)

X = jnp.asarray([0.3, -1.2])


class Normal(AbstractScore):
    """A user's own score: the data N(0, I), whatever the noise."""

    schedule: VE = VE(0.5, 2.0)

    def evaluate(self, x, t, args):
        return -x / (1 + self.schedule.sigma(t).astype(x.dtype) ** 2)


NETWORK = NoisePrediction(lambda x, t, args: x * t, VE(0.1, 2.0))
SCORES = [
    Normal(),
    NETWORK,
    GaussianMixture(jnp.ones((1, 2)), 0.5),
    Empirical(jnp.ones((1, 2)), VE()),
    NoisedSphere(1.0, width=0.2),
    ClassifierFreeGuidance(NETWORK, 2.0),
    ConditionBetween(NETWORK, jnp.ones((2, 2)), jnp.ones((2, 2))),
]


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("score", SCORES, ids=lambda s: type(s).__name__)
def test_a_time_that_is_none_is_refused_everywhere(score):
    calls = [score, score.predicted_noise, score.denoised, getattr(score, "log_density", score)]
    for t in (400, -0.1, float("nan"), np.int64(7), np.float32(1.5), jnp.asarray(400)):
        for call in calls:
            with pytest.raises(ValueError, match=r"t must lie in \[0, 1\], got .*t = k / T"):
                call(X, t)
        with pytest.raises(ValueError, match=r"t must lie in \[0, 1\]"):
            score.at(t)
    with pytest.raises(ValueError, match=r"t must be a scalar, got shape \(2,\)"):
        score(X, jnp.asarray([0.1, 0.2]))
    with pytest.raises(ValueError, match=r"t must be a number, got '0.4'"):
        score.at("0.4")


@pytest.mark.parametrize(
    "schedule",
    [VPLinear(), ScaledLinear(), VPCosine(), VE(), EDM(), RectifiedFlow()],
    ids=lambda s: type(s).__name__,
)
def test_a_step_is_no_time_for_a_schedule(schedule):
    for call in (
        schedule.alpha,
        schedule.sigma,
        schedule.noise_to_signal,
        schedule.rates,
        lambda t: schedule.add_noise(X, X, t),
    ):
        with pytest.raises(ValueError, match=r"got 400. Step k of T is t = k / T.*t = 0.4"):
            call(400)
    # Inside a program a time cannot be judged.
    assert np.isfinite(jax.jit(schedule.sigma)(jnp.asarray(0.4)))
    noised = schedule.add_noise([1, 2], jnp.zeros(2, jnp.float32), 0.4)
    np.testing.assert_allclose(noised, schedule.alpha(0.4) * np.asarray([1.0, 2.0]), rtol=1e-6)


@pytest.mark.usefixtures("as_users_run")
def test_samplers_and_losses_refuse_a_step_and_an_untimed_score():
    for call in (
        lambda s, t: ddim(s, X, t, 0.0),
        lambda s, t: probability_flow(s, X, t, 0.0),
        lambda s, t: counted_probability_flow(s, X, 0.4, t),
        lambda s, t: ddim_path(s, X, [t, 0.0]),
        lambda s, t: ddim_inversion(s, X, t),
        lambda s, t: denoising_score_matching_loss(s, X, t, X),
        lambda s, t: probe_averaged(s, t, (2,), key=jax.random.key(0)),
    ):
        with pytest.raises(ValueError, match=r"\[0, 1\], got 400"):
            call(NETWORK, 400)
        with pytest.raises(ValueError, match="Wrap a network: NoisePrediction"):
            call(lambda x, t, args: x, 0.4)
        with pytest.raises(ValueError, match=r"got ScoreAt. It is a score at one noise level"):
            call(NETWORK.at(0.4), 0.4)
    with pytest.raises(ValueError, match="score must be a geojax score"):
        sample(lambda x, t, args: x, (2,), key=jax.random.key(0))
    with pytest.raises(ValueError, match="solver must be a solver of diffrax, got GaussNewton"):
        probability_flow(NETWORK, X, 0.4, 0.0, solver=geojax.GaussNewton())  # pyright: ignore


@pytest.mark.slow
def test_a_time_reaches_a_network_as_a_scalar_array():
    seen = []

    def network(x, t, args):
        seen.append((isinstance(t, jax.Array), t.shape, t.dtype == x.dtype))
        return x

    score = DataPrediction(network, VE(0.1, 2.0))
    single = X.astype(jnp.float32)
    for x in (X, single):
        score(x, 0.4)
        score(x, 1)
        score(x, np.float64(0.4))
        score.at(0.4)(x)
        score.denoised(x, 0.4)
        jax.jit(score)(x, 0.4)
        ddim(score, x, 0.4, 0.0, num_steps=2)
        probability_flow(score, x, 0.4, 0.0, solver=diffrax.Heun())
        ddim_path(score, x, [0.4, 0.0])
        denoising_score_matching_loss(score, x, 0.4, x)
        ClassifierFreeGuidance(score, 2.0, X)(x, 0.4, X)
        probe_averaged(score, 0.4, (2,), 1, key=jax.random.key(0))(x)
    assert len(seen) >= 2 * 12
    assert set(seen) == {(True, (), True)}


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32, jnp.int32])
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_a_network_may_compute_in_another_dtype(kind, dtype):
    schedule = VE(0.5, 2.0)
    network = lambda x, t, args: jnp.asarray([1.0, -2.0]).astype(dtype)  # noqa: E731
    exact = PREDICTIONS[kind](lambda x, t, args: jnp.asarray([1.0, -2.0]), schedule)(X, 0.4)
    found = PREDICTIONS[kind](network, schedule)(X, 0.4)
    assert found.dtype == X.dtype
    np.testing.assert_allclose(found, exact, rtol=1e-12)


@pytest.mark.slow
def test_points_are_taken_as_numbers():
    """Integers and lists are floating points; half precision is computed in float32."""
    for score in SCORES[:5]:
        exact = score(jnp.asarray([1.0, 0.0]), 0.4)
        np.testing.assert_array_equal(score([1, 0], 0.4), exact)
        np.testing.assert_array_equal(score(np.asarray([1, 0], np.uint8), 0.4), exact)
        half = score(jnp.asarray([1.0, 0.0], jnp.bfloat16), 0.4)
        assert half.dtype == jnp.float32
        np.testing.assert_allclose(half, exact, rtol=1e-5, atol=1e-6)
        with pytest.raises(ValueError, match="x must be real"):
            score(X.astype(complex), 0.4)


BAD_OUTPUTS = {
    "complex": (lambda x: x.astype(complex), "of real numbers, got complex128. Take its real part"),
    "scalar": (jnp.sum, r"got shape \(\) .*from_log_density"),
    "batch axis": (lambda x: x[None], r"got shape \(1, 2\) .*f\(x\[None\], ...\)\[0\]"),
    "tuple": (lambda x: (x,), "got a tuple of 1"),
    "nothing": (lambda x: None, "got None. Does it end with a return"),
    "another shape": (lambda x: jnp.append(x, 0), r"got shape \(3,\)"),
    "booleans": (lambda x: x > 0, "of numbers, got bool"),
    "an object": (lambda x: VE(), "got VE"),
}


@pytest.mark.parametrize("name", BAD_OUTPUTS)
def test_wrong_results_of_a_network_have_messages(name):
    function, message = BAD_OUTPUTS[name]
    for kind in PREDICTIONS.values():
        score = kind(lambda x, t, args: function(x), VE(0.5, 2.0))
        with pytest.raises(ValueError, match=rf"network must return .*\(2,\).*{message}"):
            score(X, 0.4)

    class Own(Normal):
        def evaluate(self, x, t, args):
            return function(x)

    with pytest.raises(ValueError, match=rf"Own.evaluate must return .*{message}"):
        jax.eval_shape(Own().at(0.4), X)


def test_a_log_density_returns_a_scalar():
    for function, message in (
        (lambda x, args: -(x**2), r"got shape \(2,\) .*Sum the terms"),
        (lambda x, args: -jnp.sum(x**2, keepdims=True), r"got shape \(1,\) .*jnp.squeeze"),
        (lambda x, args: None, "log_density must return a scalar, got None"),
    ):
        score = from_log_density(function)
        for call in (score, score.log_density):
            with pytest.raises(ValueError, match=message):
                call(X)
    half = from_log_density(lambda x, args: jnp.sum(-(x**2)).astype(jnp.bfloat16) / 2)
    assert half.log_density(X).dtype == half(X).dtype == X.dtype
    np.testing.assert_allclose(half(X), -X, rtol=1e-2)
    np.testing.assert_allclose(from_log_density(lambda x, args: -jnp.sum(x**2))([1, 2]), [-2, -4])


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    "network, remedy",
    [
        (lambda x: x, r"Wrap a function f\(x\) as lambda x, t, args: f\(x\)"),
        (lambda x, t: x, r"Wrap a function f\(x, t\) as lambda x, t, args: f\(x, t\)"),
        (lambda x, t, args, mask: x, r"lambda x, t, args: f\(x, t, args, ...\)"),
        (eqx.nn.MLP, r"got the class MLP. Pass an instance of it: MLP\(...\)"),
        (3, "got int"),
    ],
)
def test_a_network_takes_a_point_a_time_and_a_condition(network, remedy):
    for kind in PREDICTIONS.values():
        with pytest.raises(
            ValueError, match=rf"network must be a callable \(x, t, args\).*{remedy}"
        ):
            kind(network, VE())


def test_no_noise_where_a_prediction_is_divided_by_it():
    for score in (NoisePrediction(lambda x, t, args: x, VPLinear()), Empirical(jnp.ones((1, 2)))):
        guided = ClassifierFreeGuidance(score, 2.0)
        for call in (
            lambda s: s.at(0),
            lambda s: s(X, 0.0),
            lambda s: jax.jit(lambda x: s(x, 0))(X),
        ):
            for s in (score, guided):
                with pytest.raises(ValueError, match=r"t = 0(\.0)? has no noise, and"):
                    call(s)


def test_a_program_contains_a_guided_network_once():
    """Conditions that are arrays are one batch of two: the same values and as many evaluations."""
    traced, ran = [], []

    def network(x, t, args):
        traced.append(x)
        jax.debug.callback(lambda _: ran.append(1), args["a"][0])
        return jnp.tanh(x + args["a"]) * args["b"]

    score = NoisePrediction(network, VE(0.1, 2.0))
    null = {"a": jnp.asarray([0.1, 0.2]), "b": jnp.asarray(2.0)}
    label = {"a": np.asarray([1.0, -0.3]), "b": np.asarray(0.5)}
    expected = score(X, 0.4, null) + 3.0 * (score(X, 0.4, label) - score(X, 0.4, null))
    traced.clear()
    ran.clear()
    found = eqx.filter_jit(ClassifierFreeGuidance(score, 3.0, null))(X, 0.4, label)
    jax.block_until_ready(found)
    jax.effects_barrier()
    assert len(traced) == 1
    assert len(ran) == 2
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    # Of other shapes, or not arrays: one after the other.
    longer = ClassifierFreeGuidance(
        NoisePrediction(lambda x, t, args: x * jnp.sum(args), VE(0.1, 2.0)), 3.0, jnp.ones(3)
    )
    one, two = longer.score(X, 0.4, jnp.ones(3)), longer.score(X, 0.4, jnp.ones(2))
    np.testing.assert_allclose(longer(X, 0.4, jnp.ones(2)), one + 3 * (two - one), rtol=1e-12)


def test_conditions_that_cannot_be_mixed_are_refused():
    between = SCORES[-1]
    for args, message in (
        ((jnp.asarray(1), jnp.asarray(2)), "floating arrays.*Labels cannot be mixed"),
        ((jnp.ones(2), jnp.ones(3)), "of the same shapes"),
        (({"a": jnp.ones(2)}, jnp.ones(2)), "of the same structure"),
    ):
        with pytest.raises(ValueError, match=message):
            between(X, 0.4, args)
    with pytest.raises(ValueError, match=r"one shape \(2, \*shape\)"):
        ConditionBetween(NETWORK, jnp.ones((3, 2)), jnp.ones((3, 2)))
