"""Quadrature rules: how a segment of a polyline is priced.

For a metric ``base I + sum_k lam_k s_k s_k^T`` the energy of a polyline with N segments is
``E = N/2 sum_i (base |Delta_i|^2 + sum_k lam_k h_ik^2)``; a rule says what h_i is (the change of
log-density over segment i) and what its derivatives are:

| rule | h_i | cost a segment |
|---|---|---|
| `Midpoint` | s(m_i) . Delta_i | 1 score, 1 VJP |
| `LogDensityChord` | f(x_{i+1}) - f(x_i) | 1 score and 1 log-density |
| `Quadrature` | Gauss-Legendre integral of s along the segment | order + 1 scores |

The rule that takes the metric at the left end is not offered: a minimiser exploits it by long jumps
from points where s = 0.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from .._linalg import dot, einsum
from ..metrics import AbstractLowRankMetric, AbstractMetric
from ._devices import map_points


class Linearisation(NamedTuple):
    """h_i and its derivatives, ``sums + differences`` at x_{i+1}, ``sums - differences`` at x_i."""

    increments: Float[Array, " segments"]
    differences: Float[Array, "segments *shape"]
    sums: Float[Array, "segments *shape"]


class AbstractRule(eqx.Module):
    """How to price a segment.

    ``batch_size`` bounds the points that are evaluated at once (on a device); ``devices``, made by
    `device_mesh`, are what the points are shared out over.
    """

    batch_size: eqx.AbstractVar[int | None]
    devices: eqx.AbstractVar[Mesh | None]

    def map(self, function: Callable[..., Any], *arrays: Array) -> Any:
        """``function`` over the leading axes, as ``batch_size`` and ``devices`` have it."""
        return map_points(function, *arrays, batch_size=self.batch_size, devices=self.devices)

    @abc.abstractmethod
    def increments(
        self, score, xs: Float[Array, "nodes *shape"], args: Any
    ) -> Float[Array, " segments"]:
        """h, shape (N,)."""

    @abc.abstractmethod
    def linearise(self, score, xs: Float[Array, "nodes *shape"], args: Any) -> Linearisation:
        """h and its derivatives with respect to the nodes."""

    @abc.abstractmethod
    def cost(self, num_segments: int) -> tuple[int, int]:
        """The score evaluations and derivative products (JVP or VJP) of one `linearise`."""

    @abc.abstractmethod
    def increments_cost(self, num_segments: int) -> int:
        """The score evaluations of one `increments`."""

    def gradient_cost(self, num_segments: int) -> tuple[int, int]:
        """The cost of one `increments` differentiated in reverse, as for `cost`."""
        evaluations = self.increments_cost(num_segments)
        return evaluations, evaluations

    def curvature_cost(self, num_segments: int) -> tuple[int, int]:
        """The cost of one `linearise` differentiated forward, as for `cost`."""
        evaluations, products = self.cost(num_segments)
        return evaluations, evaluations + products

    def segment_energies(self, metric: AbstractMetric, xs, args: Any):
        """The energy of each segment over [0, 1], shape (N,)."""
        if not isinstance(metric, AbstractLowRankMetric):
            raise ValueError(
                f"rule={type(self).__name__}() needs a metric of the form base I + sum lam s s^T, "
                f"got {type(metric).__name__}. Use rule=Midpoint()."
            )
        n = len(xs) - 1
        terms = metric.terms()
        deltas = (xs[1:] - xs[:-1]).reshape(n, -1)
        total = jnp.asarray(terms.base, xs.dtype) * jnp.sum(deltas**2, axis=1)

        def square(weight, score, _):
            return weight.astype(xs.dtype) * self.increments(score, xs, args) ** 2

        squares = terms.each(square)
        return n / 2 * (total if squares is None else total + jnp.sum(squares, axis=0))


class Midpoint(AbstractRule):
    """``h_i = s(m_i) . Delta_i`` with m_i the middle of the segment. The default; any metric.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(geojax.Shell(radius=2.0, width=0.25), lam=1.0)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> print(f"{geojax.geodesic(metric, a, b, rule=geojax.Midpoint()).length:.2f}")
    3.02
    """

    batch_size: int | None = eqx.field(static=True, default=None)
    devices: Mesh | None = eqx.field(static=True, default=None)

    def increments(self, score, xs, args):
        deltas, middles = xs[1:] - xs[:-1], (xs[1:] + xs[:-1]) / 2
        one = lambda m, d: dot(score(m, args), d)  # noqa: E731
        return self.map(one, middles, deltas)

    def linearise(self, score, xs, args):
        def one(m, d):
            s, pull = jax.vjp(lambda y: score(y, args), m)
            return dot(s, d), s, pull(d)[0] / 2

        deltas, middles = xs[1:] - xs[:-1], (xs[1:] + xs[:-1]) / 2
        return Linearisation(*self.map(one, middles, deltas))

    def cost(self, num_segments):
        return num_segments, num_segments

    def increments_cost(self, num_segments):
        return num_segments

    def segment_energies(self, metric, xs, args):
        if isinstance(metric, AbstractLowRankMetric):
            return super().segment_energies(metric, xs, args)
        return metric.segment_energies(xs, args, self.map)


class LogDensityChord(AbstractRule):
    """``h_i = f(x_{i+1}) - f(x_i)`` for a score with a ``log_density`` f. No derivative of s.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(geojax.Shell(radius=2.0, width=0.25), lam=1.0)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> print(f"{geojax.geodesic(metric, a, b, rule=geojax.LogDensityChord()).length:.2f}")
    3.02
    """

    batch_size: int | None = eqx.field(static=True, default=None)
    devices: Mesh | None = eqx.field(static=True, default=None)

    def increments(self, score, xs, args):
        if not hasattr(score, "log_density"):
            raise ValueError(
                "rule=LogDensityChord() needs a score with a method log_density(x, args), got "
                f"{type(score).__name__}. Use from_log_density(...), or rule=Midpoint()."
            )
        one = lambda x: score.log_density(x, args)  # noqa: E731
        return jnp.diff(self.map(one, xs))

    def linearise(self, score, xs, args):
        s = self.map(lambda x: score(x, args), xs)
        h = self.increments(score, xs, args)
        return Linearisation(h, (s[1:] + s[:-1]) / 2, (s[1:] - s[:-1]) / 2)

    def cost(self, num_segments):
        return num_segments + 1, 0

    def increments_cost(self, num_segments):
        return 0

    def gradient_cost(self, num_segments):
        """The gradient of a log-density counts as one evaluation of the score."""
        return num_segments + 1, 0


class Quadrature(AbstractRule):
    """``h_i`` by Gauss-Legendre quadrature of s along the segment. Forward evaluations only.

    For a score that is a gradient, whose derivative is dear or not to be had. ``order`` >= 3.
    (`PathEnergy` differentiates the energy itself, which takes a VJP at each of its points.)

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(geojax.Shell(radius=2.0, width=0.25), lam=1.0)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> print(f"{geojax.geodesic(metric, a, b, rule=geojax.Quadrature()).length:.2f}")
    3.02
    """

    order: int = eqx.field(static=True, default=3)
    batch_size: int | None = eqx.field(static=True, default=None)
    devices: Mesh | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.order < 3:
            raise ValueError(
                f"order must be at least 3, got {self.order}: a minimiser exploits a lower one."
            )

    def increments(self, score, xs, args):
        points, weights = gauss_points(xs, self.order)
        return self._integrals(xs, self.map(lambda x: score(x, args), points), weights)

    def linearise(self, score, xs, args):
        points, weights = gauss_points(xs, self.order)
        # Nodes and points at once, so that the score stands in the program once.
        s = self.map(lambda x: score(x, args), jnp.concatenate([xs, points]))
        at_nodes, within = s[: len(xs)], s[len(xs) :]
        h = self._integrals(xs, within, weights)
        return Linearisation(
            h, (at_nodes[1:] + at_nodes[:-1]) / 2, (at_nodes[1:] - at_nodes[:-1]) / 2
        )

    def _integrals(self, xs, s, weights):
        """Of ``s`` at the points, along each segment."""
        n = len(xs) - 1
        deltas = (xs[1:] - xs[:-1]).reshape(n, -1)
        s = s.reshape(n, self.order, -1)
        return einsum("nqd,nd,q->n", s, deltas, weights)

    def cost(self, num_segments):
        return (self.order + 1) * num_segments + 1, 0

    def increments_cost(self, num_segments):
        return self.order * num_segments


def gauss_points(
    xs: Float[Array, "nodes *shape"], order: int
) -> tuple[Float[Array, "points *shape"], Float[Array, " order"]]:
    """The Gauss-Legendre points of every segment (segment by segment) and the weights on [0, 1]."""
    places, weights = np.polynomial.legendre.leggauss(order)
    tau = jnp.asarray((places + 1) / 2, xs.dtype)
    points = jax.vmap(lambda a, b: jax.vmap(lambda w: a + w * (b - a))(tau))(xs[:-1], xs[1:])
    return points.reshape(-1, *xs.shape[1:]), jnp.asarray(weights / 2, xs.dtype)
