"""The U-Net of Stable Diffusion 1.x and 2.x (``UNet2DConditionModel``)."""

import math
from collections.abc import Mapping
from typing import Any, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from ..._arrays import Numbers, as_floating
from ._attention import Implementation, Transformer
from ._config import flag, group_count, kinds, number, positive, positives, read_fields
from ._layers import Conv, GroupNorm, Linear, Resample, ResnetBlock

_WHERE = "unet/config.json"
_CLASSES = ("UNet2DConditionModel",)
_DOWN = {"DownBlock2D": False, "CrossAttnDownBlock2D": True}
_UP = {"UpBlock2D": False, "CrossAttnUpBlock2D": True}
_USED = {
    "sample_size": 64,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
    "up_block_types": ("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "norm_eps": 1e-5,
    "cross_attention_dim": 1280,
    "attention_head_dim": 8,
    "use_linear_projection": False,
}
_FIXED = {
    "act_fn": ["silu", "swish"],
    "flip_sin_to_cos": [True],
    "freq_shift": [0],
    "downsample_padding": [1],
    "mid_block_scale_factor": [1],
    "mid_block_type": ["UNetMidBlock2DCrossAttn"],
    "transformer_layers_per_block": [1],
    "resnet_time_scale_shift": ["default"],
    "resnet_out_scale_factor": [1],
    "time_embedding_type": ["positional"],
    "attention_type": ["default"],
    "conv_in_kernel": [3],
    "conv_out_kernel": [3],
    "dropout": [0],
}
# Attention is in float32 where it matters, with or without `upcast_attention`.
_IGNORED = ("upcast_attention", "addition_embed_type_num_heads")


class _TimeEmbedding(eqx.Module):
    linear_1: Linear
    linear_2: Linear

    def __init__(self, channels: int):
        self.linear_1 = Linear(channels, 4 * channels)
        self.linear_2 = Linear(4 * channels, 4 * channels)

    def __call__(self, timestep: Real[Array, ""]) -> Float[Array, " c_time"]:
        half, dtype = self.linear_1.weight.shape[1] // 2, self.linear_1.weight.dtype
        rates = jnp.exp(jnp.arange(half, dtype=jnp.float32) * (-math.log(10_000) / half))
        phases = timestep.astype(jnp.float32) * rates
        waves = jnp.concatenate([jnp.cos(phases), jnp.sin(phases)]).astype(dtype)
        return self.linear_2(jax.nn.silu(self.linear_1(waves)))


class _Block(eqx.Module):
    """Residual blocks of one resolution, each with a transformer after it or none."""

    resnets: list[ResnetBlock]
    attentions: list[Transformer] | None

    def layers(self):
        return list(zip(self.resnets, self.attentions or [None] * len(self.resnets), strict=True))


class _DownBlock(_Block):
    downsamplers: list[Resample] | None


class _UpBlock(_Block):
    upsamplers: list[Resample] | None


class _MiddleBlock(eqx.Module):
    resnets: list[ResnetBlock]
    attentions: list[Transformer]


class UNet(eqx.Module):
    """Called as ``unet(latents, timestep, text)``: the raw prediction, noise or velocity.

    - ``config``: the fields of the checkpoint's ``unet/config.json``.
    - ``attention``: "xla", or "cudnn" for flash attention on NVIDIA cards, which has a VJP but no
      JVP (for `GaussNewton` on a metric that is not of scores, and shooting, take "xla").
    - ``remat``: a VJP computes each block's inside again instead of keeping it.

    ``latents`` have shape (4, h, w) with h and w divisible by ``unit`` (8: images by 64);
    ``timestep`` is the checkpoint's own, 0 ... 999, whole or not; ``text`` has shape (tokens,
    width). The arithmetic is that of the weights' dtype; the result is float64 where ``latents``
    are, else float32. The weights are zero until `load` fills them.

    **Raises:** `ValueError` on a config that is not supported, with the field's name; on a wrong
    shape when called.

    >>> import jax.numpy as jnp
    >>> from geojax.models.stable_diffusion import UNet
    >>> blocks = {"down_block_types": ["CrossAttnDownBlock2D"], "block_out_channels": [8]}
    >>> blocks |= {"up_block_types": ["CrossAttnUpBlock2D"], "cross_attention_dim": 6}
    >>> unet = UNet(blocks | {"norm_num_groups": 4, "attention_head_dim": 2})
    >>> unet(jnp.ones((4, 8, 8)), 981, jnp.ones((77, 6))).shape
    (4, 8, 8)
    """

    time_embedding: _TimeEmbedding
    conv_in: Conv
    down_blocks: list[_DownBlock]
    mid_block: _MiddleBlock
    up_blocks: list[_UpBlock]
    conv_norm_out: GroupNorm
    conv_out: Conv
    in_channels: int = eqx.field(static=True)
    text_width: int = eqx.field(static=True)
    unit: int = eqx.field(static=True)
    sample_size: int = eqx.field(static=True)
    remat: bool = eqx.field(static=True)

    def __init__(
        self, config: Mapping[str, Any], *, attention: Implementation = "xla", remat: bool = False
    ):
        if attention not in get_args(Implementation):
            wanted = " or ".join(repr(name) for name in get_args(Implementation))
            raise ValueError(f"attention must be {wanted}, got {attention!r}.")
        fields = read_fields(
            config, _WHERE, used=_USED, fixed=_FIXED, ignored=_IGNORED, classes=_CLASSES
        )
        channels = positives(_WHERE, "block_out_channels", fields["block_out_channels"])
        levels = len(channels)
        heads = fields["attention_head_dim"]  # their number, whatever its name says
        heads = [heads] * levels if isinstance(heads, int) else heads
        heads = positives(_WHERE, "attention_head_dim", heads, levels)
        whole = {
            name: positive(_WHERE, name, fields[name])
            for name in (
                "sample_size",
                "in_channels",
                "out_channels",
                "layers_per_block",
                "cross_attention_dim",
            )
        }
        layers, groups = whole["layers_per_block"], group_count(_WHERE, fields, channels)
        eps, c_time = number(_WHERE, "norm_eps", fields["norm_eps"]), 4 * channels[0]
        linear = flag(_WHERE, "use_linear_projection", fields["use_linear_projection"])

        def resnet(c_in, c_out):
            return ResnetBlock(c_in, c_out, c_time, groups, eps)

        def transformer(level):
            if channels[level] % heads[level]:
                raise ValueError(
                    f"{_WHERE}: attention_head_dim has {heads[level]}, which does not divide "
                    f"{channels[level]} of block_out_channels."
                )
            return Transformer(
                channels[level],
                whole["cross_attention_dim"],
                heads[level],
                groups,
                linear=linear,
                implementation=attention,
            )

        self.time_embedding = _TimeEmbedding(channels[0])
        self.conv_in = Conv(whole["in_channels"], channels[0])
        self.down_blocks, skips, width = [], [channels[0]], channels[0]
        down = kinds(_WHERE, "down_block_types", fields["down_block_types"], _DOWN, levels)
        for level, attends in enumerate(down):
            c, last = channels[level], level == levels - 1
            resnets = [resnet(c if i else width, c) for i in range(layers)]
            attentions = [transformer(level) for _ in resnets] if attends else None
            self.down_blocks.append(
                _DownBlock(resnets, attentions, None if last else [Resample(c)])
            )
            skips += [c] * (layers if last else layers + 1)
            width = c
        self.mid_block = _MiddleBlock(
            [resnet(width, width), resnet(width, width)], [transformer(levels - 1)]
        )
        self.up_blocks = []
        up = kinds(_WHERE, "up_block_types", fields["up_block_types"], _UP, levels)
        for level, attends in zip(reversed(range(levels)), up, strict=True):
            c, resnets = channels[level], []
            for _ in range(layers + 1):
                resnets.append(resnet(width + skips.pop(), c))
                width = c
            attentions = [transformer(level) for _ in resnets] if attends else None
            self.up_blocks.append(_UpBlock(resnets, attentions, [Resample(c)] if level else None))
        self.conv_norm_out = GroupNorm(channels[0], groups, eps)
        self.conv_out = Conv(channels[0], whole["out_channels"])
        self.in_channels, self.text_width = whole["in_channels"], whole["cross_attention_dim"]
        self.unit, self.remat = 2 ** (levels - 1), remat
        self.sample_size = whole["sample_size"]

    def __call__(
        self,
        latents: Numbers,
        timestep: Real[Array, ""] | float,
        text: Numbers,
    ) -> Float[Array, "c_out h w"]:
        latents = as_floating("latents", latents, f"{self.in_channels} h w")
        text = as_floating("text", text, "tokens width")
        self._check(latents, text)
        return self._forward(latents, jnp.asarray(timestep), text)

    # Compiled as a whole, because called eagerly its hundreds of operations compile one by one.
    @eqx.filter_jit
    def _forward(self, latents, timestep, text):
        dtype = self.conv_in.weight.dtype
        time, text = self.time_embedding(timestep), text.astype(dtype)
        x = self.conv_in(latents.astype(dtype).transpose(1, 2, 0))
        skips = [x]
        for block in self.down_blocks:
            for resnet, attention in block.layers():
                x = self._layer(resnet, attention, x, time, text)
                skips.append(x)
            for resample in block.downsamplers or []:
                x = resample.down(x, (1, 1))
                skips.append(x)
        first, last = self.mid_block.resnets
        x = self._layer(first, self.mid_block.attentions[0], x, time, text)
        x = self._layer(last, None, x, time, text)
        for block in self.up_blocks:
            for resnet, attention in block.layers():
                x = jnp.concatenate([x, skips.pop()], axis=-1)
                x = self._layer(resnet, attention, x, time, text)
            for resample in block.upsamplers or []:
                x = resample.up(x)
        x = self.conv_out(jax.nn.silu(self.conv_norm_out(x)))
        return x.transpose(2, 0, 1).astype(latents.dtype)

    def _layer(self, resnet, attention, x, time, text):
        def layer(resnet, attention, x):
            x = resnet(x, time)
            return x if attention is None else attention(x, text)

        return (eqx.filter_checkpoint(layer) if self.remat else layer)(resnet, attention, x)

    def _check(self, latents, text):
        _, h, w = latents.shape
        if h % self.unit or w % self.unit:
            raise ValueError(
                f"latents must have shape ({self.in_channels}, h, w) with h and w divisible by "
                f"{self.unit}, got {latents.shape}."
            )
        if text.shape[-1] != self.text_width:
            raise ValueError(
                f"text must have shape (tokens, {self.text_width}), got {text.shape}: it comes "
                "from encode_prompt of the same model."
            )
