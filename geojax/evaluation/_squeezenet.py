"""The trunk of SqueezeNet 1.1 (Iandola et al. 2016), with the weight names of torchvision."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._convolution import convolve

# The layers by their numbers in torchvision. LPIPS uses the output after each of these lists.
_SLICES = (("conv 0",), ("pool", "fire 3", "fire 4"), ("pool", "fire 6", "fire 7"))
_SLICES += (("pool", "fire 9"), ("fire 10",), ("fire 11",), ("fire 12",))
CHANNELS = (64, 128, 256, 384, 384, 512, 512)


class _Conv(eqx.Module):
    weight: Float[Array, "c_out c_in k k"]
    bias: Float[Array, " c_out"]
    stride: int = eqx.field(static=True)

    def __call__(self, x):
        # Kernels have one pixel or three. Only the latter are padded, and not the strided one.
        pad = (self.weight.shape[-1] // 2) * (self.stride == 1)
        return jax.nn.relu(convolve(x, self.weight, self.bias, self.stride, pad))


class _Fire(eqx.Module):
    squeeze: _Conv
    expand1x1: _Conv
    expand3x3: _Conv

    def __call__(self, x):
        h = self.squeeze(x)
        return jnp.concatenate([self.expand1x1(h), self.expand3x3(h)])


class SqueezeNet(eqx.Module):
    """Seven feature maps of an image, each of shape `(channels, height, width)`.

    **Raises:**

    - `ValueError`: when a weight is missing or has another shape.
    """

    layers: dict[str, _Conv | _Fire]

    def __init__(self, weights: Mapping[str, np.ndarray]):
        def array(name: str) -> Array:
            if name not in weights:
                raise ValueError(f"SqueezeNet 1.1 needs {name}, which is missing.")
            return jnp.asarray(np.asarray(weights[name], np.float32))

        def conv(name: str, stride: int = 1) -> _Conv:
            return _Conv(array(f"{name}.weight"), array(f"{name}.bias"), stride)

        def fire(name: str) -> _Fire:
            parts = (f"{name}.{part}" for part in ("squeeze", "expand1x1", "expand3x3"))
            squeeze, one, three = map(conv, parts)
            return _Fire(squeeze, one, three)

        kinds = [layer.split() for taps in _SLICES for layer in taps if layer != "pool"]
        self.layers = {
            n: conv("features.0", 2) if kind == "conv" else fire(f"features.{n}")
            for kind, n in kinds
        }

    def __call__(self, x: Float[Array, "3 height width"]) -> list[Float[Array, "_ _ _"]]:
        maps = []
        for taps in _SLICES:
            for layer in taps:
                x = _pool(x) if layer == "pool" else self.layers[layer.split()[1]](x)
            maps.append(x)
        return maps


def _pool(x):
    """Maxima over 3 x 3 at every second pixel; the last window may exceed the edge."""
    over = [(0, -(n - 3) % 2) for n in x.shape[1:]]
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3), (1, 2, 2), [(0, 0), *over])
