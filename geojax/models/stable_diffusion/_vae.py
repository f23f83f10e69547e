"""The autoencoder between pixels and latents (``AutoencoderKL``)."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from ..._arrays import Numbers, as_floating, as_images
from ..diffusers._autoencoder import Decoder, Encoder
from ..diffusers._config import flag, group_count, kinds, number, positive, positives, read_fields
from ..diffusers._layers import Conv

_WHERE = "vae/config.json"
_CLASSES = ("AutoencoderKL",)
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

    encoder: Encoder
    decoder: Decoder
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
        self.encoder = Encoder(c_in, 2 * latent, channels, layers, groups)
        self.decoder = Decoder(latent, c_out, channels, layers, groups)
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
