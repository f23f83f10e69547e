"""The convolution of the networks that compare images."""

import jax
from jaxtyping import Array, Float


def convolve(
    x: Float[Array, "c_in height width"],
    weight: Float[Array, "c_out c_group k k"],
    bias: Float[Array, " c_out"],
    stride: int,
    padding: int | str,
) -> Float[Array, "c_out height2 width2"]:
    """A convolution of one image at the highest precision.

    `padding` is a number of pixels, or "SAME". The channels form groups if the weight has fewer
    input channels than the image.
    """
    pads = padding if isinstance(padding, str) else [(padding, padding)] * 2
    groups = x.shape[0] // weight.shape[1]
    y = jax.lax.conv_general_dilated(
        x[None], weight, (stride,) * 2, pads, feature_group_count=groups, precision="highest"
    )
    return y[0] + bias[:, None, None]
