"""The encoder and the decoder that the autoencoders of diffusers have in common."""

import equinox as eqx
import jax

from ._attention import ImageAttention
from ._layers import Conv, GroupNorm, Resample, ResnetBlock

_EPS = 1e-6


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


class Encoder(eqx.Module):
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


class Decoder(eqx.Module):
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
