"""PyTorch's `.pth` files of tensors, read without torch and without running their code.

Such a file contains a program for a stack machine. Here the instructions are read, not run. Only
the creation of a tensor and of a dictionary is supported; any other call is an error. Both layouts
are read, the zip archive (since torch 1.6) and the older one.

The published weights of LPIPS and of EfficientNet have this format, and evaluation must not need
torch.
"""

import io
import pickletools
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_DTYPES = {
    "torch FloatStorage": np.float32,
    "torch HalfStorage": np.float16,
    "torch DoubleStorage": np.float64,
    "torch LongStorage": np.int64,
}
_OLD_MAGIC = 0x1950A86A20F9469CFC6C


class _Name(NamedTuple):
    """A function that the program would call."""

    name: str


class _Storage(NamedTuple):
    dtype: Any
    key: str


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path | str) -> dict[str, np.ndarray]:
    """The tensors of a state dictionary by name; `ValueError` when the file is not one."""
    content = Path(path).read_bytes()
    try:
        read = _read_zip if zipfile.is_zipfile(io.BytesIO(content)) else _read_old
        tree, data = read(content)
        if not isinstance(tree, dict):
            raise ValueError(f"it holds a {type(tree).__name__}")
        return {
            name: _array(tensor, data)
            for name, tensor in tree.items()
            if isinstance(tensor, _Tensor)
        }
    except (ValueError, KeyError, IndexError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a readable PyTorch file of tensors: {error}.") from None


def _read_zip(content: bytes):
    archive = zipfile.ZipFile(io.BytesIO(content))
    program = next((n for n in archive.namelist() if n.endswith("data.pkl")), None)
    if program is None:
        raise ValueError("it holds no data.pkl")
    folder = program.removesuffix("data.pkl")
    return _run(io.BytesIO(archive.read(program))), lambda key: archive.read(f"{folder}data/{key}")


def _read_old(content: bytes):
    stream = io.BytesIO(content)
    if _run(stream) != _OLD_MAGIC:
        raise ValueError("it does not begin as a PyTorch file")
    _run(stream)  # the version
    _run(stream)  # sizes of types on the machine that wrote it
    tree, keys = _run(stream), _run(stream)
    sizes = {storage.key: storage.dtype().itemsize for storage in _storages(tree)}
    storages = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "little")
        storages[key] = stream.read(count * sizes.get(key, 1))
    return tree, storages.__getitem__


def _storages(tree) -> list[_Storage]:
    return [value.storage for value in tree.values() if isinstance(value, _Tensor)]


def _array(tensor: _Tensor, data) -> np.ndarray:
    flat = np.frombuffer(data(tensor.storage.key), tensor.storage.dtype)
    strides = tuple(step * flat.itemsize for step in tensor.strides)
    reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    if min(tensor.shape, default=1) > 0 and not 0 <= tensor.offset + reach < flat.size:
        raise ValueError("a tensor reaches beyond its data")
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides)
    return view.copy()


def _called(function: Any, arguments: tuple) -> Any:
    name = function.name if isinstance(function, _Name) else str(function)
    if name == "collections OrderedDict":
        return dict(*arguments)
    if name == "torch._utils _rebuild_tensor_v2":
        return _Tensor(*arguments[:4])
    if name == "torch._utils _rebuild_parameter":
        return arguments[0]
    raise ValueError(f"it would call {name!r}, which makes no tensor")


def _stored(reference: Any) -> _Storage:
    kind, dtype, key, *_ = reference
    if kind != "storage" or not isinstance(dtype, _Name) or dtype.name not in _DTYPES:
        raise ValueError(f"it refers to {reference[:2]!r}")
    return _Storage(_DTYPES[dtype.name], key)


def _run(stream: io.BytesIO) -> Any:
    """The value that one program leaves on its stack."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}

    def since_mark() -> list[Any]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for code, argument, _ in pickletools.genops(stream):
        match code.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(len(stack))
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[code.name])
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(code.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "APPENDS":
                items = since_mark()
                stack[-1].extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                stack[-1][key] = value
            case "SETITEMS":
                items = since_mark()
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(_Name(str(argument)))
            case "BINPERSID":
                stack.append(_stored(stack.pop()))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_called(stack.pop(), arguments))
            case "BUILD":
                stack.pop()  # attributes of a dictionary (its metadata), without tensors
            case _ if argument is not None:
                stack.append(argument)  # a number or a text
            case other:
                raise ValueError(f"its instruction {other} is not understood")
    raise ValueError("its program does not end")
