"""Metrics of the form `base I + sum_k lam_k s_k s_k^T`, a structure that the solvers use.

The penalty is on the change of log-density along the path: `<s, gamma'> = d/dtau log p(gamma)` when
s is a gradient. In codimension above one, the directions normal to the data but orthogonal to every
s_k stay free.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._functions import checked, explained_derivatives
from .._linalg import dot
from ._base import AbstractMetric
from ._operator import LowRankOperator
from ._shifted import is_same_score, shifted
from ._sum_of_squares import AbstractSumOfSquaresMetric


class LowRankTerms(NamedTuple):
    """The terms of `g = base I + sum_k weights[k] scores[k] scores[k]^T`.

    **Arguments:**

    - `base`, `weights`: scalars.
    - `scores`: callables `(x, args) -> s`. `each` checks their values and casts them to the dtype
      of `x`.
    - `conservative`: for each score, whether it is exactly a gradient.
    """

    base: Float[Array, ""] | float
    weights: tuple[Float[Array, ""], ...]
    scores: tuple[Callable[..., Any], ...]
    conservative: tuple[bool, ...]

    def each(self, function: Callable[[Array, Callable[..., Any], bool], Any]) -> Any:
        """Apply `function(weight, score, conservative)` to every score, stacked on a leading axis.

        Neighbours that are one score at several shifts are mapped together, so that the program
        contains a network once. Returns a pytree as `function` does, in which every array has a
        leading axis of length K; None where there is no score.
        """
        runs: list[list[tuple[Array, Any, bool]]] = []
        for term in zip(self.weights, self.scores, self.conservative, strict=True):
            if runs and is_same_score(runs[-1][0][1], term[1]) and runs[-1][0][2] == term[2]:
                runs[-1].append(term)
            else:
                runs.append([term])
        if not runs:
            return None
        parts = [_of_run(function, run) for run in runs]
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)


def _of_run(function, run):
    """`LowRankTerms.each` for the shifts of one score."""
    weight, score, conservative = run[0]
    if len(run) == 1:
        parts = function(weight, checked(score), conservative)
        return jax.tree.map(lambda a: a[None], parts)
    weights = jnp.stack([weight for weight, _, _ in run])
    shifts = jnp.stack([score.shift for _, score, _ in run])

    def one(weight, shift):
        return function(weight, checked(shifted(score.score, shift)), conservative)

    return jax.vmap(one)(weights, shifts)


class AbstractLowRankMetric(AbstractSumOfSquaresMetric):
    """The interface of metrics `base I + sum lam s s^T`, with weighted outer products of scores.

    A subclass defines `terms`.
    """

    @abc.abstractmethod
    def terms(self) -> LowRankTerms:
        """The base, the weights and the scores."""

    def operator(self, x, args: Any = None) -> LowRankOperator:
        terms = self.terms()

        def factor(weight, score, _):
            return weight.astype(x.dtype), score(x, args)

        return _operator(terms.base, terms.each(factor), x)

    def root(self, x, v, args: Any = None):
        """`sqrt(base) v` and, for each score, `sqrt(lam) s . v`.

        These have no derivative by a weight of 0, but their squares, `squared_speeds`, have.
        """
        terms = self.terms()

        def change(weight, score, _):
            return jnp.sqrt(weight).astype(v.dtype) * dot(score(x, args), v)

        changes = terms.each(change)
        straight = jnp.sqrt(jnp.asarray(terms.base, v.dtype)) * v
        return (straight,) if changes is None else (straight, changes)

    # The weights stand outside the squares: a square root has no derivative at weight 0.
    squared_speeds = AbstractMetric.squared_speeds

    @explained_derivatives()
    def acceleration(self, x, v, args: Any = None):
        """One JVP per score where it is conservative, one JVP and one VJP where it may not be.

        `g a = - sum_k lam_k [(s.v)(J - J^T) v + s (v^T J v)]`; for a conservative score the first
        term is zero.
        """
        terms = self.terms()

        def of_score(weight, score, is_gradient):
            weight, at = weight.astype(x.dtype), lambda y: score(y, args)
            s, jv = jax.jvp(at, (x,), (v,))
            force = dot(v, jv) * s
            if not is_gradient:
                _, pull = jax.vjp(at, x)
                force = force + dot(s, v) * (jv - pull(v)[0])
            return -weight * force, (weight, s)

        parts = terms.each(of_score)
        if parts is None:
            return jnp.zeros_like(x)
        forces, factors = parts
        return _operator(terms.base, factors, x).inverse_mv(jnp.sum(forces, axis=0))

    @explained_derivatives()
    def christoffel_first(self, x, v, w, args: Any = None):
        """Two JVPs per score where it is conservative, one more VJP where it may not be.

        `2 g Gamma(v, w) = sum_k lam_k [s (v^T J w + w^T J v) + (J - J^T) u]` with
        `u = (s.v) w + (s.w) v`; for a conservative score the last term is zero.
        """

        def of_score(weight, score, is_gradient):
            at = lambda y: score(y, args)  # noqa: E731
            s, product = jax.linearize(at, x)
            jv, jw = jax.vmap(product)(jnp.stack([v, w]))
            term = (dot(v, jw) + dot(w, jv)) * s
            if not is_gradient:
                sv, sw = dot(s, v), dot(s, w)
                _, pull = jax.vjp(at, x)
                term = term + sv * jw + sw * jv - pull(sv * w + sw * v)[0]
            return weight.astype(x.dtype) / 2 * term

        parts = self.terms().each(of_score)
        return jnp.zeros_like(x) if parts is None else jnp.sum(parts, axis=0)

    def plus(self, other: AbstractMetric) -> AbstractMetric:
        if isinstance(other, AbstractLowRankMetric):
            return LowRankSum((self, other))
        return super().plus(other)

    def times(self, factor: Float[Array, ""]) -> AbstractMetric:
        return LowRankScaled(self, factor)


class LowRankSum(AbstractLowRankMetric):
    """A sum of low-rank metrics, made by `a + b`: bases add up, scores are collected."""

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
    """A positive multiple of a low-rank metric, made by `factor * metric`."""

    part: AbstractLowRankMetric
    factor: Float[Array, ""]

    def terms(self) -> LowRankTerms:
        base, weights, scores, conservative = self.part.terms()
        weights = tuple(self.factor * w for w in weights)
        return LowRankTerms(self.factor * base, weights, scores, conservative)


def _operator(base, terms, x) -> LowRankOperator:
    none = jnp.zeros(0, x.dtype), jnp.zeros((0, *x.shape), x.dtype)
    return LowRankOperator(jnp.asarray(base, x.dtype), *(none if terms is None else terms))
