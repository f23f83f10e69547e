"""The energy, length and log-density of a path in a metric, segment by segment."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import dot
from ..geodesics import AbstractRule, sampled_path
from ..metrics import AbstractLowRankMetric, AbstractMetric, SampledPath


class Price(NamedTuple):
    """The price of a path by segment.

    - `density`: the mean of `1/2 g(x', x')` of the cubic spline, on a fine rule, shape
      `(segments,)`.
    - `rates`: the mean of `s . x'`.
    - `energies`, `lengths`: the shares of the energy and the length, by the rule of the solve.
    - `steps`: the duration of each segment.
    """

    density: Float[np.ndarray, " segments"]
    rates: Float[np.ndarray, " segments"]
    energies: Float[np.ndarray, " segments"]
    lengths: Float[np.ndarray, " segments"]
    steps: Float[np.ndarray, " segments"]

    def figures(self, num_segments: int) -> tuple[Float[np.ndarray, " nodes"], dict[str, float]]:
        """The log-density at the nodes less that at A, and the first segments' figures."""
        first = slice(num_segments)
        energy = float(self.energies[first].sum())
        fine = float(np.dot(self.density[first], self.steps[first]))
        log_density = np.concatenate([[0.0], np.cumsum(self.rates * self.steps)])
        figures = {
            "energy": energy,
            "energy_fine": fine,
            "discretisation_error": abs(fine - energy) / energy if energy else 0.0,
            "length": float(self.lengths[first].sum()),
            "log_density_change": float(log_density[num_segments]),
        }
        return log_density, figures


def price_path(
    metric: AbstractMetric, score, rule: AbstractRule, nodes, times, num_segments: int, args
) -> Price:
    """The price of the path through `nodes`, shape `(nodes, *shape)`, at `times`.

    The first `num_segments` segments are one curve and the others a second one, as a geodesic and
    its continuation are.
    """
    parts = _price(metric, score, rule, nodes, times, num_segments, args)
    density, rates, energies, lengths = map(np.asarray, parts)
    return Price(density, rates, energies, lengths, np.diff(times))


def pricing_cost(metric: AbstractMetric, rule: AbstractRule, num_segments: int) -> int:
    """Score evaluations of `price_path`."""
    low_rank = isinstance(metric, AbstractLowRankMetric)
    rank = len(metric.terms().scores) if low_rank else 1
    return num_segments * len(rule.fine.places) * (rank + 1) + rank * rule.rates_cost(num_segments)


@eqx.filter_jit
def _price(
    metric: AbstractMetric, score, rule: AbstractRule, nodes, times, num_segments: int, args
) -> tuple[Array, Array, Array, Array]:
    times = jnp.asarray(times, nodes.dtype)
    steps = jnp.diff(times)
    coarse, weights = _in_two(rule, times, nodes, num_segments)
    fine, shares = _in_two(rule, times, nodes, num_segments, fine=True)

    def at_point(x, v):
        return metric.inner(x, v, v, args) / 2, dot(score(x, args), v)

    def total(values, weights):
        return jnp.sum((weights * values).reshape(len(steps), -1), axis=1)

    parts = rule.map(at_point, fine.points, fine.velocities)
    density, rates = (total(part, shares) / steps for part in parts)
    squares = rule.squared_speeds(metric, coarse, args)
    speeds = jnp.sqrt(jnp.maximum(squares, 0.0))
    return density, rates, total(squares, weights) / 2, total(speeds, weights)


def _in_two(
    rule: AbstractRule, times, nodes, num_segments: int, fine: bool = False
) -> tuple[SampledPath, Float[Array, " points"]]:
    """The curves before and after the node `num_segments`, as one sampled path, and its weights."""
    left = len(times) - 1 - num_segments
    parts, shares = [], []
    halves = slice(num_segments + 1), slice(num_segments, None)
    padding = (0, left), (num_segments, 0)
    for where, around in zip(halves, padding, strict=True):
        if len(times[where]) > 1:
            path, weights = sampled_path(rule, times[where], nodes[where], fine)
            wide = jnp.pad(path.derivative, ((0, 0), around))
            parts.append(path._replace(derivative=wide))
            shares.append(weights)
    points, velocities, _, derivative = (jnp.concatenate(each) for each in zip(*parts, strict=True))
    return SampledPath(points, velocities, nodes, derivative), jnp.concatenate(shares)
