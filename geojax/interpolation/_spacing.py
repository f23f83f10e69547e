"""Nodes of a polyline at equal steps of its length."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import norm
from ..geodesics import Polyline


def equal_steps(xs: Float[Array, "nodes *shape"]) -> Float[Array, "nodes *shape"]:
    """The same polyline by nodes at equal steps of its length; both ends exactly."""
    steps = jax.vmap(norm)(xs[1:] - xs[:-1])
    walked = jnp.concatenate([jnp.zeros(1, xs.dtype), jnp.cumsum(steps)])
    shares = jnp.linspace(0, 1, len(xs), dtype=xs.dtype)
    # Where all nodes are one point any spacing of them is equal.
    length = walked[-1]
    path = Polyline(jnp.where(length > 0, walked, shares), xs)
    wanted = shares[1:-1] * jnp.where(length > 0, length, 1)
    return jnp.concatenate([xs[:1], jax.vmap(path.evaluate)(wanted), xs[-1:]])
