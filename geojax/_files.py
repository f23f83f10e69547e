"""Files are written whole or not at all; arrays are read with one kind of error."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block succeeds.

    >>> with written_whole("notes.txt") as temporary:
    ...     _ = temporary.write_text("done")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_arrays(path: Path | str, *needed: str) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file, by name.

    Raise an `OSError` when the file cannot be opened. Raise a `ValueError` when it is no such file,
    is damaged, has Python objects, or lacks one of the `needed` names.

    >>> np.savez("points.npz", x=[1.0, 2.0])
    >>> read_arrays("points.npz", "x")["x"].tolist()
    [1.0, 2.0]
    >>> read_arrays("points.npz", "x", "y")
    Traceback (most recent call last):
    ...
    ValueError: points.npz lacks y.
    """
    with Path(path).open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as content:
                arrays = dict(content)
        except Exception:  # a damaged file can raise nearly anything, even of Python's tokenizer
            raise ValueError(f"{path} cannot be read as an .npz file of arrays.") from None
    if missing := [name for name in needed if name not in arrays]:
        raise ValueError(f"{path} lacks {', '.join(missing)}.")
    return arrays
