"""Conversion of array arguments: one rule for every public function that takes numbers.

- JAX arrays, NumPy arrays, numbers and (nested) lists of numbers are accepted.
- Integers and booleans are converted to the default floating dtype, or to that of the floating
  arrays passed with them. A result is never an integer because of them.
- float16, bfloat16 and narrower types are computed in float32, and so is the result.
- Arrays that belong together (two points) are computed in the widest dtype among them.
- Complex numbers, text and anything else that is no number raise a `ValueError` that names the
  argument. So does an empty array or one with the wrong axes.
- NaN and infinity are accepted, because they are results.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, Integer

# The type of an argument that a docstring calls an array.
Numbers: TypeAlias = ArrayLike | Sequence[Any]

_FAR_OUTSIDE = 10.0  # a value certainly outside [-1, 1]


def as_floating(
    name: str, value: Any, axes: str | None = None, *, dtype: DTypeLike | None = None
) -> Float[Array, "..."]:
    """`value` as an array of float32 or float64, or a `ValueError` with its name.

    - `axes`: the axes it must have, such as "3 height width" or "points *shape"; any by default.
    - `dtype`: what to convert to, such as that of the points passed with it; by default its own.

    >>> as_floating("x", [1, 2], "shape").dtype == jnp.result_type(float)
    True
    """
    (array,) = _floating({name: value}, dtype)
    _check_axes(name, array.shape, axes)
    return array


def as_one_dtype(**values: Any) -> tuple[Float[Array, "..."], ...]:
    """The arrays, converted by `as_floating`, in the widest dtype among them.

    >>> x0, x1 = as_one_dtype(x0=[[0, 1]], x1=jnp.ones(2, jnp.float16))
    >>> x0.dtype, x1.dtype
    (dtype('float32'), dtype('float32'))
    """
    arrays = _floating(values, None)
    for name, array in zip(values, arrays, strict=True):
        _check_axes(name, array.shape, None)
    return arrays


def as_alike(axes: str | None = None, /, **values: Any) -> tuple[Float[Array, "..."], ...]:
    """The arrays, converted by `as_one_dtype`, which must have one shape; `axes` as for
    `as_floating`.
    """
    arrays = as_one_dtype(**values)
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"{_listed(values)} must have one shape, got {_listed(shapes)}.")
    for name, shape in zip(values, shapes, strict=True):
        _check_axes(name, shape, axes)
    return arrays


def as_images(
    axes: str | None = None, /, *, remedy: str = "", **values: Any
) -> tuple[Float[Array, "..."], ...]:
    """Images in [-1, 1], converted by `as_alike`, or a `ValueError` with the way to scale them.

    Integers are refused: they are pixels in 0 ... 255. Floating values are checked where they are
    not traced.

    - `axes`: as for `as_floating`.
    - `remedy`: a further remedy, besides scaling the pixels.
    """
    arrays = {name: _array(name, value) for name, value in values.items()}
    for name, array in arrays.items():
        refuse_pixels(name, array, remedy)
        _refuse_scaled_pixels(name, array, remedy)
        wanted = axes.split() if axes else []
        channels_last = array.ndim > 2 and array.shape[-1] in (1, 3, 4) and array.shape[-3] > 4
        if channels_last and array.ndim == len(wanted):
            raise ValueError(
                f"{name} must have its channels first, shape ({', '.join(wanted)}), got "
                f"{array.shape}: jnp.moveaxis({name}, -1, -3)."
            )
    return as_alike(axes, **arrays)


def refuse_pixels(name: str, value: Any, remedy: str = "") -> None:
    """Raise a `ValueError` on integers where an image in [-1, 1] is required."""
    dtype = _array(name, value).dtype
    if jnp.issubdtype(dtype, jnp.integer):
        raise ValueError(
            f"{name} must be floating point numbers in [-1, 1], got {dtype}. For pixels in "
            f"0 ... 255 pass {name} / 127.5 - 1; cast other integers first.{remedy}"
        )


def _refuse_scaled_pixels(name: str, array: Array | np.ndarray, remedy: str) -> None:
    """Raise a `ValueError` on untraced values that look like floating pixels in 0 ... 255."""
    try:
        values = np.asarray(array, np.float32)
    except jax.errors.TracerArrayConversionError:
        return
    values = values[np.isfinite(values)]
    # Pixels are never negative. Other values outside the range are results, if bad ones.
    if values.size and np.min(values) >= 0 and np.max(values) > _FAR_OUTSIDE:
        raise ValueError(
            f"{name} must be in [-1, 1], got values up to {np.max(values):g}. For pixels in "
            f"0 ... 255 pass {name} / 127.5 - 1.{remedy}"
        )


def as_integers(name: str, value: Any, axes: str | None = None) -> Integer[Array, "..."]:
    """`value` as an array of integers, or a `ValueError` with its name.

    >>> as_integers("labels", [3, 1], "points").tolist()
    [3, 1]
    """
    array = _array(name, value)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise ValueError(f"{name} must be integers, got {array.dtype}. Cast it first.")
    _check_axes(name, array.shape, axes)
    return jnp.asarray(array)


_Function = TypeVar("_Function", bound=Callable[..., Any])


def takes_arrays(
    *names: str, one_shape: bool = True, times: str | None = None
) -> Callable[[_Function], _Function]:
    """A decorator that converts the arguments of these names by `as_alike` before the call.

    On a method of a base class it also holds for overriding methods, by `ConvertsArrays`.

    - `one_shape`: False converts them by `as_one_dtype`.
    - `times`: the name of an argument of one axis, converted to the dtype of the others.

    >>> @takes_arrays("x", "v")
    ... def product(x, v, args=None):
    ...     return jnp.vdot(x, v)
    >>> float(product([1, 2], jnp.array([200, 100], jnp.uint8)))
    400.0
    """
    together = as_alike if one_shape else as_one_dtype

    def converting(function: _Function) -> _Function:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def converted(*given, **named):
            bound = signature.bind(*given, **named)
            arguments = bound.arguments
            values = {name: arguments[name] for name in names if name in arguments}
            arrays = together(**values)
            arguments.update(zip(values, arrays, strict=True))
            if times in arguments:
                dtype = arrays[0].dtype
                arguments[times] = as_floating(times, arguments[times], "times", dtype=dtype)
            return function(*bound.args, **bound.kwargs)

        converted.__dict__["takes_arrays"] = takes_arrays(*names, one_shape=one_shape, times=times)
        return cast(_Function, converted)

    return converting


class ConvertsArrays:
    """A base class whose `takes_arrays` methods convert their arguments in every subclass.

    So a subclass, also a user's, always computes with floating arrays.
    """

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        for name, method in list(vars(cls).items()):
            if inspect.isfunction(method) and not hasattr(method, "takes_arrays"):
                overridden = getattr(super(cls, cls), name, None)
                converting = getattr(overridden, "takes_arrays", None)
                if converting is not None:
                    setattr(cls, name, converting(method))


def _floating(values: dict[str, Any], dtype: DTypeLike | None) -> tuple[Array, ...]:
    arrays = {name: _array(name, value) for name, value in values.items()}
    own = [_computed_in(a.dtype) for a in arrays.values() if jnp.issubdtype(a.dtype, jnp.floating)]
    widest = max(own, key=lambda d: jnp.finfo(d).bits) if own else jnp.result_type(float)
    wanted = widest if dtype is None else _computed_in(jnp.dtype(dtype))
    # Integers of NumPy before JAX sees them, which may truncate them to 32 bits.
    return tuple(jnp.asarray(array.astype(wanted)) for array in arrays.values())


def _computed_in(dtype: Any) -> Any:
    """float64 where the session has it; float32 for narrower types."""
    return jax.dtypes.canonicalize_dtype(dtype) if jnp.finfo(dtype).bits > 32 else jnp.float32


def _array(name: str, value: Any) -> Array | np.ndarray:
    """`value` as an array of real numbers, not yet converted."""
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
    required = f"{name} must have shape ({', '.join(wanted)}{',' if len(wanted) == 1 else ''})"
    required += " and not be empty" if fits and 0 in shape else ""
    remedy = " For several use jax.vmap." if len(shape) > least and not open_ended else ""
    raise ValueError(f"{required}, got {shape}.{remedy}")


def _listed(values: Any) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last


def wide(x: Array) -> Array:
    """`x` in float32 at least, as networks sum: in 16 bits a sum of many numbers loses too much."""
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)
