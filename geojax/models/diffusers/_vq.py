"""The autoencoder of latent diffusion without text (`VQModel`), with its quantiser."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._arrays import wide
from ._autoencoder import USED, AutoencoderBase
from ._config import number, positive, read_fields
from ._layers import Embedding

_CLASSES = ("VQModel",)
# Files without `scaling_factor` are older than the field: their latents were not scaled.
_USED = USED | {
    "latent_channels": 3,
    "num_vq_embeddings": 256,
    "vq_embed_dim": None,
    "scaling_factor": 1.0,
}
_FIXED = {
    "act_fn": ["silu", "swish"],
    "norm_type": ["group"],
    "mid_block_add_attention": [True],
    "lookup_from_codebook": [False],
}
_IGNORED = ("sample_size", "force_upcast")


class _Quantiser(eqx.Module):
    """The nearest entry of a table, at every position; its derivative is that of the identity."""

    embedding: Embedding

    def __call__(self, x: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        codes = self.embedding.weight

        def nearest(row):
            # The differences themselves avoid cancellation. One row at a time, to save memory.
            apart = wide(row)[:, None, :] - wide(codes)[None, :, :]
            return jnp.argmin(jnp.sum(apart**2, axis=-1), axis=-1)

        found = codes[jax.lax.map(nearest, jax.lax.stop_gradient(x))]
        return x + jax.lax.stop_gradient(found - x)


class VQAutoencoder(AutoencoderBase):
    """Pixels (3, height, width) in [-1, 1] to latents (3, height / 4, width / 4) and back.

    Like the pipeline of diffusers, `decode` replaces the latents by the *nearest code* of the table
    at every position, so it is piecewise constant in them. Its derivatives are those of the decoder
    at these codes, as in training; those of the function itself would be zero. The arithmetic has
    the dtype of the weights. Results are float64 if the inputs are, else float32. The weights are
    zero until [`geojax.models.diffusers.load`][] fills them.

    **Arguments:**

    - `config`: the fields of the checkpoint's `vqvae/config.json`.
    - `where`: its name in messages.

    **Raises:**

    - `ValueError`: on an unsupported config, with the name of the field; when called, on a wrong
      shape, or pixels in 0 ... 255.

    >>> import jax.numpy as jnp
    >>> from geojax.models.diffusers import VQAutoencoder
    >>> blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "block_out_channels": [8, 8]}
    >>> blocks |= {"up_block_types": ["UpDecoderBlock2D"] * 2, "norm_num_groups": 4}
    >>> vq = VQAutoencoder(blocks)
    >>> vq.encode(jnp.ones((3, 16, 8))).shape, vq.decode(jnp.ones((3, 8, 4))).shape
    ((3, 8, 4), (3, 16, 8))
    """

    quantize: _Quantiser

    def __init__(self, config: Mapping[str, Any], *, where: str = "vqvae/config.json"):
        fields = read_fields(
            config, where, used=_USED, fixed=_FIXED, ignored=_IGNORED, classes=_CLASSES
        )
        latent = positive(where, "latent_channels", fields["latent_channels"])
        width = latent
        if fields["vq_embed_dim"] is not None:
            width = positive(where, "vq_embed_dim", fields["vq_embed_dim"])
        entries = positive(where, "num_vq_embeddings", fields["num_vq_embeddings"])
        self.quantize = _Quantiser(Embedding(entries, width))
        super().__init__(
            where,
            fields,
            features=latent,
            codes=width,
            latents=width,
            given=latent,
            scaling_factor=number(where, "scaling_factor", fields["scaling_factor"]),
        )

    def between(self, x):
        return self.quantize(x)
