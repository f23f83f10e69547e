"""Tests whether a stationary path is a minimum, by conjugate gradients on white noise.

Let H be the Hessian and P the preconditioner, both of size n. Let r be the residual of
preconditioned conjugate gradients, relative to its right-hand side b, in the norm of P^-1. In terms
of eigenvectors of P^-1 H the residual is b times a polynomial, `prod (1 - eigenvalue / theta)` over
the Ritz values theta. As long as no direction of negative curvature is met, all theta are positive.
Along an eigenvector of eigenvalue <= 0 the polynomial is then 1 or more, so that component of b
does not shrink. So when the residual has fallen to r, either H is positive definite, or b has at
most the share r along that eigenvector. For b white in the norm of P^-1 the second case has a
probability of at most `r sqrt(2 n / pi)`. Royer, O'Neill & Wright (Math. Program. 2020) show that
conjugate gradients from a random right-hand side find negative curvature. A run that stops at a
fixed tolerance, say 1e-2, misses a direction that is one of 10^5.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._linalg import dot
from ._conjugate_gradients import Truncated, truncated_cg
from ._preconditioner import AbstractPreconditioner

ODDS = 0.01  # largest probability of a missed saddle for a path to count as a minimum


def probe(preconditioner: AbstractPreconditioner, like: Array) -> Array:
    """The right-hand side b of a check, of the shape (inner, d) of `like`."""
    return preconditioner.noise(jax.random.key(0), like.shape[-1])


def residual_needed(size: int) -> float:
    """The relative residual for a missed saddle of probability `ODDS`, with n = `size`."""
    return ODDS * math.sqrt(math.pi / (2 * max(size, 1)))


def missed_saddle(found: Truncated, size: int) -> Float[Array, ""]:
    """A bound on the probability that conjugate gradients on a `probe` missed a saddle."""
    return jnp.minimum(found.left * math.sqrt(2 * size / math.pi), 1.0)


def where_active(active: Bool[Array, ""], run: Callable[[], Any], blank: Any) -> Any:
    """`run()` where `active`, else `blank` without computing `run()`.

    It is a loop of one iteration: under `jax.vmap` a `jax.lax.cond` computes both branches.
    """
    return jax.lax.while_loop(
        lambda carry: carry[0], lambda _: (jnp.asarray(False), run()), (active, blank)
    )[1]


def _no_search(like: Array) -> Truncated:
    """The result of `truncated_cg` where it does not run."""
    zero, none = jnp.zeros_like(like), jnp.zeros((), like.dtype)
    return Truncated(
        zero, none, jnp.ones_like(none), jnp.asarray(0), jnp.asarray(False), zero, none
    )


def search(
    product: Callable[[], Callable[[Array], Array]],
    preconditioner: Callable[[Array], Array],
    right: Callable[[], Array],
    like: Array,
    *,
    active: Bool[Array, ""],
    rtol: Float[Array, ""] | float,
    max_steps: Any,
) -> Truncated:
    """`truncated_cg` where `active`; `product()` and `right()` are called only there.

    `right()` returns an array of the shape of `like`.
    """

    def run():
        b = right()
        first = preconditioner(b)
        size = dot(b, first)
        options = {"active": size > 0, "rtol": rtol, "max_steps": max_steps}
        return truncated_cg(product(), preconditioner, b, first, size, **options)

    return where_active(active, run, _no_search(like))
