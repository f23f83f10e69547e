"""An interpolator of images, made from one of points at a noise level."""

import dataclasses

import jax

from ..scores import NoiseRoute
from ._base import AbstractInterpolator


class Routed(AbstractInterpolator):
    """An interpolator of images, made from an interpolator of points at a noise level.

    Both images go to the level of `route`, `inner` finds the path there, and its points come back.
    The key draws the noise and is passed on. The score evaluations of `run` are those to find the
    path; the way there and back costs the same for all methods on a route.

    **Arguments:**

    - `route`: the score, its level and the way there and back.
    - `inner`: the interpolator at that level.

    >>> import jax, jax.numpy as jnp, geojax
    >>> from geojax.interpolation import Routed
    >>> score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=1.0)
    >>> lerp = Routed(geojax.NoiseRoute(score, t=0.2), geojax.Lerp())
    >>> ts = jnp.linspace(0, 1, 3)
    >>> lerp(jnp.zeros(2), jnp.ones(2), ts, key=jax.random.key(0)).shape
    (3, 2)
    """

    route: NoiseRoute
    inner: AbstractInterpolator

    def run(self, x0, x1, ts, *, key=None):
        noise_key, inner_key = (None, None) if key is None else jax.random.split(key)
        z0, z1 = (self.route.to_level(x, key=noise_key) for x in (x0, x1))
        path = self.inner.run(z0, z1, ts, key=inner_key)
        return dataclasses.replace(path, points=jax.vmap(self.route.to_image)(path.points))
