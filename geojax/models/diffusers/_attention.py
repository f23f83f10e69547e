"""Attention over the positions of an image, or of a text."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._arrays import wide
from ._layers import GroupNorm, Linear

Implementation = Literal["xla", "cudnn"]
_CUDNN_WIDTHS = range(8, 129, 8)  # of a head


def attend(
    q: Array, k: Array, v: Array, heads: int, implementation: Implementation = "xla", **options
):
    """Multi-headed attention of (positions, channels) arrays, by `jax.nn.dot_product_attention`.

    "cudnn" is used where it is available: on a GPU, for self-attention in 16 bits with supported
    head sizes.
    """
    q, k, v = (a.reshape(len(a), heads, -1) for a in (q, k, v))
    able = q.dtype.itemsize == 2 and q.shape[-1] in _CUDNN_WIDTHS and q.shape == k.shape
    able &= jax.default_backend() == "gpu"
    chosen = implementation if able else "xla"
    dtype = q.dtype
    if dtype == jnp.float16 and chosen == "xla":
        # On a CPU it has no float16 products with sums in float32.
        q, k, v = wide(q), wide(k), wide(v)
    # It promotes 16 bits to 32 internally, which strict promotion would forbid.
    with jax.numpy_dtype_promotion("standard"):
        y = jax.nn.dot_product_attention(q, k, v, implementation=chosen, **options)
    return y.reshape(len(y), -1).astype(dtype)


class Attention(eqx.Module):
    """Attention of `x` to itself or to a context; a `group_norm` normalises `x` first."""

    group_norm: GroupNorm | None
    to_q: Linear
    to_k: Linear
    to_v: Linear
    to_out: list[Linear]
    heads: int = eqx.field(static=True)
    implementation: Implementation = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        context: int,
        heads: int,
        implementation: Implementation = "xla",
        *,
        bias: bool = False,
        group_norm: GroupNorm | None = None,
    ):
        self.group_norm = group_norm
        self.to_q = Linear(channels, channels, bias=bias)
        self.to_k = Linear(context, channels, bias=bias)
        self.to_v = Linear(context, channels, bias=bias)
        self.to_out = [Linear(channels, channels)]
        self.heads, self.implementation = heads, implementation

    def __call__(
        self, x: Float[Array, "n c"], context: Float[Array, "m c_context"] | None = None
    ) -> Float[Array, "n c"]:
        x = x if self.group_norm is None else self.group_norm(x)
        context = x if context is None else context
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context)
        return self.to_out[0](attend(q, k, v, self.heads, self.implementation))


class ImageAttention(Attention):
    """Attention between the positions of an image, with a shortcut."""

    def __init__(self, channels: int, heads: int, groups: int, eps: float, **options: Any):
        norm = GroupNorm(channels, groups, eps)
        super().__init__(channels, channels, heads, bias=True, group_norm=norm, **options)

    def __call__(
        self, x: Float[Array, "h w c"], context: Float[Array, "m c_context"] | None = None
    ) -> Float[Array, "h w c"]:
        return x + super().__call__(x.reshape(-1, x.shape[-1]), context).reshape(x.shape)
