"""The score of clean points by antithetic probes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.scores import (
    VE,
    GaussianMixture,
    NoisePrediction,
    ProbeAveragedDensity,
    ProbeAveragedScore,
    VPLinear,
    probe_averaged,
)

KEY = jax.random.key(1)
MEANS = jnp.asarray([[0.3, -1.0, 0.5], [1.2, 0.4, -0.7]])
MIXTURE = GaussianMixture(MEANS, scales=0.6)
X = jnp.asarray([0.2, 0.1, -0.4])


@pytest.mark.slow
def test_it_is_the_mean_over_antithetic_noised_points():
    averaged = probe_averaged(MIXTURE, 0.3, (3,), 4, key=KEY)
    alpha, sigma = VPLinear().alpha(0.3), VPLinear().sigma(0.3)
    eps = averaged.probes.probes
    noised = [alpha * X + sign * sigma * e for e in eps for sign in (1, -1)]
    expected = np.mean([MIXTURE(x, 0.3) for x in noised], axis=0)
    np.testing.assert_allclose(averaged(X), expected, rtol=1e-12)
    unit_free = probe_averaged(MIXTURE, 0.3, (3,), 4, key=KEY, unit_free=True)
    np.testing.assert_allclose(unit_free(X), sigma * expected, rtol=1e-12)


@pytest.mark.slow
def test_of_a_gaussian_the_noise_cancels():
    """The score is linear there: one pair of probes gives it at alpha x, exactly."""
    gaussian = GaussianMixture(MEANS[:1], scales=0.6)
    averaged = probe_averaged(gaussian, 0.3, (3,), 1, key=KEY)
    expected = gaussian(VPLinear().alpha(0.3) * X, 0.3)
    np.testing.assert_allclose(averaged(X), expected, rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("unit_free", [False, True])
def test_it_is_the_gradient_of_its_log_density(unit_free):
    averaged = probe_averaged(MIXTURE, 0.3, (3,), 4, key=KEY, unit_free=unit_free)
    assert isinstance(averaged, ProbeAveragedDensity)
    np.testing.assert_allclose(jax.grad(averaged.log_density)(X), averaged(X), rtol=1e-11)


@pytest.mark.slow
def test_many_probes_smooth_the_log_density():
    """`alpha s` is the gradient of `E log p_t(alpha x + sigma eps)`: here by another draw."""
    t = 0.4
    averaged = probe_averaged(MIXTURE, t, (3,), 5_000, key=KEY)
    alpha, sigma = VPLinear().alpha(t), VPLinear().sigma(t)
    eps = jax.random.normal(jax.random.key(2), (10_000, 3))

    def smoothed(x):
        logs = jax.vmap(lambda e: MIXTURE.log_density(alpha * x + sigma * e, t))(eps)
        return jnp.mean(logs)

    np.testing.assert_allclose(alpha * averaged(X), jax.grad(smoothed)(X), atol=2e-2)


@pytest.mark.slow
def test_a_network_is_evaluated_in_one_batch_with_its_label():
    calls = []

    def network(x, t, args):
        calls.append(args)
        return x * args["scale"]

    score = NoisePrediction(network, VE(0.5, 5.0))
    averaged = probe_averaged(score, 0.0, (2, 3), 6, key=KEY)
    assert isinstance(averaged, ProbeAveragedScore) and not hasattr(averaged, "log_density")
    x = jnp.ones((2, 3), jnp.float32)
    value = averaged(x, {"scale": jnp.float32(2.0)})
    np.testing.assert_allclose(value, -4 * x, rtol=1e-5)
    assert len(calls) == 1 and value.dtype == jnp.float32


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"t must lie in \[0, 1\]"):
        probe_averaged(MIXTURE, 400, (3,), key=KEY)
    with pytest.raises(ValueError, match="num_probes must be at least 1"):
        probe_averaged(MIXTURE, 0.4, (3,), 0, key=KEY)
    with pytest.raises(ValueError, match=r"shape of a probe, \(3,\), got \(2,\)"):
        probe_averaged(MIXTURE, 0.4, (3,), key=KEY)(X[:2])
