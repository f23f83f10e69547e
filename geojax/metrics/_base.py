"""Riemannian metrics: a positive-definite linear operator at every point.

A metric is used through matrix-free products (`flat`, `sharp`, `inner`). No array of size D^2 is
made except by `AbstractMetric.as_matrix`. Points and vectors have one shape, which may be any;
batches are for `jax.vmap`. `args` is passed to the score unchanged (a label, a prompt).
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from .._arrays import ConvertsArrays, takes_arrays
from .._functions import explained_derivatives
from .._linalg import dot, safe_sqrt
from .._numbers import number, refused
from ._operator import LowRankOperator
from ._sampled import SampledPath

Mapping = Callable[..., Any]


def at_once(function: Callable[..., Any], *arrays: Array) -> Any:
    """Map `function` over the leading axes of the arrays."""
    return jax.vmap(function)(*arrays)


class AbstractMetric(ConvertsArrays, eqx.Module):
    """The interface of a Riemannian metric g(x) on R^D.

    A subclass defines `operator`. Everything else has a default for any metric, which subclasses
    with more structure replace by closed forms. Metrics add and scale: `metric_a + 0.1 * metric_b`.
    """

    @abc.abstractmethod
    @takes_arrays("x")
    def operator(self, x: Float[Array, "*shape"], args: Any = None) -> lx.AbstractLinearOperator:
        """g(x) as a positive-definite lineax operator on arrays of the shape of `x`."""

    @takes_arrays("x", "v")
    @explained_derivatives()
    def flat(self, x, v, args: Any = None) -> Float[Array, "*shape"]:
        """The covector g(x) v."""
        return self.operator(x, args).mv(v)

    @takes_arrays("x", "w")
    @explained_derivatives()
    def sharp(self, x, w, args: Any = None) -> Float[Array, "*shape"]:
        """The vector g(x)^-1 w.

        It is in closed form where the operator is a [`geojax.metrics.LowRankOperator`][] or
        diagonal, else by conjugate gradients. Where these end with a residual above the square root
        of the rounding error, the result is NaN, which a solver reports; nothing is raised.
        """
        return solve(self.operator(x, args), w)

    @takes_arrays("x", "u", "v")
    def inner(self, x, u, v, args: Any = None) -> Float[Array, ""]:
        """`<u, v>_g` at `x`."""
        return dot(u, self.flat(x, v, args))

    @takes_arrays("x", "v")
    def norm(self, x, v, args: Any = None) -> Float[Array, ""]:
        """The length of `v` at `x`; its derivative at v = 0 is 0."""
        return safe_sqrt(self.inner(x, v, v, args))

    @takes_arrays("x")
    def log_det(self, x, args: Any = None) -> Float[Array, ""]:
        """log det g(x).

        It is in closed form where the operator is a [`geojax.metrics.LowRankOperator`][] or
        diagonal. Otherwise the D x D matrix is made.
        """
        operator = self.operator(x, args)
        if isinstance(operator, LowRankOperator):
            return operator.log_det()
        if lx.is_diagonal(operator):
            return jnp.sum(jnp.log(lx.diagonal(operator)))
        return jnp.linalg.slogdet(self.as_matrix(x, args))[1]

    @takes_arrays("x")
    def as_matrix(self, x, args: Any = None) -> Float[Array, "d d"]:
        """g(x) as a D x D matrix of the flattened point. For small D only."""
        basis = jnp.eye(x.size, dtype=x.dtype)
        return jax.vmap(lambda e: self.flat(x, e.reshape(x.shape), args).reshape(-1))(basis).T

    @takes_arrays("x", "v")
    @explained_derivatives()
    def acceleration(self, x, v, args: Any = None) -> Float[Array, "*shape"]:
        """The acceleration of the geodesic through `x` with velocity `v`.

        By the Euler-Lagrange equation of `L = <v, v>_g / 2`: `g a = grad_x L - (D_v g) v`. No
        Christoffel symbols are formed. For a score it is formula [(9)][eq-equation] of the theory
        page.
        """
        _, change = jax.jvp(lambda y: self.flat(y, v, args), (x,), (v,))
        pull = jax.grad(lambda y: self.inner(y, v, v, args))(x)
        return self.sharp(x, pull / 2 - change, args)

    @takes_arrays("x", "v", "w")
    @explained_derivatives()
    def christoffel_first(self, x, v, w, args: Any = None) -> Float[Array, "*shape"]:
        """The covector `g Gamma(v, w)`: the Christoffel symbols of the first kind, contracted.

        `2 g Gamma(v, w) = (D_v g) w + (D_w g) v - grad_x <v, w>_g`: two JVPs and one gradient of
        products with g. It is symmetric in `v` and `w`.
        """
        _, by_v = jax.jvp(lambda y: self.flat(y, w, args), (x,), (v,))
        _, by_w = jax.jvp(lambda y: self.flat(y, v, args), (x,), (w,))
        pull = jax.grad(lambda y: self.inner(y, v, w, args))(x)
        return (by_v + by_w - pull) / 2

    @takes_arrays("x", "v", "w")
    def christoffel(self, x, v, w, args: Any = None) -> Float[Array, "*shape"]:
        """The vector `Gamma(v, w)`, with `Gamma(v, v) = -acceleration(x, v)`.

        Along a curve of velocity v a parallel vector w changes by `w' = -Gamma(v, w)`.
        """
        return self.sharp(x, self.christoffel_first(x, v, w, args), args)

    def squared_speeds(
        self, path: SampledPath, args: Any = None, mapping: Mapping = at_once
    ) -> Float[Array, " points"]:
        """`<x', x'>_g` at the points of a path, shape (points,).

        `mapping(function, *arrays)` applies the function over the leading axes of the arrays,
        within the batches and over the devices of a quadrature rule.
        """
        square = lambda x, v: self.inner(x, v, v, args)  # noqa: E731
        return mapping(square, path.points, path.velocities)

    def __add__(self, other: "AbstractMetric") -> "AbstractMetric":
        return self.plus(other) if isinstance(other, AbstractMetric) else NotImplemented

    def __mul__(self, factor) -> "AbstractMetric":
        """`factor * self`. Raise a `ValueError` when `factor` is a number that is not finite and
        positive.
        """
        if isinstance(factor, AbstractMetric):
            return NotImplemented
        if refused(factor, positive=True):
            raise ValueError(
                f"a metric can only be multiplied by a finite number > 0, got {factor}."
            )
        return self.times(number("factor", factor))

    __rmul__ = __mul__

    def plus(self, other: "AbstractMetric") -> "AbstractMetric":
        """`self + other`. A kind of metric that is closed under sums overrides this."""
        return SumMetric((self, other))

    def times(self, factor: Float[Array, ""]) -> "AbstractMetric":
        """`factor * self`, of the kind of `self` where that has multiples."""
        return ScaledMetric(self, factor)


class AbstractSum(AbstractMetric):
    """A sum of metrics."""

    parts: eqx.AbstractVar[tuple[AbstractMetric, ...]]

    def operator(self, x, args: Any = None) -> lx.AbstractLinearOperator:
        operator = self.parts[0].operator(x, args)
        for part in self.parts[1:]:
            operator = operator + part.operator(x, args)
        return positive(operator)

    def squared_speeds(self, path, args: Any = None, mapping: Mapping = at_once):
        return sum(part.squared_speeds(path, args, mapping) for part in self.parts)


class AbstractMultiple(AbstractMetric):
    """A positive multiple of a metric."""

    part: eqx.AbstractVar[AbstractMetric]
    factor: eqx.AbstractVar[Float[Array, ""]]

    def operator(self, x, args: Any = None) -> lx.AbstractLinearOperator:
        operator, factor = self.part.operator(x, args), self.factor.astype(x.dtype)
        if isinstance(operator, LowRankOperator):
            return operator.scaled(factor)
        return positive(operator * factor)

    def sharp(self, x, w, args: Any = None):
        return self.part.sharp(x, w, args) / self.factor.astype(x.dtype)

    def log_det(self, x, args: Any = None):
        return self.part.log_det(x, args) + x.size * jnp.log(self.factor.astype(x.dtype))

    def squared_speeds(self, path, args: Any = None, mapping: Mapping = at_once):
        return self.factor.astype(path.points.dtype) * self.part.squared_speeds(path, args, mapping)


class SumMetric(AbstractSum):
    """A sum of metrics of any kind, made by `a + b`."""

    parts: tuple[AbstractMetric, ...]


class ScaledMetric(AbstractMultiple):
    """A positive multiple of a metric of any kind, made by `factor * metric`."""

    part: AbstractMetric
    factor: Float[Array, ""]


def positive(operator: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
    """`operator` tagged as positive definite for lineax, which a metric always is."""
    if lx.is_symmetric(operator) and lx.is_positive_semidefinite(operator):
        return operator
    tags = frozenset({lx.symmetric_tag, lx.positive_semidefinite_tag})
    return lx.TaggedLinearOperator(operator, tags)


def solve(operator: lx.AbstractLinearOperator, w: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`operator^-1 w` of a positive-definite operator; NaN where conjugate gradients fail."""
    if isinstance(operator, LowRankOperator):
        return operator.inverse_mv(w)
    if lx.is_diagonal(operator):
        return w / lx.diagonal(operator).reshape(w.shape)
    eps = float(jnp.finfo(w.dtype).eps)
    size = jnp.max(jnp.abs(w))
    unit = jnp.where(size > 0, size, 1.0)
    solver = lx.CG(rtol=10 * eps, atol=10 * eps)
    value = unit * lx.linear_solve(positive(operator), w / unit, solver, throw=False).value
    residual = jnp.max(jnp.abs(operator.mv(value) - w))
    return jnp.where(residual <= eps**0.5 * unit, value, jnp.nan)
