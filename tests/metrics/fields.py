"""Scores and matrices to make metrics of, for points of any shape and dtype."""

import jax
import jax.numpy as jnp


def gradient(x, args=None):
    """The gradient of a log-density that is not quadratic, with a full Jacobian."""
    del args
    return -x - jnp.sum(x) ** 3 / 10 - jnp.sin(2 * x)


def whirl(x, args=None):
    """A field that is no gradient: its Jacobian is not symmetric."""
    return gradient(x, args) + jnp.roll(x, 1) * x / 2


def matrix(x, args=None):
    """A positive-definite D x D matrix that changes with the point."""
    del args
    flat = x.reshape(-1)
    rows = jnp.cos(flat[:, None] + 2 * flat[None, :]) / 2
    return jnp.eye(x.size, dtype=x.dtype) * (1 + flat[0] ** 2) + rows @ rows.T / x.size


def points(shape, dtype, count=3):
    """A point and two vectors, the same ones in every dtype."""
    keys = jax.random.split(jax.random.key(7), count)
    return tuple(jax.random.normal(key, shape).astype(dtype) / 2 for key in keys)
