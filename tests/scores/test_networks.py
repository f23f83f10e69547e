"""Networks of Equinox and Flax NNX as scores; wrong ways to call one end in the right one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.scores import PREDICTIONS, VE, DataPrediction, FlowPrediction, from_batched

KERNEL = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
X = jnp.asarray([0.3, -1.2, 0.5], jnp.float32)
IMAGE = jnp.arange(32, dtype=jnp.float32).reshape(2, 4, 4) / 32


@pytest.fixture(autouse=True)
def own_settings():
    """A user's settings of JAX, and his float32."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class Linear(eqx.Module):
    """tanh of a linear map of the point and the time."""

    kernel: jax.Array = eqx.field(converter=jnp.asarray)

    def __call__(self, x, t, args):
        return jnp.tanh(jnp.concatenate([x, t[None]]) @ self.kernel)

    def of_batch(self, x, t):
        return jnp.tanh(jnp.concatenate([x, t[:, None]], axis=1) @ self.kernel)


ONE = Linear(KERNEL)


def nnx_linear(batched=True):
    """The same map as a Flax NNX module, of batches."""
    nnx = pytest.importorskip("flax.nnx")

    class Network(nnx.Module):
        def __init__(self):
            self.layer = nnx.Linear(4, 3, use_bias=False, rngs=nnx.Rngs(0))
            self.layer.kernel[...] = jnp.asarray(KERNEL)

        def __call__(self, x, t, args=None):
            # Both a shape error on one point, and a wrong axis.
            batch, _ = x.shape
            return nnx.tanh(self.layer(jnp.concatenate([x, t.reshape(batch, 1)], axis=1)))

    return Network()


def length(network, t=0.4):
    """A distance in the metric of a network's score."""
    score = FlowPrediction(network)
    metric = geojax.SteinScoreMetric(score.at(t), 0.5)
    return geojax.geodesic(metric, X, -X, num_segments=4).length


def test_a_network_of_batches_is_that_of_one_point():
    given = []

    def network(x, t):
        given.append((x.shape, t.shape, t.dtype))
        return ONE.of_batch(x, t)

    adapted = from_batched(network)
    t, tangent = jnp.asarray(0.4, jnp.float32), jnp.ones(3, jnp.float32)

    @jax.jit
    def derivatives(x):
        value, along = jax.jvp(lambda x: adapted(x, t), (x,), (tangent,))
        (back,) = jax.vjp(lambda x: adapted(x, t), x)[1](tangent)
        exact, exact_along = jax.jvp(lambda x: ONE(x, t, None), (x,), (tangent,))
        (exact_back,) = jax.vjp(lambda x: ONE(x, t, None), x)[1](tangent)
        many = jax.vmap(adapted)(jnp.stack([x, -x]), jnp.stack([t, 2 * t]))
        all_of = ONE.of_batch(jnp.stack([x, -x]), jnp.stack([t, 2 * t]))
        return (value, along, back, many), (exact, exact_along, exact_back, all_of)

    for found, exact in zip(*derivatives(X), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-6)
    assert set(given) == {((1, 3), (1,), jnp.dtype("float32"))}


def test_conditions_get_a_batch_axis_and_channels_are_moved():
    seen = []

    def network(x, t, args):
        seen.append((x.shape, t.shape, args["label"].shape, args["text"].shape, args["name"]))
        return x * jnp.asarray([1.0, 2.0])

    args = {"label": jnp.asarray(7), "text": jnp.ones((5, 3)), "name": "kept"}
    adapted = from_batched(network, channels_last=True, batched_time=False)
    found = adapted(IMAGE, jnp.asarray(0.4), args)
    np.testing.assert_allclose(found, IMAGE * np.asarray([1, 2])[:, None, None], rtol=1e-6)
    assert seen == [((1, 4, 4, 2), (), (1,), (1, 5, 3), "kept")]


