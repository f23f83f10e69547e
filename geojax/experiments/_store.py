"""Rows of a table on disk, one file each, so that nothing measured is lost or measured twice."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._files import written_whole

Row = dict[str, Any]


class RowStore:
    """Rows by their settings, in ``folder``, each written whole or not at all.

    >>> from geojax.experiments import RowStore
    >>> store = RowStore("rows")
    >>> store.get({"method": "LERP"}) is None
    True
    >>> store.put({"method": "LERP"}, {"error": 0.5})
    >>> RowStore("rows").get({"method": "LERP"})
    {'method': 'LERP', 'error': 0.5}
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)

    def get(self, settings: Mapping[str, Any]) -> Row | None:
        """The row of these settings with its figures, or None when it is not measured yet."""
        path = self._path(settings)
        if not path.is_file():
            return None
        return json.loads(path.read_text(encoding="utf-8"))

    def put(self, settings: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
        """Keep a row. Figures that are not finite become null."""
        finite = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in figures.items()
        }
        with written_whole(self._path(settings)) as temporary:
            temporary.write_text(json.dumps({**settings, **finite}, allow_nan=False) + "\n")

    def _path(self, settings: Mapping[str, Any]) -> Path:
        text = json.dumps(settings, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
