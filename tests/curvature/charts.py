"""Spaces of constant curvature in one chart, and what is known of them."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

import geojax


class Stereographic(eqx.Module):
    """The matrix `4 / (1 + K |x|^2)^2 I`: a sphere, a plane or a hyperbolic space by K's sign.

    K is an array, so that one compiled function serves all.
    """

    curvature: Array

    def __call__(self, x, args=None):
        factor = 2 / (1 + self.curvature * jnp.sum(x**2))
        return factor**2 * jnp.eye(x.size, dtype=x.dtype)


def constant(curvature):
    return geojax.DenseMetric(Stereographic(jnp.asarray(float(curvature))))


def relative(got, expected):
    """The largest deviation relative to the largest entry."""
    return float(jnp.max(jnp.abs(got - expected)) / jnp.max(jnp.abs(expected)))
