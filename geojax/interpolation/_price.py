"""What a path costs in a metric, segment by segment."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import dot
from ..geodesics import AbstractRule, SplineGauss, sampled_path
from ..metrics import AbstractLowRankMetric, AbstractMetric

_ORDER = 3  # Gauss-Legendre points a segment


class Price(NamedTuple):
    """A path's price by segment.

    - ``density``: the mean of ``1/2 g(x', x')`` of the cubic spline, finely, shape (segments,).
    - ``rates``: the mean of ``s . x'``; ``energies``: the share of the energy by the rule of the
      solve; ``steps``: how long each lasts.
    """

    density: Float[np.ndarray, " segments"]
    rates: Float[np.ndarray, " segments"]
    energies: Float[np.ndarray, " segments"]
    steps: Float[np.ndarray, " segments"]

    def figures(self, num_segments: int) -> tuple[Float[np.ndarray, " nodes"], dict[str, float]]:
        """The log-density at the nodes less that at A, and the figures of the first segments."""
        first = slice(num_segments)
        steps, energies = self.steps[first], self.energies[first]
        energy, fine = float(energies.sum()), float(np.dot(self.density[first], steps))
        log_density = np.concatenate([[0.0], np.cumsum(self.rates * self.steps)])
        figures = {
            "energy": energy,
            "energy_fine": fine,
            "discretisation_error": abs(fine - energy) / energy if energy else 0.0,
            "length": float(np.sqrt(2 * energies * steps).sum()),
            "log_density_change": float(log_density[num_segments]),
        }
        return log_density, figures


def price_path(metric: AbstractMetric, score, rule: AbstractRule, nodes, times, args) -> Price:
    """The price of the path through ``nodes``, shape (nodes, *shape), at ``times``."""
    parts = _price(metric, score, rule, nodes, times, args)
    density, rates, energies = map(np.asarray, parts)
    return Price(density, rates, energies, np.diff(times))


def pricing_cost(metric: AbstractMetric, rule: AbstractRule, num_segments: int) -> int:
    """Score evaluations of `price_path`."""
    low_rank = isinstance(metric, AbstractLowRankMetric)
    rank = len(metric.terms().scores) if low_rank else 1
    return num_segments * _ORDER * (rank + 1) + rank * rule.rates_cost(num_segments)


@eqx.filter_jit
def _price(
    metric: AbstractMetric, score, rule: AbstractRule, nodes, times, args
) -> tuple[Array, Array, Array]:
    times = jnp.asarray(times, nodes.dtype)
    steps = jnp.diff(times)
    coarse, weights = sampled_path(rule, times, nodes)
    fine, shares = sampled_path(SplineGauss(order=_ORDER), times, nodes)

    def at_point(x, v):
        return metric.inner(x, v, v, args) / 2, dot(score(x, args), v)

    def mean(values, weights):
        return jnp.sum((weights * values).reshape(len(steps), -1), axis=1) / steps

    density, rates = (mean(a, shares) for a in rule.map(at_point, fine.points, fine.velocities))
    energies = mean(rule.squared_speeds(metric, coarse, args), weights) * steps / 2
    return density, rates, energies
