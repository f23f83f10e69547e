"""From images to where the geometry is, and back."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, Key

from .._arrays import Numbers
from ._base import AbstractScore


class AbstractPipeline(eqx.Module):
    """image -> point of the space where the geometry is -> image.

    What finds and draws paths between images takes any of them: `NoiseRoute` (an image at a noise
    level), a latent model of `geojax.models.latent`, or one of your own.

    - ``score``: of the points, at every noise level.
    - ``t``: the level whose score makes the metric.
    """

    score: eqx.AbstractVar[AbstractScore]
    t: eqx.AbstractVar[Float[Array, ""]]

    @abc.abstractmethod
    def to_level(self, image: Numbers, *, key: Key[Array, ""] | None = None) -> Float[Array, "..."]:
        """The point of an image. ``key`` draws what is random, if anything is."""

    @abc.abstractmethod
    def to_image(self, z: Numbers) -> Float[Array, "..."]:
        """The image of a point. Several points: `jax.vmap`."""
