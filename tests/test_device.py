"""What a GPU would punish, read off the programs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import geojax
from geojax.models import ImageUNet
from geojax.models.stable_diffusion import UNet
from tests.models.networks import TINY
from tests.models.stable_diffusion.checkpoints import configs
from tests.programs import equations

POINTS = jnp.array([2.0, 0.0], jnp.float32), jnp.array([0.0, 2.0], jnp.float32)


def metric():
    score = geojax.Shell(jnp.asarray(2.0, jnp.float32), jnp.asarray(0.25, jnp.float32))
    return geojax.SteinScoreMetric(score, jnp.asarray(1.0, jnp.float32))


def plane(x, args):
    return jnp.eye(2, dtype=x.dtype) / (1 + x[1] ** 2)


DOORS = {
    "geodesic": lambda a, b: geojax.geodesic(metric(), a, b, throw=False),
    "dense": lambda a, b: geojax.geodesic(geojax.DenseMetric(plane), a, b, throw=False),
    "batch": lambda a, b: geojax.geodesic_batch(metric(), a[None], b[None], throw=False),
    "exponential map": lambda a, b: geojax.exponential_map(metric(), a, b, throw=False),
    "logarithmic map": lambda a, b: geojax.log_map(metric(), a, b, throw=False),
}


@pytest.mark.parametrize("door", DOORS)
def test_single_precision_stays_single(door):
    """No array of a float32 solve is in float64, which a GPU computes many times slower."""
    program = jax.make_jaxpr(DOORS[door])(*POINTS)
    wide = [
        str(equation)
        for equation in equations(program.jaxpr)
        for out in equation.outvars
        if getattr(out.aval, "dtype", None) == jnp.float64 and out.aval.ndim
    ]
    assert not wide


def networks():
    point = jnp.zeros((1, 16, 16), jnp.float32)
    yield eqx.filter_eval_shape(ImageUNet, **TINY, key=jax.random.key(0)), point, ()
    unet = eqx.filter_eval_shape(UNet, configs("sd1")["unet"])
    point = jnp.zeros((unet.in_channels, unet.sample_size, unet.sample_size), jnp.float32)
    yield unet, point, (jnp.zeros((7, unet.text_width), jnp.float32),)


def test_convolutions_move_no_axes():
    """Channels are last in images and weights, the layout of use: no call moves weights' axes."""
    for network, point, rest in networks():
        arrays, static = eqx.partition(network, lambda a: isinstance(a, jax.ShapeDtypeStruct))

        def forward(arrays, point, static=static, rest=rest):
            return eqx.combine(arrays, static)(point, jnp.asarray(3.0), *rest)

        found = list(equations(jax.make_jaxpr(forward)(arrays, point).jaxpr))
        convolutions = [e for e in found if e.primitive.name == "conv_general_dilated"]
        assert len(convolutions) > 5
        for convolution in convolutions:
            images, weights, results = convolution.params["dimension_numbers"]
            assert images == results == (0, 3, 1, 2)
            assert weights == (3, 2, 0, 1)
        moved = {id(e.outvars[0]) for e in found if e.primitive.name == "transpose"}
        assert not [c for c in convolutions if id(c.invars[1]) in moved]
