"""The true images of a path, and the error of other images against them."""

import numpy as np


def true_images(truth, times, like) -> np.ndarray | None:
    """The true images at the times; `ValueError` if their shape is not that of `like`."""
    if truth is None:
        return None
    images = np.stack([np.asarray(truth(float(time)), like.dtype) for time in times])
    if images.shape[1:] != like.shape:
        raise ValueError(
            f"truth must return images of the shape of image_a, {like.shape}, got "
            f"{images.shape[1:]}."
        )
    return images


def against_truth(
    truth: np.ndarray | None, images: np.ndarray, times: np.ndarray
) -> dict[str, float]:
    """PSNR against the true images, strictly between A and B and beyond B.

    **Arguments:**

    - `truth`: the true images, shape `(frames, *image)`, in [-1, 1]; or None.
    - `images`: the images to compare, of the same shape.
    - `times`: their times, shape `(frames,)`: 0 is A, 1 is B.

    **Returns:**

    The mean in decibels, for a pixel range of 2: `psnr` and, with frames beyond B, `psnr_beyond`.
    Empty without a truth.
    """
    if truth is None:
        return {}
    errors = np.mean((images - truth).reshape(len(times), -1) ** 2, axis=1)
    decibels = 10 * np.log10(4 / np.maximum(errors, 1e-12))
    between, beyond = (times > 0) & (times < 1 - 1e-9), times > 1 + 1e-9
    parts = {"psnr": between, "psnr_beyond": beyond}
    return {name: float(np.mean(decibels[part])) for name, part in parts.items() if part.any()}
