"""A small image U-Net, conditioned on time and class, as an Equinox module."""

import itertools
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Key, Real

from .._arrays import Numbers, as_floating, refuse_pixels, wide
from ._layers import convolve, group_normalised

# Weights are always float32, so that a checkpoint gives the same results in every session.
_DTYPE = jnp.float32


class _Conv(eqx.Module):
    """A convolution on (height, width, channel) arrays, the fastest layout on CPUs."""

    weight: Float[Array, "k k c_in c_out"]
    bias: Float[Array, " c_out"]
    stride: int = eqx.field(static=True)

    def __init__(self, c_in, c_out, size=3, stride=1, *, scale=1.0, key):
        bound = scale * math.sqrt(3 / (size * size * c_in))
        shape = (size, size, c_in, c_out)
        self.weight = jax.random.uniform(key, shape, _DTYPE, -bound, bound)
        self.bias = jnp.zeros(c_out, _DTYPE)
        self.stride = stride

    def __call__(self, x: Float[Array, "h w c_in"]) -> Float[Array, "h2 w2 c_out"]:
        return convolve(x, self.weight, self.bias, self.stride)


class _Norm(eqx.Module):
    """Group normalisation on (height, width, channel) arrays."""

    scale: Float[Array, " c"]
    shift: Float[Array, " c"]
    groups: int = eqx.field(static=True)

    def __init__(self, channels, groups=8):
        self.scale, self.shift = jnp.ones(channels, _DTYPE), jnp.zeros(channels, _DTYPE)
        self.groups = math.gcd(groups, channels)

    def __call__(self, x: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        y = group_normalised(x, self.groups, 1e-5)
        return y * self.scale[None, None, :] + self.shift[None, None, :]


class _ResBlock(eqx.Module):
    norm1: _Norm
    conv1: _Conv
    embed: eqx.nn.Linear
    norm2: _Norm
    conv2: _Conv
    skip: _Conv | None

    def __init__(self, c_in, c_out, c_embed, *, key):
        keys = jax.random.split(key, 4)
        self.norm1, self.norm2 = _Norm(c_in), _Norm(c_out)
        self.conv1 = _Conv(c_in, c_out, key=keys[0])
        self.embed = eqx.nn.Linear(c_embed, 2 * c_out, dtype=_DTYPE, key=keys[1])
        self.conv2 = _Conv(c_out, c_out, scale=1e-2, key=keys[2])
        self.skip = None if c_in == c_out else _Conv(c_in, c_out, 1, key=keys[3])

    def __call__(self, x, emb):
        h = self.conv1(jax.nn.silu(self.norm1(x)))
        scale, shift = jnp.split(self.embed(emb), 2)
        h = self.norm2(h) * (1 + scale[None, None, :]) + shift[None, None, :]
        h = self.conv2(jax.nn.silu(h))
        return h + (x if self.skip is None else self.skip(x))


class _Attention(eqx.Module):
    """Self-attention over the positions of the coarsest level."""

    norm: _Norm
    qkv: _Conv
    out: _Conv
    heads: int = eqx.field(static=True)

    def __init__(self, channels, heads, *, key):
        keys = jax.random.split(key)
        self.norm, self.heads = _Norm(channels), heads
        self.qkv = _Conv(channels, 3 * channels, 1, key=keys[0])
        self.out = _Conv(channels, channels, 1, scale=1e-2, key=keys[1])

    def __call__(self, x):
        h, w, c = x.shape
        qkv = self.qkv(self.norm(x)).reshape(h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv[:, 0], qkv[:, 1], qkv[:, 2]
        logits = jnp.einsum("qhc,khc->hqk", q, k) / math.sqrt(c // self.heads)
        shares = jax.nn.softmax(wide(logits), axis=-1).astype(x.dtype)
        y = jnp.einsum("hqk,khc->qhc", shares, v)
        return x + self.out(y.reshape(h, w, c))


class _Level(eqx.Module):
    """The blocks of one resolution on the way down and on the way up."""

    down: list[_ResBlock]
    up: list[_ResBlock]
    to_coarse: _Conv
    from_coarse: _Conv


class ImageUNet(eqx.Module):
    """A U-Net on images of shape `(channels, height, width)`, called as `unet(x, t, label)`.

    The image is cut into `patch` x `patch` blocks that become channels (a space-to-depth stem), so
    the finest level runs at height / patch. On a CPU this allows a network twice as wide in the
    same time. Residual blocks receive the time and the class as scale and shift. The coarsest level
    has self-attention. All activations are smooth, so the network has the second derivatives that
    geodesics need.

    `t` is a time in [0, 1]. `label` is an integer in [0, num_classes), or `num_classes` or None for
    the null class (unconditional). A traced label out of range gives NaN. `height` and `width` must
    be divisible by `patch * 2^(len(widths) - 1)`. Weights and arithmetic are float32. The result is
    float64 if `x` is, else float32.

    **Arguments:**

    - `channels`: of an image.
    - `widths`: channels of each level, the finest first.
    - `num_blocks`, `num_middle`: residual blocks of each level, each way, and of the coarsest
      level.
    - `patch`: side of the blocks that become channels, in pixels.
    - `num_classes`: 0 for none.
    - `frequencies`, `embed_width`: of the embedding of the time.
    - `heads`: of the attention.
    - `key`: draws the weights.

    **Raises:**

    - `ValueError`: on a wrong shape, on integer images, or an integer label out of range.

    >>> import jax, jax.numpy as jnp
    >>> from geojax.models import ImageUNet
    >>> unet = ImageUNet(widths=(8,), num_middle=1, patch=4, key=jax.random.key(0))
    >>> unet(jnp.zeros((1, 28, 28)), 0.4, 3).shape
    (1, 28, 28)
    """

    time_mlp: list[eqx.nn.Linear]
    class_embedding: Float[Array, "classes c_embed"] | None
    stem: _Conv
    levels: list[_Level]
    middle: list[_ResBlock]
    attention: _Attention
    norm: _Norm
    head: _Conv
    channels: int = eqx.field(static=True)
    num_classes: int = eqx.field(static=True)
    patch: int = eqx.field(static=True)
    frequencies: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        channels: int = 1,
        widths: Sequence[int] = (64, 128),
        num_blocks: int = 1,
        num_middle: int = 2,
        patch: int = 2,
        num_classes: int = 10,
        frequencies: int = 32,
        embed_width: int = 128,
        heads: int = 4,
        key: Key[Array, ""],
    ):
        keys = iter(jax.random.split(key, 16 + 8 * len(widths) * num_blocks + num_middle))
        self.channels, self.num_classes, self.patch = channels, num_classes, patch
        self.frequencies = frequencies
        self.time_mlp = [
            eqx.nn.Linear(2 * frequencies, embed_width, dtype=_DTYPE, key=next(keys)),
            eqx.nn.Linear(embed_width, embed_width, dtype=_DTYPE, key=next(keys)),
        ]
        self.class_embedding = (
            0.1 * jax.random.normal(next(keys), (num_classes + 1, embed_width), _DTYPE)
            if num_classes
            else None
        )
        self.stem = _Conv(channels * patch**2, widths[0], key=next(keys))
        self.levels = []
        for fine, coarse in itertools.pairwise(widths):
            down = [_ResBlock(fine, fine, embed_width, key=next(keys)) for _ in range(num_blocks)]
            up = [
                _ResBlock(fine * (2 if i == 0 else 1), fine, embed_width, key=next(keys))
                for i in range(num_blocks)
            ]
            to_coarse = _Conv(fine, coarse, stride=2, key=next(keys))
            from_coarse = _Conv(coarse, fine, 1, key=next(keys))
            self.levels.append(_Level(down, up, to_coarse, from_coarse))
        self.middle = [
            _ResBlock(widths[-1], widths[-1], embed_width, key=next(keys))
            for _ in range(num_middle)
        ]
        self.attention = _Attention(widths[-1], heads, key=next(keys))
        self.norm = _Norm(widths[0])
        self.head = _Conv(widths[0], channels * patch**2, scale=1e-2, key=next(keys))

    def __call__(
        self,
        x: Numbers,
        t: Real[Array, ""] | float,
        label: Integer[Array, ""] | int | None = None,
    ) -> Float[Array, "channels height width"]:
        refuse_pixels("x", x)
        x = as_floating("x", x)
        self._check(x, label)
        label = jnp.asarray(self.num_classes if label is None else label)
        return self._forward(x, jnp.asarray(t), label)

    # Compiled as a whole; called eagerly, its hundreds of operations would compile one by one.
    @eqx.filter_jit
    def _forward(self, x, t, label):
        dtype = self.stem.weight.dtype
        emb = self._embed(t, label, dtype)
        h = self.stem(_to_patches(x.astype(dtype), self.patch))
        skips = []
        for level in self.levels:
            for block in level.down:
                h = block(h, emb)
            skips.append(h)
            h = level.to_coarse(h)
        for i, block in enumerate(self.middle):
            h = block(h, emb)
            if i == 0:
                h = self.attention(h)
        for level, skip in zip(reversed(self.levels), reversed(skips), strict=True):
            h = level.from_coarse(h)
            h = jnp.repeat(jnp.repeat(h, 2, axis=0), 2, axis=1)
            h = jnp.concatenate([h, skip], axis=-1)
            for block in level.up:
                h = block(h, emb)
        y = _from_patches(self.head(jax.nn.silu(self.norm(h))), self.patch)
        return y.astype(x.dtype)

    def _embed(self, t, label, dtype):
        rates = jnp.exp(jnp.linspace(0.0, math.log(1000.0), self.frequencies)).astype(_DTYPE)
        phase = t.astype(_DTYPE) * rates
        emb = jnp.concatenate([jnp.sin(phase), jnp.cos(phase)]).astype(dtype)
        emb = jax.nn.silu(self.time_mlp[0](emb))
        emb = self.time_mlp[1](emb)
        if self.class_embedding is not None:
            # A traced label out of range gives NaN. Indexing alone would take the nearest class, or
            # count from the end.
            label = jnp.where(label < 0, len(self.class_embedding), label)
            emb = emb + self.class_embedding.at[label].get(mode="fill", fill_value=jnp.nan)
        return jax.nn.silu(emb)

    def _check(self, x, label):
        unit = self.patch * 2 ** len(self.levels)
        if x.ndim != 3 or x.shape[0] != self.channels or x.shape[1] % unit or x.shape[2] % unit:
            raise ValueError(
                f"x must have shape ({self.channels}, height, width) with height and width "
                f"divisible by {unit}, got {x.shape}. Batches are for jax.vmap."
            )
        if isinstance(label, int) and not 0 <= label <= self.num_classes:
            raise ValueError(
                f"label must be None or an integer from 0 to {self.num_classes} (the null class), "
                f"got {label}."
            )


def _to_patches(x, p):
    c, h, w = x.shape
    return x.reshape(c, h // p, p, w // p, p).transpose(1, 3, 0, 2, 4).reshape(h // p, w // p, -1)


def _from_patches(y, p):
    h, w, _ = y.shape
    y = y.reshape(h, w, -1, p, p).transpose(2, 0, 3, 1, 4)
    return y.reshape(-1, h * p, w * p)
