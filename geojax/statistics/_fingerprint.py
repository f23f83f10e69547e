"""A digest of settings, to decide whether stored results belong to them.

Functions are part of it because a metric is often a score in a closure. With a name chosen by the
user, distances of one metric could be continued under another without an error.
"""

import dataclasses
import functools
import hashlib
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh


def fingerprint(value: Any) -> str:
    """A digest that is the same for the same settings, in this process or another.

    Arrays enter by their content, modules by their fields, functions by their code, defaults and
    closures. Global variables that a function reads do not enter, nor does a mesh, which only says
    where to compute.

    >>> fingerprint((1.0, "a")) == fingerprint((1.0, "a")) != fingerprint((1, "a"))
    True
    """
    digest = hashlib.sha256()
    _feed(digest.update, value, [])
    return digest.hexdigest()


def _feed(update, value: Any, parents: list[int]) -> None:
    """Feed an unambiguous byte encoding of `value` to the digest."""
    if id(value) in parents:  # a function that refers to itself
        update(b"<parent>")
        return
    if isinstance(value, Mesh):
        value = None
    parents = [*parents, id(value)]
    update(f"<{type(value).__module__}.{type(value).__qualname__}>".encode())
    for part in _parts(value):
        if isinstance(part, bytes):
            update(f"{len(part)}:".encode() + part)
        else:
            _feed(update, part, parents)


def _parts(value: Any) -> list[Any]:
    """The bytes of a value, and the values that it contains."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return [repr(value).encode()]
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.asarray(value)
        return [f"{array.dtype}{array.shape}".encode(), array.tobytes()]
    if isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
        name = getattr(value, "__qualname__", None) or value.__name__
        return [f"{getattr(value, '__module__', '')}.{name}".encode()]
    if isinstance(value, dict):
        return [part for item in value.items() for part in item]
    if isinstance(value, tuple | list):
        return [*value]
    if isinstance(value, set | frozenset):
        return sorted(fingerprint(part).encode() for part in value)
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_names, value.co_consts]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__code__, value.__defaults__, value.__kwdefaults__, *cells]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return [p for f in fields for p in (f.name.encode(), getattr(value, f.name))]
    if hasattr(value, "__wrapped__"):  # a jitted or otherwise decorated function
        return [value.__wrapped__]
    if hasattr(value, "__dict__"):
        return [vars(value)]
    return [repr(value).encode()]
