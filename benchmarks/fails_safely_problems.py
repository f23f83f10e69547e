"""The problems of `fails_safely.py`: classes of hard problems, each drawn at random."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import geojax

TOLERANCE = 0.05


class Modes(eqx.Module):
    """Equal Gaussians of width 0.4."""

    means: Float[Array, "k d"]

    def __call__(self, x, args: Any = None):
        squares = jnp.sum((self.means - x[None]) ** 2, axis=1)
        return (jax.nn.softmax(-squares / 0.32) @ self.means - x) / 0.16


class Broken(eqx.Module):
    """The score of a Gaussian, undefined right of `edge`."""

    edge: Float[Array, ""]

    def __call__(self, x, args: Any = None):
        return jnp.where(x[0] > self.edge, jnp.nan, -x)


class Jagged(eqx.Module):
    """A score that jumps from cell to cell of a grid."""

    size: Float[Array, ""]

    def __call__(self, x, args: Any = None):
        return -x + 3 * jnp.sign(jnp.sin(x / self.size))


class Whirl(eqx.Module):
    """A field that is not a gradient."""

    rate: Float[Array, ""]

    def __call__(self, x, args: Any = None):
        return -x + self.rate * jnp.stack([-x[1], x[0]])


class Circle(eqx.Module):
    """The score of a unit circle in the first two coordinates, a Gaussian in all others."""

    def __call__(self, x, args: Any = None):
        return (-x).at[:2].set((1 - jnp.sum(x[:2] ** 2)) * x[:2])


class Wall(eqx.Module):
    """The score of a Gaussian that is cut in two by a thin wall of low density at x_1 = place."""

    place: Float[Array, ""]
    width: Float[Array, ""]

    def __call__(self, x, args: Any = None):
        u = (x[0] - self.place) / self.width
        return (-x).at[0].add(3 * u * jnp.exp(-(u**2) / 2) / self.width)


class Problem(NamedTuple):
    """A metric, two points, and a number of segments.

    It also has the relative energy that a better path must gain to prove the answer wrong.
    """

    metric: Any
    x0: Array
    x1: Array
    num_segments: int = 32
    gain: float = 1.5 * TOLERANCE


def ring(width, lam, dtype=jnp.float64):
    """A ring of radius 2."""
    score = geojax.Shell(jnp.asarray(2.0, dtype), jnp.asarray(width, dtype))
    return geojax.SteinScoreMetric(score, jnp.asarray(lam, dtype))


def on_circle(radius, angle, dtype=jnp.float64):
    """A point in the plane."""
    return jnp.asarray([radius * np.cos(angle), radius * np.sin(angle)], dtype)


def classes() -> dict[str, Callable[[np.random.Generator], Problem]]:
    """The classes of problems; each draws a problem."""
    unit = geojax.SteinScoreMetric

    def modes(dimension, lam, segments):
        def draw(rng):
            means = jnp.asarray(rng.normal(size=(5, dimension)))
            return Problem(unit(Modes(means), jnp.asarray(lam)), means[0], means[1], segments)

        return draw

    def stiff(rng, dtype=jnp.float64, segments=32):
        metric = ring(rng.uniform(0.1, 0.4), 10 ** rng.uniform(0, 4), dtype)
        ends = on_circle(rng.uniform(1.5, 2.5), 0, dtype), on_circle(2, rng.uniform(1, 3), dtype)
        return Problem(metric, *ends, segments)

    def opposite(rng):
        metric = ring(rng.uniform(0.2, 0.6), 10 ** rng.uniform(-1, 1))
        point = on_circle(2, rng.uniform(0, 6))
        return Problem(metric, point, -point)

    def opposite_norm(rng):
        score = geojax.Shell(jnp.asarray(2.0), jnp.asarray(rng.uniform(0.3, 0.6)))
        point = on_circle(2, rng.uniform(0, 6))
        return Problem(geojax.ScoreNormMetric(score, jnp.asarray(1.0)), point, -point)

    def coincident(rng):
        point = on_circle(rng.uniform(0.5, 3), rng.uniform(0, 6))
        return Problem(ring(0.3, 10.0), point, point)

    def nearly_coincident(rng):
        point = on_circle(2, rng.uniform(0, 6))
        shift = jnp.asarray(rng.normal(size=2) * 10 ** rng.uniform(-14, -4))
        return Problem(ring(0.3, 10.0), point, point + shift)

    def extreme(low, high):
        def draw(rng):
            ends = on_circle(2, 0), on_circle(1.7, rng.uniform(0.5, 3))
            return Problem(ring(0.3, 10 ** rng.uniform(low, high)), *ends)

        return draw

    def broken(rng):
        score = Broken(jnp.asarray(rng.uniform(-1, 2)))
        ends = on_circle(rng.uniform(0.5, 2), 0.3), on_circle(rng.uniform(0.5, 2), 2.5)
        return Problem(unit(score, jnp.asarray(1.0)), *ends)

    def jagged(rng):
        score = Jagged(jnp.asarray(10 ** rng.uniform(-2, 0)))
        return Problem(unit(score, jnp.asarray(1.0)), *jnp.asarray(rng.normal(size=(2, 2))))

    def whirl(rng):
        score = Whirl(jnp.asarray(rng.uniform(0.5, 4)))
        ends = jnp.asarray(rng.normal(size=(2, 2)))
        return Problem(unit(score, jnp.asarray(10 ** rng.uniform(-1, 2))), *ends)

    def axis(dimension, dtype, *values):
        return (
            jnp.zeros(dimension, dtype).at[jnp.arange(len(values))].set(jnp.asarray(values, dtype))
        )

    def saddle(dimension, dtype=jnp.float64):
        """The straight line through the middle of a circle, with one way out."""

        def draw(rng):
            metric = unit(Circle(), jnp.asarray(rng.uniform(3.5, 12), dtype))
            end = axis(dimension, dtype, 1.0)
            return Problem(metric, -end, end, 16, 1e-3 if dtype == jnp.float64 else 1e-2)

        return draw

    def wall(dimension, dtype=jnp.float64):
        """A ridge of the metric that lies between the nodes of a path, or on one of them."""

        def draw(rng):
            score = Wall(
                jnp.asarray(rng.uniform(-0.3, 0.3), dtype),
                jnp.asarray(rng.uniform(0.03, 0.2), dtype),
            )
            ends = axis(dimension, dtype, -1.3, 0.2), axis(dimension, dtype, 1.3, 0.1)
            return Problem(unit(score, jnp.asarray(10 ** rng.uniform(-2, 2), dtype)), *ends, 16)

        return draw

    def thin_ring(dimension, dtype):
        """A stiff ring in many dimensions."""

        def draw(rng):
            metric = ring(rng.uniform(0.2, 0.4), 10 ** rng.uniform(0, 3), dtype)
            angle = rng.uniform(0.5, 2)
            ends = (
                axis(dimension, dtype, 2.0),
                axis(dimension, dtype, 2 * np.cos(angle), 2 * np.sin(angle)),
            )
            return Problem(metric, *ends, 16)

        return draw

    return {
        "stiff ring": stiff,
        "stiff ring, float32": lambda rng: stiff(rng, jnp.float32),
        "few segments": lambda rng: stiff(rng, segments=4),
        "modes apart, lam = 1": modes(2, 1.0, 32),
        "modes apart, lam = 100": modes(2, 100.0, 64),
        "modes apart, D = 50": modes(50, 1.0, 32),
        "opposite points": opposite,
        "opposite points, score norm": opposite_norm,
        "coincident points": coincident,
        "nearly coincident points": nearly_coincident,
        "tiny lam": extreme(-14, -6),
        "huge lam": extreme(6, 14),
        "undefined region": broken,
        "jumping score": jagged,
        "no gradient": whirl,
        "wall": wall(2),
        "saddle, D = 16,384": saddle(16_384),
        "saddle, D = 36,864": saddle(36_864),
        "saddle, D = 16,384, float32": saddle(16_384, jnp.float32),
        "wall, D = 16,384": wall(16_384),
        "wall, D = 36,864, float32": wall(36_864, jnp.float32),
        "stiff ring, D = 16,384, float32": thin_ring(16_384, jnp.float32),
    }