@pytest.mark.slow
def test_nnx_networks_have_gradients_in_the_users_own_loss():
    nnx = pytest.importorskip("flax.nnx")
    network = nnx_linear()

    def loss(network):
        return length(from_batched(network))

    exact = eqx.filter_jit(eqx.filter_grad(length))(ONE).kernel
    by_nnx = nnx.jit(nnx.grad(loss))(network)
    np.testing.assert_allclose(by_nnx["layer"]["kernel"][...], exact, rtol=1e-4, atol=1e-6)

    def matching(network):
        score = FlowPrediction(from_batched(network))
        return geojax.denoising_score_matching_loss(score, X, 0.4, -X, weighting="velocity")

    value, slope = nnx.value_and_grad(matching)(network)
    np.testing.assert_allclose(value, np.mean((ONE(0.2 * X, jnp.float32(0.4), None) + 2 * X) ** 2))
    by_jax = jax.grad(matching)(network).layer.kernel[...]
    np.testing.assert_allclose(slope["layer"]["kernel"][...], by_jax, rtol=1e-5)
    assert np.max(np.abs(by_jax)) > 0.1


@pytest.mark.slow
def test_a_score_with_a_lambda_is_an_argument_of_jit_and_grad():
    network = nnx_linear()
    scores = [
        FlowPrediction(lambda x, t, args: ONE(x, t, args)),
        FlowPrediction(ONE.__call__),
        FlowPrediction(from_batched(lambda x, t: ONE.of_batch(x, t))),
        FlowPrediction(from_batched(network.__call__)),
    ]
    for score in scores:
        found = jax.jit(lambda score, x: score(x, 0.4))(score, X)
        np.testing.assert_allclose(found, FlowPrediction(ONE)(X, 0.4), rtol=1e-5)
    # A method has the parameters of its module.
    slope = jax.grad(lambda score: jnp.sum(score(X, 0.4)))
    for score in (scores[1], scores[3]):
        (leaf,) = jax.tree.leaves(slope(score))
        np.testing.assert_allclose(leaf, slope(FlowPrediction(ONE)).network.kernel, rtol=1e-4)
    # And a geodesic in the user's own program.
    metric = lambda score: geojax.SteinScoreMetric(score.at(0.4), 0.5)  # noqa: E731
    solve = jax.jit(lambda s: geojax.geodesic(metric(s), X, -X, num_segments=4).length)
    np.testing.assert_allclose(solve(scores[0]), length(ONE), rtol=1e-5)
    # So may a metric of a lambda.
    own = geojax.SteinScoreMetric(lambda x, args: scores[0](x, 0.4), 0.5)
    cost = jax.jit(lambda metric, x: metric.norm(x, x))
    np.testing.assert_allclose(cost(own, X), metric(scores[0]).norm(X, X), rtol=1e-5)
    logs = geojax.from_log_density(lambda x, args: -jnp.sum(x**2) / 2)
    np.testing.assert_allclose(jax.jit(lambda s: s(X))(logs), -X)


def fails(network, *texts, x=X):
    for kind in PREDICTIONS.values():
        with pytest.raises(ValueError) as caught:
            kind(network, VE(0.5, 2.0))(x, 0.4)
        message = str(caught.value)
        for text in texts:
            assert text in message, message


@pytest.mark.slow
def test_a_batched_network_with_one_point_raises_an_error_with_the_remedy():
    advice = "network takes batches, and was given one point: pass geojax.from_batched("
    fails(lambda x, t, args: ONE.of_batch(x, t), advice + "network)", "IndexError")
    images = lambda x, t, args: jnp.einsum("bhwc,cd->bhwd", x, jnp.eye(2)) * t[:, None, None, None]  # noqa: E731
    fails(images, advice + "network, channels_last=True)", x=IMAGE)
    one_time = lambda x, t, args: jnp.einsum("bd,de->be", x, jnp.eye(3)) * jnp.stack([t] * 3)  # noqa: E731
    fails(one_time, advice + "network, batched_time=False)")
    # What the advice says is right.
    score = DataPrediction(from_batched(images, channels_last=True), VE(0.5, 2.0))
    np.testing.assert_allclose(score.denoised(IMAGE, 0.4), 0.4 * IMAGE, atol=1e-5)


