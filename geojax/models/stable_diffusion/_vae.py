"""The autoencoder between pixels and latents (`AutoencoderKL`)."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx

from ..diffusers._autoencoder import USED, AutoencoderBase
from ..diffusers._config import flag, number, positive, read_fields

_WHERE = "vae/config.json"
_CLASSES = ("AutoencoderKL",)
_USED = USED | {"latent_channels": 4, "scaling_factor": 0.18215, "force_upcast": True}
_FIXED = {
    "act_fn": ["silu", "swish"],
    "use_quant_conv": [True],
    "use_post_quant_conv": [True],
    "mid_block_add_attention": [True],
}
_IGNORED = ("sample_size",)


class Autoencoder(AutoencoderBase):
    """Pixels (3, height, width) in [-1, 1] to scaled latents (4, height / 8, width / 8) and back.

    Latents are the *mean* of the encoder's distribution times `scaling_factor`, so encoding is
    deterministic. The arithmetic has the dtype of the weights. Results are float64 if the inputs
    are, else float32. The weights are zero until [`geojax.models.stable_diffusion.load`][] fills
    them. `force_upcast`: float16 is too narrow for the weights.

    **Arguments:**

    - `config`: the fields of the checkpoint's `vae/config.json`.

    **Raises:**

    - `ValueError`: on an unsupported config, with the name of the field; when called, on a wrong
      shape, or pixels in 0 ... 255.

    >>> import jax.numpy as jnp
    >>> from geojax.models.stable_diffusion import Autoencoder
    >>> blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "block_out_channels": [8, 8]}
    >>> blocks |= {"up_block_types": ["UpDecoderBlock2D"] * 2, "norm_num_groups": 4}
    >>> vae = Autoencoder(blocks)
    >>> vae.encode(jnp.ones((3, 16, 8))).shape, vae.decode(jnp.ones((4, 8, 4))).shape
    ((4, 8, 4), (3, 16, 8))
    """

    force_upcast: bool = eqx.field(static=True)

    def __init__(self, config: Mapping[str, Any]):
        fields = read_fields(
            config, _WHERE, used=_USED, fixed=_FIXED, ignored=_IGNORED, classes=_CLASSES
        )
        latent = positive(_WHERE, "latent_channels", fields["latent_channels"])
        scaling_factor = number(_WHERE, "scaling_factor", fields["scaling_factor"])
        self.force_upcast = flag(_WHERE, "force_upcast", fields["force_upcast"])
        super().__init__(
            _WHERE,
            fields,
            features=2 * latent,
            codes=2 * latent,
            latents=latent,
            given=latent,
            scaling_factor=scaling_factor,
        )

    def between(self, x):
        return x
