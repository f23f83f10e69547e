"""Rotated MNIST: every digit turned by a random angle.

The four IDX files are read from `$GEOJAX_DATA_DIR/mnist` or, without that variable, downloaded once
into a cache. Their content is checked against known SHA-256 sums.
"""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pooch
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, UInt8

from .._arrays import Numbers, as_floating, as_integers, refuse_pixels

_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
# Sums of the uncompressed content, so that a recompressed file is accepted too.
_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load_mnist(
    split: str = "train", *, data_dir: Path | str | None = None
) -> tuple[UInt8[np.ndarray, "n 28 28"], UInt8[np.ndarray, " n"]]:
    """The upright MNIST digits and their labels.

    **Arguments:**

    - `split`: "train" (60,000) or "test" (10,000).
    - `data_dir`: the folder of the four `.gz` files, or one with a sub-folder `mnist`. Default:
      `$GEOJAX_DATA_DIR`; without it the files are downloaded into the user's cache.

    **Returns:**

    Images in 0 ... 255, shape `(n, 28, 28)`, and labels, shape `(n,)`.

    **Raises:**

    - `ValueError`: on an unknown split or a file with other content than MNIST's.
    - `FileNotFoundError`: when `data_dir` lacks a file.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}.")
    prefix = "train" if split == "train" else "t10k"
    images = _content(f"{prefix}-images-idx3-ubyte", data_dir)
    labels = _content(f"{prefix}-labels-idx1-ubyte", data_dir)
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(labels, np.uint8, offset=8),
    )


def _content(name: str, data_dir: Path | str | None) -> bytes:
    data_dir = data_dir or os.environ.get("GEOJAX_DATA_DIR")
    if data_dir:
        candidates = [Path(data_dir) / "mnist" / f"{name}.gz", Path(data_dir) / f"{name}.gz"]
        found = [p for p in candidates if p.is_file()]
        if not found:
            raise FileNotFoundError(
                f"no {name}.gz in {data_dir} or its folder mnist. Put MNIST's four IDX files "
                "there, or unset GEOJAX_DATA_DIR to download them."
            )
        path = found[0]
    else:
        cache = pooch.os_cache("geojax") / "mnist"
        path = Path(pooch.retrieve(_MIRROR + f"{name}.gz", None, f"{name}.gz", cache))
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error):
        content = b""  # damaged, so its sum differs
    if hashlib.sha256(content).hexdigest() != _SHA256[name]:
        raise ValueError(
            f"{path} does not hold MNIST's {name} (its SHA-256 differs). Delete it and try again."
        )
    return content


def rotate(image: Numbers, angle: Numbers, fill: float = -1.0) -> Float[Array, "height width"]:
    """The image turned anticlockwise about its centre, with bilinear interpolation.

    It is differentiable in the image and the angle.

    **Arguments:**

    - `image`: shape `(height, width)`.
    - `angle`: in radians.
    - `fill`: the value outside the image.

    >>> import jax.numpy as jnp
    >>> from geojax.models import rotate
    >>> rotate(jnp.array([[1.0, 0.0], [0.0, 0.0]]), jnp.pi / 2).round(3)
    Array([[0., 0.],
           [1., 0.]], dtype=...)
    """
    refuse_pixels("image", image)
    image = as_floating("image", image, "height width")
    angle = as_floating("angle", angle, dtype=image.dtype)
    h, w = image.shape
    cy, cx = (h - 1) / 2, (w - 1) / 2
    rows, columns = jnp.arange(h, dtype=image.dtype) - cy, jnp.arange(w, dtype=image.dtype) - cx
    y, x = jnp.meshgrid(rows, columns, indexing="ij")
    c, s = jnp.cos(angle), jnp.sin(angle)
    coordinates = [c * y + s * x + cy, -s * y + c * x + cx]
    return map_coordinates(image - fill, coordinates, order=1, mode="constant") + fill


def to_pixels(x: Numbers) -> UInt8[np.ndarray, "..."]:
    """Convert from the range [-1, 1] of the models to pixels 0 ... 255, clipped and rounded.

    >>> import jax.numpy as jnp
    >>> from geojax.models import to_pixels
    >>> to_pixels(jnp.array([-1.5, -1.0, 0.2, 1.0])).tolist()
    [0, 0, 153, 255]
    """
    refuse_pixels("x", x)
    x = as_floating("x", x)
    return np.asarray(np.clip(np.rint((np.asarray(x) + 1) * 127.5), 0, 255), np.uint8)


def from_pixels(pixels: Numbers) -> Float[Array, "..."]:
    """Convert pixels 0 ... 255 to the range [-1, 1] of the models.

    >>> import numpy as np
    >>> from geojax.models import from_pixels
    >>> from_pixels(np.array([0, 255], np.uint8)).tolist()
    [-1.0, 1.0]
    """
    pixels = as_integers("pixels", pixels)
    return jnp.asarray(pixels, dtype=jnp.result_type(float)) / 127.5 - 1


def rotated_batch(images: Numbers, angles: Numbers) -> Float[Array, "n 1 height width"]:
    """Digits turned by the given angles, in [-1, 1], with a channel axis.

    **Arguments:**

    - `images`: pixels 0 ... 255, shape `(n, height, width)`.
    - `angles`: in radians, shape `(n,)`.

    **Returns:**

    Images, shape `(n, 1, height, width)`.

    >>> import jax.numpy as jnp
    >>> from geojax.models import rotated_batch
    >>> digits = jnp.zeros((2, 28, 28), jnp.uint8)
    >>> rotated_batch(digits, jnp.array([0.0, 1.0])).shape
    (2, 1, 28, 28)
    """
    images = as_integers("images", images, "n height width")
    angles = as_floating("angles", angles, f"{len(images)}")
    return jax.vmap(rotate)(images.astype(angles.dtype) / 127.5 - 1, angles)[:, None]
