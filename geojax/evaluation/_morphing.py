"""PPL and PDV as defined in papers on image morphing."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from PIL import Image

from .._arrays import Numbers, as_images
from ._lpips import LPIPS
from ._perceptual import neighbour_distances


class MorphingFigures(NamedTuple):
    """The result of `morphing_figures`.

    **Arguments:**

    - `ppl`: the sum of the steps.
    - `pdv`: their standard deviation, over n.
    - `steps`: the distance of each frame from the next, shape `(frames - 1,)`.
    """

    ppl: Float[Array, ""]
    pdv: Float[Array, ""]
    steps: Float[Array, " steps"]


def morphing_figures(
    images: Numbers, lpips: LPIPS | None = None, *, side: int = 512
) -> MorphingFigures:
    """PPL and PDV of the frames of a morph, as the authors of DiffMorpher compute them.

    Every frame is converted to 8 bits and resized to 512 x 512 pixels without regard to its
    proportions (Pillow's bilinear filter, as torchvision's `Resize`). The distance is LPIPS(alex),
    version 0.1. PPL is the sum over neighbouring frames and PDV the standard deviation. PPL depends
    on the number of frames (16 in the paper), which must be the same for all compared methods.
    [`geojax.evaluation.perceptual_path_length`][] and [`geojax.evaluation.perceptual_deviation`][]
    take any distance and do not change the images.

    **Arguments:**

    - `images`: shape `(frames, 1 or 3, height, width)` in [-1, 1], at least two. Not inside
      `jax.jit`.
    - `lpips`: default `LPIPS.load("alex")`; another network gives other figures.
    - `side`: of the resized images, in pixels.

    **Returns:**

    A [`geojax.evaluation.MorphingFigures`][].

    **Raises:**

    - `ValueError`: on fewer than two frames or another number of channels.

    Source: Zhang et al. 2024, section 4.4; their script is in issue 33 of
    github.com/Kevin-thu/DiffMorpher.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import morphing_figures
    >>> grey = jnp.zeros((3, 1, 24, 24)) + jnp.array([-0.5, 0.0, 0.5])[:, None, None, None]
    >>> found = morphing_figures(grey, side=64)
    >>> print(found.ppl == found.steps.sum(), found.pdv == found.steps.std())
    True True
    """
    (frames,) = as_images("frames channels height width", images=images)
    if frames.shape[1] not in (1, 3):
        raise ValueError(f"images must have one or three channels, got {frames.shape[1]}.")
    lpips = LPIPS.load("alex") if lpips is None else lpips
    pixels = np.clip(np.rint((np.asarray(frames, np.float64) + 1) * 127.5), 0, 255)
    resized = np.stack([_resized(image, side) for image in pixels.astype(np.uint8)])
    steps = neighbour_distances(jnp.asarray(resized / 127.5 - 1, frames.dtype), lpips)
    return MorphingFigures(jnp.sum(steps), jnp.std(steps), steps)


def _resized(pixels: np.ndarray, side: int) -> np.ndarray:
    """One image of 8 bits with three channels, resized."""
    image = Image.fromarray(np.moveaxis(np.broadcast_to(pixels, (3, *pixels.shape[1:])), 0, -1))
    return np.moveaxis(np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)), -1, 0)
