"""Flow matching on Gaussians, where its velocity is known, and pure noise, where alpha is 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.scores import (
    ClassifierFreeGuidance,
    Empirical,
    FlowPrediction,
    GaussianMixture,
    NoisedSphere,
    NoisePrediction,
    NoiseRoute,
    RectifiedFlow,
    VPCosine,
    counted_probability_flow,
    ddim,
    ddim_inversion,
    ddim_path,
    denoising_score_matching_loss,
    probability_flow,
    probe_averaged,
    sample,
)

MEAN, SCALE = np.asarray([0.7, -0.2]), 0.4
MIXTURE = GaussianMixture(
    [[1.0, -0.5], [-1.0, 0.3]], scales=[[0.4], [0.6]], schedule=RectifiedFlow()
)
X = jnp.asarray([0.7, -1.2])


def velocity(x, t, args):
    """eps - x_0 of data N(MEAN, SCALE^2 I), its mean at x: finite at both ends."""
    mean = MEAN.astype(x.dtype)
    gain = (1 - t) * SCALE**2 / ((1 - t) ** 2 * SCALE**2 + t**2)
    away = x - (1 - t) * mean
    noise = t / ((1 - t) ** 2 * SCALE**2 + t**2) * away
    return noise - mean - gain * away


def mixture_velocity(x, t, args):
    """By numpy's formulas of a posterior, component by component."""
    means, scales = MIXTURE.means, MIXTURE.scales[:, 0]
    variances = (1 - t) ** 2 * scales**2 + t**2
    away = x[None] - (1 - t) * means
    logs = -jnp.sum(away**2, 1) / (2 * variances) - jnp.log(variances)
    clean = means + ((1 - t) * scales**2 / variances)[:, None] * away
    noise = (t / variances)[:, None] * away
    return jnp.sum(jax.nn.softmax(logs)[:, None] * (noise - clean), axis=0)


GAUSSIAN = FlowPrediction(velocity)


@pytest.mark.slow
def test_the_velocity_of_a_mixture_gives_its_score():
    score = FlowPrediction(mixture_velocity)

    @jax.jit
    def both(x, t):
        return score(x, t), MIXTURE(x, t), score.denoised(x, t), MIXTURE.denoised(x, t)

    for t in (0.01, 0.3, 0.9, 0.999):
        found, exact, clean, exact_clean = both(X, t)
        np.testing.assert_allclose(found, exact, rtol=1e-9)
        np.testing.assert_allclose(clean, exact_clean, rtol=1e-9)
    # At level 1 the density is N(0, I), and the denoised point the mean of the data.
    np.testing.assert_allclose(score(X, 1.0), -X, rtol=1e-12)
    np.testing.assert_allclose(MIXTURE(X, 1.0), -X, rtol=1e-12)
    np.testing.assert_allclose(score.denoised(X, 1.0), [0.0, -0.1], atol=1e-12)


def test_the_loss_is_that_of_flow_matching():
    """mean |v - (eps - x0)|^2 with the weighting "velocity", (1 - t)^2 times that with "noise"."""
    x0, eps = jnp.asarray([0.3, 0.1]), jnp.asarray([-1.0, 2.0])

    @jax.jit
    def losses(t):
        names = ("velocity", "noise")
        return [denoising_score_matching_loss(GAUSSIAN, x0, t, eps, weighting=n) for n in names]

    for t in (1e-3, 0.4, 1.0):
        exact = np.mean((velocity((1 - t) * x0 + t * eps, t, None) - (eps - x0)) ** 2)
        found, by_noise = losses(t)
        np.testing.assert_allclose(found, exact, rtol=1e-9)
        np.testing.assert_allclose(by_noise, (1 - t) ** 2 * exact, rtol=1e-9, atol=1e-15)


@pytest.mark.slow
def test_samplers_carry_noise_to_a_gaussian():
    """The flow of one Gaussian keeps the number of standard deviations from the mean."""
    exact = MEAN + SCALE * X
    moved, evaluations = counted_probability_flow(GAUSSIAN, X, 1.0, 0.0, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(moved, exact, atol=2e-3)  # below T_MIN: one step of DDIM
    assert evaluations % 6 == 3  # of the ODE 1 more than a multiple of 6, and one a clean end
    errors = [np.max(np.abs(ddim(GAUSSIAN, X, 1.0, 0.0, num_steps=n) - exact)) for n in (50, 200)]
    assert errors[1] < 0.02 and errors[1] < errors[0] / 3
    path = ddim_path(GAUSSIAN, X, jnp.linspace(1.0, 0.0, 51))
    np.testing.assert_allclose(path[-1], ddim(GAUSSIAN, X, 1.0, 0.0), rtol=1e-12)
    # One step of DDIM is one of Euler along the velocity.
    step = ddim(GAUSSIAN, X, 0.8, 0.6, num_steps=1)
    np.testing.assert_allclose(step, X - 0.2 * velocity(X, 0.8, None), rtol=1e-10)
    noise = jax.random.normal(jax.random.key(0), (2,))
    drawn = sample(GAUSSIAN, (2,), key=jax.random.key(0), sampler="probability_flow")
    np.testing.assert_allclose(drawn, MEAN + SCALE * noise, atol=2e-3)


@pytest.mark.slow
def test_the_flow_carries_noise_to_the_mixture():
    """Of a mixture in one dimension the flow is the monotone map between quantiles."""
    line = GaussianMixture(
        [[1.5], [-1.0]], [0.3, 0.5], weights=[0.3, 0.7], schedule=RectifiedFlow()
    )
    xs = jnp.linspace(-2, 2, 9)[:, None]
    moved = jax.vmap(lambda x: probability_flow(line, x, 1.0, 0.0, rtol=1e-7, atol=1e-7))(xs)
    cdf = jax.scipy.stats.norm.cdf
    mass = 0.3 * cdf((moved - 1.5) / 0.3) + 0.7 * cdf((moved + 1.0) / 0.5)
    np.testing.assert_allclose(mass, cdf(xs), atol=2e-3)
    for eta in (0.0, 1.0):
        keys = jax.random.split(jax.random.key(1), 4000)

        def draw(key, eta=eta):
            x = jax.random.normal(key, (1,))
            return ddim_path(line, x, jnp.linspace(1, 0, 101), eta=eta, key=key)[-1]

        drawn = np.sort(np.asarray(jax.vmap(draw)(keys)), axis=0)
        mass = 0.3 * cdf((drawn - 1.5) / 0.3) + 0.7 * cdf((drawn + 1.0) / 0.5)
        # Kolmogorov's statistic of 4000 draws is below 0.03 with a probability of 0.998.
        assert np.max(np.abs(mass[:, 0] - np.linspace(0, 1, 4000))) < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.3, 1.0])
