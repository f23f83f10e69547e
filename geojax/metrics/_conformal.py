"""Metrics of the form `c(x) I`: angles are Euclidean, lengths are scaled.

With `p = grad log c` the geodesic equation is `a = |v|^2 p / 2 - (p . v) v`. The factor itself is
not needed, so a density metric can be integrated where p^(-2 beta) would overflow.
"""

import abc
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._linalg import dot
from ._operator import LowRankOperator
from ._sum_of_squares import AbstractSumOfSquaresMetric


class AbstractConformalMetric(AbstractSumOfSquaresMetric):
    """The interface of conformal metrics: a positive function of the point times the identity.

    A subclass defines `log_factor`; every product is in closed form.
    """

    @abc.abstractmethod
    @takes_arrays("x")
    def log_factor(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, ""]:
        """log c at `x`."""

    @takes_arrays("x")
    def log_factor_gradient(self, x, args: Any = None) -> Float[Array, "*shape"]:
        """The gradient of log c at `x`."""
        return jax.grad(self.log_factor)(x, args)

    def operator(self, x, args: Any = None) -> LowRankOperator:
        none = jnp.zeros(0, x.dtype), jnp.zeros((0, *x.shape), x.dtype)
        return LowRankOperator(jnp.exp(self.log_factor(x, args)), *none)

    def log_det(self, x, args: Any = None):
        return x.size * self.log_factor(x, args)

    def christoffel(self, x, v, w, args: Any = None):
        p = self.log_factor_gradient(x, args)
        return (dot(p, v) * w + dot(p, w) * v - dot(v, w) * p) / 2

    def christoffel_first(self, x, v, w, args: Any = None):
        return self.flat(x, self.christoffel(x, v, w, args), args)

    def acceleration(self, x, v, args: Any = None):
        """`|v|^2 p / 2 - (p . v) v` with `p = grad log c`: c itself is not evaluated."""
        return -self.christoffel(x, v, v, args)

    def root(self, x, v, args: Any = None):
        """`sqrt(c) v`."""
        return (jnp.exp(self.log_factor(x, args) / 2) * v,)
