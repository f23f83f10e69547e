"""Differences of two images by pixels: PSNR and SSIM."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._arrays import Numbers, as_alike, as_images, refuse_pixels
from .._linalg import tensordot

_WINDOWS = {"gaussian": 11, "uniform": 7}  # sides, in pixels


def psnr(x: Numbers, y: Numbers, data_range: float = 2.0) -> Float[Array, ""]:
    """The peak signal-to-noise ratio `10 log10(data_range^2 / mean (x - y)^2)`, in dB.

    It is infinite for equal images.

    **Arguments:**

    - `x`, `y`: of one shape, in [-1, 1] for the default `data_range`. Pixels in 0 ... 255, integers
      included, need `data_range=255`.
    - `data_range`: the largest possible value less the smallest one.

    **Raises:**

    - `ValueError`: on a range that is not positive or shapes that differ.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import psnr
    >>> print(f"{psnr(jnp.zeros((1, 8, 8)), jnp.full((1, 8, 8), 0.2)):.1f} dB")
    20.0 dB
    """
    x, y = _checked(x, y, data_range)
    return 10 * jnp.log10(data_range**2 / jnp.mean((x - y) ** 2))


def ssim(
    x: Numbers,
    y: Numbers,
    data_range: float = 2.0,
    *,
    window: str = "gaussian",
) -> Float[Array, ""]:
    """The mean structural similarity of two images, at most 1.

    **Arguments:**

    - `x`, `y`: shape `(channels, height, width)`, in [-1, 1] for the default `data_range`, as for
      [`geojax.evaluation.psnr`][]. The result is the mean over the channels.
    - `data_range`: the largest possible value less the smallest one.
    - `window`: "gaussian" as published (standard deviation 1.5, cut at 11 pixels) or "uniform" (7
      pixels, covariances over n - 1), the default of scikit-image. Both give scikit-image's value.

    **Raises:**

    - `ValueError`: when an image is smaller than the window, shapes differ or an argument is
      unknown.

    Source: Wang, Bovik, Sheikh & Simoncelli 2004.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import ssim
    >>> x = jnp.linspace(-1, 1, 144).reshape(1, 12, 12)
    >>> print(ssim(x, x))
    1.0
    """
    x, y = _checked(x, y, data_range, "channels height width")
    if window not in _WINDOWS:
        raise ValueError(f"window must be 'gaussian' or 'uniform', got {window!r}.")
    size = _WINDOWS[window]
    if min(x.shape[1:]) < size:
        raise ValueError(
            f"an image must be at least {size} x {size} for the {window} window, got "
            f"{x.shape[1]} x {x.shape[2]}."
        )
    places = np.arange(size) - size // 2
    weights = np.exp(-(places**2) / (2 * 1.5**2)) if window == "gaussian" else np.ones(size)
    kernel = jnp.asarray(weights / weights.sum(), x.dtype)
    mx, my = _blurred(x, kernel), _blurred(y, kernel)
    # Covariances of n samples are divided by n or by n - 1.
    unbiased = 1.0 if window == "gaussian" else size**2 / (size**2 - 1)
    xx = unbiased * (_blurred(x * x, kernel) - mx * mx)
    yy = unbiased * (_blurred(y * y, kernel) - my * my)
    xy = unbiased * (_blurred(x * y, kernel) - mx * my)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    similarity = (2 * mx * my + c1) * (2 * xy + c2) / ((mx**2 + my**2 + c1) * (xx + yy + c2))
    return jnp.mean(similarity)


def _blurred(images, kernel):
    """The means over the window, where the whole window lies inside the image."""
    return _along(_along(images, kernel, 1), kernel, 2)


def _along(images, kernel, axis: int):
    count = images.shape[axis] - len(kernel) + 1
    window = jnp.arange(count)[:, None] + jnp.arange(len(kernel))[None]
    taken = jnp.take(images, window, axis=axis)
    # SSIM subtracts nearly equal numbers, so the product needs full precision.
    return tensordot(taken, kernel, axes=([axis + 1], [0]))


def _checked(x, y, data_range: float, axes: str | None = None) -> tuple[Array, ...]:
    """Both images as floating arrays; integers only with a range of integers."""
    if not data_range > 0:
        raise ValueError(f"data_range must be positive, got {data_range}.")
    remedy = " Or pass data_range=255."
    if data_range == 2:
        return as_images(axes, x=x, y=y, remedy=remedy)
    if data_range < 2:
        for name, image in (("x", x), ("y", y)):
            refuse_pixels(name, image, remedy)
    return as_alike(axes, x=x, y=y)
