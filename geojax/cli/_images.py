"""Reading image files for a model, with a notice of every conversion."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ._console import tell

MODES = {1: "L", 3: "RGB"}


def read_image(
    path: Path, shape: tuple[int, ...], *, invert: bool = False
) -> tuple[np.ndarray, list[str]]:
    """An image file as an array of ``shape`` = (channels, height, width) in [-1, 1].

    Colour becomes grey (or grey colour), transparency white, another size is fitted inside and
    padded with the colour of the border. ``invert`` turns light into dark.

    **Returns:** the array, and a sentence for every conversion. **Raises:** `ValueError` when the
    file is not a readable image or the model's points are not images.
    """
    if len(shape) != 3 or shape[0] not in MODES:
        raise ValueError(f"the model's points have shape {shape}: it takes no image files.")
    channels, height, width = shape
    notices = []
    image = _open(path)
    if image.mode.startswith(("I", "F")):
        try:
            image = _eight_bit(image)
        except ValueError as error:
            raise ValueError(f"{path}: {error}.") from None
        notices.append("more than 8 bits a pixel scaled to 8")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        notices.append("transparency laid on white")
        image = image.convert("RGB")
    if channels == 1 and image.mode not in ("L", "1") and not _is_grey(image):
        notices.append("colour made grey")
    image = image.convert(MODES[channels])
    if image.size != (width, height):
        whole = _inside(image, width, height) == (width, height)
        how = "resized" if whole else "resized and padded"
        notices.append(f"{image.width} x {image.height} {how} to {width} x {height}")
        image = _fit(image, width, height)
    if invert:
        image = ImageOps.invert(image)
    pixels = np.asarray(image, dtype=np.float64).reshape(height, width, channels)
    said = [f"{path.name}: {', '.join(notices)}."] if notices else []
    if channels == 1 and not invert and _border(pixels) > 127:
        said.append(
            f"{path.name} is dark on a light ground; the digits that models are trained on are "
            "light on dark. Add --invert to turn it."
        )
    return pixels.transpose(2, 0, 1) / 127.5 - 1, said


def read_images(paths: Sequence[Path], shape: tuple[int, ...], *, invert: bool) -> list[np.ndarray]:
    """Each as `read_image` has it; what was changed in it is told on stderr."""
    arrays = []
    for path in paths:
        array, notices = read_image(path, shape, invert=invert)
        arrays.append(array)
        for notice in notices:
            tell("notice", notice)
    return arrays


def _open(path: Path) -> Image.Image:
    if not path.exists():
        raise ValueError(f"no image file {path}.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not an image file.")
    try:
        with Image.open(path) as file:
            if file.mode == "I" and file.format == "TIFF":
                raise ValueError(
                    f"{path} holds integers of 32 bits, of which nobody knows what white is: save "
                    "it with 8 or 16 bits a pixel."
                )
            return ImageOps.exif_transpose(file)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError):
        raise ValueError(f"{path} is not a readable image file.") from None


def _eight_bit(image: Image.Image) -> Image.Image:
    """Deep grey pixels in 8 bits: integers of 16 bits in 0 ... 65535, floating numbers in [0, 1].

    By the kind of the file, never by its own brightest pixel, so that images stay comparable.
    """
    values = np.asarray(image, dtype=np.float64)
    top = 1.0 if image.mode.startswith("F") else 65535.0
    if not (values.min() >= 0 and values.max() <= top):  # NaN too
        raise ValueError(
            f"the pixels must lie in [0, {top:g}], got {values.min():g} to {values.max():g}: save "
            "the image with 8 or 16 bits a pixel"
        )
    grey = Image.fromarray(np.uint8(np.rint(255 * values / top)))
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.uint8(255 * (values != clear))))
    return grey


def _is_grey(image: Image.Image) -> bool:
    values = np.asarray(image.convert("RGB"))
    return bool(np.all(values == values[..., :1]))


def _fit(image: Image.Image, width: int, height: int) -> Image.Image:
    """Inside width x height with its proportions, on the colour of its border."""
    ground = np.asarray(image).reshape(image.height, image.width, -1)
    edge = np.concatenate([ground[0], ground[-1], ground[:, 0], ground[:, -1]])
    colour = [int(c) for c in np.median(edge, axis=0)]
    size = _inside(image, width, height)
    fitted = Image.new(image.mode, (width, height), tuple(colour) if len(colour) > 1 else colour[0])
    corner = (width - size[0]) // 2, (height - size[1]) // 2
    fitted.paste(image.resize(size, Image.Resampling.LANCZOS), corner)
    return fitted


def _inside(image: Image.Image, width: int, height: int) -> tuple[int, int]:
    """The largest size within width x height in the image's proportions."""
    scale = min(width / image.width, height / image.height)
    return max(1, round(scale * image.width)), max(1, round(scale * image.height))


def _border(pixels: np.ndarray) -> float:
    return float(np.median(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])))
