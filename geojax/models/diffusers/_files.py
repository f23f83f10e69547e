"""The files of a component: JSON, safetensors (whole or in shards) and Flax's msgpack.

Weights are read one tensor at a time, so that loading needs one copy of them in memory. Foreign
names and layouts are converted to the current ones of the checkpoint format here only.
"""

import json
import mmap
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from safetensors import SafetensorError, safe_open

_SAFETENSORS = ("diffusion_pytorch_model", "model")
_MSGPACK = ("diffusion_flax_model.msgpack", "flax_model.msgpack")
_VARIANTS = ("", ".fp16", ".bf16")  # full precision first


class Tensor(NamedTuple):
    """A tensor in a file: its origin, dtype and shape, and a function that reads it."""

    origin: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[Any], Array]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; `FileNotFoundError`, or `ValueError` if it is not an object."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no {path}: is the folder in the layout of diffusers, fully downloaded?"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a JSON object.")
    return content


def tensors_of(folder: Path) -> dict[str, Tensor]:
    """The tensors of a component by their current names.

    `FileNotFoundError` when a file is missing, `ValueError` when one is not readable or has a
    tensor twice.
    """
    for variant in _VARIANTS:
        for stem in _SAFETENSORS:
            index = folder / f"{stem}.safetensors.index{variant}.json"
            whole = folder / f"{stem}{variant}.safetensors"
            if whole.is_file() or index.is_file():
                files = [whole] if whole.is_file() else _shards(index)
                return _by_current_name(pair for file in files for pair in _in_safetensors(file))
    for name in _MSGPACK:
        if (folder / name).is_file():
            return _by_current_name(_in_msgpack(folder / name))
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    if pickled:
        raise FileNotFoundError(
            f"{folder} has its weights in {pickled[0]} only. Such a file can run code and is not "
            "read: get the .safetensors file, or, if you trust this one, convert it with "
            "save_pretrained of diffusers."
        )
    raise FileNotFoundError(
        f"no weights in {folder}: no {' or '.join(f'{s}.safetensors' for s in _SAFETENSORS)} or "
        f"their index, and no {' or '.join(_MSGPACK)}."
    )


def _shards(index: Path) -> list[Path]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise ValueError(f"{index} has no weight_map.")
    for name, shard in weight_map.items():
        if not isinstance(shard, str):
            raise ValueError(f"{index}: weight_map has {shard!r} for {name}, not a file's name.")
    return [index.parent / name for name in sorted(set(weight_map.values()))]


def _in_safetensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    if not path.is_file():
        raise FileNotFoundError(f"no {path}, which the index beside it names.")
    try:
        file = safe_open(str(path), framework="flax")
        # `keys()` is needed: the file is not a dictionary.
        for name in file.keys():  # noqa: SIM118
            entry = file.get_slice(name)
            shape, dtype = tuple(entry.get_shape()), str(entry.get_dtype())
            yield name, Tensor(_origin(name, path), dtype, shape, _reader(file, name))
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from None


def _reader(file, name: str) -> Callable[[Any], Array]:
    return lambda dtype: file.get_tensor(name).astype(dtype)


def _in_msgpack(path: Path) -> Iterator[tuple[str, Tensor]]:
    try:
        from flax import serialization  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError(
            f'{path} needs flax, which is not installed: python -m pip install "flax>=0.12".'
        ) from None
    with path.open("rb") as file:
        # Mapped and not read, so that the file is not a second copy in memory.
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        tree = serialization.msgpack_restore(content)  # pyright: ignore[reportArgumentType]
        tensors = [_from_flax(keys, value, path) for keys, value in _leaves(tree)]
    except Exception as error:  # msgpack raises many types
        raise ValueError(f"{path} is not a readable Flax file: {error}") from None
    yield from tensors


def _leaves(tree: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*keys, key))
        else:
            yield (*keys, key), value


def _from_flax(keys: tuple[str, ...], value: np.ndarray, path: Path) -> tuple[str, Tensor]:
    """A tensor under its current name, with outputs before inputs.

    Flax numbers its modules `resnets_0` and stores inputs before outputs.
    """
    *modules, parameter = keys
    # "linear_1" of the time embedding is a name, not a number.
    parts = [re.sub(r"(?<!^linear)_(\d+)$", r".\1", module) for module in modules]
    if parameter == "kernel":
        value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
    parameter = {"kernel": "weight", "scale": "weight", "embedding": "weight"}.get(
        parameter, parameter
    )
    # `array`, not `asarray`: the result must not refer to the mapped file.
    tensor = Tensor(
        _origin(".".join(keys), path),
        value.dtype.name,
        value.shape,
        lambda dtype: jnp.array(value, dtype=dtype),
    )
    return ".".join([*parts, parameter]), tensor


def _origin(name: str, path: Path) -> str:
    return f"{name} in {path.parent.name}/{path.name}"


def _by_current_name(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, tensor in tensors:
        current = _current_name(name)
        if current in found:
            raise ValueError(
                f"{current} occurs twice: {found[current].origin} and {tensor.origin}. Only one "
                "can be loaded: remove the other."
            )
        found[current] = tensor
    return found


_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def _current_name(name: str) -> str:
    name = name.removeprefix("text_model.")
    return re.sub(
        r"(attentions\.\d+)\.(query|key|value|proj_attn)\.",
        lambda match: f"{match[1]}.{_OLD_ATTENTION[match[2]]}.",
        name,
    )
