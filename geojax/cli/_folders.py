"""Folders for results, so that no earlier result and no other file is replaced.

A folder that does not exist, or is empty, is used. One with any content is left as it is, and the
next number is tried: `geojax-demo`, `geojax-demo-2`, `geojax-demo-3`. Commands that can resume also
use a folder that contains a run of theirs.
"""

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax

from .._files import written_whole
from ._console import tell

_MOST = 10_000


@contextmanager
def removed_if_empty(folder: Path) -> Iterator[Path]:
    """A folder for what the block writes; if the block wrote nothing, the folder is removed."""
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def reserve_folder(out: str, is_own_run: Callable[[Path], bool] = lambda folder: False) -> Path:
    """Make the folder `out`, or the next number if it has other files.

    `is_own_run` tests whether a folder has a run that this command can resume.

    **Raises:**

    - `ValueError`: for an empty name, or one that cannot be numbered.
    - `OSError`: when nothing can be written there.
    """
    if not out.strip():
        raise ValueError("--out must be the name of a folder, got an empty text.")
    wanted = Path(out).expanduser()
    if wanted.exists() and not wanted.is_dir():
        raise NotADirectoryError(f"--out {out} is a file, not a folder.")
    if jax.process_count() > 1:
        return _shared(wanted, is_own_run)
    for number in range(1, _MOST):
        if number > 1 and wanted.name in ("", ".."):
            raise ValueError(f"--out {out} holds other files: give the name of a new folder.")
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if _taken(folder) or (folder.is_dir() and is_own_run(folder)):
            with tempfile.TemporaryFile(dir=folder):  # whether files can be written
                if number > 1:
                    tell("notice", f"{out} holds other files: writing to {folder}.")
                return folder
    raise ValueError(f"--out {out}: all of its {_MOST} numbers are in use.")


def _shared(folder: Path, is_own_run: Callable[[Path], bool]) -> Path:
    """The folder itself, because processes could find different numbers at different times."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(not path.name.startswith(".") for path in folder.iterdir()) and not is_own_run(folder):
        raise ValueError(
            f"--out {folder} holds other files: with --distributed give the name of a new folder, "
            "or that of the run to go on with."
        )
    return folder


def _taken(folder: Path) -> bool:
    """Whether the folder could be made, or exists and is empty."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return folder.is_dir() and not any(folder.iterdir())
    return True


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all; figures that are not finite become null."""
    text = json.dumps(_finite(content), indent=2, allow_nan=False)
    with written_whole(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
