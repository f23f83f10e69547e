"""The U-Net: shapes, classes, precision, and that every transform of JAX goes through it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models import ImageUNet

from .networks import TINY, random_weights

UNET = random_weights(ImageUNet, **TINY)
X = jax.random.normal(jax.random.key(1), (1, 16, 16))


def test_the_result_has_the_shape_of_the_point():
    colour = random_weights(ImageUNet, **TINY | {"channels": 3})
    x = jnp.zeros((3, 8, 24))
    assert jax.eval_shape(colour, x, 0.5, 0).shape == x.shape


@pytest.mark.parametrize("shape", [(16, 16), (2, 16, 16), (1, 20, 16), (1, 16, 12), (4, 1, 16, 16)])
def test_a_wrong_shape_is_named(shape):
    with pytest.raises((ValueError, TypeError), match=r"\(1, height, width\)|Float\["):
        UNET(jnp.zeros(shape), 0.5, 0)


def test_none_is_the_null_class():
    np.testing.assert_array_equal(UNET(X, 0.4, None), UNET(X, 0.4, 10))
    np.testing.assert_array_equal(UNET(X, 0.4), UNET(X, 0.4, jnp.asarray(10)))
    assert jnp.any(UNET(X, 0.4, 3) != UNET(X, 0.4))


@pytest.mark.parametrize("label", [-1, 11])
def test_a_label_out_of_range_is_refused(label):
    with pytest.raises(ValueError, match=f"from 0 to 10 .the null class., got {label}"):
        UNET(X, 0.4, label)


def test_a_traced_label_out_of_range_is_not_another_class():
    assert jnp.all(jnp.isnan(UNET(X, 0.4, jnp.asarray(11))))


def test_without_classes():
    unconditional = random_weights(ImageUNet, **TINY | {"num_classes": 0})
    assert unconditional.class_embedding is None
    assert jax.eval_shape(unconditional, X, 0.4).shape == X.shape


def test_time_matters():
    assert jnp.any(UNET(X, 0.4, 3) != UNET(X, 0.41, 3))
    np.testing.assert_array_equal(UNET(X, 1, 3), UNET(X, 1.0, 3))


@pytest.mark.slow
def test_jit_is_eager_and_vmap_is_a_loop():
    xs = jax.random.normal(jax.random.key(2), (3, 1, 16, 16))
    ts, labels = jnp.asarray([0.1, 0.5, 0.9]), jnp.asarray([0, 10, 7])
    loop = jnp.stack([UNET(x, t, label) for x, t, label in zip(xs, ts, labels, strict=True)])
    np.testing.assert_allclose(jax.vmap(UNET)(xs, ts, labels), loop, atol=1e-5)


def test_weights_are_float32_and_the_result_has_the_dtype_of_the_point():
    assert {leaf.dtype for leaf in jax.tree.leaves(UNET)} == {jnp.dtype(jnp.float32)}
    double, single = UNET(X, 0.4, 3), UNET(X.astype(jnp.float32), 0.4, 3)
    assert (double.dtype, single.dtype) == (jnp.float64, jnp.float32)
    np.testing.assert_array_equal(double, single)


@pytest.mark.slow
def test_it_is_smooth():
    """jvp, vjp and finite differences agree, and there is a second derivative."""
    v = jax.random.normal(jax.random.key(3), X.shape)

    def network(x):
        return UNET(x, 0.4, 3)

    def slope(x):
        return jax.jvp(network, (x,), (v,))

    y, jv = slope(X)
    _, pull = jax.vjp(network, X)
    (jt,) = pull(y)
    assert jv.dtype == jt.dtype == X.dtype
    np.testing.assert_allclose(jnp.vdot(y, jv), jnp.vdot(jt, v), rtol=1e-3)
    h = 1e-2
    difference = (network(X + h * v) - network(X - h * v)) / (2 * h)
    np.testing.assert_allclose(jv, difference, atol=1e-3 * float(jnp.max(jnp.abs(jv))) + 1e-5)
    _, (_, curvature) = jax.jvp(slope, (X,), (v,))
    assert jnp.all(jnp.isfinite(curvature))
    assert jnp.any(curvature != 0)


def test_derivatives_in_float32():
    x = X.astype(jnp.float32)
    _, jv = jax.jvp(lambda x: UNET(x, 0.4, 3), (x,), (x,))
    assert jv.dtype == jnp.float32
