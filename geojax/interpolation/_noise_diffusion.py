"""NoiseDiffusion: images and their noises interpolated separately (Zheng et al., ICLR 2024)."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._numbers import number
from ..scores import NoiseRoute
from ._base import AbstractInterpolator, closed_form_path, only_between


class NoiseDiffusion(AbstractInterpolator):
    """Interpolation of images and of their noises with separate weights, then denoising.

    In units where alpha is 1 the path is `x = a z_0 + b z_1 + (mu - a) x_0 + (nu - b) x_1`. With
    `z_i = x_i + n_i` that is `mu x_0 + nu x_1 + a n_0 + b n_1`: the noises on a quarter circle,
    `a = cos(pi t / 2)`, `b = sin(pi t / 2)`, and the images with the linear weights
    `mu = gain a / (a + b)`, `nu = gain b / (a + b)`. The points are then denoised as the route
    does. The path is defined between its ends only.

    **Arguments:**

    - `route`: with noising "shared" each image gets a noise of its own, because one noise for both
      would not keep its norm on a circle. With "inversion" each noise comes from the probability
      flow.
    - `boundary`: noises are clipped to plus or minus this many standard deviations.
    - `gain`: 1.2 as published, which sharpens and does *not* return the given images at the ends.

    Source: Zheng et al., "NoiseDiffusion: correcting noise for image interpolation with diffusion
    models beyond spherical linear interpolation", ICLR 2024.

    >>> import jax, jax.numpy as jnp, geojax
    >>> from geojax.interpolation import NoiseDiffusion
    >>> score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=1.0)
    >>> path = NoiseDiffusion(geojax.NoiseRoute(score, t=0.2))
    >>> ts = jnp.linspace(0, 1, 3)
    >>> path(jnp.zeros(2), jnp.ones(2), ts, key=jax.random.key(0)).shape
    (3, 2)
    """

    route: NoiseRoute
    boundary: Float[Array, ""] = eqx.field(
        default=2.0,  # pyright: ignore[reportAssignmentType]
        converter=functools.partial(number, "boundary"),
    )
    gain: Float[Array, ""] = eqx.field(
        default=1.2,  # pyright: ignore[reportAssignmentType]
        converter=functools.partial(number, "gain"),
    )

    def run(self, x0, x1, ts, *, key=None):
        schedule, t = self.route.score.schedule, self.route.t
        alpha, sigma = schedule.alpha(t).astype(x0.dtype), schedule.sigma(t).astype(x0.dtype)
        keys = (None, None) if key is None else jax.random.split(key)
        z0, z1 = (self.route.to_level(x, key=k) for x, k in zip((x0, x1), keys, strict=True))
        images = jnp.stack([x0, x1])
        noises = (jnp.stack([z0, z1]) - alpha * images) / sigma
        return closed_form_path(jax.vmap(self.route.to_image)(self.at_level(images, noises, ts)))

    @takes_arrays("images", "noises", times="ts")
    def at_level(
        self,
        images: Float[Array, "2 *shape"],
        noises: Float[Array, "2 *shape"],
        ts: Float[Array, " times"],
    ) -> Float[Array, "times *shape"]:
        """The points at the noise level of the route.

        **Arguments:**

        - `images`: the two images, shape `(2, *shape)`.
        - `noises`: their noises, of unit standard deviation, shape `(2, *shape)`.
        - `ts`: times in [0, 1], shape `(times,)`.
        """
        x0, x1 = images
        ts = only_between(ts, "NoiseDiffusion")
        schedule, t = self.route.score.schedule, self.route.t
        alpha, sigma = schedule.alpha(t).astype(x0.dtype), schedule.sigma(t).astype(x0.dtype)
        boundary, gain = self.boundary.astype(x0.dtype), self.gain.astype(x0.dtype)
        n0, n1 = (jnp.clip(n, -boundary, boundary) for n in noises)

        def at(t):
            a, b = jnp.cos(jnp.pi * t / 2), jnp.sin(jnp.pi * t / 2)
            mu, nu = gain * a / (a + b), gain * b / (a + b)
            return alpha * (mu * x0 + nu * x1) + sigma * (a * n0 + b * n1)

        return jax.vmap(at)(ts)
