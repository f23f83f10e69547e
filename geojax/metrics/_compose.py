"""Sums and positive multiples of metrics. What is low-rank, or a sum of squares, stays so."""

from typing import Any

import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from .._numbers import number, refused
from ._base import AbstractMetric, Mapping, at_once, positive
from ._low_rank import AbstractLowRankMetric, LowRankTerms
from ._operator import LowRankOperator
from ._sum_of_squares import AbstractSumOfSquaresMetric


class LowRankSum(AbstractLowRankMetric):
    """A sum of low-rank metrics: bases add up, scores are collected."""

    parts: tuple[AbstractLowRankMetric, ...]

    def terms(self) -> LowRankTerms:
        terms = [part.terms() for part in self.parts]
        return LowRankTerms(
            sum(t.base for t in terms),
            sum((t.weights for t in terms), ()),
            sum((t.scores for t in terms), ()),
            sum((t.conservative for t in terms), ()),
        )


class LowRankScaled(AbstractLowRankMetric):
    """A positive multiple of a low-rank metric."""

    part: AbstractLowRankMetric
    factor: Float[Array, ""]

    def terms(self) -> LowRankTerms:
        base, weights, scores, conservative = self.part.terms()
        weights = tuple(self.factor * w for w in weights)
        return LowRankTerms(self.factor * base, weights, scores, conservative)


class SumOfSquaresSum(AbstractSumOfSquaresMetric):
    """A sum of sums of squares: their roots are collected."""

    parts: tuple[AbstractSumOfSquaresMetric, ...]

    def operator(self, x, args: Any = None) -> lx.AbstractLinearOperator:
        return _sum(self.parts, x, args)

    def root(self, x, v, args: Any = None):
        return sum((part.root(x, v, args) for part in self.parts), ())

    def roots(self, path, args: Any = None, mapping: Mapping = at_once):
        return sum((part.roots(path, args, mapping) for part in self.parts), ())

    def squared_speeds(self, path, args: Any = None, mapping: Mapping = at_once):
        return sum(part.squared_speeds(path, args, mapping) for part in self.parts)


class SumOfSquaresScaled(AbstractSumOfSquaresMetric):
    """A positive multiple of a sum of squares."""

    part: AbstractSumOfSquaresMetric
    factor: Float[Array, ""]

    def operator(self, x, args: Any = None) -> lx.AbstractLinearOperator:
        return _multiple(self.part, self.factor, x, args)

    def sharp(self, x, w, args: Any = None):
        return self.part.sharp(x, w, args) / self.factor.astype(x.dtype)

    def log_det(self, x, args: Any = None):
        return self.part.log_det(x, args) + x.size * jnp.log(self.factor.astype(x.dtype))

    def root(self, x, v, args: Any = None):
        root = jnp.sqrt(self.factor).astype(x.dtype)
        return tuple(root * each for each in self.part.root(x, v, args))

    def roots(self, path, args: Any = None, mapping: Mapping = at_once):
        root = jnp.sqrt(self.factor).astype(path.points.dtype)
        return tuple(root * each for each in self.part.roots(path, args, mapping))

    def squared_speeds(self, path, args: Any = None, mapping: Mapping = at_once):
        return self.factor.astype(path.points.dtype) * self.part.squared_speeds(path, args, mapping)


class SumMetric(AbstractMetric):
    """A sum of metrics of any kind."""

    parts: tuple[AbstractMetric, ...]

    def operator(self, x, args: Any = None) -> lx.AbstractLinearOperator:
        return _sum(self.parts, x, args)

    def squared_speeds(self, path, args: Any = None, mapping: Mapping = at_once):
        return sum(part.squared_speeds(path, args, mapping) for part in self.parts)


class ScaledMetric(AbstractMetric):
    """A positive multiple of a metric of any kind."""

    part: AbstractMetric
    factor: Float[Array, ""]

    def operator(self, x, args: Any = None) -> lx.AbstractLinearOperator:
        return _multiple(self.part, self.factor, x, args)

    def sharp(self, x, w, args: Any = None):
        return self.part.sharp(x, w, args) / self.factor.astype(x.dtype)

    def log_det(self, x, args: Any = None):
        return self.part.log_det(x, args) + x.size * jnp.log(self.factor.astype(x.dtype))

    def squared_speeds(self, path, args: Any = None, mapping: Mapping = at_once):
        return self.factor.astype(path.points.dtype) * self.part.squared_speeds(path, args, mapping)


def _sum(parts: tuple[AbstractMetric, ...], x, args) -> lx.AbstractLinearOperator:
    operator = parts[0].operator(x, args)
    for part in parts[1:]:
        operator = operator + part.operator(x, args)
    return positive(operator)


def _multiple(part: AbstractMetric, factor, x, args) -> lx.AbstractLinearOperator:
    operator, factor = part.operator(x, args), factor.astype(x.dtype)
    if isinstance(operator, LowRankOperator):
        return operator.scaled(factor)
    return positive(operator * factor)


def add(left: AbstractMetric, right: AbstractMetric) -> AbstractMetric:
    """``left + right``."""
    if isinstance(left, AbstractLowRankMetric) and isinstance(right, AbstractLowRankMetric):
        return LowRankSum((left, right))
    squares = AbstractSumOfSquaresMetric
    if isinstance(left, squares) and isinstance(right, squares):
        return SumOfSquaresSum((left, right))
    return SumMetric((left, right))


def scale(metric: AbstractMetric, factor) -> AbstractMetric:
    """``factor * metric``.

    **Raises:** `ValueError` when ``factor`` is a number that is not finite and positive.
    """
    if refused(factor, positive=True):
        raise ValueError(f"a metric can be multiplied by a finite number > 0 only, got {factor}.")
    factor = number("factor", factor)
    if isinstance(metric, AbstractLowRankMetric):
        return LowRankScaled(metric, factor)
    if isinstance(metric, AbstractSumOfSquaresMetric):
        return SumOfSquaresScaled(metric, factor)
    return ScaledMetric(metric, factor)