def test_a_batched_nnx_network_raises_an_error_with_the_remedy():
    fails(nnx_linear(), "pass geojax.from_batched(network)")


@pytest.mark.usefixtures("as_users_run")
def test_the_order_of_arguments():
    for network in (lambda t, x: x, lambda t, y, args: y, lambda time, x, cond: x):
        for kind in PREDICTIONS.values():
            with pytest.raises(ValueError, match=r"the point first, got one with the parameters"):
                kind(network, VE())
    swapped = "in another order, (t, x, args): pass lambda x, t, args: network(t, x, args)."
    fails(lambda a, b, c: ONE(b, a, c), swapped)  # an error from inside
    fails(lambda a, b, c: b * jnp.sum(a), swapped)  # another shape


@pytest.mark.slow
def test_steps_and_other_dtypes():
    table = jnp.linspace(0, 1, 1000)
    steps = "takes the number of a step (of T steps, numbered from 1, t is k / T): pass "
    fails(
        lambda x, t, args: x * table[t],
        steps + "lambda x, t, args: network(x, jnp.round(T * t).astype(int), args)",
    )
    conv = eqx.nn.Conv2d(2, 2, 3, padding=1, key=jax.random.key(0))
    for dtype in (jnp.bfloat16, jnp.float16):
        half = jax.tree.map(lambda a, d=dtype: a.astype(d) if eqx.is_array(a) else a, conv)
        name = jnp.dtype(dtype).name
        fails(
            lambda x, t, args, half=half: half(x),
            f"network computes in {name}: pass lambda x, t, args: network(x.astype(jnp.{name}), "
            f"t.astype(jnp.{name}), args).",
            x=IMAGE,
        )
    # Two at once.
    fails(
        lambda x, t, args: jax.vmap(half)(x),
        "takes batches, and was given one point and computes in float16: pass "
        "geojax.from_batched(lambda x, t, args: network(x.astype(jnp.float16)",
        x=IMAGE,
    )
    # Steps as times are refused by every score.
    with pytest.raises(ValueError, match=r"t must lie in \[0, 1\], got 999. Step k of T is t = k"):
        FlowPrediction(ONE)(X, 999)


def test_an_error_of_the_network_itself_is_unchanged():
    with pytest.raises(TypeError, match="contracting dim"):
        FlowPrediction(lambda x, t, args: x @ jnp.ones((5, 3)))(X, 0.4)
    with pytest.raises(ZeroDivisionError):
        FlowPrediction(lambda x, t, args: x / (1 // 0))(X, 0.4)


@pytest.mark.slow
def test_dropout_in_training_mode():
    nnx = pytest.importorskip("flax.nnx")

    class Network(nnx.Module):
        def __init__(self):
            self.drop = nnx.Dropout(0.5, rngs=nnx.Rngs(0))

        def __call__(self, x, t, args=None):
            return self.drop(jnp.tanh(x))

    network = Network()
    with pytest.raises(ValueError, match=r"changes its own state .*call network.eval\(\) before"):
        length(network)
    network.eval()
    assert length(network) > 2


@pytest.mark.usefixtures("as_users_run")
def test_from_batched_refuses_bad_input():
    for network, message in (
        (lambda x: x, r"network must be a callable \(x, t, args\).*Wrap a function f\(x\)"),
        (lambda t, x: x, "the point first"),
        (3, "got int"),
    ):
        with pytest.raises(ValueError, match=message):
            from_batched(network)
    t = jnp.asarray(0.4)
    with pytest.raises(ValueError, match=r"channels_last needs a point \(channels, ...\)"):
        from_batched(lambda x, t: x, channels_last=True)(X, t)
    with pytest.raises(ValueError, match=r"network must return a batch of one, .*got shape \(3,\)"):
        from_batched(lambda x, t: x[0])(X, t)
    with pytest.raises(ValueError, match=r"an array of shape \(1, 3\), got a tuple of 1"):
        from_batched(lambda x, t: (x,))(X, t)
