"""Curves given by a table of their points, and surfaces and pairs made of curves."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._arrays import Numbers, as_floating, takes_arrays
from .._linalg import dot, norm
from ._manifolds import AbstractManifold

_FINE = 4001  # nodes


class EmbeddedCurve(AbstractManifold):
    """A curve given by a fine table of its points; it is straight between them.

    [`geojax.evaluation.closed_curve`][], [`geojax.evaluation.c_shape`][] and
    [`geojax.evaluation.spiral`][] make such curves. With 4001 nodes lengths and positions have
    about six correct digits.

    **Arguments:**

    - `nodes`: shape `(n, k)`, the last one equal to the first if the curve is closed.
    - `closed`: whether it is. A geodesic on an open curve stops at its ends.
    - `embedding`: orthonormal rows that embed the curve, shape `(k, D)`, or None.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import EmbeddedCurve
    >>> corner = EmbeddedCurve(jnp.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0]]), closed=False)
    >>> print(corner.distance(jnp.array([1.0, 0.0]), jnp.array([2.0, 0.5])))
    1.5
    """

    nodes: Float[Array, "n k"] = eqx.field(converter=partial(as_floating, "nodes", axes="n k"))
    closed: bool = eqx.field(static=True)
    embedding: Float[Array, "k ambient_dim"] | None = None

    @property
    def length(self) -> Float[Array, ""]:
        """The length of the whole curve."""
        return self._walked()[-1]

    def _walked(self, nodes=None):
        """The length from the first node to each node."""
        nodes = self.nodes if nodes is None else nodes
        steps = jnp.linalg.norm(nodes[1:] - nodes[:-1], axis=1)
        return jnp.concatenate([jnp.zeros(1, steps.dtype), jnp.cumsum(steps)])

    @takes_arrays("x")
    def place(self, x: Float[Array, " k"]) -> Float[Array, ""]:
        """The length from the first node to the nearest point of the curve, in the subspace."""
        return self._foot(x)[0]

    def _foot(self, x):
        """`place`, and the segment that contains the nearest point."""
        nodes = self.nodes.astype(x.dtype)
        starts, deltas = nodes[:-1], nodes[1:] - nodes[:-1]
        squares = jnp.sum(deltas**2, axis=1)
        weights = jnp.sum((x[None] - starts) * deltas, axis=1) / squares
        weights = jnp.clip(weights, 0, 1)
        gaps = jnp.sum((starts + weights[:, None] * deltas - x[None]) ** 2, axis=1)
        nearest = jnp.argmin(gaps)
        place = self._walked(nodes)[nearest] + weights[nearest] * jnp.sqrt(squares[nearest])
        return place, nearest

    @takes_arrays("place")
    def at(self, place: Float[Array, ""]) -> Float[Array, " k"]:
        """The point in the subspace at a given length from the first node."""
        nodes = self.nodes.astype(place.dtype)
        walked = self._walked(nodes)
        place = place % walked[-1] if self.closed else jnp.clip(place, 0, walked[-1])
        i = jnp.clip(jnp.searchsorted(walked, place) - 1, 0, len(walked) - 2)
        weight = (place - walked[i]) / (walked[i + 1] - walked[i])
        return nodes[i] + weight * (nodes[i + 1] - nodes[i])

    def _way(self, a, b):
        (start, piece), (end, last) = self._foot(a), self._foot(b)
        way, half = end - start, self.length.astype(a.dtype) / 2
        way = (way + half) % (2 * half) - half if self.closed else way
        # On a common segment the lengths from the first node would lose digits.
        delta = (self.nodes[piece + 1] - self.nodes[piece]).astype(a.dtype)
        near = jnp.clip(dot(b - a, delta) / norm(delta), -norm(delta), norm(delta))
        return jnp.where(piece == last, near, way)

    def _project(self, x):
        return self.at(self.place(x))

    def _distance(self, a, b):
        return jnp.abs(self._way(a, b))

    def _geodesic(self, a, b, ts):
        start, way = self.place(a), self._way(a, b)
        return jax.vmap(lambda t: self.at(start + t * way))(ts)

    def _sample(self, num, key):
        places = jax.random.uniform(key, (num,)) * self.length
        return jax.vmap(self.at)(places)

    def _spread(self, num, key):
        steps = jnp.arange(num).astype(self.nodes.dtype)
        return jax.vmap(self.at)((steps + 0.5) / num * self.length)


def closed_curve(amplitudes: Numbers, num_nodes: int = _FINE) -> EmbeddedCurve:
    """A closed curve by its waves: `x_j(u) = sum_w a_wj cos(w u - pi j / 2)`, w = 1, 2, ...

    Coordinates alternate between cosines and sines, so the amplitudes `[[1, 1]]` give the unit
    circle. Higher waves make it wiggly.

    **Arguments:**

    - `amplitudes`: shape `(waves, k)`.
    - `num_nodes`: of the table.

    **Raises:**

    - `ValueError`: with fewer than 2 coordinates.

    >>> import numpy as np
    >>> from geojax.evaluation import closed_curve
    >>> print(f"{closed_curve(np.array([[1.0, 1.0]])).length:.4f}")
    6.2832
    """
    amplitudes = np.asarray(as_floating("amplitudes", amplitudes, "waves k"), np.float64)
    waves, k = amplitudes.shape
    if k < 2:
        raise ValueError(f"amplitudes must have at least 2 columns, got {k}.")
    u = np.linspace(0, 2 * np.pi, num_nodes)
    phases = np.arange(1, waves + 1)[:, None] * u[None]
    shifts = np.pi / 2 * np.arange(k)
    nodes = np.sum(amplitudes[:, None] * np.cos(phases[:, :, None] - shifts[None, None]), axis=0)
    nodes[-1] = nodes[0]
    return EmbeddedCurve(jnp.asarray(nodes, jnp.result_type(float)), closed=True)


def c_shape(opening: float = 1.0, radius: float = 1.0, num_nodes: int = _FINE) -> EmbeddedCurve:
    """An arc of a circle that lacks `opening` radians, like a C.

    Its ends are near in the plane and far apart along the curve.
    """
    u = np.linspace(opening / 2, 2 * np.pi - opening / 2, num_nodes)
    nodes = radius * np.stack([np.cos(u), np.sin(u)], axis=1)
    return EmbeddedCurve(jnp.asarray(nodes, jnp.result_type(float)), closed=False)


def spiral(turns: float = 1.5, num_nodes: int = _FINE) -> EmbeddedCurve:
    """The Archimedean spiral `r = u / (3 pi / 2)` that begins at `u = 3 pi / 2`."""
    start = 3 * np.pi / 2
    u = np.linspace(start, start + 2 * np.pi * turns, num_nodes)
    nodes = (u / start)[:, None] * np.stack([np.cos(u), np.sin(u)], axis=1)
    return EmbeddedCurve(jnp.asarray(nodes, jnp.result_type(float)), closed=False)


class CurveTimesInterval(AbstractManifold):
    """The product of a curve and an interval `[0, height]`, a flat surface.

    [`geojax.evaluation.swiss_roll`][] makes one.

    **Arguments:**

    - `curve`: an [`geojax.evaluation.EmbeddedCurve`][].
    - `height`: the length of the interval.
    - `embedding`: orthonormal rows that embed the surface, or None.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import EmbeddedCurve, CurveTimesInterval
    >>> corner = EmbeddedCurve(jnp.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0]]), closed=False)
    >>> wall = CurveTimesInterval(corner, 4.0)
    >>> print(wall.distance(jnp.array([0.0, 0.0, 0.0]), jnp.array([2.0, 1.0, 4.0])))
    5.0
    """

    curve: EmbeddedCurve
    height: float = eqx.field(static=True)
    embedding: Float[Array, "k ambient_dim"] | None = None

    def _project(self, x):
        flat = self.curve._project(x[:-1])
        return jnp.append(flat, jnp.clip(x[-1], 0, self.height))

    def _distance(self, a, b):
        return jnp.hypot(self.curve._distance(a[:-1], b[:-1]), a[-1] - b[-1])

    def _geodesic(self, a, b, ts):
        along = self.curve._geodesic(a[:-1], b[:-1], ts)
        up = jnp.clip(a[-1] + ts * (b[-1] - a[-1]), 0, self.height)
        return jnp.concatenate([along, up[:, None]], axis=1)

    def _sample(self, num, key):
        keys = jax.random.split(key)
        up = jax.random.uniform(keys[1], (num, 1)) * self.height
        return jnp.concatenate([self.curve._sample(num, keys[0]), up], axis=1)


def swiss_roll(turns: float = 1.5, height: float = 2.0) -> CurveTimesInterval:
    """A rolled-up sheet in R^3: a spiral times an interval."""
    return CurveTimesInterval(spiral(turns), height)


def _moon(side: float) -> EmbeddedCurve:
    u = np.linspace(0, np.pi, _FINE)
    arc = side * np.stack([np.cos(u), np.sin(u)], axis=1)
    nodes = arc if side > 0 else arc + np.asarray([1.0, 0.5])
    return EmbeddedCurve(jnp.asarray(nodes, jnp.result_type(float)), closed=False)


class TwoMoons(AbstractManifold):
    """Two interlocking half circles.

    No path on it joins points of different moons: their distance is infinite and the geodesic NaN.

    **Arguments:**

    - `upper`, `lower`: the half circles.
    - `embedding`: orthonormal rows that embed them, or None.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import TwoMoons
    >>> print(TwoMoons().distance(jnp.array([-1.0, 0.0]), jnp.array([0.0, 0.5])))
    inf
    """

    upper: EmbeddedCurve = eqx.field(default_factory=lambda: _moon(1.0))
    lower: EmbeddedCurve = eqx.field(default_factory=lambda: _moon(-1.0))
    embedding: Float[Array, "k ambient_dim"] | None = None

    def _is_upper(self, x):
        gaps = [jnp.sum((moon._project(x) - x) ** 2) for moon in (self.upper, self.lower)]
        return gaps[0] <= gaps[1]

    def _project(self, x):
        return jnp.where(self._is_upper(x), self.upper._project(x), self.lower._project(x))

    def _distance(self, a, b):
        on_upper, same = self._is_upper(a), self._is_upper(a) == self._is_upper(b)
        lengths = self.upper._distance(a, b), self.lower._distance(a, b)
        return jnp.where(same, jnp.where(on_upper, *lengths), jnp.inf)

    def _geodesic(self, a, b, ts):
        on_upper, same = self._is_upper(a), self._is_upper(a) == self._is_upper(b)
        ways = self.upper._geodesic(a, b, ts), self.lower._geodesic(a, b, ts)
        return jnp.where(same, jnp.where(on_upper, *ways), jnp.nan)

    def _sample(self, num, key):
        keys = jax.random.split(key)
        both = self.upper._sample(num, keys[0]), self.lower._sample(num, keys[0])
        return jnp.where(jax.random.bernoulli(keys[1], 0.5, (num, 1)), *both)

    def _spread(self, num, key):
        halves = (self.upper, num - num // 2), (self.lower, num // 2)
        return jnp.concatenate([moon._spread(count, key) for moon, count in halves])
