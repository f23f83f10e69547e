"""Conjugate gradients that stop at negative curvature (Steihaug 1983)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._linalg import dot


class Truncated(NamedTuple):
    """The result of truncated conjugate gradients.

    - `decrease`: `right . solution`, as a sum of positive terms.
    - `left`: the residual in the norm of the preconditioner, relative to that of the right-hand
      side.
    - `direction`, `curvature`: the last search direction p and its `p . product(p)`, which is not
      positive where `negative`.
    """

    solution: Float[Array, "..."]
    decrease: Float[Array, ""]
    left: Float[Array, ""]
    count: Int[Array, ""]
    negative: Bool[Array, ""]
    direction: Float[Array, "..."]
    curvature: Float[Array, ""]


class _State(NamedTuple):
    solution: Array
    residual: Array
    direction: Array
    size: Array  # r . M r
    left: Array  # share of the first size, at the last step where it is finite
    decrease: Array
    count: Array
    going: Array
    negative: Array
    curvature: Array


def truncated_cg(
    product: Callable[[Array], Array],
    precondition: Callable[[Array], Array],
    right: Float[Array, "..."],
    first: Float[Array, "..."],
    first_size: Float[Array, ""],
    *,
    active: Bool[Array, ""],
    rtol: Float[Array, ""] | float,
    max_steps: int | Int[Array, ""],
) -> Truncated:
    """Solve `product(d) = right` approximately, from d = 0, with at most `max_steps` products.

    `first` is `precondition(right)` and `first_size` its product with `right`, both as exact as the
    caller can make them. It stops when the residual in the norm of the preconditioner has fallen by
    the factor `rtol`. It also stops at a direction without positive curvature, and then returns the
    solution found before. Nothing is computed where `active` is False.
    """

    def going(state: _State):
        return state.going

    def body(state: _State) -> _State:
        p = state.direction
        image = product(p)
        curvature = dot(p, image)
        negative = ~(curvature > 0)
        rate = jnp.where(negative, 0.0, state.size / jnp.where(negative, 1.0, curvature))
        residual = state.residual - rate * image
        z = precondition(residual)
        size = dot(residual, z)
        lost = ~(size > 0) | ~jnp.isfinite(size)
        done = negative | lost | (size <= rtol**2 * first_size)
        count = state.count + 1
        return _State(
            state.solution + rate * p,
            residual,
            jnp.where(done, p, z + size / state.size * p),
            jnp.where(done, state.size, size),
            jnp.where(negative | ~jnp.isfinite(size), state.left, jnp.abs(size) / first_size),
            state.decrease + rate * state.size,
            count,
            ~done & (count < max_steps),
            negative,
            curvature,
        )

    zero = jnp.zeros_like(right)
    start = _State(
        zero,
        right,
        first,
        first_size,
        jnp.ones_like(first_size),
        jnp.zeros_like(first_size),
        jnp.asarray(0),
        active & (first_size > 0),
        jnp.asarray(False),
        jnp.zeros_like(first_size),
    )
    end = jax.lax.while_loop(going, body, start)
    left = jnp.sqrt(end.left)
    last = end.count, end.negative, end.direction, end.curvature
    return Truncated(end.solution, end.decrease, left, *last)
