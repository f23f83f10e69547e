"""Many lanes through few slots: a lane that ends makes room for the next.

A `jax.vmap` of a solve runs as long as its slowest lane. Here `batch_size` slots are stepped
together. As soon as a lane has ended, with any verdict, its slot goes to the next lane in the
queue. All of it is one `jax.lax.while_loop`, so it works inside a user's `jax.jit`. The only
additional steps are those at the end, when the queue is empty and slots are idle: at most
`batch_size - 1` times the steps of the longest lane.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def in_queue(
    solver, problem_of: Callable[..., Any], offsets, max_steps, batch_size, progress_meter
):
    """`AbstractSolver.solve_many` of an iterative solver: init, step and output lane by lane."""
    num_lanes = len(offsets)
    slots = min(batch_size, num_lanes)

    def start(lane):
        lane = jnp.minimum(lane, num_lanes - 1)
        return solver.init(problem_of(lane), offsets[lane])

    def step(lane, state):
        return solver.step(problem_of(jnp.minimum(lane, num_lanes - 1)), state)

    def output(lane, state, evaluated):
        return solver.output(problem_of(jnp.minimum(lane, num_lanes - 1)), state, evaluated)

    def steps(carry):
        """Step until a lane ends. An idle slot repeats its last lane; the result is discarded."""
        lanes, states, evaluated, _ = carry
        states = jax.vmap(step)(lanes, states)
        evaluated = evaluated + 1
        going = jax.vmap(lambda s, e: solver.going(s, e, max_steps))(states, evaluated)
        return lanes, states, evaluated, ~going & (lanes < num_lanes)

    def body(carry):
        lanes, states, evaluated, following, outputs, meter = carry
        none = jnp.zeros(slots, bool)
        # The second condition can only fail for a queue under `jax.vmap` that has finished.
        _, states, evaluated, ended = jax.lax.while_loop(
            lambda inner: ~jnp.any(inner[3]) & jnp.any(inner[0] < num_lanes),
            steps,
            (lanes, states, evaluated, none),
        )
        outputs = jax.tree.map(
            lambda all, new: all.at[jnp.where(ended, lanes, num_lanes)].set(new, mode="drop"),
            outputs,
            jax.vmap(output)(lanes, states, evaluated),
        )
        queued = following + jnp.cumsum(ended) - 1
        lanes = jnp.where(ended, jnp.minimum(queued, num_lanes), lanes)
        following = following + jnp.sum(ended)
        states = _select(ended, jax.vmap(start)(lanes), states)
        done = (following - slots) / num_lanes
        meter = progress_meter.step(meter, done.astype(jnp.result_type(float)))
        return lanes, states, jnp.where(ended, 0, evaluated), following, outputs, meter

    lanes = jnp.arange(slots)
    states, evaluated = jax.vmap(start)(lanes), jnp.zeros_like(lanes)
    shapes = jax.eval_shape(jax.vmap(output), lanes, states, evaluated)
    blank = jax.tree.map(lambda a: jnp.zeros((num_lanes, *a.shape[1:]), a.dtype), shapes)
    carry = lanes, states, evaluated, jnp.asarray(slots), blank, progress_meter.init()
    *_, outputs, meter = jax.lax.while_loop(lambda c: jnp.any(c[0] < num_lanes), body, carry)
    progress_meter.close(meter)
    return outputs


def _select(mask, new, old):
    """`new` in the lanes where `mask`, else `old`."""

    def pick(n, o):
        return jnp.where(mask.reshape(-1, *[1] * (o.ndim - 1)), n, o)

    return jax.tree.map(pick, new, old)
