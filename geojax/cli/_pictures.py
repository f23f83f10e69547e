"""Training pictures, from a folder of image files or an array in a file."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._files import read_arrays
from ._console import tell
from ._frames import image_files
from ._images import read_image

_LEAST, _SIDES = 32, (28, 128)


class Pictures(NamedTuple):
    """Pixels in 0 ... 255, shape `(pictures, side, side, channels)`; labels and groups, or None."""

    pixels: np.ndarray
    labels: np.ndarray | None
    groups: np.ndarray | None


def read_pictures(path: Path, side: int | None, colour: bool | None) -> Pictures:
    """The pictures at `path`, all with the same side and number of channels.

    A folder must have image files. An `.npz` file must have `images`, shape
    `(pictures, height, width)` or (pictures, height, width, 3), of 8 bits or in [-1, 1] or [0, 1];
    `labels` and `groups` are optional.

    **Arguments:**

    - `path`: a folder or an `.npz` file.
    - `side`: in pixels; by default that of the first picture, within 28 ... 128.
    - `colour`: by default whether any picture has colour.

    **Raises:**

    - `ValueError`: for too few pictures, or content that cannot be read.
    """
    if not path.exists():
        raise ValueError(f"--images {path} does not exist.")
    if side is not None and not _SIDES[0] <= side <= _SIDES[1]:
        raise ValueError(f"--side must be in {_SIDES[0]} ... {_SIDES[1]}, got {side}.")
    if path.is_dir():
        pixels, labels, groups = _of_folder(path, side), None, None
    else:
        pixels, labels, groups = _of_file(path, side)
    if len(pixels) < _LEAST:
        raise ValueError(f"--images needs at least {_LEAST} pictures, {path} holds {len(pixels)}.")
    seen = bool(np.any(pixels != pixels[..., :1]))
    if not (seen if colour is None else colour):
        weights = np.asarray([0.299, 0.587, 0.114])
        pixels = np.rint(np.sum(pixels * weights, axis=-1)).astype(np.uint8)[..., None]
    return Pictures(pixels, labels, groups)


def _of_folder(folder: Path, side: int | None) -> np.ndarray:
    files = image_files(folder)
    if side is None:
        from PIL import Image

        with Image.open(files[0]) as first:
            side = int(np.clip(max(first.size), *_SIDES))
    pictures, changed = [], 0
    for file in files:
        array, said = read_image(file, (3, side, side), for_model=False)
        pictures.append(np.rint((array + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0))
        changed += bool(said)
    if changed:
        tell("notice", f"{changed} of {len(files)} pictures were converted or fitted to {side}.")
    return np.stack(pictures)


def _of_file(path: Path, side: int | None) -> tuple[np.ndarray, Any, Any]:
    try:
        found = read_arrays(path, "images")
    except ValueError as error:
        raise ValueError(
            f"{error} --images takes a folder of image files, or an .npz file with `images`."
        ) from None
    images, labels, groups = found["images"], found.get("labels"), found.get("groups")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"{path}: images must have shape (pictures, height, width) or (pictures, height, "
            f"width, 3), got {images.shape}."
        )
    pixels = _as_bytes(images, path)
    pixels = np.broadcast_to(pixels, (*pixels.shape[:3], 3))
    wanted = int(np.clip(max(pixels.shape[1:3]), *_SIDES)) if side is None else side
    if pixels.shape[1:3] != (wanted, wanted):
        tell("notice", f"{pixels.shape[2]} x {pixels.shape[1]} fitted to {wanted} x {wanted}.")
        pixels = np.stack([_fitted(picture, wanted) for picture in pixels])
    return pixels, labels, groups


def _as_bytes(images: np.ndarray, path: Path) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    low, high = float(images.min()), float(images.max())
    if np.issubdtype(images.dtype, np.integer) and low >= 0 and high <= 255:
        return images.astype(np.uint8)
    if not (np.issubdtype(images.dtype, np.floating) and low >= -1 and high <= 1):
        raise ValueError(
            f"{path}: images must be of 8 bits, or floating in [0, 1] or [-1, 1], got "
            f"{images.dtype} from {low:g} to {high:g}."
        )
    unit = images if low >= 0 else (images + 1) / 2
    return np.rint(255 * unit).astype(np.uint8)


def _fitted(picture: np.ndarray, side: int) -> np.ndarray:
    from PIL import Image

    from ._images import fit

    return np.asarray(fit(Image.fromarray(np.ascontiguousarray(picture)), side, side))
