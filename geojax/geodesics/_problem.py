"""The two-point problem that solvers solve, and what they hand back."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..metrics import AbstractLowRankMetric, AbstractMetric
from ._results import RESULTS
from ._rules import AbstractRule


class TwoPointProblem(NamedTuple):
    """Minimise the energy of a polyline between its fixed ends."""

    metric: AbstractMetric
    rule: AbstractRule
    args: Any

    def energy(self, xs: Float[Array, "nodes *shape"]) -> Float[Array, ""]:
        """The discrete energy, an approximation of ``1/2 integral g(x', x')`` over [0, 1]."""
        return jnp.sum(self.rule.segment_energies(self.metric, xs, self.args))

    def cost(self, num_segments: int) -> tuple[int, int]:
        """Score evaluations and derivative products of one energy with its gradient.

        For a metric that is not made of scores, metric evaluations.
        """
        evaluations, products = self.rule.cost(num_segments)
        rank = 1
        if isinstance(self.metric, AbstractLowRankMetric):
            rank = len(self.metric.terms().scores)
        return rank * evaluations, rank * products


class SolverOutput(eqx.Module):
    """The path a solver found and what it took."""

    xs: Float[Array, "nodes *shape"]
    energy: Float[Array, ""]
    decrement: Float[Array, ""]
    result: RESULTS
    num_steps: Int[Array, ""]
    score_evaluations: Int[Array, ""]
    score_products: Int[Array, ""]
