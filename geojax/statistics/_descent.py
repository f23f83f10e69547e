"""Minimisation of a sum of squared distances by L-BFGS in the metric, with an honest verdict.

The gradient of half a squared distance needs no derivative of a solve (envelope theorem), so each
evaluation is one batch of two-point problems. Without memory and with unit steps this is the
Karcher flow. The memory makes it converge superlinearly where curvature slows that flow down; the
line search prevents divergence (Nocedal & Wright 2006, algorithm 7.4).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._linalg import dot
from ._results import FIT_RESULTS

_MEMORY = 6
_SUFFICIENT = 1e-4  # the share of the predicted decrease that a step must reach (Armijo)
_SHORTEST = 1e-6  # the shortest step, relative to a full one


class Evaluation(NamedTuple):
    """An objective at a point, its gradient as a covector, and by-products.

    `noise` bounds the error of the value, which comes from the tolerance of its geodesics.
    """

    value: Float[Array, ""]
    noise: Float[Array, ""]
    gradient: Float[Array, " n"]
    extra: Any


class Descent(NamedTuple):
    """The end of a descent.

    `gradient_norm` is the norm of the preconditioned gradient, and `bound` its limit.
    """

    point: Float[Array, " n"]
    value: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    extra: Any
    num_evaluations: Array
    result: FIT_RESULTS
    bound: Float[Array, ""]


class _State(NamedTuple):
    point: Array
    here: Evaluation
    gradient_norm: Array
    scale: Array
    direction: Array
    slope: Array
    step: Array
    moves: Array  # the last changes of the point, the latest first
    turns: Array  # the same of the gradient
    evaluated: Array


def descend(
    evaluate: Callable[[Array, Any], Evaluation],
    precondition: Callable[[Array, Array], Array],
    point: Float[Array, " n"],
    extra: Any,
    rtol: Float[Array, ""],
    max_evaluations: Int[Array, ""],
    scale: Float[Array, ""] | None = None,
) -> Descent:
    """Minimise from `point` until the gradient's norm `sqrt(g . P g)` is below `rtol scale`.

    `evaluate(point, extra)` receives the `extra` of the last accepted point, to start from.
    `precondition(point, g)` is the inverse metric P applied to a covector. `scale` is by default
    the root of twice the first value: a distance, if the value is half its square.
    """
    zeros = jnp.zeros((_MEMORY, len(point)), point.dtype)
    infinite = jnp.asarray(jnp.inf, point.dtype)
    blank = Evaluation(infinite, infinite, jnp.zeros_like(point), extra)
    zero, one = jnp.zeros((), point.dtype), jnp.ones((), point.dtype)
    scale = infinite if scale is None else scale
    start = _State(
        point, blank, infinite, scale, blank.gradient, zero, one, zeros, zeros, jnp.asarray(0)
    )

    def going(state):
        first = state.evaluated == 0
        finite = jnp.isfinite(state.here.value) & jnp.isfinite(state.gradient_norm)
        active = finite & (state.gradient_norm > rtol * state.scale) & (state.step > _SHORTEST)
        return first | active & (state.evaluated < max_evaluations)

    def body(state):
        point = state.point + state.step * state.direction
        new = evaluate(point, state.here.extra)
        first = state.evaluated == 0
        old = state.here.value
        slack = state.here.noise + new.noise + 32 * jnp.finfo(point.dtype).eps * jnp.abs(old)
        enough = new.value <= old + _SUFFICIENT * state.step * state.slope + slack
        accepted = first | enough & jnp.all(jnp.isfinite(new.gradient))
        pick = lambda n, o: jnp.where(accepted, n, o)  # noqa: E731
        moved = _remember(state, point, new)
        kept = jax.tree.map(pick, moved, state)
        direction, slope, norm = _propose(precondition, kept)
        # The minimum of the parabola through both values and the slope.
        bend = new.value - old - state.step * state.slope
        shorter = -0.5 * state.slope * state.step**2 / jnp.where(bend > 0, bend, jnp.inf)
        shorter = jnp.clip(shorter, 0.1 * state.step, 0.5 * state.step)
        return kept._replace(
            gradient_norm=norm,
            scale=jnp.where(jnp.isinf(state.scale), jnp.sqrt(2 * new.value), state.scale),
            direction=direction,
            slope=slope,
            step=jnp.where(accepted, 1.0, shorter),
            evaluated=state.evaluated + 1,
        )

    state = jax.lax.while_loop(going, body, start)
    result = FIT_RESULTS.where(
        state.gradient_norm <= rtol * state.scale,
        FIT_RESULTS.successful,
        FIT_RESULTS.where(
            state.step > _SHORTEST, FIT_RESULTS.max_evaluations_reached, FIT_RESULTS.stalled
        ),
    )
    finite = jnp.isfinite(state.here.value) & jnp.isfinite(state.gradient_norm)
    result = FIT_RESULTS.where(finite, result, FIT_RESULTS.non_finite)
    return Descent(
        state.point,
        state.here.value,
        state.gradient_norm,
        state.here.extra,
        state.evaluated,
        result,
        rtol * state.scale,
    )


def _remember(state: _State, point, new: Evaluation) -> _State:
    """The state at a new point; changes that show no positive curvature are not stored."""
    move, turn = point - state.point, new.gradient - state.here.gradient
    curved = dot(move, turn) > 1e-10 * jnp.linalg.norm(move) * jnp.linalg.norm(turn)
    curved &= state.evaluated > 0
    moves = jnp.where(curved, jnp.roll(state.moves, 1, axis=0).at[0].set(move), state.moves)
    turns = jnp.where(curved, jnp.roll(state.turns, 1, axis=0).at[0].set(turn), state.turns)
    return state._replace(point=point, here=new, moves=moves, turns=turns)


def _propose(precondition, state: _State) -> tuple[Array, Array, Array]:
    """The two-loop recursion around P: the direction, its slope, and the norm of the gradient."""
    gradient, point = state.here.gradient, state.point
    steepest = precondition(point, gradient)
    norm = jnp.sqrt(dot(gradient, steepest))
    products = jnp.sum(state.moves * state.turns, axis=1)
    used = products > 0
    weights = jnp.where(used, 1 / jnp.where(used, products, 1.0), 0.0)

    def backward(q, pair):
        move, turn, weight = pair
        a = weight * dot(move, q)
        return q - a * turn, a

    def forward(r, pair):
        move, turn, weight, a = pair
        return r + (a - weight * dot(turn, r)) * move, None

    pairs = state.moves, state.turns, weights
    q, a = jax.lax.scan(backward, gradient, pairs)
    latest = precondition(point, state.turns[0])
    size = dot(state.turns[0], latest)
    scale = jnp.where(used[0], products[0] / jnp.where(size > 0, size, 1.0), 1.0)
    r, _ = jax.lax.scan(forward, scale * precondition(point, q), (*pairs, a), reverse=True)
    slope = -dot(gradient, r)
    downhill = slope < 0
    direction = jnp.where(downhill, -r, -steepest)
    return direction, jnp.where(downhill, slope, -(norm**2)), norm
