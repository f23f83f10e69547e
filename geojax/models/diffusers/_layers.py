"""The layers of the networks of diffusers.

Attribute names are the keys of a checkpoint (`norm1.weight`, `to_out.0.bias`). Array shapes are
those of its tensors, except for the weight of a convolution, whose axes are moved on loading. A
layer is created with zeros, and loading fills it. Images are (height, width, channel) inside, the
fastest layout on CPUs and tensor cores.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._arrays import wide
from .._layers import convolve, group_normalised

# Weights are float32 in every session, until they are loaded in another dtype.
_DTYPE = jnp.float32


def _along_last(parameter: Array, x: Array) -> Array:
    return parameter.reshape((1,) * (x.ndim - 1) + (-1,))


class Linear(eqx.Module):
    """`x @ weight.T + bias` over the last axis."""

    weight: Float[Array, "c_out c_in"]
    bias: Float[Array, " c_out"] | None

    def __init__(self, c_in: int, c_out: int, *, bias: bool = True):
        self.weight = jnp.zeros((c_out, c_in), _DTYPE)
        self.bias = jnp.zeros(c_out, _DTYPE) if bias else None

    def __call__(self, x: Float[Array, "*n c_in"]) -> Float[Array, "*n c_out"]:
        y = x @ self.weight.T
        return y if self.bias is None else y + _along_last(self.bias, y)


class Conv(eqx.Module):
    """A convolution; the default padding keeps the size at `stride=1`."""

    # The axes are not in the checkpoint's order, because then every call would move them: at batch
    # size 1 that took up to half of the time.
    weight: Float[Array, "k k c_in c_out"]
    bias: Float[Array, " c_out"]

    def __init__(self, c_in: int, c_out: int, size: int = 3):
        self.weight = jnp.zeros((size, size, c_in, c_out), _DTYPE)
        self.bias = jnp.zeros(c_out, _DTYPE)

    def __call__(
        self,
        x: Float[Array, "h w c_in"],
        *,
        stride: int = 1,
        padding: tuple[int, int] | None = None,
    ) -> Float[Array, "h2 w2 c_out"]:
        size = self.weight.shape[0]
        pads = [padding or (size // 2, size // 2)] * 2
        return convolve(x, self.weight, self.bias, stride, pads)


class GroupNorm(eqx.Module):
    """Group normalisation over the positions and the channels of a group, in float32 at least."""

    weight: Float[Array, " c"]
    bias: Float[Array, " c"]
    groups: int = eqx.field(static=True)
    eps: float = eqx.field(static=True)

    def __init__(self, channels: int, groups: int, eps: float):
        self.weight, self.bias = jnp.ones(channels, _DTYPE), jnp.zeros(channels, _DTYPE)
        self.groups, self.eps = groups, eps

    def __call__(self, x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
        y = group_normalised(x, self.groups, self.eps)
        return y * _along_last(self.weight, x) + _along_last(self.bias, x)


class LayerNorm(eqx.Module):
    """Layer normalisation over the last axis, in float32 at least."""

    weight: Float[Array, " c"]
    bias: Float[Array, " c"]
    eps: float = eqx.field(static=True)

    def __init__(self, channels: int, eps: float = 1e-5):
        self.weight, self.bias = jnp.ones(channels, _DTYPE), jnp.zeros(channels, _DTYPE)
        self.eps = eps

    def __call__(self, x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
        y = wide(x)
        y = y - jnp.mean(y, axis=-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.mean(y**2, axis=-1, keepdims=True) + self.eps)
        return y.astype(x.dtype) * _along_last(self.weight, x) + _along_last(self.bias, x)


class Embedding(eqx.Module):
    """A table of vectors."""

    weight: Float[Array, "entries c"]

    def __init__(self, entries: int, channels: int):
        self.weight = jnp.zeros((entries, channels), _DTYPE)


class ResnetBlock(eqx.Module):
    """Two convolutions with a shortcut; the time embedding is added between them."""

    norm1: GroupNorm
    conv1: Conv
    time_emb_proj: Linear | None
    norm2: GroupNorm
    conv2: Conv
    conv_shortcut: Conv | None

    def __init__(self, c_in: int, c_out: int, c_time: int | None, groups: int, eps: float):
        self.norm1, self.norm2 = GroupNorm(c_in, groups, eps), GroupNorm(c_out, groups, eps)
        self.conv1, self.conv2 = Conv(c_in, c_out), Conv(c_out, c_out)
        self.time_emb_proj = None if c_time is None else Linear(c_time, c_out)
        self.conv_shortcut = None if c_in == c_out else Conv(c_in, c_out, 1)

    def __call__(self, x: Float[Array, "h w c_in"], time: Float[Array, " c_time"] | None = None):
        h = self.conv1(jax.nn.silu(self.norm1(x)))
        if self.time_emb_proj is not None and time is not None:
            h = h + self.time_emb_proj(jax.nn.silu(time))[None, None, :]
        h = self.conv2(jax.nn.silu(self.norm2(h)))
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Resample(eqx.Module):
    """A convolution that halves the size, or one that follows a doubling of it."""

    conv: Conv

    def __init__(self, channels: int):
        self.conv = Conv(channels, channels)

    def down(self, x: Float[Array, "h w c"], padding: tuple[int, int]) -> Array:
        return self.conv(x, stride=2, padding=padding)

    def up(self, x: Float[Array, "h w c"]) -> Array:
        return self.conv(jnp.repeat(jnp.repeat(x, 2, axis=0), 2, axis=1))
