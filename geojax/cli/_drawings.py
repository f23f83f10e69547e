"""Drawings that a model keeps beside it: the truth of a demo that nothing here can draw."""

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
    """Times, A at 0 and B at 1, and the drawings there, as a model keeps them in ``demo.npz``.

    **Raises:** `FileNotFoundError` without that file, `ValueError` when it is not such a one.
    """
    arrays = stored_pictures(folder, _FILE, config)
    times, pictures = arrays.get("times"), arrays["pictures"]
    if times is None or times.shape != (len(pictures),) or not {0.0, 1.0} <= set(times.tolist()):
        raise ValueError(
            f"{folder / _FILE} must hold as many times as pictures, A at 0 and B at 1 among them."
        )
    return times, pictures


def nearest(
    times: Float[np.ndarray, " times"],
    pictures: UInt8[np.ndarray, "times channels side side"],
    time: float,
) -> UInt8[np.ndarray, "channels side side"]:
    """The drawing whose time is nearest: they lie far closer than the pictures of a path."""
    return pictures[np.argmin(np.abs(times - time))]
