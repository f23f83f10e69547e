"""The transformer of the U-Net at each position: attention to itself and to the text."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..diffusers._attention import Attention, Implementation
from ..diffusers._layers import Conv, GroupNorm, LayerNorm, Linear


class _GatedLinear(eqx.Module):
    proj: Linear

    def __init__(self, c_in: int, c_out: int):
        self.proj = Linear(c_in, 2 * c_out)

    def __call__(self, x):
        value, gate = jnp.split(self.proj(x), 2, axis=-1)
        return value * jax.nn.gelu(gate, approximate=False)


class _FeedForward(eqx.Module):
    net: list[_GatedLinear | Linear | None]  # the second is the dropout of the checkpoint

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
