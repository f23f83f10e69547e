"""Linear interpolation."""

import jax

from ._base import AbstractInterpolator, closed_form_path


class Lerp(AbstractInterpolator):
    """Linear interpolation `(1 - t) x0 + t x1`, and its continuation for t > 1.

    >>> import jax.numpy as jnp, geojax
    >>> ts = jnp.array([0.0, 0.5, 2.0])
    >>> print(geojax.Lerp()(jnp.array([0.0]), jnp.array([2.0]), ts)[:, 0])
    [0. 1. 4.]
    """

    def run(self, x0, x1, ts, *, key=None):
        return closed_form_path(jax.vmap(lambda t: (1 - t) * x0 + t * x1)(ts))
