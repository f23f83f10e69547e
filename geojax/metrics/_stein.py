"""The Stein score metric `g(x) = I + lam s(x) s(x)^T`."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from .._functions import as_pytree
from .._numbers import scalar
from ._checks import check_score
from ._low_rank import AbstractLowRankMetric, LowRankTerms


class SteinScoreMetric(AbstractLowRankMetric):
    """The metric `g(x) = I + lam s(x) s(x)^T` of a score s.

    It is the usual choice: it penalises the change of log-density along a path, at one score per
    product. For a score that is a gradient, `s = grad f`, it is the metric of the graph
    `x -> (x, sqrt(lam) f(x))`, hence `d(a, b)^2 >= |a - b|^2 + lam (f(a) - f(b))^2`.

    **Arguments:**

    - `score`: any callable `(x, args) -> s` of the shape of `x`; a noised score at one level is
      `score.at(t)`.
    - `lam`: a scalar >= 0, in units of squared length when the score is the true one.
    - `conservative`: whether s is exactly a gradient. If so the geodesic equation costs one JVP
      instead of a JVP and a VJP. A network's score is not: leave it False.

    **Raises:**

    - `ValueError`: when `lam` is negative, not finite or not a scalar, or `score` is not callable.

    Source: Azeglio & Di Bernardo, arXiv 2505.11128; the graph is the Monge metric of Hartmann,
    Girolami & Klami 2022. Metric and bound are the formulas [(1)][eq-metric] and [(3)][eq-bound] of
    the theory page.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=2.0)
    >>> x, v = jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0])
    >>> print(metric.flat(x, v), metric.sharp(x, metric.flat(x, v)))
    [3. 1.] [1. 1.]
    """

    score: Callable[..., Any]
    lam: Float[Array, ""]
    conservative: bool = eqx.field(static=True)

    def __init__(self, score: Any, lam: Any = 1.0, *, conservative: bool = False):
        check_score(score)
        self.score = as_pytree(score)
        self.lam = scalar("lam", lam)
        self.conservative = conservative

    def terms(self) -> LowRankTerms:
        return LowRankTerms(1.0, (self.lam,), (self.score,), (self.conservative,))
