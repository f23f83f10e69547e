"""Step acceptance, damping and escape from saddles, shared by the damped Newton solvers."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._linalg import dot
from . import _path_hessian as ph
from ._conjugate_gradients import Truncated
from ._problem import TwoPointProblem

MOST_IDLE = 10  # consecutive steps with an expected gain below the energy's rounding error
PATIENCE = 0.3  # a Gauss-Newton step that leaves a larger share of the decrement is slow
_ESCAPE = 0.1  # the size of a step away from a saddle, in lengths of the path


class Judgement(NamedTuple):
    """The outcome of one trial step.

    - `accept`: whether the step is taken; `damping`: that of the next step.
    - `idle`: consecutive steps whose predicted decrease was below the rounding error of the energy.
    - `slow`: the step was accepted but reduced the energy by less than half.
    """

    accept: Bool[Array, ""]
    damping: Float[Array, ""]
    idle: Int[Array, ""]
    slow: Bool[Array, ""]


def judge(energy, defined, before, predicted, damping, idle, slack) -> Judgement:
    """Judge a step from the energy `before` (inf: none yet) to `energy`.

    The damping falls by the accuracy of the model (Nielsen 1999). A gain below half of the
    prediction means a true curvature well above the model's; more damping then converges faster.
    Within the rounding error of the energy (`slack`) the ratio has no meaning, and the damping is
    kept.
    """
    gain, first = before - energy, jnp.isinf(before)
    accept = defined & (first | (gain >= -slack) & (predicted > 0))
    ratio = gain / predicted
    factor = jnp.where(ratio < 0.5, 2.0, jnp.maximum(0.2, 1 - (2 * ratio - 1) ** 3))
    significant = ~first & (predicted > slack)
    return Judgement(
        accept,
        damping * jnp.where(accept, jnp.where(significant, factor, 1.0), 4.0),
        jnp.where(first | significant, 0, idle + 1),
        accept & ~first & ~(energy < 0.5 * before),
    )


def escape(found: Truncated, gradient, problem: TwoPointProblem, offsets, damping):
    """A step along a direction of negative curvature, and its predicted decrease of the energy.

    After a refusal the `damping` is larger and the step shorter.
    """
    basis = problem.basis(offsets)
    inner = offsets[1:-1].reshape(gradient.shape)
    size = jnp.sum(problem.chord**2) + ph.h1_square(basis, inner)
    spread = ph.h1_square(basis, found.direction)
    reach = _ESCAPE * jnp.sqrt(size / jnp.where(spread > 0, spread, 1.0))
    reach = reach / jnp.maximum(damping, 1.0)
    downwards = dot(gradient, found.direction) <= 0
    tiny = float(jnp.finfo(size.dtype).tiny)
    predicted = jnp.maximum(-found.curvature * reach**2 / 2, tiny)
    return jnp.where(downwards, reach, -reach) * found.direction, predicted
