"""The autoencoder between pixels and latents (``AutoencoderKL``)."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ..._arrays import Numbers, as_floating, as_images
from ._attention import Attention
from ._config import flag, group_count, kinds, number, positive, positives, read_fields
from ._layers import Conv, GroupNorm, Resample, ResnetBlock

_WHERE = "vae/config.json"
_CLASSES = ("AutoencoderKL",)
_EPS = 1e-6
_USED = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",),
    "up_block_types": ("UpDecoderBlock2D",),
    "block_out_channels": (64,),
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 32,
    "scaling_factor": 0.18215,
    "force_upcast": True,
}
_FIXED = {
    "act_fn": ["silu", "swish"],
    "use_quant_conv": [True],
    "use_post_quant_conv": [True],
    "mid_block_add_attention": [True],
}
_IGNORED = ("sample_size",)


class _DownBlock(eqx.Module):
    resnets: list[ResnetBlock]
    downsamplers: list[Resample] | None


class _UpBlock(eqx.Module):
    resnets: list[ResnetBlock]
    upsamplers: list[Resample] | None


class _MiddleBlock(eqx.Module):
    resnets: list[ResnetBlock]
    attentions: list[Attention]

    def __init__(self, channels: int, groups: int):
        self.resnets = [_resnet(channels, channels, groups) for _ in range(2)]
        norm = GroupNorm(channels, groups, _EPS)
        self.attentions = [Attention(channels, channels, 1, bias=True, group_norm=norm)]

    def __call__(self, x):
        x = self.resnets[0](x)
        x = x + self.attentions[0](x.reshape(-1, x.shape[-1])).reshape(x.shape)
        return self.resnets[1](x)


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


class Autoencoder(eqx.Module):
    """Pixels (3, height, width) in [-1, 1] to scaled latents (4, height / 8, width / 8) and back.

    ``config`` are the fields of the checkpoint's ``vae/config.json``. Latents are the *mean* of the
    encoder's distribution times ``scaling_factor``, so that encoding is deterministic. The
    arithmetic is that of the weights' dtype; results are float64 where what came in is, else
    float32. The weights are zero until `load` fills them; ``force_upcast`` says that float16 is too
    narrow for them.

    **Raises:** `ValueError` on a config that is not supported, with the field's name; on a wrong
    shape, or pixels in 0 ... 255, when called.

    >>> import jax.numpy as jnp
    >>> from geojax.models.stable_diffusion import Autoencoder
    >>> blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "block_out_channels": [8, 8]}
    >>> blocks |= {"up_block_types": ["UpDecoderBlock2D"] * 2, "norm_num_groups": 4}
    >>> vae = Autoencoder(blocks)
    >>> vae.encode(jnp.ones((3, 16, 8))).shape, vae.decode(jnp.ones((4, 8, 4))).shape
    ((4, 8, 4), (3, 16, 8))
    """

    encoder: _Encoder
    decoder: _Decoder
    quant_conv: Conv
    post_quant_conv: Conv
    channels: int = eqx.field(static=True)
    latent_channels: int = eqx.field(static=True)
    unit: int = eqx.field(static=True)
    scaling_factor: float = eqx.field(static=True)
    force_upcast: bool = eqx.field(static=True)

    def __init__(self, config: Mapping[str, Any]):
        fields = read_fields(
            config, _WHERE, used=_USED, fixed=_FIXED, ignored=_IGNORED, classes=_CLASSES
        )
        channels = positives(_WHERE, "block_out_channels", fields["block_out_channels"])
        for name, known in (
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ):
            kinds(_WHERE, name, fields[name], {known: True}, len(channels))
        c_in, c_out, latent, layers = (
            positive(_WHERE, name, fields[name])
            for name in ("in_channels", "out_channels", "latent_channels", "layers_per_block")
        )
        groups = group_count(_WHERE, fields, channels)
        self.encoder = _Encoder(c_in, 2 * latent, channels, layers, groups)
        self.decoder = _Decoder(latent, c_out, channels, layers, groups)
        self.quant_conv = Conv(2 * latent, 2 * latent, 1)
        self.post_quant_conv = Conv(latent, latent, 1)
        self.channels, self.latent_channels = c_in, latent
        self.unit = 2 ** (len(channels) - 1)
        self.scaling_factor = number(_WHERE, "scaling_factor", fields["scaling_factor"])
        self.force_upcast = flag(_WHERE, "force_upcast", fields["force_upcast"])

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
        moments = self.quant_conv(self.encoder(x))
        mean = moments[..., : self.latent_channels].transpose(2, 0, 1)
        return mean.astype(pixels.dtype) * self.scaling_factor

    @eqx.filter_jit
    def _decode(self, latents):
        x = (latents / self.scaling_factor).astype(self.quant_conv.weight.dtype)
        pixels = self.decoder(self.post_quant_conv(x.transpose(1, 2, 0)))
        return pixels.transpose(2, 0, 1).astype(latents.dtype)
