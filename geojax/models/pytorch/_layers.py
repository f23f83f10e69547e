"""ATen's layers in jax.numpy: products, convolutions, norms, attention, pooling, resizing.

Tensors have the layouts of torch: `(batch, channels, *space)`, weights `(out, in, *space)`.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from ..._arrays import wide

_SPACES = ("W", "HW", "DHW")


def _linear(x, weight, bias=None) -> Array:
    y = jnp.matmul(x, weight.T)
    return y if bias is None else y + bias


def _add_product(c, a, b, *, beta=1, alpha=1) -> Array:
    product = jnp.matmul(a, b)
    return (c if beta == 1 else beta * c) + (product if alpha == 1 else alpha * product)


def _convolution(
    x, weight, bias, stride, padding, dilation, transposed, output_padding, groups
) -> Array:
    n = weight.ndim - 2
    stride, padding, dilation, output_padding = (
        [v[0]] * n if len(v) == 1 else v for v in (stride, padding, dilation, output_padding)
    )
    pads = [(p, p) for p in padding]
    strides, spread = stride, [1] * n
    if transposed:
        # The transpose of a convolution is a convolution of the dilated input with flipped weights.
        weight = jnp.flip(weight, tuple(range(2, 2 + n)))
        weight = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
        weight = jnp.swapaxes(weight, 1, 2).reshape(-1, weight.shape[1], *weight.shape[3:])
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        pads = [(r - p, r - p + o) for r, p, o in zip(reach, padding, output_padding, strict=True)]
        strides, spread = [1] * n, stride
    space = _SPACES[n - 1]
    y = lax.conv_general_dilated(
        x,
        weight,
        strides,
        pads,
        lhs_dilation=spread,
        rhs_dilation=dilation,
        dimension_numbers=("NC" + space, "OI" + space, "NC" + space),
        feature_group_count=groups,
    )
    return y if bias is None else y + bias.reshape(-1, *[1] * n)


def _over_channels(a, ndim: int) -> Array:
    return a.reshape(1, -1, *[1] * (ndim - 2))


def _normalised(x, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array]:
    mean = jnp.mean(x, axes, keepdims=True)
    inverse = lax.rsqrt(jnp.mean((x - mean) ** 2, axes, keepdims=True) + eps)
    return (x - mean) * inverse, mean, inverse


def _layer_norm(x, shape, weight, bias, eps):
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    y, mean, inverse = _normalised(wide(x), axes, eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias, mean, inverse


def _group_norm(x, weight, bias, n, channels, size, groups, eps):
    y, mean, inverse = _normalised(wide(x).reshape(n, groups, -1), (2,), eps)
    y = y.reshape(x.shape)
    y = y if weight is None else y * _over_channels(weight, x.ndim)
    y = y if bias is None else y + _over_channels(bias, x.ndim)
    return y, mean[..., 0], inverse[..., 0]


def _batch_norm(x, weight, bias, mean, variance, momentum, eps):
    mean, variance = (_over_channels(wide(a), x.ndim) for a in (mean, variance))
    y = (wide(x) - mean) * lax.rsqrt(variance + eps)
    y = y if weight is None else y * _over_channels(weight, x.ndim)
    y = y if bias is None else y + _over_channels(bias, x.ndim)
    return y, jnp.zeros(0, x.dtype), jnp.zeros(0, x.dtype)


def _batch_norm_of_itself(x, weight, bias, training, momentum, eps):
    """Normalisation by the mean and variance of the batch, which torch uses for instance norm."""
    axes = (0, *range(2, x.ndim))
    y, mean, inverse = _normalised(wide(x), axes, eps)
    y = y if weight is None else y * _over_channels(weight, x.ndim)
    y = y if bias is None else y + _over_channels(bias, x.ndim)
    return y, mean.reshape(-1), inverse.reshape(-1)


def _rms_norm(x, shape, weight=None, eps=None) -> Array:
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    eps = float(jnp.finfo(x.dtype).eps) if eps is None else eps
    y = wide(x) * lax.rsqrt(jnp.mean(wide(x) ** 2, axes, keepdims=True) + eps)
    return y if weight is None else y * weight


def _attention(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    *,
    scale=None,
    enable_gqa=False,
) -> Array:
    """Softmax(Q K^T scale + mask) V over the last two axes."""
    if dropout_p:
        raise NotImplementedError("attention with dropout: put the module in evaluation mode")
    if enable_gqa:  # several query heads share one head of keys and values
        key, value = (jnp.repeat(a, query.shape[-3] // a.shape[-3], axis=-3) for a in (key, value))
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    logits = wide(jnp.matmul(query, jnp.swapaxes(key, -1, -2))) * scale
    if is_causal:
        attn_mask = jnp.tri(query.shape[-2], key.shape[-2], dtype=bool)
    if attn_mask is None:
        weights = jax.nn.softmax(logits, axis=-1)
    elif attn_mask.dtype == bool:
        # A row without any key gives zeros, as in torch.
        weights = jax.nn.softmax(jnp.where(attn_mask, logits, -jnp.inf), axis=-1)
        weights = jnp.where(jnp.any(attn_mask, axis=-1, keepdims=True), weights, 0)
    else:
        weights = jax.nn.softmax(logits + attn_mask, axis=-1)
    return jnp.matmul(weights.astype(value.dtype), value)


def _tuple(value, n: int) -> list[int]:
    value = [value] if isinstance(value, int) else list(value)
    return value * n if len(value) == 1 else value


def _window(x, n: int, size, stride, padding, ceil: bool) -> tuple[Any, Any, Any]:
    """The windows of a pooling over the last `n` axes."""
    size, padding = _tuple(size, n), _tuple(padding, n)
    stride = _tuple(stride, n) if stride else size
    pads = [(p, p) for p in padding]
    if ceil:  # one more window, if it starts inside
        for k, (length, s, step, p) in enumerate(
            zip(x.shape[-n:], size, stride, padding, strict=True)
        ):
            count = -(-(length + 2 * p - s) // step)
            count -= count * step >= length + p
            pads[k] = (p, max(p, count * step + s - length - p))
    lead = x.ndim - n
    return (1,) * lead + tuple(size), (1,) * lead + tuple(stride), [(0, 0)] * lead + pads


def _average_pool(n: int) -> Callable[..., Array]:
    def pool(x, size, stride=(), padding=0, ceil_mode=False, count_include_pad=True, divisor=None):
        window, strides, pads = _window(x, n, size, stride, padding, ceil_mode)
        total = lax.reduce_window(x, np.zeros((), x.dtype), lax.add, window, strides, pads)
        if divisor is not None:
            return total / divisor
        # The count includes the requested padding, or none; never that of `ceil_mode`.
        asked = [(p, p) for p in _tuple(padding, n)] if count_include_pad else [(0, 0)] * n
        ones = jnp.pad(jnp.ones(x.shape[-n:], x.dtype), asked, constant_values=1)
        rest = [(a - c, b - d) for (a, b), (c, d) in zip(pads[-n:], asked, strict=True)]
        count = lax.reduce_window(
            ones, np.zeros((), x.dtype), lax.add, window[-n:], strides[-n:], rest
        )
        return total / count

    return pool


def _max_pool(n: int) -> Callable[..., tuple[Array, None]]:
    def pool(x, size, stride=(), padding=0, dilation=1, ceil_mode=False):
        if any(d != 1 for d in _tuple(dilation, n)):
            raise NotImplementedError("max pooling with dilation")
        window, strides, pads = _window(x, n, size, stride, padding, ceil_mode)
        return lax.reduce_window(
            x, np.array(-np.inf, x.dtype), lax.max, window, strides, pads
        ), None

    return pool


def _adaptive_average(n: int) -> Callable[..., Array]:
    def pool(x, output_size):
        for axis, count in zip(range(x.ndim - n, x.ndim), output_size, strict=True):
            length = x.shape[axis]
            ends = [(k * length // count, -(-(k + 1) * length // count)) for k in range(count)]
            means = [jnp.mean(lax.slice_in_dim(x, a, b, axis=axis), axis) for a, b in ends]
            x = jnp.stack(means, axis)
        return x

    return pool


def _resized(x, n: int, output_size, scales) -> list[tuple[int, int, float]]:
    """For each of the last `n` axes: its index, its new length, and the step in old pixels.

    The scales are one list or several numbers, and may be None.
    """
    if len(scales) == 1 and isinstance(scales[0], list | tuple):
        (scales,) = scales
    scales = [*scales, *[None] * n] if scales else [None] * n
    found = []
    for k, (length, scale) in enumerate(zip(x.shape[-n:], scales[:n], strict=True)):
        new = output_size[k] if output_size else int(length * scale)
        found.append((x.ndim - n + k, new, 1 / scale if scale else length / new))
    return found


def _nearest(n: int) -> Callable[..., Array]:
    def resize(x, output_size, *scales):
        for axis, new, step in _resized(x, n, output_size, scales):
            places = jnp.floor(jnp.arange(new) * step).astype(int)
            x = jnp.take(x, jnp.minimum(places, x.shape[axis] - 1), axis=axis)
        return x

    return resize


def _linear_resize(n: int) -> Callable[..., Array]:
    def resize(x, output_size, align_corners, *scales):
        for axis, new, step in _resized(x, n, output_size, scales):
            length = x.shape[axis]
            if align_corners:
                places = jnp.arange(new) * ((length - 1) / max(new - 1, 1))
            else:
                places = jnp.maximum((jnp.arange(new) + 0.5) * step - 0.5, 0)
            low = jnp.minimum(jnp.floor(places).astype(int), length - 1)
            part = (places - low).astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1 - axis))
            below = jnp.take(x, low, axis=axis)
            above = jnp.take(x, jnp.minimum(low + 1, length - 1), axis=axis)
            x = below + part * (above - below)
        return x

    return resize


LAYERS: dict[str, Callable[..., Any]] = {
    **{f"{name}.default": jnp.matmul for name in ("mm", "bmm", "matmul", "mv", "dot")},
    "linear.default": _linear,
    "addmm.default": _add_product,
    "baddbmm.default": _add_product,
    "addmv.default": _add_product,
    "convolution.default": _convolution,
    "native_layer_norm.default": _layer_norm,
    "native_group_norm.default": _group_norm,
    "_native_batch_norm_legit_no_training.default": _batch_norm,
    "_native_batch_norm_legit.no_stats": _batch_norm_of_itself,
    "rms_norm.default": _rms_norm,
    "_fused_rms_norm.default": lambda *inputs: (_rms_norm(*inputs), None),
    "scaled_dot_product_attention.default": _attention,
    **{f"avg_pool{n}d.default": _average_pool(n) for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices.default": _max_pool(n) for n in (1, 2, 3)},
    **{
        f"{name}{n}d.default": _adaptive_average(n)
        for name, n in itertools.product(("adaptive_avg_pool", "_adaptive_avg_pool"), (1, 2, 3))
    },
    **{f"upsample_nearest{n}d.{k}": _nearest(n) for n in (1, 2, 3) for k in ("vec", "default")},
    **{
        f"upsample_{name}.{k}": _linear_resize(n)
        for n, name in enumerate(("linear1d", "bilinear2d", "trilinear3d"), start=1)
        for k in ("vec", "default")
    },
}
