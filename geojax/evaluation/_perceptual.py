"""The evenness of a path of images and the error of its ends: PPL, PDV, reconstruction."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, as_alike, as_images, as_one_dtype, takes_arrays
from ._lpips import LPIPS

Distance = Callable[[Array, Array], Array]


@takes_arrays("x", "y")
def root_mean_square(x: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Float[Array, ""]:
    """`sqrt(mean (x - y)^2)`, in the units of a pixel."""
    return jnp.sqrt(jnp.mean((x - y) ** 2))


def neighbour_distances(
    images: Numbers, distance: Distance = root_mean_square
) -> Float[Array, " steps"]:
    """The distance of each frame from the next, shape `(frames - 1,)`.

    Pairs are computed one after the other, so that the activations of a network are stored once.

    **Arguments:**

    - `images`: at least two, at equal steps of the path's parameter.
    - `distance`: `(x, y) -> scalar`; [`geojax.evaluation.LPIPS`][] for perceptual figures.

    **Raises:**

    - `ValueError`: on fewer than two frames.
    """
    images = _checked("images", images, distance)
    if images.ndim == 0 or len(images) < 2:
        raise ValueError(
            f"images must hold at least two frames, shape (frames, *shape), got {images.shape}."
        )
    if isinstance(distance, LPIPS):
        return distance.along(images)
    return jax.lax.map(lambda pair: distance(*pair), (images[:-1], images[1:]))


def perceptual_path_length(
    images: Numbers, distance: Distance = root_mean_square
) -> Float[Array, ""]:
    """PPL: the sum of the distances of each frame from the next.

    A smaller PPL means a more direct path. It depends on the number of frames, which must be the
    same for all compared paths. StyleGAN's figure of that name is another: an expectation over
    latent steps.

    **Arguments:**

    - `images`, `distance`: as for [`geojax.evaluation.neighbour_distances`][].

    Source: Saito & Matsubara, arXiv 2510.05509.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import perceptual_path_length
    >>> print(perceptual_path_length(jnp.array([[0.0], [1.0], [3.0]])))
    3.0
    """
    return jnp.sum(neighbour_distances(images, distance))


def perceptual_deviation(
    images: Numbers, distance: Distance = root_mean_square
) -> Float[Array, ""]:
    """PDV: the standard deviation, over n, of the distances of each frame from the next.

    It is 0 for a path of even steps and large for a path with a jump.

    **Arguments:**

    - `images`, `distance`: as for [`geojax.evaluation.neighbour_distances`][].

    Source: Saito & Matsubara, arXiv 2510.05509.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import perceptual_deviation
    >>> print(perceptual_deviation(jnp.array([[0.0], [1.0], [3.0]])))
    0.5
    """
    return jnp.std(neighbour_distances(images, distance))


def endpoint_error(
    images: Numbers,
    x0: Numbers,
    x1: Numbers,
    distance: Distance = root_mean_square,
) -> Float[Array, ""]:
    """The mean distance of the first and the last frame from the given images.

    It measures the loss on the way to a noise level and back, before any interpolation.

    **Arguments:**

    - `images`: the frames, shape `(frames, *image)`.
    - `x0`, `x1`: the given images.
    - `distance`: `(x, y) -> scalar`.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import endpoint_error
    >>> frames = jnp.array([[0.0], [1.0], [3.0]])
    >>> print(endpoint_error(frames, jnp.array([0.0]), jnp.array([2.0])))
    0.5
    """
    for name, value in (("images", images), ("x0", x0), ("x1", x1)):
        _checked(name, value, distance)
    images, x0, x1 = as_one_dtype(images=images, x0=x0, x1=x1)
    for name, x in (("x0", x0), ("x1", x1)):
        if x.shape != images.shape[1:]:
            raise ValueError(f"{name} must have a frame's shape {images.shape[1:]}, got {x.shape}.")
    return (distance(images[0], x0) + distance(images[-1], x1)) / 2


def _checked(name: str, value, distance: Distance) -> Array:
    """The value as a floating array; for LPIPS as images in [-1, 1]."""
    return (as_images if isinstance(distance, LPIPS) else as_alike)(**{name: value})[0]
