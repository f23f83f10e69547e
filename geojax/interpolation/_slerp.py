"""Spherical linear interpolation."""

import jax
import jax.numpy as jnp

from ._base import AbstractInterpolator, found


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

    def run(self, x0, x1, ts, *, key=None):
        ts = ts.astype(x0.dtype)
        norms = [jnp.linalg.norm(x.reshape(-1)) for x in (x0, x1)]
        u0, u1 = (x / jnp.where(n > 0, n, 1.0) for x, n in zip((x0, x1), norms, strict=True))
        # Not by the arccosine, which loses half of the digits where the points align.
        apart, together = (jnp.linalg.norm(u.reshape(-1)) for u in (u0 - u1, u0 + u1))
        angle = 2 * jnp.arctan2(apart, together)
        tiny = jnp.finfo(x0.dtype).eps ** 0.5
        parallel = (angle < tiny) | (norms[0] == 0) | (norms[1] == 0)
        safe = jnp.where(parallel, 1.0, angle)
        sine = jnp.where(jnp.pi - angle < tiny, jnp.nan, jnp.sin(safe))

        def at(t):
            a = jnp.where(parallel, 1 - t, jnp.sin((1 - t) * safe) / sine)
            b = jnp.where(parallel, t, jnp.sin(t * safe) / sine)
            return a * x0 + b * x1

        return found(jax.vmap(at)(ts))
