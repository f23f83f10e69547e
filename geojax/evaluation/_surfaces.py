"""A curved surface whose geodesics are not circles: the torus of revolution."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import norm
from ._manifolds import AbstractManifold, lattice, turns

_RAYS = 256  # directions in the search for a geodesic
_STEPS = 128  # of the classical Runge-Kutta method along one
_CANDIDATES = 12  # nearest rays, from which Newton's method starts
_NEWTON_STEPS = 8


class Torus(AbstractManifold):
    """The torus of revolution in R^3: a tube about a circle in the plane of x and y.

    Angles are (u, v), u about the axis and v about the tube: `v = 0` is the outer equator and
    `v = pi` the inner one. The curvature `cos v / (minor (major + minor cos v))` is positive
    outside and negative inside. Geodesics obey Clairaut's relation: `(major + minor cos v)^2 u'` is
    constant. The shortest one is found from a fan of 256 directions, each followed at most as far
    as a path along the angles is long. Newton's method on direction and length then starts from the
    nearest rays. The result has about eight correct digits in float64.

    **Arguments:**

    - `major`: the radius of the circle.
    - `minor`: the radius of the tube, smaller.
    - `embedding`: orthonormal rows that embed it, or None.

    **Raises:**

    - `ValueError`: unless `0 < minor < major`.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import Torus
    >>> torus = Torus(1.0, 0.4)
    >>> a, b = jnp.array([1.4, 0.0, 0.0]), jnp.array([1.0, 0.0, 0.4])
    >>> print(f"{torus.distance(a, b):.4f}")  # a quarter of a meridian: 0.4 pi / 2
    0.6283
    """

    major: float = eqx.field(static=True, default=1.0)
    minor: float = eqx.field(static=True, default=0.4)
    embedding: Float[Array, "k ambient_dim"] | None = None

    def __check_init__(self):
        if not 0 < self.minor < self.major:
            raise ValueError(
                f"radii must satisfy 0 < minor < major, got minor = {self.minor} and major = "
                f"{self.major}."
            )

    def _angles(self, x):
        out = jnp.hypot(x[0], x[1]) - self.major
        return jnp.stack([jnp.arctan2(x[1], x[0]), jnp.arctan2(x[2], out)])

    def _gap(self, a, b):
        """The angles from a to b, in (-pi, pi], exact between near points."""
        out_a, out_b = (jnp.hypot(x[0], x[1]) for x in (a, b))
        # The difference of the distances from the axis, computed from that of the points.
        out_step = jnp.sum((b[:2] - a[:2]) * (a[:2] + b[:2])) / (out_a + out_b)
        tube = jnp.stack([out_a - self.major, a[2]])
        ahead = tube + jnp.stack([out_step, b[2] - a[2]])
        return turns(jnp.stack([a[:2], tube]), jnp.stack([b[:2], ahead]))

    def _at(self, angles):
        u, v = angles[0], angles[1]
        reach = self.major + self.minor * jnp.cos(v)
        return jnp.stack([reach * jnp.cos(u), reach * jnp.sin(u), self.minor * jnp.sin(v)])

    def _project(self, x):
        return self._at(self._angles(x))

    def _walk(self, start, direction, length):
        """The angles along the geodesic of a given length, shape `(_STEPS + 1, 2)`.

        `direction` is its angle from the parallel through `start`.
        """
        reach = self.major + self.minor * jnp.cos(start[1])
        clairaut = reach * jnp.cos(direction)

        def rate(state):
            v, turning = state[1], state[2]
            reach = self.major + self.minor * jnp.cos(v)
            pull = clairaut**2 * jnp.sin(v) / (self.minor * reach**3)
            return jnp.stack([clairaut / reach**2, turning, -pull])

        h = length / _STEPS

        def step(state, _):
            k1 = rate(state)
            k2 = rate(state + h / 2 * k1)
            k3 = rate(state + h / 2 * k2)
            k4 = rate(state + h * k3)
            new = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return new, new[:2]

        state = jnp.append(start, jnp.sin(direction) / self.minor)
        _, angles = jax.lax.scan(step, state, None, _STEPS)
        return jnp.concatenate([start[None], angles])

    @eqx.filter_jit  # one program outside `jax.jit` too
    def _solve(self, a, b):
        """Direction and length of the shortest geodesic from a to b."""
        start = self._angles(a)
        gap = self._gap(a, b)
        end = start + gap
        nearer = jnp.minimum(jnp.cos(start[1]), jnp.cos(end[1]))
        along = (self.major + self.minor * nearer) * jnp.abs(gap[0])
        bound = along + self.minor * jnp.abs(gap[1])
        directions = jnp.linspace(-math.pi, math.pi, _RAYS, endpoint=False, dtype=a.dtype)

        def nearest(direction):
            walk = jax.vmap(self._at)(self._walk(start, direction, bound))
            steps, ahead = walk[1:] - walk[:-1], b[None] - walk[:-1]
            squares = jnp.maximum(jnp.sum(steps**2, axis=1), jnp.finfo(a.dtype).tiny)
            shares = jnp.clip(jnp.sum(ahead * steps, axis=1) / squares, 0, 1)
            misses = jnp.linalg.norm(ahead - shares[:, None] * steps, axis=1)
            i = jnp.argmin(misses)
            return misses[i], (i.astype(a.dtype) + shares[i]) * bound / _STEPS

        misses, lengths = jax.vmap(nearest)(directions)
        # One candidate for each ray that passes nearer than its neighbours.
        best = (misses <= jnp.roll(misses, 1)) & (misses <= jnp.roll(misses, -1))
        _, chosen = jax.lax.top_k(-jnp.where(best, misses, jnp.inf), _CANDIDATES)

        def miss(unknowns):
            return _wrapped(self._walk(start, unknowns[0], unknowns[1])[-1] - end)

        def newton(unknowns):
            def step(unknowns, _):
                matrix = jax.jacfwd(miss)(unknowns)
                # Regularise the length 0, where the direction does not matter.
                matrix = matrix + 1e-12 * jnp.eye(2, dtype=a.dtype)
                return unknowns - jnp.linalg.solve(matrix, miss(unknowns)), None

            unknowns, _ = jax.lax.scan(step, unknowns, None, _NEWTON_STEPS)
            return unknowns, jnp.max(jnp.abs(miss(unknowns)))

        candidates = jnp.stack([directions[chosen], lengths[chosen]], axis=1)
        found, left = jax.vmap(newton)(candidates)
        eps = jnp.finfo(a.dtype).eps
        solved = (left <= 10 * jnp.sqrt(eps)) & (found[:, 1] >= 0)
        best = found[jnp.argmin(jnp.where(solved, found[:, 1], jnp.inf))]
        # Between near points angles have few digits. There the geodesic is the chord.
        chord = norm(b - a)
        reach = self.major + self.minor * jnp.cos(start[1])
        along = jnp.where(chord > 0, reach * gap[0], 1.0)
        straight = jnp.stack([jnp.arctan2(self.minor * gap[1], along), chord])
        return jnp.where(self._near(a, b), straight, best)

    def _near(self, a, b):
        """Whether the surface is flat between a and b, to rounding."""
        bend = max(1 / self.minor, 1 / (self.major - self.minor))
        return bend * norm(b - a) < 2 * jnp.finfo(a.dtype).eps ** 0.5

    def _distance(self, a, b):
        return self._solve(a, b)[1]

    def _geodesic(self, a, b, ts):
        start, gap, near = self._angles(a), self._gap(a, b), self._near(a, b)
        direction, length = self._solve(a, b)

        def at(t):
            bent = self._walk(start, direction, t * length)[-1]
            return self._at(jnp.where(near, start + t * gap, bent))

        return jax.vmap(at)(ts)

    def _sample(self, num, key):
        return self._by_area(jax.random.uniform(key, (num, 2)))

    def _spread(self, num, key):
        return self._by_area(lattice(num))

    def _by_area(self, places):
        """Points of the torus from points of the unit square, by a map that keeps area ratios."""
        along = 2 * jnp.pi * places[:, 0] - jnp.pi
        ratio = self.minor / self.major

        def invert(v, _):  # v + ratio sin v = along, as Kepler's equation
            return v - (v + ratio * jnp.sin(v) - along) / (1 + ratio * jnp.cos(v)), None

        v, _ = jax.lax.scan(invert, along, None, 50)
        return jax.vmap(self._at)(jnp.stack([2 * jnp.pi * places[:, 1], v], axis=1))


def _wrapped(angles):
    return (angles + jnp.pi) % (2 * jnp.pi) - jnp.pi
