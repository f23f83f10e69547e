"""The smoothed Stein score metric, of rank K."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._arrays import as_floating
from .._functions import as_pytree
from .._numbers import scalar
from ._checks import check_score
from ._low_rank import AbstractLowRankMetric, LowRankTerms
from ._shifted import shifted


class SmoothedSteinScoreMetric(AbstractLowRankMetric):
    """The metric `g(x) = I + lam / K sum_k s(x + delta eps_k) s(x + delta eps_k)^T`.

    The eps_k are K fixed probes. Besides `s s^T`, the mean over many probes has the term
    `delta^2 J J^T`, so directions in which the score changes are penalised too. The rank is K: in
    codimension above one, K probes penalise at most K of the directions that
    [`geojax.SteinScoreMetric`][] leaves free. The structured Gauss-Newton solver applies unchanged.
    `flat` costs K scores, in one batch; where a rule limits its batches, each of their points
    counts for K.

    **Arguments:**

    - `score`: any callable `(x, args) -> s` of the shape of `x`; a noised score at one level is
      `score.at(t)`.
    - `probes`: shape `(K, *shape)`, standard normal; `SmoothedSteinScoreMetric.draw` draws them.
    - `delta`: a scalar >= 0, a length.
    - `lam`: a scalar >= 0, in units of squared length when the score is the true one.
    - `conservative`: whether s is exactly a gradient.

    **Raises:**

    - `ValueError`: when `lam` or `delta` is out of range or not a scalar, there is no probe, the
      probes have another shape than x, or `score` is not callable.

    >>> import jax, jax.numpy as jnp, geojax
    >>> metric = geojax.SmoothedSteinScoreMetric.draw(
    ...     lambda x, args: -x, (2,), 16, delta=0.1, lam=2.0, key=jax.random.key(0)
    ... )
    >>> v = jnp.array([0.0, 1.0])  # free of charge for the Stein metric at (1, 0)
    >>> bool(1 < metric.norm(jnp.array([1.0, 0.0]), v) < 1.1)
    True
    """

    score: Callable[..., Any]
    probes: Float[Array, "probes *shape"]
    delta: Float[Array, ""]
    lam: Float[Array, ""]
    conservative: bool = eqx.field(static=True)

    def __init__(
        self, score: Any, probes: Any, delta: Any, lam: Any = 1.0, *, conservative: bool = False
    ):
        check_score(score)
        probes = as_floating("probes", probes, "K *shape", dtype=jnp.result_type(float))
        self.score = as_pytree(score)
        self.probes = probes
        self.delta = scalar("delta", delta)
        self.lam = scalar("lam", lam)
        self.conservative = conservative

    @classmethod
    def draw(
        cls,
        score: Any,
        shape: tuple[int, ...],
        num_probes: int,
        delta: Any,
        lam: Any = 1.0,
        *,
        key: Key[Array, ""],
        conservative: bool = False,
    ) -> "SmoothedSteinScoreMetric":
        """The metric with `num_probes` standard normal probes for points of `shape`."""
        probes = jax.random.normal(key, (num_probes, *shape), jnp.result_type(float))
        return cls(score, probes, delta, lam, conservative=conservative)

    def terms(self) -> LowRankTerms:
        count = len(self.probes)
        scores = tuple(shifted(self.score, self.delta * probe) for probe in self.probes)
        weights, flags = (self.lam / count,) * count, (self.conservative,) * count
        return LowRankTerms(1.0, weights, scores, flags)
