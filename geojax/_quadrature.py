"""Gauss-Legendre quadrature on [0, 1]."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@functools.cache
def gauss_legendre(order: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The points and weights of the rule; the weights sum to 1."""
    places, weights = np.polynomial.legendre.leggauss(order)
    return tuple(map(float, (places + 1) / 2)), tuple(map(float, weights / 2))


def gauss_points(order: int, dtype) -> tuple[Float[Array, " order"], Float[Array, " order"]]:
    """The points and weights of the rule as arrays."""
    places, weights = gauss_legendre(order)
    return jnp.asarray(places, dtype), jnp.asarray(weights, dtype)
