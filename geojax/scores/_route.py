"""From images to a noise level t and back: the pipeline of a diffusion model."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Key

from .._arrays import Numbers, as_floating, refuse_pixels
from .._functions import as_pytree
from .._numbers import known, number
from ._base import AbstractScore
from ._flow import counted_probability_flow, ddim
from ._pipeline import AbstractPipeline, PathEnds
from ._schedule import check_signal


def _level(t) -> Float[Array, ""]:
    value = known(t)
    if value is not None and not 0 < value <= 1:
        raise ValueError(
            f"t must lie in (0, 1], got {t}. Step k of T is t = k / T: step 400 of 1000 is t = 0.4."
        )
    return number("t", t)


class NoiseRoute(AbstractPipeline):
    """The pipeline image -> noise level `t` -> (a path is found there) -> image.

    The defaults are the protocol that came nearest to the truth between turned digits (README).
    That of arXiv 2505.11128 is `t=0.4, noising="shared"`.

    **Arguments:**

    - `score`: the diffusion model, an [`geojax.AbstractScore`][].
    - `t`: the noise level in (0, 1]; step k of T is k / T.
    - `noising`: "inversion" follows the probability flow, which is deterministic and invertible.
      "shared" adds the *same* Gaussian noise to both ends, so that their difference stays alpha
      times the difference of the images. "none" adds no noise: clean points are evaluated by the
      score of level t.
    - `denoising`: "ddim" (`num_steps` steps) or "probability_flow" (adaptive). Both are
      deterministic, so that differences along a path come from the path. "none", for points without
      noise, only divides by alpha.
    - `num_steps`: of DDIM.
    - `args`: passed to the score (a label, or None for no condition).
    - `between`: `args` at A and at B where they differ: floating arrays, or pytrees of them, which
      are mixed along the path. `args` is then not used.
    - `encoder`, `decoder`: from an image to the point that the score takes, and back. Default: an
      image is a point. With a latent diffusion model those of its autoencoder.
    - `rtol`: of the probability flow, in the units of a point.
    - `throw`: raise where the flow does not reach its end; else the point is NaN.

    **Raises:**

    - `ValueError`: on `t` outside (0, 1] or an unknown `noising` or `denoising`.

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
    between: tuple[Any, Any] | None = None
    encoder: Callable[[Array], Array] | None = eqx.field(default=None, converter=as_pytree)
    decoder: Callable[[Array], Array] | None = eqx.field(default=None, converter=as_pytree)
    rtol: float = eqx.field(static=True, default=1e-5)
    throw: bool = eqx.field(static=True, default=True)

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

    @property
    def conditions(self) -> tuple[Any, Any]:
        return (self.args, self.args) if self.between is None else self.between

    def encode(self, image: Numbers) -> Float[Array, "..."]:
        """The point of an image, without noise.

        **Raises:**

        - `ValueError`: on integers, because an image is in the units of the score, usually [-1, 1].
        """
        refuse_pixels("image", image)
        image = as_floating("image", image)
        return image if self.encoder is None else self.encoder(image)

    def decode(self, point: Numbers) -> Float[Array, "..."]:
        point = as_floating("point", point)
        return point if self.decoder is None else self.decoder(point)

    def noised(self, point: Numbers, *, key: Key[Array, ""] | None = None) -> Float[Array, "..."]:
        """A point without noise moved to level t. For several points use `jax.vmap`.

        "shared" noising needs a `key`. The same key gives the same noise: pass one key for both
        ends of a path.

        **Raises:**

        - `ValueError`: when the key is missing.
        """
        return self._noised(as_floating("point", point), 0.0, key)[0]

    def denoised(
        self, z: Numbers, share: Any = 0.0
    ) -> tuple[Float[Array, "..."], Integer[Array, ""]]:
        z = as_floating("z", z)
        if self.denoising == "none":
            check_signal(self.score.schedule, self.t, "denoising='none' divides by alpha")
            return z / self.score.schedule.alpha(self.t).astype(z.dtype), jnp.asarray(0)
        return self.move(z, self.t, 0.0, share)

    def ends(
        self, image_a: Numbers, image_b: Numbers, *, key: Key[Array, ""] | None = None
    ) -> PathEnds:
        clean = jnp.stack([self.encode(image_a), self.encode(image_b)])
        points, losses, evaluations = [], [], 0
        for x, share in zip(clean, (0.0, 1.0), strict=True):
            point, there = self._noised(x, share, key)
            points.append(point)
            if self.noising == "inversion":
                back, and_back = self.denoised(point, share)
                losses.append(jnp.linalg.norm((back - x).ravel()) / jnp.linalg.norm(x.ravel()))
                evaluations += int(there) + int(and_back)
        loss = jnp.stack(losses) if losses else None
        return PathEnds(jnp.stack(points), clean, loss, evaluations)

    def move(
        self, x: Float[Array, "*shape"], t_from: Any, t_to: Any, share: Any = 0.0
    ) -> tuple[Float[Array, "*shape"], Integer[Array, ""]]:
        """Move a point between noise levels by the method of `denoising`; count score evaluations.

        The condition is that of its place `share` on the path.
        """
        args = self._condition(share)
        if self.denoising != "probability_flow":
            steps = self.num_steps
            return ddim(self.score, x, t_from, t_to, args, num_steps=steps), jnp.asarray(steps)
        options = {"rtol": self.rtol, "atol": self.rtol, "throw": self.throw}
        return counted_probability_flow(self.score, x, t_from, t_to, args, **options)

    def _noised(self, point, share, key) -> tuple[Array, Array]:
        schedule, none = self.score.schedule, jnp.asarray(0)
        if self.noising != "inversion":
            reason = f"noising={self.noising!r} takes all images to one point"
            check_signal(schedule, self.t, reason)
        if self.noising == "none":
            return schedule.alpha(self.t).astype(point.dtype) * point, none
        if self.noising == "inversion":
            return self.move(point, 0.0, self.t, share)
        if key is None:
            raise ValueError("noising='shared' draws a noise: pass key=jax.random.key(seed).")
        noise = jax.random.normal(key, point.shape, dtype=point.dtype)
        return schedule.add_noise(point, noise, self.t), none

    def _condition(self, share):
        first, second = self.conditions
        if first is second:
            return first
        share = jnp.asarray(share)

        def mix(a, b):
            return (1 - share).astype(a.dtype) * a + share.astype(a.dtype) * b

        return jax.tree.map(mix, first, second)
