"""Drawings that are stored with a model: the truth of a demo that cannot be drawn here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from ..models.latent._examples import stored_pictures

_FILE = "demo.npz"


def read_drawings(
    folder: Path, config: Mapping[str, Any]
) -> tuple[Float[np.ndarray, " times"], UInt8[np.ndarray, "times channels side side"]]:
    """The times and the drawings in `demo.npz`, with A at 0 and B at 1.

    **Raises:**

    - `FileNotFoundError`: without that file.
    - `ValueError`: when the file has another content.
    """
    arrays = stored_pictures(folder, _FILE, config)
    times, pictures = arrays.get("times"), arrays["pictures"]
    if times is None or times.shape != (len(pictures),) or not {0.0, 1.0} <= set(times.tolist()):
        raise ValueError(
            f"{folder / _FILE} must have as many times as pictures, including 0 (A) and 1 (B)."
        )
    return times, pictures


def nearest(
    times: Float[np.ndarray, " times"],
    pictures: UInt8[np.ndarray, "times channels side side"],
    time: float,
) -> UInt8[np.ndarray, "channels side side"]:
    """The drawing of the nearest time; drawings are far closer in time than pictures of a path."""
    return pictures[np.argmin(np.abs(times - time))]
