"""Reading a component's config: what is not supported is refused by its field's name."""

from collections.abc import Mapping, Sequence
from typing import Any


def read_fields(
    config: Mapping[str, Any],
    where: str,
    *,
    used: Mapping[str, Any],
    fixed: Mapping[str, Sequence[Any]],
    ignored: Sequence[str] = (),
) -> dict[str, Any]:
    """The fields that a network is built from.

    ``used`` are these fields with their defaults; ``fixed`` fields have one of the values given,
    the first of them by default; ``ignored`` ones do not change what a network computes, and those
    that begin with an underscore are notes. **Raises:** `ValueError` on any other field or value.

    >>> read_fields({"width": 3}, "net", used={"width": 4, "depth": 2}, fixed={})
    {'width': 3, 'depth': 2}
    """
    for field, value in config.items():
        if field.startswith("_") or field in used or field in ignored:
            continue
        # A field of a later version that is off, or absent, asks for nothing.
        if field not in fixed and value in (None, False):
            continue
        if field not in fixed:
            raise ValueError(f"{where}: {field} = {value!r} is not supported.")
        if value not in fixed[field]:
            wanted = " or ".join(repr(v) for v in fixed[field])
            raise ValueError(f"{where}: {field} = {value!r} is not supported, only {wanted}.")
    return {field: config.get(field, default) for field, default in used.items()}


def positive(where: str, field: str, value: Any) -> int:
    """``value`` if it is a positive integer. **Raises:** `ValueError` with the field's name."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{where}: {field} = {value!r} is not supported, only a positive integer.")
    return value


def positives(where: str, field: str, value: Any, count: int | None = None) -> list[int]:
    """``value`` if it is a list of positive integers. **Raises:** as `positive`."""
    if not isinstance(value, list | tuple) or not value or (count and len(value) != count):
        wanted = "as many positive integers as there are blocks" if count else "positive integers"
        raise ValueError(f"{where}: {field} = {value!r} is not supported, only {wanted}.")
    return [positive(where, field, v) for v in value]


def kinds(where: str, field: str, value: Any, known: Mapping[str, bool], count: int) -> list[bool]:
    """What the names of a list of blocks stand for. **Raises:** as `positive`."""
    if not isinstance(value, list | tuple) or len(value) != count:
        raise ValueError(f"{where}: {field} = {value!r} is not supported, only {count} blocks.")
    for name in value:
        if name not in known:
            wanted = " or ".join(known)
            raise ValueError(f"{where}: {field} has {name!r}, not supported; only {wanted}.")
    return [known[name] for name in value]
