"""A path's energy as a function of its inner nodes: its gradient and products with its Hessian."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from ..metrics import AbstractLowRankMetric
from . import _path_hessian as ph
from ._problem import TwoPointProblem


def flat_inner(offsets) -> Float[Array, "inner d"]:
    """The offsets of the inner nodes, one row per node."""
    return offsets[1:-1].reshape(len(offsets) - 2, -1)


def gradient(problem: TwoPointProblem, offsets, inner) -> Array:
    """The derivative of the energy by `inner`, with the shape of `inner`.

    `inner` are offsets of the inner nodes, which replace those in `offsets`.
    """

    def path(inner):
        return offsets.at[1:-1].set(inner.reshape(offsets[1:-1].shape))

    if isinstance(problem.metric, AbstractLowRankMetric):
        return ph.gradient(ph.linearise(problem, path(inner))).reshape(inner.shape)
    return jax.grad(lambda inner: problem.energy(path(inner)))(inner)


def hessian(
    problem: TwoPointProblem, offsets
) -> Callable[[Float[Array, "inner d"]], Float[Array, "inner d"]]:
    """The product with the Hessian of the energy, forward over reverse.

    Where the rule evaluates all points at once, the linearisation of the path is computed once and
    kept. Otherwise memory is limited, and every product evaluates the path again.
    """
    at, by = flat_inner(offsets), lambda inner: gradient(problem, offsets, inner)
    if problem.rule.keeps_linearisations:
        return jax.linearize(by, at)[1]
    return lambda d: jax.jvp(by, (at,), (d,))[1]
