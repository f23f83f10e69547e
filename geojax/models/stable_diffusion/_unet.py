"""The U-Net of Stable Diffusion 1.x and 2.x (`UNet2DConditionModel`)."""

from collections.abc import Mapping
from typing import Any, get_args

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from ..._arrays import Numbers, as_floating
from ..diffusers._attention import Implementation
from ..diffusers._config import flag, group_count, kinds, number, positive, positives, read_fields
from ..diffusers._unet import Plan, TimeEmbedding, UNetBase
from ._transformer import Transformer

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
# Attention is in float32 where needed, with or without `upcast_attention`.
_IGNORED = ("upcast_attention", "addition_embed_type_num_heads")


class UNet(UNetBase):
    """The U-Net of Stable Diffusion, called as `unet(latents, timestep, text)`.

    It returns the raw prediction, noise or velocity. `latents` have the shape `(4, h, w)` with h
    and w divisible by `unit` (8, so images by 64). `timestep` is that of the checkpoint, 0 ... 999,
    integer or not. `text` has the shape `(tokens, width)`. The arithmetic has the dtype of the
    weights. The result is float64 if `latents` are, else float32. The weights are zero until
    [`geojax.models.stable_diffusion.load`][] fills them.

    **Arguments:**

    - `config`: the fields of the checkpoint's `unet/config.json`.
    - `attention`: "xla", or "cudnn" for flash attention on NVIDIA GPUs, which has a VJP but no JVP.
      Use "xla" for [`geojax.GaussNewton`][] on a metric that is not of scores, and for shooting.
    - `remat`: a VJP computes the inside of each block again instead of storing it.

    **Raises:**

    - `ValueError`: on an unsupported config, with the name of the field; when called, on a wrong
      shape.

    >>> import jax.numpy as jnp
    >>> from geojax.models.stable_diffusion import UNet
    >>> blocks = {"down_block_types": ["CrossAttnDownBlock2D"], "block_out_channels": [8]}
    >>> blocks |= {"up_block_types": ["CrossAttnUpBlock2D"], "cross_attention_dim": 6}
    >>> unet = UNet(blocks | {"norm_num_groups": 4, "attention_head_dim": 2})
    >>> unet(jnp.ones((4, 8, 8)), 981, jnp.ones((77, 6))).shape
    (4, 8, 8)
    """

    text_width: int = eqx.field(static=True)
    sample_size: int = eqx.field(static=True)

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
        heads = fields["attention_head_dim"]  # the number of heads, in spite of its name
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
        groups = group_count(_WHERE, fields, channels)
        linear = flag(_WHERE, "use_linear_projection", fields["use_linear_projection"])

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

        plan = Plan(
            c_in=whole["in_channels"],
            c_out=whole["out_channels"],
            channels=channels,
            layers=whole["layers_per_block"],
            groups=groups,
            eps=number(_WHERE, "norm_eps", fields["norm_eps"]),
            down=kinds(_WHERE, "down_block_types", fields["down_block_types"], _DOWN, levels),
            up=kinds(_WHERE, "up_block_types", fields["up_block_types"], _UP, levels),
        )
        super().__init__(plan, TimeEmbedding(channels[0]), transformer, remat=remat)
        self.text_width, self.sample_size = whole["cross_attention_dim"], whole["sample_size"]

    def __call__(
        self,
        latents: Numbers,
        timestep: Real[Array, ""] | float,
        text: Numbers,
    ) -> Float[Array, "c_out h w"]:
        latents = as_floating("latents", latents, f"{self.in_channels} h w")
        text = as_floating("text", text, "tokens width")
        self.check_size("latents", latents)
        if text.shape[-1] != self.text_width:
            raise ValueError(
                f"text must have shape (tokens, {self.text_width}), got {text.shape}: it comes "
                "from encode_prompt of the same model."
            )
        return self.predicted(latents, jnp.asarray(timestep), text)
