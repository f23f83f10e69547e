"""Spaces of constant curvature in the stereographic chart: every answer in closed form.

Both are ``(2 / (1 + kappa |x|^2))^2 I`` on R^D, kappa the curvature; their geodesics are written
with the Moebius addition of the chart (Ungar 2008; Bachmann, Becigneul & Ganea 2020).
"""

import abc
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._linalg import dot
from ._checks import scalar
from ._conformal import AbstractConformalMetric


class AbstractModelSpace(AbstractConformalMetric):
    """A space of constant curvature with closed-form distance and maps: truth for solvers."""

    @property
    @abc.abstractmethod
    def curvature(self) -> Float[Array, ""]:
        """The sectional curvature of every plane."""

    @abc.abstractmethod
    def _tangent(self, angle) -> Array:
        """tan on the sphere, tanh in hyperbolic space."""

    @abc.abstractmethod
    def _angle(self, tangent) -> Array:
        """The inverse of `_tangent`."""

    def _denominator(self, x):
        """``1 + kappa |x|^2``, NaN outside the chart."""
        value = 1 + self.curvature.astype(x.dtype) * jnp.sum(x**2)
        return jnp.where(value > 0, value, jnp.nan)

    def _radius(self, x):
        return 1 / jnp.sqrt(jnp.abs(self.curvature)).astype(x.dtype)

    def log_factor(self, x, args: Any = None):
        del args
        return 2 * jnp.log(2 / self._denominator(x))

    def log_factor_gradient(self, x, args: Any = None):
        del args
        return -4 * self.curvature.astype(x.dtype) / self._denominator(x) * x

    @takes_arrays("x", "y")
    def distance(self, x: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Float[Array, ""]:
        """The length of the shortest path from ``x`` to ``y``."""
        between, radius = self._difference(x, y), self._radius(x)
        return 2 * radius * self._angle(_norm(between) / radius)

    @takes_arrays("x", "v")
    def exponential_map(
        self, x: Float[Array, "*shape"], v: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        """Where the geodesic from ``x`` with velocity ``v`` is at time 1."""
        at_origin = v / self._denominator(x)
        half_angle = _norm(at_origin) / self._radius(x)
        return self._moebius_sum(x, _ratio(self._tangent, half_angle) * at_origin)

    @takes_arrays("x", "y")
    def log_map(
        self, x: Float[Array, "*shape"], y: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        """The velocity at ``x`` of the shortest path that is at ``y`` at time 1."""
        between = self._difference(x, y)
        half_tangent = _norm(between) / self._radius(x)
        return self._denominator(x) * _ratio(self._angle, half_tangent) * between

    @takes_arrays("x", "y")
    def geodesic(
        self, x: Float[Array, "*shape"], y: Float[Array, "*shape"], t: Float[Array, ""] | float
    ) -> Float[Array, "*shape"]:
        """The point at time ``t`` of the shortest path from ``x`` (0) to ``y`` (1)."""
        return self.exponential_map(x, jnp.asarray(t, x.dtype) * self.log_map(x, y))

    def _difference(self, x, y):
        """``y`` as seen from ``x``: by the isometry that takes x to the origin."""
        return self._moebius_sum(-x, y)

    def _moebius_sum(self, x, y):
        kappa = self.curvature.astype(x.dtype)
        xx, xy, yy = kappa * jnp.sum(x**2), kappa * dot(x, y), kappa * jnp.sum(y**2)
        return ((1 - 2 * xy - yy) * x + (1 + xx) * y) / (1 - 2 * xy + xx * yy)


class StereographicSphere(AbstractModelSpace):
    """The sphere of a radius, without one pole, in the stereographic chart.

    ``x`` in R^D stands for the point of the sphere on the line from the pole (0, ..., 0, -R)
    through ``(x, 0)``; the metric is ``4 / (1 + |x|^2 / R^2)^2 I``, the sectional curvature
    1 / R^2. Great circles are the circles that meet ``|x| = R`` in antipodes, and the lines
    through 0. `distance` and `log_map` are of the shorter arc; antipodes have no `log_map`: it is
    NaN or has no meaning there.

    **Raises:** `ValueError` when ``radius`` is not a scalar > 0.

    >>> import jax.numpy as jnp, geojax
    >>> sphere = geojax.metrics.StereographicSphere(radius=2.0)
    >>> x, y = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])  # a quarter of the equator
    >>> print(f"{sphere.distance(x, y):.4f} {geojax.distance(sphere, x, y):.2f}")
    3.1416 3.14
    """

    radius: Float[Array, ""]

    def __init__(self, radius: Any = 1.0):
        self.radius = scalar("radius", radius, positive=True)

    @property
    def curvature(self):
        return 1 / self.radius**2

    def _tangent(self, angle):
        return jnp.tan(angle)

    def _angle(self, tangent):
        return jnp.arctan(tangent)


class PoincareBall(AbstractModelSpace):
    """Hyperbolic space in the ball ``|x| < R``, of sectional curvature -1 / R^2.

    The metric is ``4 / (1 - |x|^2 / R^2)^2 I``; on and outside the sphere ``|x| = R`` it is not
    defined and everything is NaN. Geodesics are the circles that meet that sphere at right angles,
    and the lines through 0.

    **Raises:** `ValueError` when ``radius`` is not a scalar > 0.

    >>> import jax.numpy as jnp, geojax
    >>> ball = geojax.metrics.PoincareBall()
    >>> x, y = jnp.array([0.0, 0.0]), jnp.array([0.0, 0.5])
    >>> print(f"{ball.distance(x, y):.4f} {geojax.distance(ball, x, y):.2f}")  # log 3
    1.0986 1.10
    """

    radius: Float[Array, ""]

    def __init__(self, radius: Any = 1.0):
        self.radius = scalar("radius", radius, positive=True)

    @property
    def curvature(self):
        return -1 / self.radius**2

    def _tangent(self, angle):
        return jnp.tanh(angle)

    def _angle(self, tangent):
        return jnp.arctanh(tangent)


def _norm(v):
    """|v|, with derivative 0 at 0."""
    square = jnp.sum(v**2)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def _ratio(function, z):
    """``function(z) / z``, for tan, tanh and their inverses, 1 at 0."""
    return jnp.where(z > 0, function(z) / jnp.where(z > 0, z, 1.0), 1.0)
