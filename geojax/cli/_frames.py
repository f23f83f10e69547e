"""Folders of image files in order, and results of `geojax interpolate`, as frames of a path."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ._console import tell
from ._images import read_image

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)  # of EXIF
_TIME = re.compile(r"geodesic_(\d+\.\d+)$")


class Frames(NamedTuple):
    """A path of images in [-1, 1], shape (frames, channels, height, width), the times, the files,
    and the two images that it was to join, where they are known.
    """

    images: np.ndarray
    times: np.ndarray
    files: list[Path]
    given: np.ndarray | None


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder; numbers in their names count as numbers.

    **Raises:** `ValueError` when it is no folder or holds no image files.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"{folder} {what}: give a folder of image files.")
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    if not files:
        raise ValueError(f"the folder {folder} holds no image files.")
    return sorted(files, key=_natural)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdigit() else (1, part.lower()) for part in parts]


def read_frames(folder: Path) -> Frames:
    """The frames of a folder, at equal steps of time; or of a result of `geojax interpolate` or
    `extrapolate`, the geodesic's, at their times.

    **Raises:** `ValueError` on fewer than two frames, or frames of two sizes.
    """
    if (folder / "metrics.json").is_file() and (folder / "frames").is_dir():
        return _of_result(folder)
    files = image_files(folder)
    if len(files) < 2:
        raise ValueError(f"the folder {folder} holds {len(files)} image: a path needs two.")
    images = read_alike(files)
    return Frames(images, np.linspace(0, 1, len(files)), files, None)


def _of_result(folder: Path) -> Frames:
    try:
        command = json.loads((folder / "metrics.json").read_text(encoding="utf-8")).get("command")
    except (ValueError, AttributeError):
        command = None
    named = {path: _TIME.match(path.stem) for path in image_files(folder / "frames")}
    timed = sorted((float(found[1]), path) for path, found in named.items() if found)
    if command not in ("demo", "interpolate", "extrapolate") or len(timed) < 2:
        raise ValueError(
            f"{folder} is no complete result of geojax interpolate: metrics.json or the frames "
            "geodesic_*.png are damaged. Run it again, or give a folder of image files."
        )
    files = [path for _, path in timed]
    ends = [folder / "frames" / name for name in ("a.png", "b.png")]
    known = all(path.is_file() for path in ends)
    images = read_alike([*files, *(ends if known else [])])
    times = np.asarray([time for time, _ in timed])
    return Frames(images[: len(files)], times, files, images[len(files) :] if known else None)


def read_alike(files: list[Path], shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Image files of one size, shape (files, channels, height, width): grey where all are.

    ``shape``: that they must have; by default the first one's size. **Raises:** `ValueError` that
    names the first file of another size.
    """
    sizes = []
    grey = True
    for path in files:
        try:
            with Image.open(path) as image:
                turned = image.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE
                sizes.append(image.size[::-1] if turned else image.size)
                grey &= image.mode.startswith(("1", "L", "I", "F")) and image.mode != "LAB"
        except OSError:
            raise ValueError(f"{path} is not a readable image file.") from None
    width, height = sizes[0] if shape is None else (shape[2], shape[1])
    for path, size in zip(files, sizes, strict=True):
        if size != (width, height):
            raise ValueError(
                f"{path} is {size[0]} x {size[1]} pixels, not {width} x {height} as the others: "
                "all frames must have one size."
            )
    channels = (1 if grey else 3) if shape is None else shape[0]
    arrays = []
    for path in files:
        array, notices = read_image(path, (channels, height, width))
        arrays.append(array)
        for notice in notices:
            if "--invert" not in notice:  # light or dark is all the same here
                tell("notice", notice)
    return np.stack(arrays)
