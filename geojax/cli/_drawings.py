"""Drawings that a model keeps beside it: the truth of a demo that nothing here can draw."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8


def read_drawings(
    folder: Path, config: Mapping[str, Any]
) -> tuple[Float[np.ndarray, " times"], UInt8[np.ndarray, "times channels side side"]]:
    """Times, A at 0 and B at 1, and the drawings there, as a model keeps them in ``demo.npz``.

    **Raises:** `FileNotFoundError` without that file, `ValueError` when it is not such a one.
    """
    path = folder / "demo.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"no demo.npz in {folder}: give two pictures to geojax interpolate --model {folder}."
        )
    try:
        with np.load(path, allow_pickle=False) as content:
            times, pictures = content["times"], content["pictures"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise ValueError(f"{path} cannot be read.") from None
    if pictures.shape != (*times.shape, *config["shape"]) or pictures.dtype != np.uint8:
        raise ValueError(f"{path} holds {pictures.dtype} of shape {pictures.shape}.")
    if not {0.0, 1.0} <= set(times.tolist()):
        raise ValueError(f"{path} must hold the drawings of A at 0 and B at 1.")
    return times, pictures


def nearest(
    times: Float[np.ndarray, " times"],
    pictures: UInt8[np.ndarray, "times channels side side"],
    time: float,
) -> UInt8[np.ndarray, "channels side side"]:
    """The drawing whose time is nearest: they lie far closer than the pictures of a path."""
    return pictures[np.argmin(np.abs(times - time))]
