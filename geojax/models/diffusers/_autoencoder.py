"""The common part of the autoencoders of diffusers."""

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ..._arrays import Numbers, as_floating, as_images
from ._attention import ImageAttention
from ._config import group_count, kinds, positive, positives
from ._layers import Conv, GroupNorm, Resample, ResnetBlock

_EPS = 1e-6
# The config fields that all of them use, with their defaults.
USED = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",),
    "up_block_types": ("UpDecoderBlock2D",),
    "block_out_channels": (64,),
    "layers_per_block": 1,
    "norm_num_groups": 32,
}


class _DownBlock(eqx.Module):
    resnets: list[ResnetBlock]
    downsamplers: list[Resample] | None


class _UpBlock(eqx.Module):
    resnets: list[ResnetBlock]
    upsamplers: list[Resample] | None


class _MiddleBlock(eqx.Module):
    resnets: list[ResnetBlock]
    attentions: list[ImageAttention]

    def __init__(self, channels: int, groups: int):
        self.resnets = [_resnet(channels, channels, groups) for _ in range(2)]
        self.attentions = [ImageAttention(channels, 1, groups, _EPS)]

    def __call__(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


def _resnet(c_in: int, c_out: int, groups: int) -> ResnetBlock:
    return ResnetBlock(c_in, c_out, None, groups, _EPS)


class _Encoder(eqx.Module):
    conv_in: Conv
    down_blocks: list[_DownBlock]
    mid_block: _MiddleBlock
    conv_norm_out: GroupNorm
    conv_out: Conv

    def __init__(self, c_in: int, c_out: int, channels: list[int], layers: int, groups: int):
        self.conv_in, self.down_blocks, width = Conv(c_in, channels[0]), [], channels[0]
        for level, c in enumerate(channels):
            resnets = [_resnet(c if i else width, c, groups) for i in range(layers)]
            down = [Resample(c)] if level < len(channels) - 1 else None
            self.down_blocks.append(_DownBlock(resnets, down))
            width = c
        self.mid_block = _MiddleBlock(width, groups)
        self.conv_norm_out = GroupNorm(width, groups, _EPS)
        self.conv_out = Conv(width, c_out)

    def __call__(self, x):
        x = self.conv_in(x)
        for block in self.down_blocks:
            for resnet in block.resnets:
                x = resnet(x)
            for resample in block.downsamplers or []:
                x = resample.down(x, (0, 1))
        return self.conv_out(jax.nn.silu(self.conv_norm_out(self.mid_block(x))))


class _Decoder(eqx.Module):
    conv_in: Conv
    mid_block: _MiddleBlock
    up_blocks: list[_UpBlock]
    conv_norm_out: GroupNorm
    conv_out: Conv

    def __init__(self, c_in: int, c_out: int, channels: list[int], layers: int, groups: int):
        width = channels[-1]
        self.conv_in, self.mid_block = Conv(c_in, width), _MiddleBlock(width, groups)
        self.up_blocks = []
        for level, c in reversed(list(enumerate(channels))):
            resnets = [_resnet(c if i else width, c, groups) for i in range(layers + 1)]
            self.up_blocks.append(_UpBlock(resnets, [Resample(c)] if level else None))
            width = c
        self.conv_norm_out = GroupNorm(width, groups, _EPS)
        self.conv_out = Conv(width, c_out)

    def __call__(self, x):
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            for resnet in block.resnets:
                x = resnet(x)
            for resample in block.upsamplers or []:
                x = resample.up(x)
        return self.conv_out(jax.nn.silu(self.conv_norm_out(x)))


class AutoencoderBase(eqx.Module):
    """Pixels to scaled latents and back; a subclass defines the step between encoder and decoder.

    `where` is the name of the config in messages; its `fields` are those of `USED`. The channels
    are `features` after the encoder, `codes` after `quant_conv`, `latents` in the latents, and
    `given` before the decoder.
    """

    encoder: _Encoder
    decoder: _Decoder
    quant_conv: Conv
    post_quant_conv: Conv
    channels: int = eqx.field(static=True)
    latent_channels: int = eqx.field(static=True)
    unit: int = eqx.field(static=True)
    scaling_factor: float = eqx.field(static=True)

    def __init__(
        self,
        where: str,
        fields: Mapping[str, Any],
        *,
        features: int,
        codes: int,
        latents: int,
        given: int,
        scaling_factor: float,
    ):
        channels = positives(where, "block_out_channels", fields["block_out_channels"])
        for name, known in (
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ):
            kinds(where, name, fields[name], {known: True}, len(channels))
        c_in, c_out, layers = (
            positive(where, name, fields[name])
            for name in ("in_channels", "out_channels", "layers_per_block")
        )
        groups = group_count(where, fields, channels)
        self.encoder = _Encoder(c_in, features, channels, layers, groups)
        self.decoder = _Decoder(given, c_out, channels, layers, groups)
        self.quant_conv = Conv(features, codes, 1)
        self.post_quant_conv = Conv(latents, given, 1)
        self.channels, self.latent_channels = c_in, latents
        self.unit, self.scaling_factor = 2 ** (len(channels) - 1), scaling_factor

    @abc.abstractmethod
    def between(self, x: Float[Array, "h w c_latent"]) -> Float[Array, "h w c_latent"]:
        """The step from unscaled latents to the input of the decoder."""

    def encode(self, pixels: Numbers) -> Float[Array, "c_latent h w"]:
        """Scaled latents of an image."""
        (pixels,) = as_images(f"{self.channels} height width", pixels=pixels)
        _, height, width = pixels.shape
        if height % self.unit or width % self.unit:
            raise ValueError(
                f"pixels must have shape ({self.channels}, height, width) with height and width "
                f"divisible by {self.unit}, got {pixels.shape}."
            )
        return self._encode(pixels)

    def decode(self, latents: Numbers) -> Float[Array, "c height width"]:
        """The image of scaled latents."""
        latents = as_floating("latents", latents, f"{self.latent_channels} h w")
        return self._decode(latents)

    @eqx.filter_jit
    def _encode(self, pixels):
        x = pixels.astype(self.quant_conv.weight.dtype).transpose(1, 2, 0)
        codes = self.quant_conv(self.encoder(x))
        # If the codes are moments of a distribution, these channels are the mean.
        mean = codes[..., : self.latent_channels].transpose(2, 0, 1)
        return mean.astype(pixels.dtype) * self.scaling_factor

    @eqx.filter_jit
    def _decode(self, latents):
        x = (latents / self.scaling_factor).astype(self.quant_conv.weight.dtype)
        pixels = self.decoder(self.post_quant_conv(self.between(x.transpose(1, 2, 0))))
        return pixels.transpose(2, 0, 1).astype(latents.dtype)
