"""The autoencoder of latent diffusion without text (``VQModel``), with its quantiser."""

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
# Files older than the field are of models whose latents were not scaled; later ones have it.
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
            # From the differences themselves: nothing cancels. A row at a time, for the memory.
            apart = wide(row)[:, None, :] - wide(codes)[None, :, :]
            return jnp.argmin(jnp.sum(apart**2, axis=-1), axis=-1)

        found = codes[jax.lax.map(nearest, jax.lax.stop_gradient(x))]
        return x + jax.lax.stop_gradient(found - x)


class VQAutoencoder(AutoencoderBase):
    """Pixels (3, height, width) in [-1, 1] to latents (3, height / 4, width / 4) and back.

    ``config`` are the fields of the checkpoint's ``vqvae/config.json``; ``where``: what messages
    call it. Before it decodes, `decode` takes the *nearest code* of the table at every position, as
    the pipeline of diffusers does: it is piecewise constant in the latents. Its derivatives are
    those of the decoder at these codes, as in training; those of the function itself would be zero.
    The arithmetic is that of the weights' dtype; results are float64 where what came in is, else
    float32. The weights are zero until `load` fills them.

    **Raises:** `ValueError` on a config that is not supported, with the field's name; on a wrong
    shape, or pixels in 0 ... 255, when called.

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
