"""Spaces of constant curvature in the stereographic chart, with closed-form geodesics.

Both metrics are `(2 / (1 + kappa |x|^2))^2 I` on R^D, with kappa the curvature. Their geodesics are
written with the Moebius addition of the chart (Ungar 2008; Bachmann, Becigneul & Ganea 2020).
"""

import abc
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._linalg import dot, norm
from .._numbers import scalar
from ._conformal import AbstractConformalMetric


class AbstractModelSpace(AbstractConformalMetric):
    """A space of constant curvature with closed-form distance and maps: a reference for solvers."""

    @property
    @abc.abstractmethod
    def curvature(self) -> Float[Array, ""]:
        """The sectional curvature of every plane."""

    @abc.abstractmethod
    def _half_angle(self, x, y) -> Array:
        """Half of the distance, in units of the radius."""

    @abc.abstractmethod
    def _shot(self, x, direction, angle) -> Array:
        """The point at a distance, in radii, from `x` along a unit vector of the chart."""

    def _denominator(self, x):
        """`1 + kappa |x|^2`, NaN outside the chart."""
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
        """The length of the shortest path from `x` to `y`."""
        return 2 * self._radius(x) * self._half_angle(x, y)

    @takes_arrays("x", "v")
    def exponential_map(
        self, x: Float[Array, "*shape"], v: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        """The point at time 1 of the geodesic from `x` with velocity `v`."""
        size, radius = norm(v), self._radius(x)
        moving = size > 0
        direction = v / jnp.where(moving, size, 1.0)
        # At v = 0 to second order, for as many derivatives there.
        still = x + v - self.christoffel(x, v, v) / 2
        angle = jnp.where(moving, 2 * size / self._denominator(x) / radius, 1.0)
        return jnp.where(moving, self._shot(x / radius, direction, angle) * radius, still)

    @takes_arrays("x", "y")
    def log_map(
        self, x: Float[Array, "*shape"], y: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        """The velocity at `x` of the shortest path that reaches `y` at time 1."""
        # The numerator of the Moebius sum of -x and y, by their difference, so that near points
        # lose no digits.
        kappa, gap = self.curvature.astype(x.dtype), y - x
        along = self._denominator(x) * gap + kappa * jnp.sum(gap**2) * x
        apart = norm(gap) > 0
        length = 2 * self._radius(x) * self._half_angle(x, y)
        ratio = length / jnp.where(apart, norm(along), 1.0)
        # At y = x to second order.
        near = gap + self.christoffel(x, gap, gap) / 2
        return jnp.where(apart, self._denominator(x) / 2 * ratio * along, near)

    @takes_arrays("x", "y")
    def geodesic(
        self, x: Float[Array, "*shape"], y: Float[Array, "*shape"], t: Float[Array, ""] | float
    ) -> Float[Array, "*shape"]:
        """The point at time `t` of the shortest path from `x` (0) to `y` (1)."""
        return self.exponential_map(x, jnp.asarray(t, x.dtype) * self.log_map(x, y))


class StereographicSphere(AbstractModelSpace):
    """The sphere of a given radius, without one pole, in the stereographic chart.

    Use it to test solvers and metrics against closed forms. `x` in R^D represents the point of the
    sphere on the line from the pole (0, ..., 0, -R) through `(x, 0)`. The metric is
    `4 / (1 + |x|^2 / R^2)^2 I`, the sectional curvature 1 / R^2. Great circles are the circles that
    meet `|x| = R` in antipodes, and the lines through 0. `distance` and `log_map` are those of the
    shorter arc. Every great circle joins antipodes: `log_map` is NaN there, or that of a circle
    selected by rounding.

    **Arguments:**

    - `radius`: a scalar > 0.

    **Raises:**

    - `ValueError`: when `radius` is not a scalar > 0.

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

    def _half_angle(self, x, y):
        radius = self._radius(x)
        return jnp.arctan2(norm(x - y) / radius, _to_antipode(x / radius, y / radius))

    def _shot(self, x, direction, angle):
        square, lean = jnp.sum(x**2), dot(x, direction)
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        ahead = (cosine - lean * sine) * x + (1 + square) / 2 * sine * direction
        return ahead / ((1 + square) / 2 + (1 - square) / 2 * cosine - lean * sine)


class PoincareBall(AbstractModelSpace):
    """Hyperbolic space in the ball `|x| < R`, of sectional curvature -1 / R^2.

    Use it to test solvers and metrics against closed forms. The metric is
    `4 / (1 - |x|^2 / R^2)^2 I`. On and outside the sphere `|x| = R` it is not defined and every
    result is NaN. Geodesics are the circles that meet that sphere at right angles, and the lines
    through 0. `exponential_map` stays inside, at least 4 eps from the boundary.

    **Arguments:**

    - `radius`: a scalar > 0.

    **Raises:**

    - `ValueError`: when `radius` is not a scalar > 0.

    >>> import jax.numpy as jnp, geojax
    >>> ball = geojax.metrics.PoincareBall()
    >>> x, y = jnp.array([0.0, 0.0]), jnp.array([0.0, 0.5])
    >>> print(f"{ball.distance(x, y):.4f}")  # log 3
    1.0986
    """

    radius: Float[Array, ""]

    def __init__(self, radius: Any = 1.0):
        self.radius = scalar("radius", radius, positive=True)

    @property
    def curvature(self):
        return -1 / self.radius**2

    def _half_angle(self, x, y):
        scales = self._denominator(x) * self._denominator(y)
        return jnp.arcsinh(norm(x - y) / self._radius(x) / jnp.sqrt(scales))

    def _shot(self, x, direction, angle):
        size, lean = norm(x), dot(x, direction)
        decay = jnp.exp(-angle)
        forward, rest = jnp.tanh(angle), 2 * jax.nn.sigmoid(-2 * angle)  # their sum is 1
        inside = (1 - size) * (1 + size) / 2
        slow = 2 * inside * decay / (1 + decay**2)
        ahead = (1 + lean * forward) * x + inside * forward * direction
        below = (1 + size**2) / 2 + lean * forward + slow
        # From the centre outwards along the unit vector, so no digits cancel near the boundary.
        off = size > 0.5
        outward = x / jnp.where(off, size, 1.0)
        across = outward + direction
        turned, deep = size * jnp.sum(across**2) / 2 * forward, (1 - size) ** 2 / 2
        along = size * turned + (1 + size**2) / 2 * rest - deep
        ahead = jnp.where(off, along * outward + inside * forward * across, ahead)
        below = jnp.where(off, deep + size * rest + turned + slow, below)
        y = ahead / below
        # Points that rounding moves out of the ball are kept inside.
        edge, end = 1 - 4 * float(jnp.finfo(x.dtype).eps), norm(y)
        return y * jnp.where(end > edge, edge / jnp.where(end > edge, end, 1.0), 1.0)


def _to_antipode(x, y):
    """`(1 + 2 x.y + |x|^2 |y|^2)^(1/2)`: 0 where y is the antipode of x."""
    sizes = norm(x), norm(y)
    far = sizes[0] * sizes[1] > 0.5
    # Near the antipode it is the length of a sum, as the square would lose digits.
    near = jnp.sqrt(jnp.where(far, 1.0, 1 + 2 * dot(x, y) + (sizes[0] * sizes[1]) ** 2))
    across = sizes[0] * y + x / jnp.where(far, sizes[0], 1.0)
    return jnp.where(far, norm(across), near)
