"""Scores and matrices to make metrics of, for points of any shape and dtype."""

import jax
import jax.numpy as jnp
import lineax as lx

import geojax
from geojax._linalg import matmul


def potential(x, args=None):
    """The log-density that `gradient` is the gradient of."""
    del args
    return -jnp.sum(x**2) / 2 - jnp.sum(x) ** 4 / 40 + jnp.sum(jnp.cos(2 * x)) / 2


def gradient(x, args=None):
    """The gradient of a log-density that is not quadratic, with a full Jacobian."""
    del args
    return -x - jnp.sum(x) ** 3 / 10 - jnp.sin(2 * x)


def whirl(x, args=None):
    """A field that is no gradient: its Jacobian is not symmetric."""
    return gradient(x, args) + jnp.roll(x, 1) * x / 2


def swirl(x, args=None):
    """No gradient either; its Jacobian stays small in many dimensions."""
    del args
    return -x - jnp.sin(2 * x) / 2 + jnp.roll(x, 1) * x / 2


def decoder(x, args=None):
    """A map to twice as many dimensions."""
    return jnp.stack([jnp.sin(x), swirl(x, args)])


def banded(x, args=None):
    """A lineax operator that couples neighbours, not tagged as positive definite."""
    del args

    def product(v):
        flat = v.reshape(-1)
        near = (jnp.roll(flat, 1) + jnp.roll(flat, -1)).reshape(v.shape)
        return (2 + x**2) * v + near / 2

    return lx.FunctionLinearOperator(product, jax.ShapeDtypeStruct(x.shape, x.dtype))


def matrix(x, args=None):
    """A positive-definite D x D matrix that changes with the point."""
    del args
    flat = x.reshape(-1)
    rows = jnp.cos(flat[:, None] + 2 * flat[None, :]) / 2
    return jnp.eye(x.size, dtype=x.dtype) * (1 + flat[0] ** 2) + matmul(rows, rows.T) / x.size


def sampled(xs, rule=None):
    """The path through nodes at equal steps of a unit each, seen from the middle of each; or by
    another rule.
    """
    ts = jnp.arange(len(xs), dtype=xs.dtype)
    path, _ = geojax.geodesics.sampled_path(rule or geojax.Midpoint(), ts, xs)
    return path


def points(shape, dtype, count=3):
    """A point and two vectors, the same ones in every dtype."""
    keys = jax.random.split(jax.random.key(7), count)
    return tuple(jax.random.normal(key, shape).astype(dtype) / 2 for key in keys)
