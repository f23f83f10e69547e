"""Metrics of the form ``base I + sum_k lam_k s_k s_k^T``: the structure that the solvers exploit.

The penalty is on the change of log-density along the path: ``<s, gamma'> = d/dtau log p(gamma)``
when s is a gradient. In codimension above one the directions normal to the data but orthogonal to
every s_k stay free.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._operator import LowRankOperator
from ._sum_of_squares import AbstractSumOfSquaresMetric


class LowRankTerms(NamedTuple):
    """``g = base I + sum_k weights[k] scores[k] scores[k]^T``, each score ``(x, args) -> s``."""

    base: Float[Array, ""] | float
    weights: tuple[Float[Array, ""], ...]
    scores: tuple[Callable[..., Any], ...]
    conservative: tuple[bool, ...]


class AbstractLowRankMetric(AbstractSumOfSquaresMetric):
    """A multiple of the identity plus weighted outer products of scores."""

    @abc.abstractmethod
    def terms(self) -> LowRankTerms:
        """The base, the weights and the scores."""

    def operator(self, x, args: Any = None) -> LowRankOperator:
        base, weights, scores, _ = self.terms()
        pairs = zip(weights, scores, strict=True)
        factors = [jnp.sqrt(weight).astype(x.dtype) * score(x, args) for weight, score in pairs]
        stacked = jnp.stack(factors) if factors else jnp.zeros((0, *x.shape), x.dtype)
        return LowRankOperator(jnp.asarray(base, x.dtype), stacked)

    def sharp(self, x, w, args: Any = None):
        return self.operator(x, args).inverse_mv(w)

    def log_det(self, x, args: Any = None):
        return self.operator(x, args).log_det()

    def displacement(self, start, end, args: Any = None):
        """``sqrt(base) Delta`` and, for each score at the middle, ``sqrt(lam) s . Delta``."""
        base, weights, scores, _ = self.terms()
        middle, delta = (start + end) / 2, end - start
        changes = (
            jnp.sqrt(weight).astype(delta.dtype) * jnp.vdot(score(middle, args), delta)
            for weight, score in zip(weights, scores, strict=True)
        )
        return jnp.sqrt(jnp.asarray(base, delta.dtype)) * delta, *changes

    def acceleration(self, x, v, args: Any = None):
        """One JVP a score where it is conservative, one JVP and one VJP where it may not be.

        ``g a = - sum_k lam_k [(s.v)(J - J^T) v + s (v^T J v)]``; for a conservative score the
        first term is zero.
        """
        base, weights, scores, conservative = self.terms()
        force, factors = jnp.zeros_like(x), []
        for weight, score, is_gradient in zip(weights, scores, conservative, strict=True):
            weight = weight.astype(x.dtype)
            s, jv = jax.jvp(lambda y, score=score: score(y, args), (x,), (v,))
            force = force - weight * jnp.vdot(v, jv) * s
            if not is_gradient:
                _, pull = jax.vjp(lambda y, score=score: score(y, args), x)
                force = force - weight * jnp.vdot(s, v) * (jv - pull(v)[0])
            factors.append(jnp.sqrt(weight) * s)
        stacked = jnp.stack(factors) if factors else jnp.zeros((0, *x.shape), x.dtype)
        return LowRankOperator(jnp.asarray(base, x.dtype), stacked).inverse_mv(force)

    def christoffel_first(self, x, v, w, args: Any = None):
        """Two JVPs a score where it is conservative, one VJP more where it may not be.

        ``2 g Gamma(v, w) = sum_k lam_k [s (v^T J w + w^T J v) + (J - J^T) u]`` with
        ``u = (s.v) w + (s.w) v``; for a conservative score the last term is zero.
        """
        _, weights, scores, conservative = self.terms()
        first = jnp.zeros_like(x)
        for weight, score, is_gradient in zip(weights, scores, conservative, strict=True):
            at = lambda y, score=score: score(y, args)  # noqa: E731
            s, jv = jax.jvp(at, (x,), (v,))
            _, jw = jax.jvp(at, (x,), (w,))
            term = (jnp.vdot(v, jw) + jnp.vdot(w, jv)) * s
            if not is_gradient:
                sv, sw = jnp.vdot(s, v), jnp.vdot(s, w)
                _, pull = jax.vjp(at, x)
                term = term + sv * jw + sw * jv - pull(sv * w + sw * v)[0]
            first = first + weight.astype(x.dtype) / 2 * term
        return first
