"""The two minimisers of the energy of a path in spacetime."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optimistix as optx
from jaxtyping import Array, Bool, Float, Integer, Key

_RATE = 0.1  # of Adam at its first step, in units of the level


class Minimum(NamedTuple):
    """Where a minimisation ended, after how many steps, and whether it used all of them."""

    offsets: Float[Array, "inner coordinates"]
    steps: Integer[Array, ""]
    accepted: Integer[Array, ""]
    spent: Bool[Array, ""]


def by_lbfgs(
    function: Callable[[Array], Array],
    start: Float[Array, "inner coordinates"],
    dtype: Any,
    max_steps: int,
) -> Minimum:
    """The minimum of a deterministic energy, to the precision of `dtype`."""
    if not start.size:  # one segment: no node to move
        return Minimum(start, jnp.asarray(0), jnp.asarray(0), jnp.asarray(False))
    tolerance = 1e-8 if dtype == jnp.float64 else 1e-5
    # optimistix relies on implicit promotion, which the user may have forbidden.
    with jax.numpy_dtype_promotion("standard"):
        found = optx.minimise(
            lambda offsets, _: function(offsets).astype(start.dtype),
            optx.LBFGS(rtol=tolerance, atol=tolerance),
            start,
            max_steps=max_steps,
            throw=False,
        )
    spent = found.result == optx.RESULTS.nonlinear_max_steps_reached
    steps = jnp.asarray(found.stats["num_steps"])
    return Minimum(found.value, steps, found.state.num_accepted_steps, spent)


def by_adam(
    gradient_of: Callable[[Array, Key[Array, ""]], Array],
    start: Float[Array, "inner coordinates"],
    max_steps: int,
    *,
    key: Key[Array, ""],
) -> Minimum:
    """The end of `max_steps` steps along gradients that are drawn anew at every step."""
    optimiser = optax.adam(optax.cosine_decay_schedule(_RATE, max_steps))

    def step(carry, key):
        offsets, state = carry
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimiser.update(gradient_of(offsets, key), state, offsets)
            return (optax.apply_updates(offsets, updates), state), None

    begin = start, optimiser.init(start)
    (offsets, _), _ = jax.lax.scan(step, begin, jax.random.split(key, max_steps))
    count = jnp.asarray(max_steps)
    return Minimum(jnp.asarray(offsets), count, count, jnp.asarray(True))
