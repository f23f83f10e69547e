"""How even a path of images is, and how well it keeps its ends: PPL, PDV, reconstruction."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, as_alike, as_images, as_one_dtype, takes_arrays
from ._lpips import LPIPS

Distance = Callable[[Array, Array], Array]


@takes_arrays("x", "y")
def root_mean_square(x: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Float[Array, ""]:
    """``sqrt(mean (x - y)^2)``, in the units of a pixel."""
    return jnp.sqrt(jnp.mean((x - y) ** 2))


def neighbour_distances(
    images: Numbers, distance: Distance = root_mean_square
) -> Float[Array, " steps"]:
    """The distance of each frame from the next, shape (frames - 1,).

    - ``images``: at equal steps of the path's parameter, at least two.
    - ``distance``: ``(x, y) -> scalar``; `LPIPS` for perceptual figures.

    One pair after the other, so that a network's activations are held once. **Raises:**
    `ValueError` on fewer than two frames.
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
    """PPL: the sum of `neighbour_distances` (Saito & Matsubara, arXiv 2510.05509).

    Shorter is more direct; it depends on the number of frames, which must be the same for all that
    are compared. (StyleGAN's figure of that name is another: an expectation over latent steps.)

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import perceptual_path_length
    >>> print(perceptual_path_length(jnp.array([[0.0], [1.0], [3.0]])))
    3.0
    """
    return jnp.sum(neighbour_distances(images, distance))


def perceptual_deviation(
    images: Numbers, distance: Distance = root_mean_square
) -> Float[Array, ""]:
    """PDV: the standard deviation of `neighbour_distances` (over n; Saito & Matsubara 2025).

    0 for a path of even steps; a jump makes it large.

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
    """The mean distance of the first and last frame from the images that were given.

    What a way to a noise level and back costs before any interpolation.

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
    """As a floating array; as images in [-1, 1] where the distance is one of these."""
    return (as_images if isinstance(distance, LPIPS) else as_alike)(**{name: value})[0]
