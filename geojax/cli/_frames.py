"""Frames of paths, from folders of ordered image files or results of `geojax interpolate`."""

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
_TIME = re.compile(r"frame_(\d+\.\d+)$")
GIVEN = "given"  # the folder of the two given pictures, a.png and b.png


class Frames(NamedTuple):
    """A path of images, with its times and files.

    The images have shape `(frames, channels, height, width)` and values in [-1, 1]. The two images
    that the path joins are included if they are known.
    """

    images: np.ndarray
    times: np.ndarray
    files: list[Path]
    given: np.ndarray | None


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder; numbers in their names are sorted as numbers.

    `ValueError` when it is not a folder, or has no image files.
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


def read_paths(folder: Path) -> dict[str, Frames]:
    """The paths in a folder, by name.

    A folder with frames is one path. Otherwise each of its folders is one, such as the methods in a
    result of `geojax interpolate`.

    **Raises:**

    - `ValueError`: without frames, or when sizes or numbers of frames differ.
    """
    inside = folder / "frames"
    if inside.is_dir():
        folder, order = inside, _methods(folder / "metrics.json")
    else:
        order = _methods(folder.parent / "metrics.json") if folder.name == "frames" else []
    inner = _folders_of_images(folder)
    if not inner or _has_images(folder):
        return {folder.resolve().name: read_frames(folder)}
    names = [name for name in order if name in inner] + [n for n in inner if n not in order]
    paths = {name: read_frames(inner[name]) for name in names}
    counts = {name: len(path.images) for name, path in paths.items()}
    if len({(path.images.shape, path.times.tobytes()) for path in paths.values()}) > 1:
        raise ValueError(
            f"the folders in {folder} must hold frames of one number, size and times, got "
            f"{counts}: give one of them."
        )
    return paths


def read_frames(folder: Path) -> Frames:
    """The frames of a folder, and the given pictures if their folder is beside it.

    Times are those in the names (`frame_0.2500.png`), or at equal steps.

    **Raises:**

    - `ValueError`: for fewer than two frames, or frames of two sizes.
    """
    files = image_files(folder)
    if len(files) < 2:
        raise ValueError(f"the folder {folder} holds {len(files)} image: a path needs two.")
    named = [_TIME.match(path.stem) for path in files]
    times = np.linspace(0, 1, len(files))
    ends: list[Path] = []
    if all(named):
        times = np.asarray([float(found[1]) for found in named if found])
        order = np.argsort(times)
        times, files = times[order], [files[i] for i in order]
        ends = [folder.parent / GIVEN / name for name in ("a.png", "b.png")]
        ends = ends if all(path.is_file() for path in ends) else []
    images = read_alike([*files, *ends])
    return Frames(images[: len(files)], times, files, images[len(files) :] if ends else None)


def _has_images(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())


def _folders_of_images(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    inner = [path for path in folder.iterdir() if path.is_dir() and path.name != GIVEN]
    return {path.name: path for path in sorted(inner, key=_natural) if _has_images(path)}


def _methods(path: Path) -> list[str]:
    """The methods of a result in their order, if its figures can be read."""
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["methods"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def read_alike(files: list[Path], shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Image files of one size, shape `(files, channels, height, width)`.

    The images are grey if all files are. `shape` is the required one, by default that of the first
    file. `ValueError` names the first file of another size.
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
        array, notices = read_image(path, (channels, height, width), for_model=False)
        arrays.append(array)
        for notice in notices:
            tell("notice", notice)
    return np.stack(arrays)
