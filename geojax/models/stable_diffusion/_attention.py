"""Attention, and the transformer that a U-Net has at each position."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._layers import Conv, GroupNorm, LayerNorm, Linear, wide

Implementation = Literal["xla", "cudnn"]
_CUDNN_WIDTHS = range(8, 129, 8)  # of a head


def attend(
    q: Array, k: Array, v: Array, heads: int, implementation: Implementation = "xla", **options
):
    """Multi-headed attention of (positions, channels) arrays, by `jax.nn.dot_product_attention`.

    "cudnn" is used where it can be: on a GPU, for self-attention in 16 bits with heads it takes.
    """
    q, k, v = (a.reshape(len(a), heads, -1) for a in (q, k, v))
    able = q.dtype.itemsize == 2 and q.shape[-1] in _CUDNN_WIDTHS and q.shape == k.shape
    able &= jax.default_backend() == "gpu"
    chosen = implementation if able else "xla"
    dtype = q.dtype
    if dtype == jnp.float16 and chosen == "xla":
        # Whose products of float16 with sums in float32 are not to be had on a CPU.
        q, k, v = wide(q), wide(k), wide(v)
    # It promotes 16 bits to 32 by itself, which strict promotion would forbid.
    with jax.numpy_dtype_promotion("standard"):
        y = jax.nn.dot_product_attention(q, k, v, implementation=chosen, **options)
    return y.reshape(len(y), -1).astype(dtype)


class Attention(eqx.Module):
    """Attention of ``x`` to itself or to a context; an autoencoder's normalises ``x`` first."""

    group_norm: GroupNorm | None
    to_q: Linear
    to_k: Linear
    to_v: Linear
    to_out: list[Linear]
    heads: int = eqx.field(static=True)
    implementation: Implementation = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        context: int,
        heads: int,
        implementation: Implementation = "xla",
        *,
        bias: bool = False,
        group_norm: GroupNorm | None = None,
    ):
        self.group_norm = group_norm
        self.to_q = Linear(channels, channels, bias=bias)
        self.to_k = Linear(context, channels, bias=bias)
        self.to_v = Linear(context, channels, bias=bias)
        self.to_out = [Linear(channels, channels)]
        self.heads, self.implementation = heads, implementation

    def __call__(
        self, x: Float[Array, "n c"], context: Float[Array, "m c_context"] | None = None
    ) -> Float[Array, "n c"]:
        x = x if self.group_norm is None else self.group_norm(x)
        context = x if context is None else context
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context)
        return self.to_out[0](attend(q, k, v, self.heads, self.implementation))


class _GatedLinear(eqx.Module):
    proj: Linear

    def __init__(self, c_in: int, c_out: int):
        self.proj = Linear(c_in, 2 * c_out)

    def __call__(self, x):
        value, gate = jnp.split(self.proj(x), 2, axis=-1)
        return value * jax.nn.gelu(gate, approximate=False)


class _FeedForward(eqx.Module):
    net: list[_GatedLinear | Linear | None]  # the second is the checkpoint's dropout

    def __init__(self, channels: int):
        self.net = [_GatedLinear(channels, 4 * channels), None, Linear(4 * channels, channels)]

    def __call__(self, x):
        for layer in self.net:
            x = x if layer is None else layer(x)
        return x


class _TransformerBlock(eqx.Module):
    norm1: LayerNorm
    attn1: Attention
    norm2: LayerNorm
    attn2: Attention
    norm3: LayerNorm
    ff: _FeedForward

    def __init__(self, channels: int, context: int, heads: int, implementation: Implementation):
        self.norm1, self.norm2, self.norm3 = (LayerNorm(channels) for _ in range(3))
        self.attn1 = Attention(channels, channels, heads, implementation)
        self.attn2 = Attention(channels, context, heads, implementation)
        self.ff = _FeedForward(channels)

    def __call__(self, x, text):
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), text)
        return x + self.ff(self.norm3(x))


class Transformer(eqx.Module):
    """Self-attention over the positions of an image and cross-attention to the text."""

    norm: GroupNorm
    proj_in: Conv | Linear
    transformer_blocks: list[_TransformerBlock]
    proj_out: Conv | Linear

    def __init__(
        self,
        channels: int,
        context: int,
        heads: int,
        groups: int,
        *,
        linear: bool,
        implementation: Implementation,
    ):
        def project():
            return Linear(channels, channels) if linear else Conv(channels, channels, 1)

        self.norm = GroupNorm(channels, groups, 1e-6)
        self.proj_in, self.proj_out = project(), project()
        self.transformer_blocks = [_TransformerBlock(channels, context, heads, implementation)]

    def __call__(
        self, x: Float[Array, "h w c"], text: Float[Array, "tokens c_text"]
    ) -> Float[Array, "h w c"]:
        h = self.proj_in(self.norm(x)).reshape(-1, x.shape[-1])
        for block in self.transformer_blocks:
            h = block(h, text)
        return x + self.proj_out(h.reshape(x.shape))
