"""Nodes of a polyline, equally spaced in arc length."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import norm
from ..geodesics import Polyline


def equal_steps(xs: Float[Array, "nodes *shape"]) -> Float[Array, "nodes *shape"]:
    """The same polyline with nodes equally spaced in arc length; both ends stay exact."""
    steps = jax.vmap(norm)(xs[1:] - xs[:-1])
    walked = jnp.concatenate([jnp.zeros(1, xs.dtype), jnp.cumsum(steps)])
    shares = jnp.linspace(0, 1, len(xs), dtype=xs.dtype)
    # If all nodes coincide, every spacing is equal.
    length = walked[-1]
    path = Polyline(jnp.where(length > 0, walked, shares), xs)
    wanted = shares[1:-1] * jnp.where(length > 0, length, 1)
    return jnp.concatenate([xs[:1], jax.vmap(path.evaluate)(wanted), xs[-1:]])
