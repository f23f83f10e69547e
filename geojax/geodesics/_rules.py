"""Quadrature rules: the curve through the nodes of a path, and the quadrature of its energy.

For a metric `base I + sum_k lam_k s_k s_k^T` the energy of a path is
`E = 1/2 sum_q w_q (base |x'_q|^2 + sum_k lam_k h_qk^2)` over the points of a rule. h_q is the rate
at which the log-density changes there, `s . x'`:

| rule | curve | h_q | cost per segment |
|---|---|---|---|
| `SplineGauss` | cubic spline | s(x_q) . x'_q at Gauss points | order scores, order VJPs |
| `Midpoint` | polyline | s(m_i) . x'_i in the middle | 1 score, 1 VJP |
| `LogDensityChord` | polyline | (f(x_{i+1}) - f(x_i)) / tau_i | 1 score and 1 log-density |
| `Quadrature` | polyline | mean of s . x' by Gauss points | order + 1 scores |

The energy of `SplineGauss` is that of the solution's own curve, of fourth order and better; the
others are of second order. There is no rule with the metric at the left end: a minimiser exploits
it by long jumps from points where s = 0.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from .._linalg import dot, einsum
from .._quadrature import gauss_points
from ..metrics import AbstractLowRankMetric, AbstractMetric, SampledPath
from ._basis import BETWEEN, Scheme, gauss
from ._devices import map_points

_POLYLINE = gauss(1, spline=False)


class Linearisation(NamedTuple):
    """The rates h_q and their derivatives, as a rule linearises them.

    **Arguments:**

    - `rates`: h, shape (points,).
    - `by_velocity`, `by_point`: the derivatives of h_q by x'_q and by x_q.
    """

    rates: Float[Array, " points"]
    by_velocity: Float[Array, "points *shape"]
    by_point: Float[Array, "points *shape"]


class AbstractRule(eqx.Module):
    """The interface of quadrature rules: the curve through the nodes and its discrete energy.

    **Arguments:**

    - `batch_size`: the largest number of points evaluated at once (on a device); None: all.
    - `devices`: a [`geojax.device_mesh`][] over which the points are divided, or None.
    """

    batch_size: eqx.AbstractVar[int | None]
    devices: eqx.AbstractVar[Mesh | None]

    @property
    def scheme(self) -> Scheme:
        """The curve through the nodes, and the points at which it is evaluated."""
        return _POLYLINE

    @property
    def fine(self) -> Scheme:
        """The solution's curve with points that the rule has not used, for the fine energy."""
        return gauss(max(3, len(self.scheme.places) + 1), spline=True)

    def map(self, function: Callable[..., Any], *arrays: Array) -> Any:
        """Map `function` over the leading axes, within `batch_size` and over `devices`."""
        return map_points(function, *arrays, batch_size=self.batch_size, devices=self.devices)

    @abc.abstractmethod
    def rates(self, score, path: SampledPath, args: Any) -> Float[Array, " points"]:
        """h, shape (points,)."""

    @abc.abstractmethod
    def linearise(self, score, path: SampledPath, args: Any) -> Linearisation:
        """h and its derivatives."""

    @abc.abstractmethod
    def cost(self, num_segments: int) -> tuple[int, int]:
        """The score evaluations and derivative products (JVP or VJP) of one `linearise`."""

    @abc.abstractmethod
    def rates_cost(self, num_segments: int) -> int:
        """The score evaluations of one `rates`."""

    def gradient_cost(self, num_segments: int) -> tuple[int, int]:
        """The cost of one `rates` differentiated in reverse, as for `cost`."""
        evaluations = self.rates_cost(num_segments)
        return evaluations, evaluations

    @property
    def keeps_linearisations(self) -> bool:
        """Whether the linearisation of a path is kept for many products with its second
        derivatives.

        Where points are evaluated in batches memory is limited, and each product computes it again.
        """
        return self.batch_size is None and self.devices is None

    def curvature_cost(self, num_segments: int, runs: Any, count: Any) -> tuple[Any, Any]:
        """The cost of `count` forward derivatives of `linearise`, taken at `runs` paths."""
        evaluations, products = self.cost(num_segments)
        twice = count * (evaluations + products)
        if self.keeps_linearisations:
            return runs * evaluations, runs * products + twice
        return count * evaluations, twice

    def squared_speeds(self, metric: AbstractMetric, path: SampledPath, args: Any):
        """`<x', x'>_g` at the points, shape (points,)."""
        return self.of_scores(metric, path, args)[0]

    def of_scores(self, metric: AbstractMetric, path: SampledPath, args: Any) -> tuple[Any, Any]:
        """`<x', x'>_g` at the points, and the rates of each score, shape (scores, points).

        Raise a `ValueError` for a metric that is not low-rank.
        """
        if not isinstance(metric, AbstractLowRankMetric):
            raise ValueError(
                f"rule={type(self).__name__}() needs a metric of the form base I + sum lam s s^T, "
                f"got {type(metric).__name__}. Use rule=SplineGauss()."
            )
        terms, dtype = metric.terms(), path.points.dtype
        velocities = path.velocities.reshape(len(path.points), -1)
        total = jnp.asarray(terms.base, dtype) * jnp.sum(velocities**2, axis=1)

        def of_score(weight, score, _):
            rates = self.rates(score, path, args)
            return weight.astype(dtype) * rates**2, rates

        parts = terms.each(of_score)
        if parts is None:
            return total, jnp.zeros((0, len(total)), dtype)
        return total + jnp.sum(parts[0], axis=0), parts[1]


