"""Rows of a table on disk, one file each, so that no row is lost or measured twice."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._files import read_arrays, written_whole

Row = dict[str, Any]


class RowStore:
    """Rows by their settings, in `folder`, each written whole or not at all.

    >>> from geojax.experiments import RowStore
    >>> store = RowStore("rows")
    >>> {"method": "LERP"} in store
    False
    >>> store.put({"method": "LERP"}, {"error": 0.5})
    >>> RowStore("rows").get({"method": "LERP"})
    {'method': 'LERP', 'error': 0.5}
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)

    def __contains__(self, settings: Mapping[str, Any]) -> bool:
        return self._path(settings).is_file()

    def get(self, settings: Mapping[str, Any]) -> Row | None:
        """The row of these settings with its figures, or None if it is not measured yet."""
        path = self._path(settings)
        if not path.is_file():
            return None
        return json.loads(path.read_text(encoding="utf-8"))

    def arrays(self, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The arrays stored with a row; `FileNotFoundError` when there are none."""
        return read_arrays(self._path(settings).with_suffix(".npz"))

    def put(
        self,
        settings: Mapping[str, Any],
        figures: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Store a row and its arrays. Figures that are not finite become null."""
        finite = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in figures.items()
        }
        path = self._path(settings)
        if arrays is not None:  # arrays first, so that every stored row has them
            with written_whole(path.with_suffix(".npz")) as temporary:
                np.savez_compressed(temporary, allow_pickle=False, **arrays)
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps({**settings, **finite}, allow_nan=False) + "\n")

    def _path(self, settings: Mapping[str, Any]) -> Path:
        text = json.dumps(settings, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
