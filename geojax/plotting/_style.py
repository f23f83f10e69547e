"""Colours of the methods, and images as 8-bit pixels."""

import numpy as np
from jaxtyping import Array, Real

from .._arrays import refuse_pixels

COLOURS = {"LERP": "#4c78a8", "SLERP": "#54a24b", "geodesic": "#c8324b"}
_OTHERS = ("#7b5ea7", "#b07d2b", "#3a9a9a", "#8c564b")
BEYOND = "#e07b00"  # the part beyond B
ENDS = "#222222"


def colour(name: str, position: int = 0) -> str:
    """The colour of a method: its own, or one by its position in a list."""
    return COLOURS.get(name, _OTHERS[position % len(_OTHERS)])


def pixels(images: Real[Array | np.ndarray, "..."]) -> np.ndarray:
    """Images of shape `(..., channels, height, width)` in [-1, 1] as pixels 0 ... 255.

    Values are clipped; values that are not finite become mid-grey.

    **Returns:**

    Shape (..., height, width) for one channel, (..., height, width, 3) for three.

    **Raises:**

    - `ValueError`: on another number of channels, and on integers.
    """
    refuse_pixels("images", images)
    images = np.asarray(images, dtype=np.float64)
    if images.ndim < 3 or images.shape[-3] not in (1, 3):
        raise ValueError(
            "images must have shape (..., channels, height, width) with 1 or 3 channels, got "
            f"{images.shape}."
        )
    finite = np.nan_to_num(images, nan=0.0, posinf=0.0, neginf=0.0)
    values = np.rint((np.clip(finite, -1, 1) + 1) * 127.5).astype(np.uint8)
    return values[..., 0, :, :] if values.shape[-3] == 1 else np.moveaxis(values, -3, -1)


def frame_indices(times: np.ndarray, at_most: int) -> np.ndarray:
    """The frames to show: every k-th for the smallest possible k, always with A, B and the last."""
    end, last = int(np.argmin(np.abs(times - 1))), len(times) - 1
    for stride in range(1, (end or last) + 1):
        chosen = np.union1d(np.arange(0, len(times), stride), [last])
        if end % stride == 0 and len(chosen) <= at_most:
            return chosen
    return np.unique([0, end, last])