def test_inversion_and_back(level):
    spread = np.sqrt((1 - level) ** 2 * SCALE**2 + level**2)
    exact = (1 - level) * MEAN + spread * (X - MEAN) / SCALE
    noised = probability_flow(GAUSSIAN, X, 0.0, level)
    np.testing.assert_allclose(noised, exact, atol=5e-3)
    np.testing.assert_allclose(probability_flow(GAUSSIAN, noised, level, 0.0), X, atol=1e-4)
    coarse, fine = (ddim_inversion(GAUSSIAN, X, level, num_steps=n) for n in (50, 400))
    assert float(fine.error) < min(0.01, float(coarse.error) / 5)
    np.testing.assert_allclose(fine.point, exact, atol=0.02)
    for denoising in ("ddim", "probability_flow"):
        route = NoiseRoute(GAUSSIAN, level, denoising=denoising, num_steps=400)
        np.testing.assert_allclose(route.to_level(X), exact, atol=0.02)
        ends = route.ends(X, -X)
        assert np.max(ends.loss) < 0.02


@pytest.mark.slow
def test_traced_times_and_single_precision():
    """Levels that are not known while tracing, the ends of the axis among them, in float32."""
    x = X.astype(jnp.float32)
    move = jax.jit(lambda x, t, u: probability_flow(GAUSSIAN, x, t, u))
    there = move(x, 0.0, 1.0)
    assert there.dtype == jnp.float32
    np.testing.assert_allclose(there, (X - MEAN) / SCALE, atol=5e-3)
    np.testing.assert_allclose(move(there, 1.0, 0.0), X, atol=1e-3)
    np.testing.assert_allclose(move(there, 1.0, 1.0), there, rtol=1e-3)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(ddim(GAUSSIAN, x, 1.0, 0.0))))(X)
    np.testing.assert_allclose(slope, SCALE, atol=0.05)


@pytest.mark.parametrize("schedule", [RectifiedFlow(), VPCosine()], ids=["flow", "cosine"])
def test_pure_noise_is_finite_or_refused(schedule):
    """Scores are defined at level 1; functions that divide by alpha raise an error."""
    embedded = NoisedSphere(1.0, width=0.2, schedule=schedule)
    for score in (MIXTURE, Empirical(jnp.ones((3, 2)), schedule), embedded):
        np.testing.assert_allclose(score(X, 1.0), -X, rtol=1e-9, atol=1e-9)
        assert np.isfinite(score.log_density(X, 1.0))
    network = NoisePrediction(lambda x, t, args: x, schedule)
    guided = ClassifierFreeGuidance(network, 2.0)
    for call, reason in (
        (lambda: network.denoised(X, 1.0), r"a clean point is \(x \+ sigma\^2 s\) / alpha"),
        (lambda: guided.denoised(X, 1), r"a clean point is"),
        (lambda: probe_averaged(network, 1.0, (2,), key=jax.random.key(0)), "all clean points are"),
        (
            lambda: NoiseRoute(network, 1.0, "shared").noised(X, key=jax.random.key(0)),
            "'shared' ta",
        ),
        (lambda: NoiseRoute(network, 1.0, "none").noised(X), "noising='none' takes all images to"),
        (lambda: NoiseRoute(network, 1.0, denoising="none").denoised(X), "'none' divides by alpha"),
    ):
        with pytest.raises(ValueError, match=rf"t = 1.* is pure noise.*{reason}.*Take t < 1"):
            call()
    # Slightly below, and where t is traced, they are computed.
    assert np.all(np.isfinite(network.denoised(X, 0.999)))
    assert np.isinf(RectifiedFlow().noise_to_signal(1.0))
    with pytest.raises(ValueError, match="t = 0 has no noise, and the score is a prediction"):
        FlowPrediction(velocity).at(0)


@pytest.mark.slow
def test_a_geodesic_at_every_level():
    """From pictures to pictures by inversion, at pure noise too: there the metric has no ridge."""
    for t in (0.2, 1.0):
        options = {"frames": 3, "num_steps": 100, "num_segments": 4, "throw": False}
        path = geojax.interpolate(FlowPrediction(mixture_velocity), X, -X, t=t, lam=0.1, **options)
        np.testing.assert_allclose(path.images[jnp.asarray([0, -1])], [X, -X], atol=0.1)
        assert np.all(np.isfinite(path.images))
