"""The U-Net of images without text (`UNet2DModel`), of DDPM and latent diffusion."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from ..._arrays import Numbers, as_floating
from ._attention import ImageAttention
from ._config import bit, flag, group_count, kinds, number, positive, positives, read_fields
from ._unet import Plan, TimeEmbedding, UNetBase

_CLASSES = ("UNet2DModel",)
_DOWN = {"DownBlock2D": False, "AttnDownBlock2D": True}
_UP = {"UpBlock2D": False, "AttnUpBlock2D": True}
_USED = {
    "sample_size": None,
    "in_channels": 3,
    "out_channels": 3,
    "center_input_sample": False,
    "freq_shift": 0,
    "flip_sin_to_cos": True,
    "down_block_types": ("DownBlock2D", *["AttnDownBlock2D"] * 3),
    "up_block_types": (*["AttnUpBlock2D"] * 3, "UpBlock2D"),
    "block_out_channels": (224, 448, 672, 896),
    "layers_per_block": 2,
    "downsample_padding": 1,
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "norm_eps": 1e-5,
    "add_attention": True,
}
_FIXED = {
    "act_fn": ["silu", "swish"],
    "time_embedding_type": ["positional"],
    "mid_block_type": ["UNetMidBlock2D"],
    "mid_block_scale_factor": [1],
    "downsample_type": ["conv"],
    "upsample_type": ["conv"],
    "resnet_time_scale_shift": ["default"],
}
_IGNORED = ("dropout",)  # of training
_PADDINGS = {0: (0, 1), 1: (1, 1)}


class UNet2D(UNetBase):
    """The U-Net of models without text, called as `unet(x, timestep)`.

    It returns the raw prediction, of the shape of `x`. `x` has the shape
    `(channels, height, width)` with sides divisible by `unit`. `timestep` is that of the
    checkpoint, 0 ... 999, integer or not. The arithmetic has the dtype of the weights. The result
    is float64 if `x` is, else float32. The weights are zero until
    [`geojax.models.diffusers.load`][] fills them. `sample_size` is the (height, width) of its
    training images, or None if the config does not have it.

    **Arguments:**

    - `config`: the fields of the checkpoint's `config.json`.
    - `where`: its name in messages.
    - `remat`: a VJP computes the inside of each block again instead of storing it.

    **Raises:**

    - `ValueError`: on an unsupported config, with the name of the field; when called, on a wrong
      shape, or with a condition.

    >>> import jax.numpy as jnp
    >>> from geojax.models.diffusers import UNet2D
    >>> blocks = {"down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"]}
    >>> unet = UNet2D(blocks | {"block_out_channels": [8], "norm_num_groups": 4})
    >>> unet(jnp.ones((3, 8, 8)), 981).shape
    (3, 8, 8)
    """

    sample_size: tuple[int, int] | None = eqx.field(static=True)
    centred: bool = eqx.field(static=True)

    def __init__(
        self, config: Mapping[str, Any], *, where: str = "unet/config.json", remat: bool = False
    ):
        fields = read_fields(
            config, where, used=_USED, fixed=_FIXED, ignored=_IGNORED, classes=_CLASSES
        )
        channels = positives(where, "block_out_channels", fields["block_out_channels"])
        levels, groups = len(channels), group_count(where, fields, channels)
        c_in, c_out, layers = (
            positive(where, name, fields[name])
            for name in ("in_channels", "out_channels", "layers_per_block")
        )
        eps = number(where, "norm_eps", fields["norm_eps"])
        width = fields["attention_head_dim"]  # of a head; None for one head of all channels
        width = None if width is None else positive(where, "attention_head_dim", width)
        down = kinds(where, "down_block_types", fields["down_block_types"], _DOWN, levels)
        up = kinds(where, "up_block_types", fields["up_block_types"], _UP, levels)
        padding, shift = (
            bit(where, name, fields[name]) for name in ("downsample_padding", "freq_shift")
        )
        flipped, middle, centred = (
            flag(where, name, fields[name])
            for name in ("flip_sin_to_cos", "add_attention", "center_input_sample")
        )

        def attention(level):
            c = channels[level]
            if width is not None and c % width:
                raise ValueError(
                    f"{where}: attention_head_dim = {width} does not divide {c} of "
                    "block_out_channels."
                )
            return ImageAttention(c, 1 if width is None else c // width, groups, eps)

        super().__init__(
            Plan(c_in, c_out, channels, layers, groups, eps, down, up, middle),
            TimeEmbedding(channels[0], sine_first=not flipped, shift=shift),
            attention,
            padding=_PADDINGS[padding],
            remat=remat,
        )
        self.sample_size, self.centred = _sides(where, fields["sample_size"]), centred

    def __call__(
        self, x: Numbers, timestep: Real[Array, ""] | float, args: Any = None
    ) -> Float[Array, "c_out h w"]:
        if args is not None:
            raise ValueError(
                f"args must be None, got {type(args).__name__}: the model has no condition."
            )
        x = as_floating("x", x, f"{self.in_channels} h w")
        self.check_size("x", x)
        return self.predicted(2 * x - 1 if self.centred else x, jnp.asarray(timestep))


def _sides(where: str, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    height, width = positives(where, "sample_size", value if _is_pair(value) else [value] * 2)
    return height, width


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2
