"""A convolutional autoencoder of small images."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..._arrays import Numbers, as_floating, refuse_pixels
from ..._linalg import matmul

# Weights are always float32, so that a checkpoint gives the same results in every session.
_DTYPE = jnp.float32
_SMALLEST = 5  # the side at which convolutions end and a matrix follows
_SHIFTS = [(i, j) for i in range(3) for j in range(3)]


def from_bytes(pixels: Array) -> Float[Array, "..."]:
    """Pixels 0 ... 255 converted to the range [-1, 1] and the dtype of the networks."""
    return pixels.astype(_DTYPE) / 127.5 - 1


class _Affine(eqx.Module):
    """A bias, and a matrix or the kernel of a convolution."""

    weight: Float[Array, "..."]
    bias: Float[Array, " out"]

    def __init__(self, *shape: int, key: Key[Array, ""]):
        bound = math.sqrt(3 / math.prod(shape[:-1]))
        self.weight = jax.random.uniform(key, shape, _DTYPE, -bound, bound)
        self.bias = jnp.zeros(shape[-1], _DTYPE)


def _dense(layer: _Affine, x):
    return matmul(x, layer.weight.astype(x.dtype)) + layer.bias.astype(x.dtype)


def _convolved(layer: _Affine, x, stride: int):
    """A 3 x 3 convolution as one matrix product.

    Inside a loop (`jax.lax.scan`, as in training) convolutions are many times slower on a CPU.
    """
    height, width, _ = x.shape
    padded = jnp.pad(x, [(1, 1), (1, 1), (0, 0)])
    shifted = [padded[i : i + height : stride, j : j + width : stride] for i, j in _SHIFTS]
    patches = jnp.concatenate(shifted, axis=-1)
    kernel = layer.weight.reshape(-1, layer.weight.shape[-1]).astype(x.dtype)
    return matmul(patches, kernel) + layer.bias.astype(x.dtype)[None, None]


def _unfolded(x):
    """Four channels become a square of four pixels (sub-pixel convolution, Shi et al. 2016)."""
    height, width, channels = x.shape
    x = x.reshape(height, width, 2, 2, channels // 4).transpose(0, 2, 1, 3, 4)
    return x.reshape(2 * height, 2 * width, channels // 4)


class Autoencoder(eqx.Module):
    """An autoencoder: images to `latent` numbers and back.

    Convolutions halve the side until it is at most 5, then two matrices lead to the latent. The
    decoder takes the same way back. It is smooth (SiLU), so metrics can be pulled back through it.

    **Arguments:**

    - `channels`: 1 (grey) or 3 (colour).
    - `side`: of an image, 28 to 128 pixels.
    - `widths`: channels after each halving; the last one repeats for further halvings.
    - `hidden`: the width between the two matrices.
    - `latent`: the number of latent coordinates.
    - `key`: draws the weights.

    **Raises:**

    - `ValueError`: on sizes out of range.

    >>> import jax, jax.numpy as jnp
    >>> from geojax.models.latent import Autoencoder
    >>> network = Autoencoder(1, 28, widths=(4,), hidden=8, latent=3, key=jax.random.key(0))
    >>> z = network.encode(jnp.zeros((1, 28, 28)))
    >>> z.shape, network.decode(z).shape
    ((3,), (1, 28, 28))
    """

    down: list[_Affine]
    encoder: list[_Affine]
    decoder: list[_Affine]
    up: list[_Affine]
    sides: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        side: int,
        *,
        widths: Sequence[int] = (16, 32, 64),
        hidden: int = 256,
        latent: int = 64,
        key: Key[Array, ""],
    ):
        for name, value, least, most in (
            ("channels", channels, 1, 4),
            ("side", side, 8, 128),
            ("hidden", hidden, 1, 2**14),
            ("latent", latent, 1, 2**14),
        ):
            if not least <= value <= most:
                raise ValueError(f"{name} must be in {least} ... {most}, got {value}.")
        if not widths or min(widths) < 1:
            raise ValueError(f"widths must be positive numbers, got {tuple(widths)}.")
        sides = [side]
        while sides[-1] > _SMALLEST:
            sides.append((sides[-1] + 1) // 2)
        levels = len(sides) - 1
        widths = [channels, *(widths[min(i, len(widths) - 1)] for i in range(levels))]
        keys = iter(jax.random.split(key, 2 * levels + 4))
        flat = sides[-1] ** 2 * widths[-1]
        pairs = list(itertools.pairwise(widths))
        self.down = [_Affine(3, 3, a, b, key=next(keys)) for a, b in pairs]
        self.up = [_Affine(3, 3, b, 4 * a, key=next(keys)) for a, b in reversed(pairs)]
        inwards, outwards = (flat, hidden, latent), (latent, hidden, flat)
        self.encoder = [_Affine(a, b, key=next(keys)) for a, b in itertools.pairwise(inwards)]
        self.decoder = [_Affine(a, b, key=next(keys)) for a, b in itertools.pairwise(outwards)]
        self.sides = tuple(sides)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image: (channels, side, side)."""
        return self.up[-1].bias.shape[0] // 4, self.sides[0], self.sides[0]

    @property
    def latent(self) -> int:
        """The number of latent coordinates."""
        return self.encoder[-1].bias.shape[0]

    def encode(self, image: Numbers) -> Float[Array, " latent"]:
        """The latent of an image, shape `(latent,)`.

        **Arguments:**

        - `image`: shape `(channels, side, side)`, in [-1, 1].

        **Raises:**

        - `ValueError`: on another shape, or pixels in 0 ... 255.
        """
        refuse_pixels("image", image)
        axes = " ".join(str(n) for n in self.shape)
        image = as_floating("image", image, axes)
        return _encoded(self, image)

    def decode(self, z: Numbers) -> Float[Array, "channels side side"]:
        """The image of a latent, shape `(channels, side, side)`, in [-1, 1].

        **Raises:**

        - `ValueError`: on another shape.
        """
        z = as_floating("z", z, str(self.latent))
        return _decoded(self, z)

    def encoded(self, image: Array, dtype: Any) -> Float[Array, " latent"]:
        """`encode` without its checks, and with the convolutions in `dtype`, for training."""
        x = image.transpose(1, 2, 0).astype(dtype)
        for layer in self.down:
            x = jax.nn.silu(_convolved(layer, x, 2))
        first, second = self.encoder
        return _dense(second, jax.nn.silu(_dense(first, x.reshape(-1).astype(image.dtype))))

    def decoded(self, z: Array, dtype: Any) -> Float[Array, "channels side side"]:
        """`decode` without its checks, and with the convolutions in `dtype`, for training."""
        first, second = self.decoder
        x = jax.nn.silu(_dense(second, jax.nn.silu(_dense(first, z)))).astype(dtype)
        x = x.reshape(self.sides[-1], self.sides[-1], -1)
        for i, layer in enumerate(self.up):
            side = self.sides[-2 - i]
            x = _unfolded(_convolved(layer, x, 1))[:side, :side]
            if i < len(self.up) - 1:
                x = jax.nn.silu(x)
        return jnp.tanh(x.astype(z.dtype)).transpose(2, 0, 1)


# Compiled as wholes, because called eagerly each of their operations compiles by itself.
@eqx.filter_jit
def _encoded(autoencoder: Autoencoder, image: Array) -> Array:
    return autoencoder.encoded(image, image.dtype)


@eqx.filter_jit
def _decoded(autoencoder: Autoencoder, z: Array) -> Array:
    return autoencoder.decoded(z, z.dtype)