class _AtPoints(AbstractRule):
    """A rule that evaluates the score at its points, for any metric."""

    def rates(self, score, path, args):
        one = lambda x, v: dot(score(x, args), v)  # noqa: E731
        return self.map(one, path.points, path.velocities)

    def linearise(self, score, path, args):
        def one(x, v):
            s, pull = jax.vjp(lambda y: score(y, args), x)
            return dot(s, v), s, pull(v)[0]

        return Linearisation(*self.map(one, path.points, path.velocities))

    def cost(self, num_segments):
        points = len(self.scheme.places) * num_segments
        return points, points

    def rates_cost(self, num_segments):
        return len(self.scheme.places) * num_segments

    def squared_speeds(self, metric: AbstractMetric, path: SampledPath, args: Any):
        if isinstance(metric, AbstractLowRankMetric):
            return super().squared_speeds(metric, path, args)
        return metric.squared_speeds(path, args, self.map)


class SplineGauss(_AtPoints):
    """The cubic spline through the nodes with Gauss-Legendre points on each segment: the default
    rule.

    It takes any metric. The minimised energy is that of the solution's curve itself, except for the
    quadrature. So energy, length and end velocities converge at the fourth order and better, and
    the minimum bounds the geodesic's energy from above.

    **Arguments:**

    - `order`: points per segment, at least 2. One point per segment would leave the spline free to
      exploit its ends.
    - `batch_size`, `devices`: as for [`geojax.AbstractRule`][].

    **Raises:**

    - `ValueError`: when `order` is below 2.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(geojax.Shell(radius=2.0, width=0.25), lam=1.0)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> print(f"{geojax.geodesic(metric, a, b, rule=geojax.SplineGauss()).length:.3f}")
    3.020
    """

    order: int = eqx.field(static=True, default=2)
    batch_size: int | None = eqx.field(static=True, default=None)
    devices: Mesh | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.order < 2:
            raise ValueError(
                f"order must be at least 2, got {self.order}: a minimiser exploits a lower one."
            )

    @property
    def scheme(self):
        return gauss(self.order, spline=True)

    @property
    def fine(self):
        return BETWEEN if self.order == 2 else super().fine


class Midpoint(_AtPoints):
    """The polyline through the nodes, with the metric in the middle of each segment.

    It takes any metric, and is the default of [`geojax.Georce`][]. The energy is formula
    [(5)][eq-energy] of the theory page.

    **Arguments:**

    - `batch_size`, `devices`: as for [`geojax.AbstractRule`][].

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(geojax.Shell(radius=2.0, width=0.25), lam=1.0)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> print(f"{geojax.geodesic(metric, a, b, rule=geojax.Midpoint()).length:.2f}")
    3.02
    """

    batch_size: int | None = eqx.field(static=True, default=None)
    devices: Mesh | None = eqx.field(static=True, default=None)


