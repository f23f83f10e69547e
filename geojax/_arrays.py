"""Arrays at the border: one rule for every public function that takes numbers.

- JAX arrays, NumPy arrays, numbers and (nested) lists of numbers are accepted.
- Integers and booleans are taken as the same numbers in the default floating dtype, or in that of
  the floating arrays beside them; never is a result an integer for that.
- float16, bfloat16 and narrower types are computed in float32, and so is the result.
- Arrays that belong together (two points) are computed in the widest dtype among them.
- Complex numbers, text and whatever else is no number is a `ValueError` that names the argument,
  and so is an empty array or one with the wrong axes.
- NaN and infinity are taken as they are: they are results.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, Integer

# What public functions take where their docstrings say "array".
Numbers: TypeAlias = ArrayLike | Sequence[Any]

_FAR_OUTSIDE = 10.0  # No image in [-1, 1], noised or decoded, has such values.


def as_floating(
    name: str, value: Any, axes: str | None = None, *, dtype: DTypeLike | None = None
) -> Float[Array, "..."]:
    """``value`` as an array of float32 or float64, or a `ValueError` that names it.

    - ``axes``: the axes it must have, such as "3 height width" or "points *shape"; any by default.
    - ``dtype``: what to convert to, such as that of the points beside it; by default its own.

    >>> as_floating("x", [1, 2], "shape").dtype == jnp.result_type(float)
    True
    """
    (array,) = _floating({name: value}, dtype)
    _check_axes(name, array.shape, axes)
    return array


def as_alike(axes: str | None = None, **values: Any) -> tuple[Float[Array, "..."], ...]:
    """The arrays as `as_floating` has them, of one shape and one dtype, the widest among them.

    >>> x0, x1 = as_alike(x0=[0, 1], x1=jnp.ones(2, jnp.float16))
    >>> x0.dtype, x1.dtype
    (dtype('float32'), dtype('float32'))
    """
    arrays = _floating(values, None)
    shapes = {name: array.shape for name, array in zip(values, arrays, strict=True)}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"{_listed(shapes)} must have one shape, got {_listed(shapes.values())}.")
    for name, shape in shapes.items():
        _check_axes(name, shape, axes)
    return arrays


def as_images(axes: str, **values: Any) -> tuple[Float[Array, "..."], ...]:
    """Images in [-1, 1] as `as_alike` has them, or a `ValueError` that says how to scale them.

    Integers are refused: they are pixels in 0 ... 255. Values that are not traced are looked at.
    """
    arrays = {name: _array(name, value) for name, value in values.items()}
    for name, array in arrays.items():
        _check_scale(name, array)
        try:
            _check_axes(name, array.shape, axes)
        except ValueError as error:
            if array.ndim > 2 and array.shape[-1] in (1, 3, 4) and array.shape[-3] > 4:
                raise ValueError(
                    f"{error} Channels come first: jnp.moveaxis({name}, -1, -3)."
                ) from None
            raise
    return as_alike(axes, **arrays)


def as_integers(name: str, value: Any, axes: str | None = None) -> Integer[Array, "..."]:
    """``value`` as an array of integers, or a `ValueError` that names it.

    >>> as_integers("labels", [3, 1], "points").tolist()
    [3, 1]
    """
    array = _array(name, value)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise ValueError(f"{name} must be integers, got {array.dtype}. Cast it first.")
    _check_axes(name, array.shape, axes)
    return jnp.asarray(array)


def _floating(values: dict[str, Any], dtype: DTypeLike | None) -> tuple[Array, ...]:
    arrays = {name: _array(name, value) for name, value in values.items()}
    own = [_computed_in(a.dtype) for a in arrays.values() if jnp.issubdtype(a.dtype, jnp.floating)]
    widest = max(own, key=lambda d: jnp.finfo(d).bits) if own else jnp.result_type(float)
    wanted = widest if dtype is None else _computed_in(jnp.dtype(dtype))
    # Integers of NumPy before JAX sees them, which may cut them down to 32 bits.
    return tuple(jnp.asarray(array.astype(wanted)) for array in arrays.values())


def _computed_in(dtype: Any) -> Any:
    """float64 stays so where the session has it; what is narrower than float32 becomes that."""
    return jax.dtypes.canonicalize_dtype(dtype) if jnp.finfo(dtype).bits > 32 else jnp.float32


def _array(name: str, value: Any) -> Array | np.ndarray:
    """``value`` as an array of real numbers, not yet converted."""
    given = type(value).__name__
    if not isinstance(value, jax.Array | np.ndarray):
        try:
            several = any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(value))
            value = jnp.asarray(value) if several else np.asarray(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be an array of numbers, got {given}: {error}") from None
    dtype = value.dtype
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise ValueError(f"{name} must be real, got {dtype}. Take {name}.real or jnp.abs({name}).")
    if not (jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)):
        raise ValueError(f"{name} must be an array of numbers, got {given} ({dtype}).")
    return value


def _check_axes(name: str, shape: tuple[int, ...], axes: str | None) -> None:
    if axes is None:
        if 0 in shape:
            raise ValueError(f"{name} must not be empty, got shape {shape}.")
        return
    wanted = axes.split()
    open_ended = wanted[-1].startswith("*")
    least = len(wanted) - open_ended
    fits = len(shape) == least or (open_ended and len(shape) > least)
    sizes = zip(wanted[:least], shape, strict=False)
    if fits and 0 not in shape and all(int(a) == n for a, n in sizes if a.isdigit()):
        return
    told = f"{name} must have shape ({', '.join(wanted)}{',' if len(wanted) == 1 else ''})"
    told += " and not be empty" if fits and 0 in shape else ""
    remedy = " For several use jax.vmap." if len(shape) > least and not open_ended else ""
    raise ValueError(f"{told}, got {shape}.{remedy}")


def _check_scale(name: str, array: Array | np.ndarray) -> None:
    if jnp.issubdtype(array.dtype, jnp.integer):
        raise ValueError(
            f"{name} must be in [-1, 1], got {array.dtype}. Of pixels in 0 ... 255: "
            f"{name} / 127.5 - 1."
        )
    try:
        values = np.asarray(array, np.float32)
    except jax.errors.TracerArrayConversionError:
        return
    values = np.abs(values[np.isfinite(values)])
    if values.size and np.max(values) > _FAR_OUTSIDE:
        raise ValueError(
            f"{name} must be in [-1, 1], got values up to {np.max(values):g}. Of pixels in "
            f"0 ... 255: {name} / 127.5 - 1."
        )


def _listed(values: Any) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
