"""From images to noise level t and back: where the geometry of a diffusion model is taken."""

from typing import Any, Literal

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from .._arrays import Numbers, as_floating, refuse_pixels, takes_arrays
from .._numbers import known, number
from ..scores import AbstractPipeline, AbstractScore, ddim, probability_flow


def _level(t) -> Float[Array, ""]:
    value = known(t)
    if value is not None and not 0 < value <= 1:
        raise ValueError(
            f"t must lie in (0, 1], got {t}. Step k of T is t = k / T: step 400 of 1000 is t = 0.4."
        )
    return number("t", t)


class NoiseRoute(AbstractPipeline):
    """image -> noise level ``t`` -> (a path is found there) -> image.

    The defaults are the protocol that came nearest to the truth between turned digits (README);
    that of arXiv 2505.11128 is ``t=0.4, noising="shared"``.

    - ``score``: the diffusion model.
    - ``t``: the noise level in [0, 1]; step k of T is k / T.
    - ``noising``: "inversion" follows the probability flow, which is deterministic and invertible;
      "shared" adds the *same* Gaussian noise to both ends, so that their difference stays alpha
      times the difference of the images; "none" adds no noise, so that clean points are seen by
      the score of level t.
    - ``denoising``: "ddim" (``num_steps`` steps) or "probability_flow" (adaptive). Both are
      deterministic, so that what differs along a path comes from the path. "none", for points
      without noise, undoes the factor alpha alone.
    - ``args``: handed to the score (a label, or None for no condition).

    **Raises:** `ValueError` on ``t`` outside (0, 1] or an unknown ``noising`` or ``denoising``.

    >>> import jax, jax.numpy as jnp, geojax
    >>> score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=1.0)
    >>> route = geojax.NoiseRoute(score, t=0.4, noising="shared")
    >>> z0, z1 = (route.to_level(x, key=jax.random.key(0)) for x in (jnp.zeros(2), jnp.ones(2)))
    >>> bool(jnp.allclose(z1 - z0, score.schedule.alpha(0.4)))
    True
    """

    score: AbstractScore
    t: Float[Array, ""] = eqx.field(
        default=0.2,  # pyright: ignore[reportAssignmentType]
        converter=_level,
    )
    noising: Literal["shared", "inversion", "none"] = eqx.field(static=True, default="inversion")
    denoising: Literal["ddim", "probability_flow", "none"] = eqx.field(static=True, default="ddim")
    num_steps: int = eqx.field(static=True, default=50)
    args: Any = None

    def __check_init__(self):
        for name, allowed in (
            ("noising", ("shared", "inversion", "none")),
            ("denoising", ("ddim", "probability_flow", "none")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}."
                )
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be at least 1, got {self.num_steps}.")

    def to_level(
        self, image: Numbers, *, key: Key[Array, ""] | None = None
    ) -> Float[Array, "*shape"]:
        """An image at level t.

        "shared" noising needs a ``key``. The same key gives the same noise: pass one key for both
        ends of a path. Several images: `jax.vmap`.

        **Raises:** `ValueError` when the key is missing, or on integers: an image is in the units
        that the score knows, mostly [-1, 1].
        """
        refuse_pixels("image", image)
        image = as_floating("image", image)
        if self.noising == "none":
            return self.score.schedule.alpha(self.t).astype(image.dtype) * image
        if self.noising == "inversion":
            return self._move(image, 0.0, self.t)
        if key is None:
            raise ValueError("noising='shared' draws a noise: pass key=jax.random.key(seed).")
        noise = jax.random.normal(key, image.shape, dtype=image.dtype)
        return self.score.schedule.add_noise(image, noise, self.t)

    @takes_arrays("z")
    def to_image(self, z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The image of a point at level t. Several points: `jax.vmap`."""
        if self.denoising == "none":
            return z / self.score.schedule.alpha(self.t).astype(z.dtype)
        return self._move(z, self.t, 0.0)

    def _move(self, x, t_from, t_to):
        if self.denoising != "probability_flow":
            steps = self.num_steps
            return ddim(self.score, x, t_from, t_to, num_steps=steps, args=self.args)
        return probability_flow(self.score, x, t_from, t_to, args=self.args)
