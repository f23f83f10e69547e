"""The two-point problem, and the output of a solver."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._linalg import tensordot
from ..metrics import AbstractLowRankMetric, AbstractMetric, SampledPath
from ._basis import Basis, basis
from ._results import RESULTS
from ._rules import AbstractRule


class TwoPointProblem(NamedTuple):
    """Minimise the energy of a path between fixed ends: the input of a solver.

    A solver moves the `offsets` of the path's nodes from the straight line between the ends. They
    have shape `(num_segments + 1, *shape)` and are zero at both ends.

    **Arguments:**

    - `metric`, `args`: the metric, and what its score is conditioned on.
    - `rule`: the curve through the nodes and the quadrature of its energy.
    - `x0`, `x1`: the ends, of one shape.
    - `ts`: parameters of the nodes, rising from 0 to 1; None: equal steps.
    """

    metric: AbstractMetric
    rule: AbstractRule
    args: Any
    x0: Float[Array, "*shape"]
    x1: Float[Array, "*shape"]
    ts: Float[Array, " nodes"] | None = None

    @property
    def chord(self) -> Float[Array, "*shape"]:
        """`x1 - x0`."""
        return self.x1 - self.x0

    def mesh(self, num_segments: int) -> Float[Array, " nodes"]:
        """The parameters of the nodes."""
        even = jnp.linspace(0, 1, num_segments + 1, dtype=self.x0.dtype)
        return even if self.ts is None else self.ts

    def basis(self, offsets: Float[Array, "nodes *shape"]) -> Basis:
        """The matrices of the path through nodes with these offsets."""
        return basis(self.rule.scheme, len(offsets) - 1, offsets.dtype, self.ts)

    def line(self, times: Float[Array, " times"]) -> Float[Array, "times *shape"]:
        """Points of the straight line between the ends, exact at both ends."""

        def at(t):
            from_start, from_end = self.x0 + t * self.chord, self.x1 - (1 - t) * self.chord
            return jnp.where(t < 0.5, from_start, from_end)

        return jax.vmap(at)(times)

    def nodes(self, offsets: Float[Array, "nodes *shape"]) -> Float[Array, "nodes *shape"]:
        """The nodes themselves."""
        return self.line(self.mesh(len(offsets) - 1)) + offsets

    def offsets(self, nodes: Float[Array, "nodes *shape"]) -> Float[Array, "nodes *shape"]:
        """The offsets of the nodes of a path, zero at both ends."""
        moved = nodes - self.line(self.mesh(len(nodes) - 1))
        return moved.at[0].set(0.0).at[-1].set(0.0)

    def path(self, offsets: Float[Array, "nodes *shape"]) -> SampledPath:
        """The path at the points of the rule."""
        return self.sampled(self.basis(offsets), offsets)

    def sampled(self, basis: Basis, offsets: Float[Array, "nodes *shape"]) -> SampledPath:
        """The path at the points of a basis."""
        points = self.line(basis.times) + tensordot(basis.points, offsets, axes=1)
        velocities = self.chord[None] + tensordot(basis.derivative, offsets, axes=1)
        return SampledPath(points, velocities, self.nodes(offsets), basis.derivative)

    def resampled(self, num_segments: int) -> "TwoPointProblem":
        """The problem with another number of segments; the mesh keeps its shape."""
        if self.ts is None or len(self.ts) == num_segments + 1:
            return self
        old = jnp.linspace(0, 1, len(self.ts), dtype=self.ts.dtype)
        new = jnp.linspace(0, 1, num_segments + 1, dtype=self.ts.dtype)
        return self._replace(ts=jnp.interp(new, old, self.ts))

    def squared_speeds(self, offsets: Float[Array, "nodes *shape"]) -> Float[Array, " points"]:
        """`<x', x'>_g` at the points of the rule."""
        return self.rule.squared_speeds(self.metric, self.path(offsets), self.args)

    def energy(self, offsets: Float[Array, "nodes *shape"]) -> Float[Array, ""]:
        """The discrete energy, an approximation of `1/2 integral g(x', x')` over [0, 1]."""
        weights = self.basis(offsets).weights
        return jnp.sum(weights * self.squared_speeds(offsets)) / 2

    @property
    def rank(self) -> int:
        """The number of scores in the metric.

        For a metric without scores it is one: the counts are then evaluations of the metric.
        """
        metric = self.metric
        return len(metric.terms().scores) if isinstance(metric, AbstractLowRankMetric) else 1

    def cost(self, num_segments: int) -> tuple[int, int]:
        """Score evaluations and derivative products of one linearisation by the rule."""
        evaluations, products = self.rule.cost(num_segments)
        return self.rank * evaluations, self.rank * products

    def curvature_cost(self, num_segments: int, runs: Any, count: Any) -> tuple[Any, Any]:
        """Score evaluations and derivative products of `count` products with the exact Hessian.

        `runs` is the number of paths at which they are taken.
        """
        evaluations, products = self.rule.curvature_cost(num_segments, runs, count)
        return self.rank * evaluations, self.rank * products

    def energy_cost(self, num_segments: int) -> int:
        """Score evaluations of one `energy`."""
        return self.rank * self.rule.rates_cost(num_segments)

    def gradient_cost(self, num_segments: int) -> tuple[int, int]:
        """Score evaluations and derivative products of one `energy` differentiated in reverse."""
        evaluations, products = self.rule.gradient_cost(num_segments)
        return self.rank * evaluations, self.rank * products


class PathFigures(NamedTuple):
    """Known values at the final path of a solver.

    - `squared_speeds`: `<x', x'>_g` at the points of the rule.
    - `rates`: for a low-rank metric, `s . x'` of each score there.
    - `momenta`: `g x'` at both ends.
    """

    squared_speeds: Float[Array, " points"]
    rates: Float[Array, "scores points"] | None = None
    momenta: Float[Array, "2 *shape"] | None = None


class SolverOutput(eqx.Module):
    """The path that a solver found, and its figures.

    **Arguments:**

    - `offsets`: as in [`geojax.geodesics.TwoPointProblem`][]. For a solver that ends near x1, not
      at it, the last one is the miss.
    - `energy`, `decrement`, `result`: scalars; the verdict is a member of [`geojax.RESULTS`][].
    - `num_steps`, `score_evaluations`, `score_products`: counts.
    - `limits`: the bounds for `decrement` and, where it is not `max_steps`, for `num_steps`.
    - `rounding_error`: the relative rounding error of the energy; None: a few units in its last
      place.
    - `missed_saddle`: a bound on the probability that the path is nevertheless a saddle; None: the
      solver has not looked for negative curvature.
    - `figures`: values that need not be evaluated again.
    - `counts_are_lower_bounds`: whether some evaluations are not counted.
    """

    offsets: Float[Array, "nodes *shape"]
    energy: Float[Array, ""]
    decrement: Float[Array, ""]
    result: RESULTS
    num_steps: Int[Array, ""]
    score_evaluations: Int[Array, ""]
    score_products: Int[Array, ""]
    limits: dict[str, Any] = eqx.field(default_factory=dict)
    rounding_error: Float[Array, ""] | None = None
    missed_saddle: Float[Array, ""] | None = None
    figures: PathFigures | None = None
    counts_are_lower_bounds: bool = eqx.field(static=True, default=False)
