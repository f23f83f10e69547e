"""Readers for the config of a component; unsupported fields raise an error with their name."""

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any


def read_fields(
    config: Mapping[str, Any],
    where: str,
    *,
    used: Mapping[str, Any],
    fixed: Mapping[str, Sequence[Any]],
    ignored: Sequence[str] = (),
    classes: Collection[str] = (),
) -> dict[str, Any]:
    """The fields of a config that a component uses.

    `used` has these fields with their defaults. `fixed` fields must have one of the given values,
    the first of which is the default. `ignored` fields do not change the result of a component.
    Fields that begin with an underscore are notes, except `_class_name`: if `classes` are given, it
    must be one of them or its Flax version. `ValueError` on any other field or value.

    >>> read_fields({"width": 3}, "net", used={"width": 4, "depth": 2}, fixed={})
    {'width': 3, 'depth': 2}
    """
    name = config.get("_class_name")
    if classes and name not in (None, *classes, *(f"Flax{c}" for c in classes)):
        raise unsupported(where, "_class_name", name, " or ".join(classes))
    for field, value in config.items():
        if field.startswith("_") or field in used or field in ignored:
            continue
        # A field of a later version that is off or None changes nothing.
        if field not in fixed and value in (None, False):
            continue
        if field not in fixed:
            raise unsupported(where, field, value)
        if value not in fixed[field]:
            raise unsupported(where, field, value, " or ".join(repr(v) for v in fixed[field]))
    return {field: config.get(field, default) for field, default in used.items()}


def unsupported(where: str, field: str, value: Any, wanted: str = "") -> ValueError:
    """The error for a field whose value is not `wanted`, or that is not known at all."""
    only = f", only {wanted}" if wanted else ""
    return ValueError(f"{where}: {field} = {value!r} is not supported{only}.")


def number(where: str, field: str, value: Any) -> float:
    """`value` if it is a finite number above 0; errors as for `positive`.

    >>> number("net", "eps", 1e-5)
    1e-05
    """
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not 0 < value <= sys.float_info.max:
        raise unsupported(where, field, value, "a positive number")
    return float(value)


def positive(where: str, field: str, value: Any) -> int:
    """`value` if it is a positive integer, else a `ValueError` with the name of the field."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise unsupported(where, field, value, "a positive integer")
    return value


def positives(where: str, field: str, value: Any, count: int | None = None) -> list[int]:
    """`value` if it is a list of positive integers; errors as for `positive`."""
    if not isinstance(value, list | tuple) or not value or (count and len(value) != count):
        wanted = "as many positive integers as there are blocks" if count else "positive integers"
        raise unsupported(where, field, value, wanted)
    return [positive(where, field, v) for v in value]


def group_count(where: str, fields: Mapping[str, Any], channels: Sequence[int]) -> int:
    """`norm_num_groups`, which must divide the channels; errors as for `positive`."""
    groups = positive(where, "norm_num_groups", fields["norm_num_groups"])
    for count in channels:
        if count % groups:
            raise ValueError(
                f"{where}: norm_num_groups = {groups} does not divide {count} of "
                "block_out_channels."
            )
    return groups


def flag(where: str, field: str, value: Any) -> bool:
    """`value` if it is true or false; errors as for `positive`."""
    if not isinstance(value, bool):
        raise unsupported(where, field, value, "True or False")
    return value


def bit(where: str, field: str, value: Any) -> int:
    """`value` if it is 0 or 1; errors as for `positive`."""
    if isinstance(value, bool) or value not in (0, 1):
        raise unsupported(where, field, value, "0 or 1")
    return int(value)


def choice(where: str, field: str, value: Any, known: Collection[str]) -> str:
    """`value` if it is one of the names `known`; errors as for `positive`."""
    if not isinstance(value, str) or value not in known:
        raise unsupported(where, field, value, " or ".join(repr(name) for name in known))
    return value


def kinds(where: str, field: str, value: Any, known: Mapping[str, bool], count: int) -> list[bool]:
    """The meanings of the names in a list of blocks; errors as for `positive`."""
    if not isinstance(value, list | tuple) or len(value) != count:
        raise unsupported(where, field, value, f"{count} blocks")
    return [known[choice(where, field, name, known)] for name in value]
