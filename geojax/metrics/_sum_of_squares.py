"""Metrics whose path energy is a sum of squares: what Gauss-Newton needs."""

import abc
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from ._base import AbstractMetric, Mapping, at_once


class AbstractSumOfSquaresMetric(AbstractMetric):
    """A metric that prices a short straight segment by squares of differentiable functions.

    With N segments at equal parameter steps the energy of a polyline is
    ``E = N / 2 sum_i |displacement(x_i, x_{i+1})|^2``, a non-linear least-squares problem. Sums
    and multiples of such metrics are such metrics.
    """

    @abc.abstractmethod
    @takes_arrays("start", "end")
    def displacement(
        self, start: Float[Array, "*shape"], end: Float[Array, "*shape"], args: Any = None
    ) -> tuple[Array, ...]:
        """Arrays of any shapes whose squares add up to the squared length of the segment.

        They do so to second order: with ``m`` the middle and ``Delta = end - start`` the sum is
        ``<Delta, Delta>_{g(m)} (1 + O(|Delta|^2))``. Exchanging the ends changes signs only.
        """

    @takes_arrays("xs")
    def displacements(
        self, xs: Float[Array, "nodes *shape"], args: Any = None, mapping: Mapping = at_once
    ) -> tuple[Array, ...]:
        """`displacement` of each of the N segments between N + 1 nodes, along leading axes.

        The same values as one segment at a time; metrics that price a segment by what they find
        at its two ends evaluate that once a node. ``mapping`` is as for `segment_energies`.
        """
        return mapping(lambda a, b: self.displacement(a, b, args), xs[:-1], xs[1:])

    def segment_energies(
        self, xs: Float[Array, "nodes *shape"], args: Any = None, mapping: Mapping = at_once
    ) -> Float[Array, " segments"]:
        """The energy of each segment of a polyline over [0, 1], by `displacement`.

        ``xs`` are N + 1 nodes at equal parameter steps. **Returns:** shape (N,).
        """
        n = len(xs) - 1
        parts = self.displacements(xs, args, mapping)
        rows = jnp.concatenate([part.reshape(n, -1) for part in parts], axis=1)
        return n / 2 * jnp.sum(rows**2, axis=1)
