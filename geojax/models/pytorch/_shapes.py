"""ATen operations that move, create and look up entries, in jax.numpy."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

_END = 2**62  # torch writes "to the end" as the largest 64-bit integer


def _expand(x, size, **_) -> Array:
    new = len(size) - x.ndim
    shape = [x.shape[k - new] if n == -1 else n for k, n in enumerate(size)]
    return jnp.broadcast_to(x, shape)


def _squeeze(x, dims=None) -> Array:
    dims = range(x.ndim) if dims is None else [dims] if isinstance(dims, int) else dims
    return jnp.squeeze(x, tuple(d % x.ndim for d in dims if x.shape[d] == 1)) if x.ndim else x


def _slice(x, dim=0, start=None, end=None, step=1) -> Array:
    index = [slice(None)] * x.ndim
    index[dim] = slice(start, None if end is None or end > _END else end, step)
    return x[tuple(index)]


def _at(x, dim: int, where) -> tuple:
    index: list = [slice(None)] * x.ndim
    index[dim] = where
    return tuple(index)


def _slice_scatter(x, source, dim=0, start=None, end=None, step=1) -> Array:
    end = None if end is None or end > _END else end
    return x.at[_at(x, dim, slice(start, end, step))].set(source.astype(x.dtype))


def _select_scatter(x, source, dim, index) -> Array:
    return x.at[_at(x, dim, index)].set(source.astype(x.dtype))


def _split(x, sizes, dim=0) -> list[Array]:
    if isinstance(sizes, int):
        whole, rest = divmod(x.shape[dim], sizes)
        sizes = [sizes] * whole + ([rest] if rest else [])
    ends = [sum(sizes[:k]) for k in range(1, len(sizes))]
    return jnp.split(x, ends, axis=dim)


def _unbind(x, dim=0) -> list[Array]:
    return [jax.lax.index_in_dim(x, k, dim, keepdims=False) for k in range(x.shape[dim])]


def _widths(x, pad) -> list[tuple[int, int]]:
    """The padding in NumPy's order; torch lists the last axis first."""
    pairs = [(pad[k], pad[k + 1]) for k in range(0, len(pad), 2)]
    return [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]


def _pad(x, pad, value=0.0) -> Array:
    widths = [(low, high, 0) for low, high in _widths(x, pad)]  # negative widths crop
    return jax.lax.pad(x, jnp.asarray(value, x.dtype), widths)


def _pad_by(mode: str) -> Callable[..., Array]:
    return lambda x, pad: jnp.pad(x, _widths(x, pad), mode=mode)


def _indices(indices) -> tuple:
    """An index of NumPy: None among arrays stands for a whole axis."""
    return tuple(slice(None) if i is None else i for i in indices)


def _index(x, indices) -> Array:
    if any(i is not None and i.dtype == bool for i in indices):
        raise NotImplementedError("indexing by a mask has a shape that depends on the data")
    return x[_indices(indices)]


def _index_put(x, indices, values, accumulate=False) -> Array:
    if any(i is not None and i.dtype == bool for i in indices):
        (mask,) = indices  # `x[mask] = value` has a known shape for one value
        if values.size != 1:
            raise NotImplementedError("x[mask] = values has a shape that depends on the data")
        mask = mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
        return jnp.where(mask, values.reshape(()), x)
    place = x.at[_indices(indices)]
    return place.add(values) if accumulate else place.set(values.astype(x.dtype))


def _along(x, dim: int, index) -> tuple[Array, ...]:
    """The positions of `gather` and `scatter`: `index` along `dim`, and the own index elsewhere."""
    grid = list(jnp.indices(index.shape, sparse=True))
    grid[dim] = index
    return tuple(grid)


def _gather(x, dim, index, **_) -> Array:
    return x[_along(x, dim % x.ndim, index)] if x.ndim else x


def _scatter(x, dim, index, source, *, reduce=None) -> Array:
    places = _along(x, dim % x.ndim, index)
    if not isinstance(source, int | float):
        source = source[tuple(slice(0, n) for n in index.shape)].astype(x.dtype)
    if reduce is None:
        return x.at[places].set(source)
    return {"add": x.at[places].add, "multiply": x.at[places].multiply}[reduce](source)


def _roll(x, shifts, dims=()) -> Array:
    return jnp.roll(x, tuple(shifts), tuple(dims)) if dims else jnp.roll(x, shifts[0])


def _arange(*bounds, dtype=None, **_) -> Array:
    return jnp.arange(*bounds, dtype=dtype)


