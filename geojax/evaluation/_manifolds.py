"""Manifolds of known geometry, to test paths and distances that were found from scores.

A manifold has nearest points, geodesics and their lengths, exactly or to the digits of a fine
table, and samples of the uniform law. `noised` gives the score of that law.
"""

import abc
import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._arrays import takes_arrays
from .._linalg import dot, matmul, norm
from ..scores import AbstractDensity, AbstractSchedule, Empirical, NoisedSphere, random_embedding


class AbstractManifold(eqx.Module):
    """A manifold in R^D, given by its coordinates in a subspace.

    Subclasses define the geometry in the subspace, by the methods with an underscore. `embedding`
    has orthonormal rows, shape `(k, D)`, which map the subspace to R^D; None stands for R^k itself.
    """

    @property
    @abc.abstractmethod
    def embedding(self) -> Float[Array, "k ambient_dim"] | None:
        """The rows that span the subspace."""

    @abc.abstractmethod
    def _project(self, x: Float[Array, " k"]) -> Float[Array, " k"]:
        """The nearest point."""

    @abc.abstractmethod
    def _geodesic(self, a, b, ts) -> Float[Array, "times k"]:
        """The shortest geodesic from a to b at the times, continued beyond b."""

    @abc.abstractmethod
    def _distance(self, a, b) -> Float[Array, ""]:
        """The length of the shortest geodesic."""

    @abc.abstractmethod
    def _sample(self, num: int, key: Key[Array, ""]) -> Float[Array, "num k"]:
        """Samples of the uniform law."""

    @takes_arrays("x")
    def project(self, x: Float[Array, " ambient_dim"]) -> Float[Array, " ambient_dim"]:
        """The point of the manifold nearest to `x`."""
        return self._out(self._project(self._in(x)))

    @takes_arrays("a", "b", times="ts")
    def geodesic(
        self,
        a: Float[Array, " ambient_dim"],
        b: Float[Array, " ambient_dim"],
        ts: Float[Array, " times"],
    ) -> Float[Array, "times ambient_dim"]:
        """The shortest geodesic from `a` (time 0) to `b` (time 1), at constant speed.

        **Arguments:**

        - `a`, `b`: points of the manifold, shape `(D,)`.
        - `ts`: times, shape `(times,)`; above 1 the geodesic continues beyond b.

        **Returns:**

        The points, shape `(times, D)`.
        """
        return jax.vmap(self._out)(self._geodesic(self._in(a), self._in(b), ts))

    @takes_arrays("a", "b")
    def distance(
        self, a: Float[Array, " ambient_dim"], b: Float[Array, " ambient_dim"]
    ) -> Float[Array, ""]:
        """The length of the shortest geodesic between two points of the manifold."""
        return self._distance(self._in(a), self._in(b))

    def sample(self, num: int, *, key: Key[Array, ""]) -> Float[Array, "num ambient_dim"]:
        """Samples of the uniform law on the manifold, shape `(num, D)`."""
        return jax.vmap(self._out)(self._sample(num, key))

    def embedded(self, ambient_dim: int, *, key: Key[Array, ""]) -> "AbstractManifold":
        """The same manifold in a random subspace of R^ambient_dim.

        **Raises:**

        - `ValueError`: when `ambient_dim` is too small.
        """
        k = self._sample(1, key).shape[1]
        return dataclasses.replace(self, embedding=random_embedding(k, ambient_dim, key=key))

    def noised(
        self, schedule: AbstractSchedule, *, num: int = 2000, key: Key[Array, ""]
    ) -> AbstractDensity:
        """The density of the uniform law with noise, as a score.

        It is that of `num` points ([`geojax.Empirical`][], exact for these), or in closed form if
        there is one, which ignores `num` and `key`. The points are spaced evenly where a method for
        that is known, and drawn with `key` otherwise. Even points on a curve, spaced more closely
        than the noise, give its law to many digits.

        **Arguments:**

        - `schedule`: the noise schedule.
        - `num`: the number of points.
        - `key`: draws them.
        """
        return Empirical(jax.vmap(self._out)(self._spread(num, key)), schedule)

    def _spread(self, num: int, key: Key[Array, ""]) -> Float[Array, "num k"]:
        """Points as evenly spaced over the manifold as possible."""
        return self._sample(num, key)

    def _in(self, x):
        return x if self.embedding is None else matmul(self.embedding.astype(x.dtype), x)

    def _out(self, x):
        return x if self.embedding is None else matmul(x, self.embedding.astype(x.dtype))


