"""The Euclidean metric."""

from ._low_rank import AbstractLowRankMetric, LowRankTerms


class Euclidean(AbstractLowRankMetric):
    """The Euclidean metric `g(x) = I`: geodesics are straight lines.

    Use it as a baseline, or in sums with other metrics.

    >>> import jax.numpy as jnp, geojax
    >>> float(geojax.Euclidean().norm(jnp.zeros(2), jnp.array([3.0, 4.0])))
    5.0
    """

    def terms(self) -> LowRankTerms:
        return LowRankTerms(1.0, (), (), ())
