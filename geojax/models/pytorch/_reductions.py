"""ATen operations that sum, average, sort and compare along axes, in jax.numpy."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


def _axes(dim) -> int | tuple[int, ...] | None:
    """The axes for NumPy; in torch an empty list means all of them."""
    if dim is None or isinstance(dim, int):
        return dim
    return tuple(dim) or None


def _reduction(function: Callable[..., Array]) -> Callable[..., Array]:
    def reduce(x, dim=None, keepdim=False, *, dtype=None, **_):
        x = x if dtype is None else x.astype(dtype)
        return function(x, axis=_axes(dim), keepdims=keepdim)

    return reduce


def _variance(x, dim=None, *, correction=1, keepdim=False) -> Array:
    return jnp.var(
        x, axis=_axes(dim), ddof=1 if correction is None else correction, keepdims=keepdim
    )


def _variance_unbiased(x, dim=None, unbiased=True, keepdim=False) -> Array:
    return _variance(x, dim, correction=int(unbiased), keepdim=keepdim)


def _variance_and_mean(x, dim=None, *, correction=1, keepdim=False) -> tuple[Array, Array]:
    mean = jnp.mean(x, axis=_axes(dim), keepdims=keepdim)
    return _variance(x, dim, correction=correction, keepdim=keepdim), mean


def _extreme(values: Callable[..., Array], places: Callable[..., Array]):
    def along(x, dim, keepdim=False):
        return values(x, axis=dim, keepdims=keepdim), places(x, axis=dim, keepdims=keepdim)

    return along


def _norm(x, order=2, dim=None, keepdim=False, *, dtype=None) -> Array:
    x = jnp.abs(x if dtype is None else x.astype(dtype))
    axes = _axes(dim)
    if order == float("inf"):
        return jnp.max(x, axis=axes, keepdims=keepdim)
    if order == float("-inf"):
        return jnp.min(x, axis=axes, keepdims=keepdim)
    if order == 0:
        return jnp.sum(x != 0, axis=axes, keepdims=keepdim)
    if order == 1:
        return jnp.sum(x, axis=axes, keepdims=keepdim)
    total = jnp.sum(x**2 if order == 2 else x**order, axis=axes, keepdims=keepdim)
    # In torch the derivative of a norm at zero is zero.
    safe = jnp.where(total == 0, 1, total)
    root = jnp.sqrt(safe) if order == 2 else safe ** (1 / order)
    return jnp.where(total == 0, 0, root)


def _sort(x, dim=-1, descending=False) -> tuple[Array, Array]:
    order = jnp.argsort(x, axis=dim, stable=True, descending=descending)
    return jnp.take_along_axis(x, order, axis=dim), order


def _sort_stable(x, *, stable=None, dim=-1, descending=False) -> tuple[Array, Array]:
    return _sort(x, dim, descending)


def _top(x, k, dim=-1, largest=True, sorted=True) -> tuple[Array, Array]:
    values, order = _sort(x, dim, largest)
    return tuple(jax.lax.slice_in_dim(a, 0, k, axis=dim % x.ndim) for a in (values, order))  # pyright: ignore


def _softmax(function: Callable[..., Array]) -> Callable[..., Array]:
    def along(x, dim, dtype=None, *_):
        if not isinstance(dtype, bool | None):
            x = x.astype(dtype)
        # At least single precision, as in torch.
        wide = jnp.promote_types(x.dtype, jnp.float32)
        return function(x.astype(wide), axis=dim).astype(x.dtype)

    return along


def _arg(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda x, dim=None, keepdim=False: function(x, axis=dim, keepdims=keepdim)


def _scan(function: Callable[..., Array]) -> Callable[..., Array]:
    def along(x, dim, *, dtype=None):
        return function(x if dtype is None else x.astype(dtype), axis=dim) if x.ndim else x

    return along


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum.default": _reduction(jnp.sum),
    "sum.dim_IntList": _reduction(jnp.sum),
    "mean.default": _reduction(jnp.mean),
    "mean.dim": _reduction(jnp.mean),
    "prod.default": _reduction(jnp.prod),
    "prod.dim_int": _reduction(jnp.prod),
    "amax.default": _reduction(jnp.max),
    "amin.default": _reduction(jnp.min),
    "max.default": _reduction(jnp.max),
    "min.default": _reduction(jnp.min),
    "any.default": _reduction(jnp.any),
    "any.dim": _reduction(jnp.any),
    "any.dims": _reduction(jnp.any),
    "all.default": _reduction(jnp.all),
    "all.dim": _reduction(jnp.all),
    "all.dims": _reduction(jnp.all),
    "logsumexp.default": _reduction(jax.scipy.special.logsumexp),
    "var.correction": _variance,
    "var.dim": _variance_unbiased,
    "var_mean.correction": _variance_and_mean,
    "std.correction": lambda *a, **k: jnp.sqrt(_variance(*a, **k)),
    "linalg_vector_norm.default": _norm,
    "max.dim": _extreme(jnp.max, jnp.argmax),
    "min.dim": _extreme(jnp.min, jnp.argmin),
    "argmax.default": _arg(jnp.argmax),
    "argmin.default": _arg(jnp.argmin),
    "sort.default": _sort,
    "sort.stable": _sort_stable,
    "topk.default": _top,
    "cumsum.default": _scan(jnp.cumsum),
    "cumprod.default": _scan(jnp.cumprod),
    "_softmax.default": _softmax(jax.nn.softmax),
    "_log_softmax.default": _softmax(jax.nn.log_softmax),
    "softmax.int": _softmax(jax.nn.softmax),
    "log_softmax.int": _softmax(jax.nn.log_softmax),
}
