"""The common part of the U-Nets of diffusers: their skeleton and the embedding of the time."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from .._timesteps import as_timestep
from ._layers import Conv, GroupNorm, Linear, Resample, ResnetBlock


class TimeEmbedding(eqx.Module):
    """Sines and cosines of the timestep, through two layers.

    `sine_first`: the sines come before the cosines. `shift`: with 1 the slowest rate is 1 / 10000.
    """

    linear_1: Linear
    linear_2: Linear
    sine_first: bool = eqx.field(static=True)
    shift: int = eqx.field(static=True)

    def __init__(self, channels: int, *, sine_first: bool = False, shift: int = 0):
        self.linear_1 = Linear(channels, 4 * channels)
        self.linear_2 = Linear(4 * channels, 4 * channels)
        self.sine_first, self.shift = sine_first, shift

    def __call__(self, timestep: Real[Array, ""]) -> Float[Array, " c_time"]:
        half, dtype = self.linear_1.weight.shape[1] // 2, self.linear_1.weight.dtype
        slope = -math.log(10_000) / (half - self.shift)
        phases = timestep.astype(jnp.float32) * jnp.exp(slope * jnp.arange(half, dtype=jnp.float32))
        waves = [jnp.cos(phases), jnp.sin(phases)]
        waves = jnp.concatenate(waves[::-1] if self.sine_first else waves).astype(dtype)
        return self.linear_2(jax.nn.silu(self.linear_1(waves)))


class _Block(eqx.Module):
    """Residual blocks of one resolution, each optionally followed by attention."""

    resnets: list[ResnetBlock]
    attentions: list[Any] | None

    def layers(self):
        return list(zip(self.resnets, self.attentions or [None] * len(self.resnets), strict=True))


class _DownBlock(_Block):
    downsamplers: list[Resample] | None


class _UpBlock(_Block):
    upsamplers: list[Resample] | None


class _MiddleBlock(eqx.Module):
    resnets: list[ResnetBlock]
    attentions: list[Any] | None


class Plan(NamedTuple):
    """The sizes of a U-Net.

    `channels`, `down` and `up` are by level, the finest first (for `up` the coarsest): the
    channels, and whether there is attention. `middle`: whether there is attention in the middle.
    """

    c_in: int
    c_out: int
    channels: Sequence[int]
    layers: int
    groups: int
    eps: float
    down: Sequence[bool]
    up: Sequence[bool]
    middle: bool = True


class UNetBase(eqx.Module):
    """Residual blocks down to a coarse resolution and up again, with skip connections.

    A subclass reads a config and checks its inputs. `attention(level)` creates a module that is
    called as `(x, context)` after a residual block. `padding` is that of the halving convolutions.
    """

    time_embedding: TimeEmbedding
    conv_in: Conv
    down_blocks: list[_DownBlock]
    mid_block: _MiddleBlock
    up_blocks: list[_UpBlock]
    conv_norm_out: GroupNorm
    conv_out: Conv
    in_channels: int = eqx.field(static=True)
    unit: int = eqx.field(static=True)
    padding: tuple[int, int] = eqx.field(static=True)
    remat: bool = eqx.field(static=True)

    def __init__(
        self,
        plan: Plan,
        time_embedding: TimeEmbedding,
        attention: Callable[[int], Any],
        *,
        padding: tuple[int, int] = (1, 1),
        remat: bool = False,
    ):
        channels, levels = plan.channels, len(plan.channels)

        def resnet(c_in, c_out):
            return ResnetBlock(c_in, c_out, 4 * channels[0], plan.groups, plan.eps)

        self.time_embedding = time_embedding
        self.conv_in = Conv(plan.c_in, channels[0])
        self.down_blocks, skips, width = [], [channels[0]], channels[0]
        for level, attends in enumerate(plan.down):
            c, last = channels[level], level == levels - 1
            resnets = [resnet(c if i else width, c) for i in range(plan.layers)]
            attentions = [attention(level) for _ in resnets] if attends else None
            self.down_blocks.append(
                _DownBlock(resnets, attentions, None if last else [Resample(c)])
            )
            skips += [c] * (plan.layers if last else plan.layers + 1)
            width = c
        self.mid_block = _MiddleBlock(
            [resnet(width, width), resnet(width, width)],
            [attention(levels - 1)] if plan.middle else None,
        )
        self.up_blocks = []
        for level, attends in zip(reversed(range(levels)), plan.up, strict=True):
            c, resnets = channels[level], []
            for _ in range(plan.layers + 1):
                resnets.append(resnet(width + skips.pop(), c))
                width = c
            attentions = [attention(level) for _ in resnets] if attends else None
            self.up_blocks.append(_UpBlock(resnets, attentions, [Resample(c)] if level else None))
        self.conv_norm_out = GroupNorm(channels[0], plan.groups, plan.eps)
        self.conv_out = Conv(channels[0], plan.c_out)
        self.in_channels, self.unit = plan.c_in, 2 ** (levels - 1)
        self.padding, self.remat = padding, remat

    # Compiled as a whole; called eagerly, its hundreds of operations would compile one by one.
    @eqx.filter_jit
    def predicted(
        self, x: Float[Array, "c h w"], timestep: Real[Array, ""], context: Array | None = None
    ) -> Float[Array, "c_out h w"]:
        """The output of the network for `x`, in the dtype of `x`."""
        dtype, given = self.conv_in.weight.dtype, x.dtype
        time = self.time_embedding(timestep)
        context = None if context is None else context.astype(dtype)
        x = self.conv_in(x.astype(dtype).transpose(1, 2, 0))
        skips = [x]
        for block in self.down_blocks:
            for resnet, attention in block.layers():
                x = self._layer(resnet, attention, x, time, context)
                skips.append(x)
            for resample in block.downsamplers or []:
                x = resample.down(x, self.padding)
                skips.append(x)
        first, last = self.mid_block.resnets
        (attention,) = self.mid_block.attentions or [None]
        x = self._layer(first, attention, x, time, context)
        x = self._layer(last, None, x, time, context)
        for block in self.up_blocks:
            for resnet, attention in block.layers():
                x = jnp.concatenate([x, skips.pop()], axis=-1)
                x = self._layer(resnet, attention, x, time, context)
            for resample in block.upsamplers or []:
                x = resample.up(x)
        x = self.conv_out(jax.nn.silu(self.conv_norm_out(x)))
        return x.transpose(2, 0, 1).astype(given)

    def _layer(self, resnet, attention, x, time, context):
        def layer(resnet, attention, x):
            x = resnet(x, time)
            return x if attention is None else attention(x, context)

        return (eqx.filter_checkpoint(layer) if self.remat else layer)(resnet, attention, x)

    def check_size(self, name: str, x: Array) -> None:
        """Raise `ValueError` when the sides of `x` cannot be halved often enough."""
        _, h, w = x.shape
        if h % self.unit or w % self.unit:
            raise ValueError(
                f"{name} must have shape ({self.in_channels}, h, w) with h and w divisible by "
                f"{self.unit}, got {x.shape}."
            )


class Timed(eqx.Module):
    """A network of diffusers as a function `(x, t, args)` of t in [0, 1].

    Its timestep 0 ... T - 1 is step k = 1 ... T, at t = k / T. `args` is passed on.
    """

    network: Callable[..., Any]
    num_steps: int = eqx.field(static=True)

    def __call__(self, x, t, args):
        return self.network(x, as_timestep(t, self.num_steps), args)
