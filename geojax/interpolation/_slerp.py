"""Spherical linear interpolation."""

import jax
import jax.numpy as jnp

from ._base import AbstractInterpolator


class Slerp(AbstractInterpolator):
    """``sin((1 - t) w) / sin(w) x0 + sin(t w) / sin(w) x1``, w the angle between the points
    (Shoemake 1985), and its continuation for t > 1.

    The usual path between Gaussian noises, as it keeps their norm. For nearly parallel points it
    becomes `Lerp`; between opposite points it is undefined and gives NaN.

    >>> import jax.numpy as jnp, geojax
    >>> middle = geojax.Slerp()(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), jnp.array([0.5]))
    >>> print(jnp.round(jnp.linalg.norm(middle), 6))
    1.0
    """

    def __call__(self, x0, x1, ts, *, key=None):
        ts = ts.astype(x0.dtype)
        norms = jnp.linalg.norm(x0.reshape(-1)) * jnp.linalg.norm(x1.reshape(-1))
        cosine = jnp.clip(jnp.vdot(x0, x1) / jnp.where(norms > 0, norms, 1.0), -1.0, 1.0)
        angle = jnp.arccos(cosine)
        tiny = jnp.finfo(x0.dtype).eps ** 0.5
        parallel = (angle < tiny) | (norms == 0)
        safe = jnp.where(parallel, 1.0, angle)
        sine = jnp.where(jnp.pi - angle < tiny, jnp.nan, jnp.sin(safe))

        def at(t):
            a = jnp.where(parallel, 1 - t, jnp.sin((1 - t) * safe) / sine)
            b = jnp.where(parallel, t, jnp.sin(t * safe) / sine)
            return a * x0 + b * x1

        return jax.vmap(at)(ts)
