"""What a path costs in a metric, segment by segment."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import dot, matmul
from ..geodesics import AbstractRule, TwoPointProblem
from ..metrics import AbstractMetric

_ORDER = 3  # Gauss-Legendre points a segment


class Price(NamedTuple):
    """A path's price by segment.

    - ``density``: the mean of ``1/2 g(x', x')``, finely, shape (segments,).
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
    problem = TwoPointProblem(metric, rule, None)
    fine = num_segments * _ORDER * (problem.rank + 1)
    return fine + problem.energy_cost(num_segments)


@eqx.filter_jit
def _price(
    metric: AbstractMetric, score, rule: AbstractRule, nodes, times, args
) -> tuple[Array, Array, Array]:
    places, weights = np.polynomial.legendre.leggauss(_ORDER)
    steps = jnp.diff(jnp.asarray(times, nodes.dtype))
    taus = jnp.repeat(steps, _ORDER)
    starts, deltas = (jnp.repeat(a, _ORDER, axis=0) for a in (nodes[:-1], jnp.diff(nodes, axis=0)))
    shares = jnp.tile(jnp.asarray((places + 1) / 2, nodes.dtype), len(steps))

    def fine(start, delta, tau, share):
        x, v = start + share * delta, delta / tau
        return metric.inner(x, v, v, args) / 2, dot(score(x, args), v)

    mapped = rule.map(fine, starts, deltas, taus, shares)
    energies = rule.segment_energies(metric, nodes, args) / (len(steps) * steps)
    share = jnp.asarray(weights / 2, nodes.dtype)
    density, rates = (matmul(a.reshape(-1, _ORDER), share) for a in mapped)
    return density, rates, energies
