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
        return jnp.sum(self.segment_energies(xs))

    def segment_energies(self, xs: Float[Array, "nodes *shape"]) -> Float[Array, " segments"]:
        """The energy of each segment, by the rule."""
        return self.rule.segment_energies(self.metric, xs, self.args)

    @property
    def rank(self) -> int:
        """How many scores the metric is made of.

        A metric that is not made of scores counts as one: what is counted are its evaluations.
        """
        metric = self.metric
        return len(metric.terms().scores) if isinstance(metric, AbstractLowRankMetric) else 1

    def cost(self, num_segments: int) -> tuple[int, int]:
        """Score evaluations and derivative products of one linearisation by the rule."""
        evaluations, products = self.rule.cost(num_segments)
        return self.rank * evaluations, self.rank * products

    def energy_cost(self, num_segments: int) -> int:
        """Score evaluations of one `energy`."""
        return self.rank * self.rule.increments_cost(num_segments)

    def gradient_cost(self, num_segments: int) -> tuple[int, int]:
        """Score evaluations and derivative products of one `energy` differentiated in reverse."""
        evaluations, products = self.rule.gradient_cost(num_segments)
        return self.rank * evaluations, self.rank * products


class SolverOutput(eqx.Module):
    """The path a solver found and what it took."""

    xs: Float[Array, "nodes *shape"]
    energy: Float[Array, ""]
    decrement: Float[Array, ""]
    result: RESULTS
    num_steps: Int[Array, ""]
    score_evaluations: Int[Array, ""]
    score_products: Int[Array, ""]
