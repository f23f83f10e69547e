"""Whether a path of images moves objects or fades one image into the other."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, as_images

_SIDE = 64  # pixels: larger frames are reduced first
_WINDOW = 7  # pixels a side
_REACH = 8  # the side over the largest displacement in one step
_RIDGE = 1e-2  # bounds the displacement of a window along an edge


class MotionShare(NamedTuple):
    """The result of `motion_share`.

    **Arguments:**

    - `share`: from 0 for a cross-fade to 1 for motion; NaN if no frame changes.
    - `fade_residual`, `motion_residual`: the part of the squared differences from frame to frame
      that a cross-fade, or motion, leaves unexplained, between 0 and 1.
    """

    share: Float[Array, ""]
    fade_residual: Float[Array, ""]
    motion_residual: Float[Array, ""]


def motion_share(images: Numbers) -> MotionShare:
    """How far a path of images is motion, rather than a cross-fade of the first into the last.

    The difference of each frame from the next is explained in two ways by least squares, in every
    window of 7 x 7 pixels by one number or one vector:

    - as a cross-fade, `x_(k+1) - x_k = w (x_K - x_0)`, with one weight `w >= 0`;
    - as motion, `x_(k+1)(p) = x_k(p - d)`, with one displacement `d`, to a fraction of a pixel.

    F and M are the remaining squares, summed over windows and frames. The share is `F / (F + M)`.
    It is 0 for any cross-fade, with any timing and however uneven; 1 for motion; near 1/2 for a
    frame that is neither, such as a different image. It does not depend on the contrast, and hardly
    on the number of frames. It uses no truth: objects may move to the wrong place.

    **Arguments:**

    - `images`: shape `(frames, channels, height, width)` in [-1, 1], at least three. Images of more
      than 64 pixels a side are reduced first, and all are smoothed by [1 2 1] / 4. In one step
      nothing should move further than an eighth of the longer side.

    **Returns:**

    A [`geojax.evaluation.MotionShare`][].

    **Raises:**

    - `ValueError`: on fewer than three frames or another shape.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import motion_share
    >>> times = jnp.linspace(0, 1, 9)[:, None, None, None]
    >>> places = jnp.zeros((9, 1, 24, 24)) + jnp.arange(24.0)[None, None, None]
    >>> moving = jnp.exp(-0.1 * (places - 4 - 16 * times) ** 2)
    >>> fading = (1 - times) * moving[:1] + times * moving[-1:]
    >>> print(f"{motion_share(moving).share:.2f} {motion_share(fading).share:.2f}")
    1.00 0.00
    """
    (frames,) = as_images("frames channels height width", images=images)
    if len(frames) < 3:
        raise ValueError(f"images must hold at least three frames, got {len(frames)}.")
    return _motion_share(frames)


@jax.jit
def _motion_share(frames) -> MotionShare:
    longer = max(frames.shape[2:])
    if longer > _SIDE:
        size = [max(1, round(n * _SIDE / longer)) for n in frames.shape[2:]]
        frames = jax.image.resize(frames, (*frames.shape[:2], *size), "linear")
    frames = _smoothed(_smoothed(frames, 2), 3)
    reach = max(1, -(-max(frames.shape[2:]) // _REACH))
    apart = frames[-1] - frames[0]

    def step(pair):
        before, after = pair
        change = _windows(jnp.sum((after - before) ** 2, axis=0))
        left = _after_fading(after - before, apart), _after_moving(before, after, reach)
        return jnp.stack([jnp.sum(change), *(jnp.sum(residual) for residual in left)])

    total, fade, motion = jnp.sum(jax.lax.map(step, (frames[:-1], frames[1:])), axis=0)
    return MotionShare(fade / (fade + motion), fade / total, motion / total)


def _after_fading(change, apart):
    """The squares of `change` that the best multiple of `apart` leaves, by window."""
    square = _windows(jnp.sum(apart**2, axis=0))
    along = jnp.maximum(_windows(jnp.sum(change * apart, axis=0)), 0.0)
    weight = along / jnp.where(square > 0, square, 1.0)
    left = _windows(jnp.sum(change**2, axis=0)) - 2 * weight * along + weight**2 * square
    return jnp.maximum(left, 0.0)


def _after_moving(before, after, reach: int):
    """The squares of `after` that the best displacement of `before` leaves, by window."""
    size = after.shape[1:]
    edges = ((0, 0), (reach, reach), (reach, reach))
    wide = jnp.pad(before, edges, "edge")
    steep = jnp.pad(_gradient(before), ((0, 0), *edges), "edge")
    own = _gradient(after)

    def best(least, corner):
        moved = jax.lax.dynamic_slice(wide, (0, *corner), after.shape)
        slopes = jax.lax.dynamic_slice(steep, (0, 0, *corner), (2, *after.shape))
        change, (u, v) = after - moved, (slopes + own) / 2
        pairs = ((change, change), (change, u), (change, v), (u, u), (u, v), (v, v))
        products = jnp.stack([jnp.sum(a * b, axis=0) for a, b in pairs])
        return jnp.minimum(least, _refined(*jax.vmap(_windows)(products))), None

    row, column = jnp.meshgrid(*(jnp.arange(2 * reach + 1),) * 2, indexing="ij")
    corners = row.ravel(), column.ravel()
    return jax.lax.scan(best, jnp.full(size, jnp.inf, after.dtype), corners)[0]


def _refined(square, by_u, by_v, uu, uv, vv):
    """The rest of `square` after a further displacement of at most a pixel along the gradient."""
    ridge = _RIDGE * (uu + vv)
    a, b = uu + ridge, vv + ridge
    determinant = a * b - uv**2
    safe = jnp.where(determinant > 0, determinant, 1.0)
    p, q = (b * by_u - uv * by_v) / safe, (a * by_v - uv * by_u) / safe
    length = jnp.sqrt(p**2 + q**2)
    shrink = 1 / jnp.maximum(length, 1.0)
    p, q = shrink * p, shrink * q
    left = square - 2 * (p * by_u + q * by_v) + p**2 * uu + 2 * p * q * uv + q**2 * vv
    return jnp.maximum(left, 0.0)


def _gradient(image):
    """Central differences along both axes, shape (2, channels, height, width)."""
    wide = jnp.pad(image, ((0, 0), (1, 1), (1, 1)), "edge")
    down = wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
    right = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]
    return jnp.stack([down, right]) / 2


def _smoothed(images, axis: int):
    """The images smoothed by [1 2 1] / 4 along an axis."""
    pad = [(0, 0)] * images.ndim
    pad[axis] = (1, 1)
    wide = jnp.pad(images, pad, "edge")
    n = images.shape[axis]
    parts = [jax.lax.slice_in_dim(wide, i, i + n, axis=axis) for i in range(3)]
    return (parts[0] + 2 * parts[1] + parts[2]) / 4


def _windows(image):
    """Sums over the window about every pixel, cut off at the edges."""
    half = _WINDOW // 2
    for axis in (0, 1):
        pad = [(0, 0)] * 2
        pad[axis] = (half, half)
        wide, n = jnp.pad(image, pad), image.shape[axis]
        parts = [jax.lax.slice_in_dim(wide, i, i + n, axis=axis) for i in range(_WINDOW)]
        image = sum(parts[1:], parts[0])
    return image
