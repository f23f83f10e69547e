"""Ways to go on beyond x1 that are no geodesics: what the exponential map is compared with."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._functions import checked
from .._linalg import dot, norm
from .._numbers import number
from ..geodesics import RESULTS, Polyline
from ._base import AbstractInterpolator, InterpolatedPath, found
from ._lerp import Lerp

_NEAR = 1 / 32  # the time before x1 from which the direction of arrival is taken


class _BeyondByScore(AbstractInterpolator):
    """A path to x1, and on from there with the score's help."""

    score: Callable[..., Any]
    step_size: Float[Array, ""] = eqx.field(converter=functools.partial(number, "step_size"))
    path: AbstractInterpolator = eqx.field(default_factory=Lerp)
    args: Any = None


class TangentStep(_BeyondByScore):
    """Straight on along the final velocity of a path, and back to the data by the score.

    At time t > 1: ``x1 + (t - 1) v``, then ``num_corrections`` steps ``x + step_size s(x)``.

    - ``score``: a callable ``(x, args) -> s``.
    - ``step_size``: ``sigma^2`` makes a step of Tweedie's formula, the denoised point.
    - ``path``: the path up to x1, whose velocity it takes; default the straight line.

    >>> import jax.numpy as jnp, geojax
    >>> from geojax.interpolation import TangentStep
    >>> ring = geojax.Shell(radius=1.0, width=0.1)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([0.8, 0.6])
    >>> further = TangentStep(ring, 0.01)(a, b, jnp.array([1.5]))[0]
    >>> print(f"{jnp.linalg.norm(further):.3f}")
    1.000
    """

    num_corrections: int = eqx.field(static=True, default=4)

    def run(self, x0, x1, ts, *, key=None):
        before, velocity = _arrival(self.path, x0, x1, ts, key)
        score, step = checked(self.score), self.step_size.astype(x0.dtype)

        def beyond(t):
            x = x1 + (t - 1) * velocity
            for _ in range(self.num_corrections):
                x = x + step * score(x, self.args)
            return x

        points = _joined(before.points, jax.vmap(beyond)(ts), ts)
        evaluations = self.num_corrections * jnp.sum(ts > 1) + before.score_evaluations
        return _with_points(before, points, evaluations)


class ScoreWalk(_BeyondByScore):
    """A walk of small steps that is led by the score: the extrapolation of arXiv 2505.11128 as far
    as it is known, which is not a geodesic of any metric.

    ``num_steps`` steps of equal length lead as far as the last time asked for. Each goes along the
    direction so far less its component along s, and then back to the data by ``step_size s(x)``;
    the new direction is that of the whole step.

    - ``score``, ``step_size``, ``path``: as for `TangentStep`.

    >>> import jax.numpy as jnp, geojax
    >>> from geojax.interpolation import ScoreWalk
    >>> ring = geojax.Shell(radius=1.0, width=0.1)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([0.8, 0.6])
    >>> further = ScoreWalk(ring, 0.01)(a, b, jnp.array([2.0]))[0]
    >>> print(f"{jnp.linalg.norm(further):.3f}")
    1.000
    """

    num_steps: int = eqx.field(static=True, default=32)

    def run(self, x0, x1, ts, *, key=None):
        before, velocity = _arrival(self.path, x0, x1, ts, key)
        until = jnp.maximum(jnp.max(ts), 1.0)
        speed, tiny = norm(velocity), jnp.finfo(x0.dtype).tiny
        stride = speed * (until - 1) / self.num_steps
        score, back = checked(self.score), self.step_size.astype(x0.dtype)

        def step(state, _):
            x, direction = state
            s = score(x, self.args)
            tangent = direction - dot(direction, s) / (jnp.sum(s**2) + tiny) * s
            tangent = tangent / (norm(tangent) + tiny)
            new = x + stride * tangent
            new = new + back * score(new, self.args)
            moved = new - x
            moved = moved / (norm(moved) + tiny)
            return (new, jnp.where(stride > 0, moved, direction)), new

        _, walk = jax.lax.scan(step, (x1, velocity / (speed + tiny)), None, self.num_steps)
        nodes = jnp.concatenate([x1[None], walk])
        line = Polyline(jnp.linspace(0, 1, len(nodes), dtype=x0.dtype), nodes)
        late = (ts - 1) / jnp.where(until > 1, until - 1, 1.0)
        points = _joined(before.points, jax.vmap(line.evaluate)(jnp.clip(late, 0, 1)), ts)
        evaluations = before.score_evaluations + jnp.where(until > 1, 2 * self.num_steps, 0)
        return _with_points(before, points, evaluations)


def _arrival(path: AbstractInterpolator, x0, x1, ts, key) -> tuple[InterpolatedPath, jax.Array]:
    """The path at the times up to 1, and its velocity at x1."""
    near = jnp.asarray([1 - _NEAR], ts.dtype)
    before = path.run(x0, x1, jnp.concatenate([jnp.minimum(ts, 1), near]), key=key)
    velocity = (x1 - before.points[-1]) / _NEAR
    return dataclasses.replace(before, points=before.points[:-1]), velocity


def _with_points(before: InterpolatedPath, points, evaluations) -> InterpolatedPath:
    """All of the points; a verdict of the path stays, and of those beyond it says what is so."""
    result = RESULTS.where(before.result == RESULTS.successful, found(points).result, before.result)
    return dataclasses.replace(before, points=points, result=result, score_evaluations=evaluations)


def _joined(before, beyond, ts):
    late = (ts > 1).reshape((-1,) + (1,) * (before.ndim - 1))
    return jnp.where(late, beyond, before)
