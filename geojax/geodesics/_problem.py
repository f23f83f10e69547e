"""The two-point problem that solvers solve, and what they hand back."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..metrics import AbstractLowRankMetric, AbstractMetric
from ._results import RESULTS
from ._rules import AbstractRule


class TwoPointProblem(NamedTuple):
    """Minimise the energy of a polyline between its fixed ends.

    ``ts`` are the parameters of the nodes, rising from 0 to 1; None: equal steps. The energy of
    segment i is ``<Delta_i, Delta_i>_g / (2 tau_i)`` with ``tau_i = ts[i + 1] - ts[i]``.
    """

    metric: AbstractMetric
    rule: AbstractRule
    args: Any
    ts: Float[Array, " nodes"] | None = None

    def mesh(self, xs: Float[Array, "nodes *shape"]) -> Float[Array, " nodes"]:
        """The parameters of the nodes of ``xs``."""
        return jnp.linspace(0, 1, len(xs), dtype=xs.dtype) if self.ts is None else self.ts

    def taus(self, xs: Float[Array, "nodes *shape"]) -> Float[Array, " segments"]:
        """The parameter steps of the segments of ``xs``."""
        n = len(xs) - 1
        return jnp.full(n, 1 / n, xs.dtype) if self.ts is None else jnp.diff(self.ts)

    def resampled(self, num_segments: int) -> "TwoPointProblem":
        """The problem with another number of segments; a mesh keeps its shape."""
        if self.ts is None or len(self.ts) == num_segments + 1:
            return self
        old = jnp.linspace(0, 1, len(self.ts), dtype=self.ts.dtype)
        new = jnp.linspace(0, 1, num_segments + 1, dtype=self.ts.dtype)
        return self._replace(ts=jnp.interp(new, old, self.ts))

    def energy(self, xs: Float[Array, "nodes *shape"]) -> Float[Array, ""]:
        """The discrete energy, an approximation of ``1/2 integral g(x', x')`` over [0, 1]."""
        return jnp.sum(self.segment_energies(xs))

    def segment_energies(self, xs: Float[Array, "nodes *shape"]) -> Float[Array, " segments"]:
        """The energy of each segment, by the rule."""
        energies = self.rule.segment_energies(self.metric, xs, self.args)
        return energies if self.ts is None else energies / ((len(xs) - 1) * self.taus(xs))

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

    def curvature_cost(self, num_segments: int) -> tuple[int, int]:
        """Score evaluations and derivative products of one product with the exact Hessian."""
        evaluations, products = self.rule.curvature_cost(num_segments)
        return self.rank * evaluations, self.rank * products

    def energy_cost(self, num_segments: int) -> int:
        """Score evaluations of one `energy`."""
        return self.rank * self.rule.increments_cost(num_segments)

    def gradient_cost(self, num_segments: int) -> tuple[int, int]:
        """Score evaluations and derivative products of one `energy` differentiated in reverse."""
        evaluations, products = self.rule.gradient_cost(num_segments)
        return self.rank * evaluations, self.rank * products


class SolverOutput(eqx.Module):
    """The path a solver found and what it took.

    ``limits``: what ``decrement`` and, where it is not the ``max_steps`` given, ``num_steps`` were
    held to. ``counts_are_lower_bounds``: not everything that was evaluated is counted.
    """

    xs: Float[Array, "nodes *shape"]
    energy: Float[Array, ""]
    decrement: Float[Array, ""]
    result: RESULTS
    num_steps: Int[Array, ""]
    score_evaluations: Int[Array, ""]
    score_products: Int[Array, ""]
    limits: dict[str, Any] = eqx.field(default_factory=dict)
    counts_are_lower_bounds: bool = eqx.field(static=True, default=False)
