"""Whether a stationary path is a minimum: conjugate gradients on white noise.

Let H be the Hessian and P the preconditioner, both of size n, and let r be the residual of
preconditioned conjugate gradients, relative to its right-hand side b in the norm of P^-1. In terms
of eigenvectors of P^-1 H the residual is b times a polynomial, ``prod (1 - eigenvalue / theta)``
over the Ritz values theta. As long as no direction of negative curvature is met, all theta are
positive, and along an eigenvector of eigenvalue <= 0 the polynomial is 1 or more: what b has there
does not shrink. So where the residual has come down to r, either H is positive definite, or b has
at most the share r along that eigenvector. For b white in the norm of P^-1 the second has a
probability of at most ``r sqrt(2 n / pi)``. That conjugate gradients from a
random right-hand side find negative curvature is in Royer, O'Neill & Wright (Math. Program. 2020);
a run that is stopped by a fixed tolerance, say 1e-2, misses a direction that is one of 10^5.
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

ODDS = 0.01  # of a saddle missed, at most, for a path to be called a minimum


def probe(preconditioner: AbstractPreconditioner, like: Array) -> Array:
    """The right-hand side b of a check, of the shape (inner, d) of ``like``."""
    return preconditioner.noise(jax.random.key(0), like.shape[-1])


def residual_needed(size: int) -> float:
    """The relative residual that leaves the chance `ODDS` of a saddle missed, in n = ``size``."""
    return ODDS * math.sqrt(math.pi / (2 * max(size, 1)))


def missed_saddle(found: Truncated, size: int) -> Float[Array, ""]:
    """A bound on the probability of a saddle missed by conjugate gradients on a `probe`."""
    return jnp.minimum(found.left * math.sqrt(2 * size / math.pi), 1.0)


def where_active(active: Bool[Array, ""], run: Callable[[], Any], blank: Any) -> Any:
    """``run()``, or ``blank`` where not ``active``, without computing it there.

    A loop of one trip: of a `jax.lax.cond`, `jax.vmap` computes both branches in every step.
    """
    return jax.lax.while_loop(
        lambda carry: carry[0], lambda _: (jnp.asarray(False), run()), (active, blank)
    )[1]


def _no_search(like: Array) -> Truncated:
    """What `truncated_cg` finds where it does not run."""
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
    """`truncated_cg` where ``active``; only there are ``product()`` and ``right()`` made, the
    latter of the shape of ``like``.
    """

    def run():
        b = right()
        first = preconditioner(b)
        size = dot(b, first)
        options = {"active": size > 0, "rtol": rtol, "max_steps": max_steps}
        return truncated_cg(product(), preconditioner, b, first, size, **options)

    return where_active(active, run, _no_search(like))
