"""All measures of one path of images at once."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, as_floating, as_images, as_one_dtype
from ._images import psnr, ssim
from ._lpips import LPIPS
from ._perceptual import endpoint_error, neighbour_distances

_WINDOW = 11  # pixels: the smallest side for which there is SSIM


class FrameFigures(NamedTuple):
    """What `frame_figures` returns.

    - ``steps``: root mean squared difference of each frame and the next, shape (frames - 1,).
    - ``deviation``: the distance of each frame from the cross-fade of the ends at the same time,
      in units of the distance of the ends, shape (frames,): 0 for LERP.
    - ``psnr``, ``ssim``, ``lpips``: of each frame against the truth, or None without one. SSIM is
      None for images below 11 pixels a side, LPIPS without its network and for images that it does
      not take.
    - ``end_error``: root mean squared error of the ends against the images that were given, or
      None.
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
    """How even a path of images is, how far it is from a cross-fade, and from the truth.

    PPL and PDV are `morphing_figures`; motion or cross-fade is `motion_share`.

    - ``frames``: in [-1, 1], one or three channels, at least two.
    - ``times``: of the frames, rising, from 0; 1 is the second end, what lies above it is
      extrapolated.
    - ``truth``: what the frames should be, of their shape; ``lpips`` compares them with it.
    - ``given``: the two images that the path was to join, shape (2, channels, height, width).

    **Raises:** `ValueError` on fewer than two frames, or shapes that do not fit.

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
    """One pair after the other: inside a loop of XLA's convolutions are slow on a CPU."""
    if truth is None or lpips is None or min(frames.shape[2:]) < lpips.smallest:
        return None
    size = (len(frames), 3, *frames.shape[2:])
    pairs = zip(*(jnp.broadcast_to(images, size) for images in (frames, truth)), strict=True)
    return jnp.stack([lpips(x, y) for x, y in pairs])


@eqx.filter_jit
def _figures(frames, times, truth, given) -> FrameFigures:
    last = jnp.argmin(jnp.abs(times - 1))
    first, end = frames[0], frames[last]
    apart = _norm(end - first)
    astray = jax.vmap(lambda x, t: _norm(x - (1 - t) * first - t * end))(frames, times)
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


def _norm(image):
    return jnp.sqrt(jnp.sum(image**2))
