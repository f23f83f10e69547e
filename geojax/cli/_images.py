"""Image files as arrays for a model, with a notice about every conversion."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MODES = {1: "L", 3: "RGB"}
_PALE = 191  # brighter pixels cannot be seen on white


def read_image(
    path: Path,
    shape: tuple[int, ...],
    *,
    invert: bool = False,
    name: str = "",
    for_model: bool = True,
) -> tuple[np.ndarray, list[str]]:
    """An image file as an array with values in [-1, 1].

    Colour becomes grey (or grey colour). Transparency becomes white, or black if the drawing is too
    pale for white. An image of another size is fitted inside and padded with the colour of its
    border. Of an animation the first picture is taken.

    **Arguments:**

    - `path`: the file.
    - `shape`: (channels, height, width) of the array.
    - `invert`: exchange light and dark.
    - `name`: of the file in sentences, by default without folders.
    - `for_model`: whether to warn about pictures that do not suit a model.

    **Returns:**

    The array, and a sentence for every conversion.

    **Raises:**

    - `ValueError`: when the file is not a readable image, or the model's points are not images.
    """
    if len(shape) != 3 or shape[0] not in MODES:
        raise ValueError(f"the model's points have shape {shape}: it takes no image files.")
    channels, height, width = shape
    name = name or path.name
    notices = []
    image, frames = _open(path)
    if frames > 1:
        notices.append(f"the first of its {frames} pictures taken")
    if image.mode.startswith(("I", "F")):
        try:
            image = _eight_bit(image)
        except ValueError as error:
            raise ValueError(f"{path}: {error}.") from None
        notices.append("more than 8 bits a pixel scaled to 8")
    if "A" in image.getbands() or "transparency" in image.info:
        image, ground = _laid_on(image.convert("RGBA"))
        if ground:
            notices.append(f"transparency laid on {ground}")
    if channels == 1 and image.mode not in ("L", "1") and not _is_grey(image):
        notices.append("colour made grey")
    image = image.convert(MODES[channels])
    if image.size != (width, height):
        whole = _inside(image, width, height) == (width, height)
        how = "resized" if whole else "resized and padded"
        notices.append(f"{image.width} x {image.height} {how} to {width} x {height}")
        image = fit(image, width, height)
    if invert:
        image = ImageOps.invert(image)
    pixels = np.asarray(image, dtype=np.float64).reshape(height, width, channels)
    said = [f"{name}: {', '.join(notices)}."] if notices else []
    if not for_model:
        return pixels.transpose(2, 0, 1) / 127.5 - 1, said
    if np.min(pixels) == np.max(pixels):
        said.append(f"{name} has the same value in every pixel: it shows nothing.")
    elif channels == 1 and not invert and _border(pixels) > 127:
        said.append(
            f"{name} is dark on a light ground; the digits that models are trained on are "
            "light on dark. Add --invert to turn it."
        )
    return pixels.transpose(2, 0, 1) / 127.5 - 1, said


def read_images(
    paths: Sequence[Path], shape: tuple[int, ...], *, invert: bool
) -> tuple[list[np.ndarray], list[str]]:
    """Read several files by `read_image`; the arrays, and all sentences."""
    arrays, said = [], []
    for path, name in zip(paths, short_names(paths), strict=True):
        array, notices = read_image(path, shape, invert=invert, name=name)
        arrays.append(array)
        said += notices
    return arrays, said


def check_different(arrays: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """`ValueError` when both pictures are the same."""
    if np.array_equal(arrays[0], arrays[1]):
        raise ValueError(
            f"{names[0]} and {names[1]} are the same picture as the model sees them: their "
            "distance is 0, and there is no path between them. Give two different pictures."
        )


def short_names(paths: Sequence[Path]) -> list[str]:
    """The names of files, with the folders that are needed to distinguish them.

    >>> short_names([Path("x/one/a.png"), Path("x/two/a.png")])
    ['one/a.png', 'two/a.png']
    """
    different = len({*paths})
    names = [path.name for path in paths]
    for count in range(2, 1 + max((len(path.parts) for path in paths), default=0)):
        if len({*names}) == different:
            break
        names = ["/".join(path.parts[-count:]) for path in paths]
    return names


def _open(path: Path) -> tuple[Image.Image, int]:
    """The upright picture, and the number of pictures in the file."""
    if not path.exists():
        raise ValueError(f"no image file {path}.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not an image file.")
    try:
        with Image.open(path) as file:
            if file.mode == "I" and file.format == "TIFF":
                raise ValueError(
                    f"{path} has integers of 32 bits, whose value for white is unknown: save it "
                    "with 8 or 16 bits a pixel."
                )
            frames = getattr(file, "n_frames", 1)
            return ImageOps.exif_transpose(file), frames
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError):
        raise ValueError(f"{path} is not a readable image file.") from None


def _eight_bit(image: Image.Image) -> Image.Image:
    """Deep grey pixels in 8 bits: integers of 16 bits in 0 ... 65535, floating numbers in [0, 1].

    The scale depends on the kind of the file, not on its brightest pixel, so that images stay
    comparable.
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


def _laid_on(image: Image.Image) -> tuple[Image.Image, str]:
    """The picture without transparency, and its new background; "" if it had none."""
    alpha = np.asarray(image.getchannel("A"), dtype=np.float64)
    if alpha.min() == 255:
        return image.convert("RGB"), ""
    luminance = np.asarray(image.convert("RGB").convert("L"), dtype=np.float64)
    pale = np.sum(alpha * luminance) > _PALE * np.sum(alpha)
    ground = "black, for it is too pale for white" if pale else "white"
    laid = Image.alpha_composite(Image.new("RGBA", image.size, ground.split(",")[0]), image)
    return laid.convert("RGB"), ground


def _is_grey(image: Image.Image) -> bool:
    values = np.asarray(image.convert("RGB"))
    return bool(np.all(values == values[..., :1]))


def fit(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture scaled into width x height, on the colour of its border."""
    ground = np.asarray(image).reshape(image.height, image.width, -1)
    edge = np.concatenate([ground[0], ground[-1], ground[:, 0], ground[:, -1]])
    colour = [int(c) for c in np.median(edge, axis=0)]
    size = _inside(image, width, height)
    fitted = Image.new(image.mode, (width, height), tuple(colour) if len(colour) > 1 else colour[0])
    corner = (width - size[0]) // 2, (height - size[1]) // 2
    fitted.paste(image.resize(size, Image.Resampling.LANCZOS), corner)
    return fitted


def _inside(image: Image.Image, width: int, height: int) -> tuple[int, int]:
    """The largest size within width x height in the proportions of the image."""
    scale = min(width / image.width, height / image.height)
    return max(1, round(scale * image.width)), max(1, round(scale * image.height))


def _border(pixels: np.ndarray) -> float:
    return float(np.median(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])))
