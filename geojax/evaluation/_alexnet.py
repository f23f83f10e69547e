"""The trunk of AlexNet (Krizhevsky 2014), with the weight names of torchvision."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._convolution import convolve

# The convolutions by their numbers in torchvision, with stride and padding. LPIPS uses the output
# of each ReLU. A maximum over 3 x 3 at every second pixel precedes the second and the third.
_LAYERS = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
_POOLED = (3, 6)
ALEX_CHANNELS = (64, 192, 384, 256, 256)


class AlexNet(eqx.Module):
    """Five feature maps of an image, each of shape `(channels, height, width)`.

    **Raises:**

    - `ValueError`: when a weight is missing.
    """

    weights: dict[int, Float[Array, "c_out c_in k k"]]
    biases: dict[int, Float[Array, " c_out"]]

    def __init__(self, weights: Mapping[str, np.ndarray]):
        def array(name: str) -> Array:
            if name not in weights:
                raise ValueError(f"AlexNet needs {name}, which is missing.")
            return jnp.asarray(np.asarray(weights[name], np.float32))

        self.weights = {n: array(f"features.{n}.weight") for n in _LAYERS}
        self.biases = {n: array(f"features.{n}.bias") for n in _LAYERS}

    def __call__(self, x: Float[Array, "3 height width"]) -> list[Float[Array, "_ _ _"]]:
        maps = []
        for n, (stride, pad) in _LAYERS.items():
            if n in _POOLED:
                x = jax.lax.reduce_window(
                    x, -jnp.inf, jax.lax.max, (1, 3, 3), (1, 2, 2), [(0, 0)] * 3
                )
            x = jax.nn.relu(convolve(x, self.weights[n], self.biases[n], stride, pad))
            maps.append(x)
        return maps