class LogDensityChord(AbstractRule):
    """The polyline with differences of the log-density, for a score with a `log_density` f.

    `h_i = (f(x_{i+1}) - f(x_i)) / tau_i`, so no derivative of s is needed.

    **Arguments:**

    - `batch_size`, `devices`: as for [`geojax.AbstractRule`][].

    **Raises:**

    - `ValueError`: when the score has no method `log_density`, or the metric is not low-rank.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(geojax.Shell(radius=2.0, width=0.25), lam=1.0)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> print(f"{geojax.geodesic(metric, a, b, rule=geojax.LogDensityChord()).length:.2f}")
    3.02
    """

    batch_size: int | None = eqx.field(static=True, default=None)
    devices: Mesh | None = eqx.field(static=True, default=None)

    def rates(self, score, path, args):
        if not hasattr(score, "log_density"):
            raise ValueError(
                "rule=LogDensityChord() needs a score with a method log_density(x, args), got "
                f"{type(score).__name__}. Use from_log_density(...), or rule=SplineGauss()."
            )
        return path.rates(self.map(lambda x: score.log_density(x, args), path.nodes))

    def linearise(self, score, path, args):
        s = self.map(lambda x: score(x, args), path.nodes)
        return Linearisation(self.rates(score, path, args), (s[1:] + s[:-1]) / 2, path.rates(s))

    def cost(self, num_segments):
        return num_segments + 1, 0

    def rates_cost(self, num_segments):
        return 0

    def gradient_cost(self, num_segments):
        """The gradient of a log-density counts as one evaluation of the score."""
        return num_segments + 1, 0


class Quadrature(AbstractRule):
    """The polyline with `h_i` by Gauss-Legendre quadrature of s: forward evaluations only.

    For conservative scores whose derivatives are expensive or unavailable. ([`geojax.PathEnergy`][]
    differentiates the energy itself, which takes a VJP at each of its points.) Formula
    [(6)][eq-quadrature] of the theory page.

    **Arguments:**

    - `order`: points per segment, at least 3.
    - `batch_size`, `devices`: as for [`geojax.AbstractRule`][].

    **Raises:**

    - `ValueError`: when `order` is below 3, or the metric is not low-rank.

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

    @property
    def fine(self):
        return gauss(self.order + 1, spline=True)

    def rates(self, score, path, args):
        points, weights = self._between(path.nodes)
        s = self.map(lambda x: score(x, args), points)
        return self._means(path.velocities, s, weights)

    def linearise(self, score, path, args):
        points, weights = self._between(path.nodes)
        # Nodes and points at once, so that the program contains the score once.
        s = self.map(lambda x: score(x, args), jnp.concatenate([path.nodes, points]))
        at_nodes, within = s[: len(path.nodes)], s[len(path.nodes) :]
        h = self._means(path.velocities, within, weights)
        return Linearisation(h, (at_nodes[1:] + at_nodes[:-1]) / 2, path.rates(at_nodes))

    def _between(self, nodes):
        """The Gauss points of all segments, one segment after the other, and their weights."""
        places, weights = gauss_points(self.order, nodes.dtype)
        of_segment = lambda a, b: jax.vmap(lambda w: a + w * (b - a))(places)  # noqa: E731
        points = jax.vmap(of_segment)(nodes[:-1], nodes[1:])
        return points.reshape(-1, *nodes.shape[1:]), weights

    def _means(self, velocities, s, weights):
        """The mean of `s . x'` over each segment, from `s` at the points."""
        n = len(velocities)
        s = s.reshape(n, self.order, -1)
        return einsum("nqd,nd,q->n", s, velocities.reshape(n, -1), weights)

    def cost(self, num_segments):
        return (self.order + 1) * num_segments + 1, 0

    def rates_cost(self, num_segments):
        return self.order * num_segments