def _full(size, value, *, dtype=None, **_) -> Array:
    return jnp.full(tuple(size), value, dtype)


def _full_like(x, value, *, dtype=None, **_) -> Array:
    return jnp.full(x.shape, value, dtype or x.dtype)


def _constant(value: float) -> Callable[..., Array]:
    return lambda size, **options: _full(size, value, **options)


def _constant_like(value: float) -> Callable[..., Array]:
    return lambda x, **options: _full_like(x, value, **options)


def _pixel_shuffle(x, factor) -> Array:
    *batch, channels, h, w = x.shape
    x = x.reshape(*batch, channels // factor**2, factor, factor, h, w)
    x = jnp.moveaxis(jnp.moveaxis(x, -4, -2), -4, -1)  # (c, h, f, w, f)
    return x.reshape(*batch, channels // factor**2, h * factor, w * factor)


def _pixel_unshuffle(x, factor) -> Array:
    *batch, channels, h, w = x.shape
    x = x.reshape(*batch, channels, h // factor, factor, w // factor, factor)
    x = jnp.moveaxis(jnp.moveaxis(x, -3, -4), -1, -3)  # (c, f, f, h, w)
    return x.reshape(*batch, channels * factor**2, h // factor, w // factor)


SHAPES: dict[str, Callable[..., Any]] = {
    "getitem": lambda x, k: x[k],
    "view.default": lambda x, size: x.reshape(size),
    "_unsafe_view.default": lambda x, size: x.reshape(size),
    "reshape.default": lambda x, size: x.reshape(size),
    "permute.default": lambda x, dims: jnp.transpose(x, dims),
    "transpose.int": lambda x, a, b: jnp.swapaxes(x, a, b) if x.ndim else x,
    "t.default": lambda x: x.T,
    "expand.default": _expand,
    "unsqueeze.default": lambda x, dim: jnp.expand_dims(x, dim),
    "squeeze.default": _squeeze,
    "squeeze.dim": _squeeze,
    "squeeze.dims": _squeeze,
    "slice.Tensor": _slice,
    "slice_scatter.default": _slice_scatter,
    "select.int": lambda x, dim, index: jnp.take(x, index, axis=dim),
    "select_scatter.default": _select_scatter,
    "cat.default": lambda xs, dim=0: jnp.concatenate([x for x in xs if x.shape != (0,)], dim),
    "stack.default": lambda xs, dim=0: jnp.stack(xs, dim),
    "split.Tensor": _split,
    "split_with_sizes.default": _split,
    "unbind.int": _unbind,
    "constant_pad_nd.default": _pad,
    **{f"reflection_pad{n}d.default": _pad_by("reflect") for n in (1, 2, 3)},
    **{f"replication_pad{n}d.default": _pad_by("edge") for n in (1, 2, 3)},
    "flip.default": lambda x, dims: jnp.flip(x, dims),
    "roll.default": _roll,
    "repeat.default": jnp.tile,
    "diagonal.default": lambda x, offset=0, a=0, b=1: jnp.diagonal(x, offset, a, b),
    "tril.default": lambda x, diagonal=0: jnp.tril(x, diagonal),
    "triu.default": lambda x, diagonal=0: jnp.triu(x, diagonal),
    "index.Tensor": _index,
    "index_put.default": _index_put,
    "index_select.default": lambda x, dim, index: jnp.take(x, index, axis=dim),
    "gather.default": _gather,
    "scatter.src": _scatter,
    "scatter.value": _scatter,
    "scatter_add.default": lambda x, dim, index, source: _scatter(
        x, dim, index, source, reduce="add"
    ),
    "embedding.default": lambda weight, index, *_: weight[index],
    "arange.default": _arange,
    "arange.start": _arange,
    "arange.start_step": _arange,
    "full.default": _full,
    "full_like.default": _full_like,
    "zeros.default": _constant(0),
    "ones.default": _constant(1),
    "zeros_like.default": _constant_like(0),
    "ones_like.default": _constant_like(1),
    "empty.memory_format": _constant(0),
    "empty_like.default": _constant_like(0),
    "eye.default": lambda n, **options: jnp.eye(n, dtype=options.get("dtype")),
    "eye.m": lambda n, m, **options: jnp.eye(n, m, dtype=options.get("dtype")),
    "linspace.default": lambda low, high, steps, **_: jnp.linspace(low, high, steps),
    "scalar_tensor.default": lambda value, **_: jnp.asarray(value),
    "pixel_shuffle.default": _pixel_shuffle,
    "pixel_unshuffle.default": _pixel_unshuffle,
}
