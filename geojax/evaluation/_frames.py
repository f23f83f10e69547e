"""All measures of one path of images at once."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, as_floating, as_images, as_one_dtype
from .._linalg import norm
from ._images import psnr, ssim
from ._lpips import LPIPS
from ._perceptual import endpoint_error, neighbour_distances

_WINDOW = 11  # pixels: the smallest side for which SSIM is defined


class FrameFigures(NamedTuple):
    """The result of `frame_figures`.

    **Arguments:**

    - `steps`: root mean squared difference of each frame and the next, shape `(frames - 1,)`.
    - `deviation`: the distance of each frame from the cross-fade of the ends at the same time, in
      units of the distance of the ends, shape `(frames,)`. It is 0 for LERP.
    - `psnr`, `ssim`, `lpips`: of each frame against the truth, shape `(frames,)`, or None without
      one. SSIM is None for images below 11 pixels a side. LPIPS is None without its network and for
      images that are too small for it.
    - `end_error`: root mean squared error of the ends against the given images, or None.
    """

    steps: Float[Array, " steps"]
    deviation: Float[Array, " frames"]
    psnr: Float[Array, " frames"] | None
    ssim: Float[Array, " frames"] | None
    lpips: Float[Array, " frames"] | None
    end_error: Float[Array, ""] | None


def frame_figures(
    frames: Numbers,
    times: Numbers,
    *,
    truth: Numbers | None = None,
    given: Numbers | None = None,
    lpips: LPIPS | None = None,
) -> FrameFigures:
    """Figures of a path of images: evenness, distance from a cross-fade, error against the truth.

    For PPL and PDV see [`geojax.evaluation.morphing_figures`][], for motion or cross-fade
    [`geojax.evaluation.motion_share`][].

    **Arguments:**

    - `frames`: at least two, shape `(frames, channels, height, width)` in [-1, 1], with one or
      three channels.
    - `times`: of the frames, ascending from 0, shape `(frames,)`. 1 is the second end; later frames
      are extrapolated.
    - `truth`: the true frames, of the same shape.
    - `given`: the two images that the path was to join, shape `(2, channels, height, width)`.
    - `lpips`: the network that compares the frames with the truth.

    **Returns:**

    A [`geojax.evaluation.FrameFigures`][].

    **Raises:**

    - `ValueError`: on fewer than two frames, or shapes that do not fit.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import frame_figures
    >>> ts = jnp.linspace(0, 1, 3)
    >>> fade = jnp.ones((3, 1, 16, 16)) * ts[:, None, None, None]
    >>> found = frame_figures(fade, ts, truth=fade + 0.2)
    >>> print(found.steps, found.psnr, found.deviation.max())
    [0.5 0.5] [20. 20. 20.] 0.0
    """
    images = {"frames": frames, "truth": truth, "given": given}
    images = {name: image for name, image in images.items() if image is not None}
    for name, image in images.items():
        as_images("frames channels height width", **{name: image})
    images = dict(zip(images, as_one_dtype(**images), strict=True))
    frames, truth, given = images["frames"], images.get("truth"), images.get("given")
    times = as_floating("times", times, "times", dtype=frames.dtype)
    if len(frames) < 2 or times.shape != (len(frames),):
        raise ValueError(
            f"frames must be at least two, each with its time, got {len(frames)} and "
            f"{times.shape[0]} times."
        )
    if truth is not None and truth.shape != frames.shape:
        raise ValueError(
            f"truth must have the shape of the frames, {frames.shape}, got {truth.shape}."
        )
    if given is not None and given.shape != (2, *frames.shape[1:]):
        raise ValueError(
            f"given must have shape {(2, *frames.shape[1:])}, two frames', got {given.shape}."
        )
    return _figures(frames, times, truth, given)._replace(lpips=_perceptual(frames, truth, lpips))


def _perceptual(frames, truth, lpips: LPIPS | None) -> Array | None:
    """LPIPS pair by pair, because convolutions inside an XLA loop are slow on a CPU."""
    if truth is None or lpips is None or min(frames.shape[2:]) < lpips.smallest:
        return None
    size = (len(frames), 3, *frames.shape[2:])
    pairs = zip(*(jnp.broadcast_to(images, size) for images in (frames, truth)), strict=True)
    return jnp.stack([lpips(x, y) for x, y in pairs])


@eqx.filter_jit
def _figures(frames, times, truth, given) -> FrameFigures:
    last = jnp.argmin(jnp.abs(times - 1))
    first, end = frames[0], frames[last]
    apart = norm(end - first)
    astray = jax.vmap(lambda x, t: norm(x - (1 - t) * first - t * end))(frames, times)
    ends = jnp.stack([first, end])
    large = min(frames.shape[2:]) >= _WINDOW
    pairs = (frames, truth)
    return FrameFigures(
        steps=neighbour_distances(frames),
        deviation=astray / jnp.where(apart > 0, apart, 1.0),
        psnr=None if truth is None else jax.vmap(psnr)(*pairs),
        ssim=None if truth is None or not large else jax.vmap(ssim)(*pairs),
        lpips=None,
        end_error=None if given is None else endpoint_error(ends, given[0], given[1]),
    )
