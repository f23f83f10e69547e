"""From images to points of the space with the geometry, and back."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Key

from .._arrays import Numbers
from ._base import AbstractScore


class PathEnds(eqx.Module):
    """A and B in the space with the geometry, as `AbstractPipeline.ends` returns them.

    **Arguments:**

    - `points`: shape `(2, *shape)`.
    - `clean`: the same before noise was added, shape `(2, *shape)`.
    - `loss`: the relative change of A and B by the way to the level and back, shape (2,); None
      where nothing is lost.
    - `evaluations`: the number of score evaluations for it.
    """

    points: Float[Array, "2 *shape"]
    clean: Float[Array, "2 *shape"]
    loss: Float[Array, " 2"] | None = None
    evaluations: int = 0


class AbstractPipeline(eqx.Module):
    """The interface of pipelines: image -> point of the space with the geometry -> image.

    Functions that find and draw paths between images take any pipeline: [`geojax.NoiseRoute`][]
    (images, or latents of an encoder, at a noise level), a latent model of `geojax.models.latent`,
    or one of your own. A subclass defines `encode` and `decode`. Where points have noise, it also
    defines the way there and back.

    **Arguments:**

    - `score`: the score of the points, at every noise level.
    - `t`: the noise level whose score makes the metric.

    >>> import jax.numpy as jnp, geojax
    >>> class Halved(geojax.AbstractPipeline):  # a picture is twice a point
    ...     score: geojax.AbstractScore
    ...     t: float = 0.1
    ...
    ...     def encode(self, image):
    ...         return jnp.asarray(image) / 2
    ...
    ...     def decode(self, point):
    ...         return 2 * jnp.asarray(point)
    >>> ring = geojax.NoisedSphere(0.5, schedule=geojax.VE(0.01, 1.0))
    >>> path = geojax.interpolate(Halved(ring), [1.0, 0.0], [0.0, 1.0], frames=3)
    >>> print(f"{jnp.linalg.norm(path.images[1]):.1f}")
    1.0
    """

    score: eqx.AbstractVar[AbstractScore]
    t: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def encode(self, image: Numbers) -> Float[Array, "..."]:
        """The point of an image, without noise."""

    @abc.abstractmethod
    def decode(self, point: Numbers) -> Float[Array, "..."]:
        """The image of a point without noise. For several points use `jax.vmap`."""

    @property
    def conditions(self) -> tuple[Any, Any]:
        """`args` of the score at A and at B; one object where they are the same."""
        return None, None

    def noised(self, point: Numbers, *, key: Key[Array, ""] | None = None) -> Float[Array, "..."]:
        """A point without noise moved to the level; `key` draws random noise."""
        return jnp.asarray(point)

    def denoised(
        self, z: Numbers, share: Any = 0.0
    ) -> tuple[Float[Array, "..."], Integer[Array, ""]]:
        """A point at the level without its noise, and the number of score evaluations.

        `share` is its place on the path, 0 at A and 1 at B, for conditions that differ.
        """
        return jnp.asarray(z), jnp.asarray(0)

    def to_level(self, image: Numbers, *, key: Key[Array, ""] | None = None) -> Float[Array, "..."]:
        """The point of an image at the level; `key` draws random noise, if there is any."""
        return self.noised(self.encode(image), key=key)

    def to_image(self, z: Numbers) -> Float[Array, "..."]:
        """The image of a point at the level. For several points use `jax.vmap`."""
        return self.decode(self.denoised(z)[0])

    def ends(
        self, image_a: Numbers, image_b: Numbers, *, key: Key[Array, ""] | None = None
    ) -> PathEnds:
        """Both images at the level, and the loss by the way there and back."""
        clean = jnp.stack([self.encode(image_a), self.encode(image_b)])
        return PathEnds(jnp.stack([self.noised(point, key=key) for point in clean]), clean)
