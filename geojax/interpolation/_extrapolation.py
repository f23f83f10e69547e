"""Extrapolations beyond x1 that are not geodesics, to compare with the exponential map."""

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
from ._base import AbstractInterpolator, InterpolatedPath, closed_form_path
from ._lerp import Lerp

_NEAR = 1 / 32  # the time before x1 from which the direction of arrival is taken


class _BeyondByScore(AbstractInterpolator):
    """A path to x1, continued with the help of the score."""

    score: Callable[..., Any]
    step_size: Float[Array, ""] = eqx.field(converter=functools.partial(number, "step_size"))
    path: AbstractInterpolator = eqx.field(default_factory=Lerp)
    args: Any = None


class TangentStep(_BeyondByScore):
    """Extrapolation along the final velocity of a path, then back to the data by the score.

    At time t > 1 the point is `x1 + (t - 1) v`, followed by `num_corrections` steps
    `x + step_size s(x)`.

    **Arguments:**

    - `score`: a callable `(x, args) -> s`.
    - `step_size`: in units of squared length. `sigma^2` makes a step of Tweedie's formula, to the
      denoised point.
    - `path`: the path up to x1, which gives the velocity; by default the straight line.
    - `args`: passed to the score.
    - `num_corrections`: steps back to the data.

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
    """Extrapolation by a walk of small steps along the data, corrected by the score.

    It is the extrapolation of arXiv 2505.11128 as far as that is known, and not a geodesic of any
    metric. `num_steps` steps of equal length lead to the last of the requested times. Each step
    goes along the present direction without its component along s, and then back to the data by
    `step_size s(x)`. The new direction is that of the whole step.

    **Arguments:**

    - `score`, `step_size`, `path`, `args`: as for `TangentStep`.
    - `num_steps`: of the walk.

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
    """The path with all points; its verdict also covers the points beyond x1."""
    result = RESULTS.where(
        before.result == RESULTS.successful, closed_form_path(points).result, before.result
    )
    return dataclasses.replace(before, points=points, result=result, score_evaluations=evaluations)


def _joined(before, beyond, ts):
    late = (ts > 1).reshape((-1,) + (1,) * (before.ndim - 1))
    return jnp.where(late, beyond, before)