class EmbeddedSphere(AbstractManifold):
    """The sphere S^dim about 0; `dim` 1 is a circle.

    **Arguments:**

    - `dim`: its dimension.
    - `radius`: its radius.
    - `embedding`: orthonormal rows that embed it, or None.

    >>> import jax, jax.numpy as jnp
    >>> from geojax.evaluation import EmbeddedSphere
    >>> sphere = EmbeddedSphere(2).embedded(10, key=jax.random.key(0))
    >>> a, b = sphere.sample(2, key=jax.random.key(1))
    >>> bool(jnp.linalg.norm(a - b) <= sphere.distance(a, b) <= jnp.pi)
    True
    """

    dim: int = eqx.field(static=True)
    radius: float = eqx.field(static=True, default=1.0)
    embedding: Float[Array, "k ambient_dim"] | None = None

    def noised(self, schedule, *, num=2000, key):
        k, rows = self.dim + 1, self.embedding
        return NoisedSphere(radius=self.radius, dim=k, embedding=rows, schedule=schedule)

    def _project(self, x):
        return self.radius * x / norm(x)

    def _angle(self, a, b):
        # The arccosine would lose half of the digits near 0 and near pi.
        return 2 * jnp.arctan2(norm(a - b), norm(a + b))

    def _distance(self, a, b):
        return self.radius * self._angle(a, b)

    def _geodesic(self, a, b, ts):
        angle = self._angle(a, b)
        # Between antipodes every great circle is a shortest geodesic: take one.
        unit = a / norm(a)
        other = jnp.zeros_like(a).at[jnp.argmin(jnp.abs(a))].set(self.radius)
        # From the chord to b or to its antipode, so that no digits are lost if it is short.
        ahead = dot(unit, b) > 0
        aside = _across(jnp.where(ahead, b - a, b + a), unit)
        lost = ~ahead & (norm(aside) <= 8 * jnp.finfo(a.dtype).eps * norm(a))
        aside = _across(jnp.where(lost, other, aside), unit)
        arcs, size = ts * angle, norm(aside)
        # The ratio of sines has a derivative if a and b are equal; else the unit vector is used.
        apart, turned = angle > 0, size > 0
        ratios = jnp.sin(arcs) / jnp.where(apart, jnp.sin(angle), jnp.ones_like(angle))
        ratios = jnp.where(apart, ratios, ts)
        far = self.radius * jnp.sin(arcs) / jnp.where(turned, size, jnp.ones_like(size))
        shares = jnp.where(ahead, ratios, far)
        return jnp.cos(arcs)[:, None] * a[None] + shares[:, None] * aside[None]

    def _sample(self, num, key):
        x = jax.random.normal(key, (num, self.dim + 1))
        return self.radius * x / jnp.linalg.norm(x, axis=1, keepdims=True)


class FlatTorus(AbstractManifold):
    """The product of two circles in R^4: flat, of codimension 2 or more.

    **Arguments:**

    - `radii`: of the two circles.
    - `embedding`: orthonormal rows that embed it, or None.

    >>> import jax, jax.numpy as jnp
    >>> from geojax.evaluation import FlatTorus
    >>> torus = FlatTorus((1.0, 0.5))
    >>> a, b = jnp.array([1.0, 0.0, 0.5, 0.0]), jnp.array([0.0, 1.0, 0.0, 0.5])
    >>> print(f"{torus.distance(a, b):.4f}")  # pi / 2 (1 + 1 / 4)^(1/2)
    1.7562
    """

    radii: tuple[float, float] = eqx.field(static=True, default=(1.0, 0.5))
    embedding: Float[Array, "k ambient_dim"] | None = None

    def _angles(self, x):
        pairs = x.reshape(2, 2)
        return jnp.arctan2(pairs[:, 1], pairs[:, 0])

    def _at(self, angles):
        circles = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
        return (jnp.asarray(self.radii, angles.dtype)[:, None] * circles).reshape(-1)

    def _project(self, x):
        return self._at(self._angles(x))

    def _turn(self, a, b):
        return turns(a.reshape(2, 2), b.reshape(2, 2))

    def _distance(self, a, b):
        return norm(jnp.asarray(self.radii, a.dtype) * self._turn(a, b))

    def _geodesic(self, a, b, ts):
        start, turn = self._angles(a), self._turn(a, b)
        return jax.vmap(lambda t: self._at(start + t * turn))(ts)

    def _sample(self, num, key):
        angles = jax.random.uniform(key, (num, 2), maxval=2 * jnp.pi)
        return jax.vmap(self._at)(angles)

    def _spread(self, num, key):
        return jax.vmap(self._at)(2 * jnp.pi * lattice(num))


def turns(a: Float[Array, "planes 2"], b: Float[Array, "planes 2"]) -> Float[Array, " planes"]:
    """The angles from the vectors `a` of a plane to the vectors `b`, in (-pi, pi].

    They are continuous at the seam and exact for vectors that nearly align.
    """
    ahead = b - a
    across = a[:, 0] * ahead[:, 1] - a[:, 1] * ahead[:, 0]
    return jnp.arctan2(across, jnp.sum(a * b, axis=1))


def _across(v, unit):
    """The part of `v` normal to a unit vector."""
    return v - dot(unit, v) * unit


def lattice(num: int) -> Float[Array, "num 2"]:
    """The Fibonacci lattice: evenly spaced points of the unit square with periodic sides."""
    steps = jnp.arange(num).astype(jnp.result_type(float))
    golden = (math.sqrt(5) - 1) / 2
    return jnp.stack([(steps + 0.5) / num, steps * golden % 1], axis=1)
