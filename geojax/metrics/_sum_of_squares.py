"""Metrics with a differentiable square root, as Gauss-Newton needs."""

import abc
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from ._base import AbstractMetric, AbstractMultiple, AbstractSum, Mapping, at_once
from ._sampled import SampledPath


class AbstractSumOfSquaresMetric(AbstractMetric):
    """The interface of metrics whose `<v, v>_g` is a sum of squares, linear in v.

    A subclass defines `root`. The energy of a path, `1/2 integral |root(x, x')|^2 dt`, is then a
    non-linear least-squares problem. Sums and multiples of such metrics are such metrics.
    """

    @abc.abstractmethod
    @takes_arrays("x", "v")
    def root(
        self, x: Float[Array, "*shape"], v: Float[Array, "*shape"], args: Any = None
    ) -> tuple[Array, ...]:
        """`g(x)^(1/2) v`: arrays of any shapes, linear in v, whose squares sum to `<v, v>_g`."""

    def roots(
        self, path: SampledPath, args: Any = None, mapping: Mapping = at_once
    ) -> tuple[Array, ...]:
        """`root` of the velocity at each point of a path, along leading axes.

        Metrics that are pulled back differentiate the path's image instead, to the order of the
        path. `mapping` is as for `squared_speeds`.
        """
        return mapping(lambda x, v: self.root(x, v, args), path.points, path.velocities)

    def squared_speeds(
        self, path: SampledPath, args: Any = None, mapping: Mapping = at_once
    ) -> Float[Array, " points"]:
        """`<x', x'>_g` at the points of a path by `roots`, shape (points,)."""
        size = len(path.points)
        parts = self.roots(path, args, mapping)
        rows = jnp.concatenate([part.reshape(size, -1) for part in parts], axis=1)
        return jnp.sum(rows**2, axis=1)

    def plus(self, other: AbstractMetric) -> AbstractMetric:
        if isinstance(other, AbstractSumOfSquaresMetric):
            return SumOfSquaresSum((self, other))
        return super().plus(other)

    def times(self, factor: Float[Array, ""]) -> AbstractMetric:
        return SumOfSquaresScaled(self, factor)


class SumOfSquaresSum(AbstractSum, AbstractSumOfSquaresMetric):
    """A sum of sum-of-squares metrics, made by `a + b`: their roots are collected."""

    parts: tuple[AbstractSumOfSquaresMetric, ...]

    def root(self, x, v, args: Any = None):
        return sum((part.root(x, v, args) for part in self.parts), ())

    def roots(self, path, args: Any = None, mapping: Mapping = at_once):
        return sum((part.roots(path, args, mapping) for part in self.parts), ())


class SumOfSquaresScaled(AbstractMultiple, AbstractSumOfSquaresMetric):
    """A positive multiple of a sum-of-squares metric, made by `factor * metric`."""

    part: AbstractSumOfSquaresMetric
    factor: Float[Array, ""]

    def root(self, x, v, args: Any = None):
        root = jnp.sqrt(self.factor).astype(x.dtype)
        return tuple(root * each for each in self.part.root(x, v, args))

    def roots(self, path, args: Any = None, mapping: Mapping = at_once):
        root = jnp.sqrt(self.factor).astype(path.points.dtype)
        return tuple(root * each for each in self.part.roots(path, args, mapping))
