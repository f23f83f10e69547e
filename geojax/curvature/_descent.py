"""Gradient descent in a metric."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._functions import explained_derivatives
from .._linalg import dot
from .._verdicts import AbstractSolution, Verdicts, or_raise
from ..geodesics import RESULTS, GeodesicSolution
from ..metrics import AbstractMetric

_ARMIJO = 1e-4  # the share of the predicted decrease that a step must reach
_HALVINGS = 40  # of one step at most


class DescentSolution(AbstractSolution):
    """The iterates of a descent, and the verdict.

    **Arguments:**

    - `xs`: the iterates, shape `(max_steps + 1, *shape)`; `x` is the last one.
    - `values`: the objective there, shape `(max_steps + 1,)`.
    - `gradient_norms`: |grad f| in the metric there, of that shape.
    - `step_sizes`: shape `(max_steps,)`; 0 after the descent has ended.
    - `result`: a member of `RESULTS`.
    - `limits`: `gtol`, under the name `gradient_norm`.
    """

    xs: Float[Array, "nodes *shape"]
    values: Float[Array, " nodes"]
    gradient_norms: Float[Array, " nodes"]
    step_sizes: Float[Array, " steps"]
    result: RESULTS
    limits: dict[str, Any] = eqx.field(default_factory=dict)
    verdicts: ClassVar[Verdicts] = GeodesicSolution.verdicts
    noun: ClassVar[str] = "descent"

    @property
    def x(self) -> Float[Array, "*shape"]:
        """The last iterate."""
        return self.xs[-1]

    def rows(self) -> dict[str, Any]:
        return {
            "num_steps": np.sum(np.asarray(self.step_sizes) > 0, axis=-1),
            "value": self.values[..., -1],
            "gradient_norm": self.gradient_norms[..., -1],
        }

    def figures(self) -> dict[str, Any]:
        return super().figures() | self.rows()


@explained_derivatives()
@takes_arrays("x0")
def riemannian_gradient_descent(
    metric: AbstractMetric,
    objective: Callable[[Array], Array],
    x0: Float[Array, "*shape"],
    args: Any = None,
    *,
    learning_rate: float,
    max_steps: int = 100,
    gtol: float = 0.0,
    retraction: Callable[[Array, Array], Array] | None = None,
    throw: bool = True,
) -> DescentSolution:
    """Descent of an objective along its Riemannian gradient `g(x)^-1 df(x)`.

    Use it to change a point while it stays near the data. In the metric `I + lam s s^T` the
    component of the gradient along s is divided by `1 + lam |s|^2`, so the descent leaves the
    region of high density slowly, as if it were projected to it. It is slowed down, not stopped. On
    a ridge of the density s vanishes, so that the descent first drifts to where `lam |s|^2` is
    large. Motion orthogonal to s is free. The points with df = 0 do not depend on the metric.

    **Arguments:**

    - `metric`: any geojax metric.
    - `objective`: a scalar function of a point.
    - `x0`: the start.
    - `args`: passed to the score.
    - `learning_rate`: the first step size that each step tries. It is halved until the objective
      falls by Armijo's rule.
    - `max_steps`: steps at most.
    - `gtol`: the descent ends when |grad f|_g is at most this. With the default 0 all steps are
      made, and that is success.
    - `retraction`: `(x, v) -> point`, default `x + v`. To descend along geodesics, use the end of
      [`geojax.exponential_map`][].
    - `throw`: raise when the descent did not succeed.

    **Returns:**

    A [`geojax.DescentSolution`][].

    **Raises:**

    - `ValueError`: when `learning_rate` or `max_steps` is not positive, or `gtol` is negative.
    - a run-time error with the remedy: when the descent did not succeed and `throw` is True.

    >>> import jax.numpy as jnp, geojax
    >>> ring = geojax.Shell(radius=1.0, width=0.1)
    >>> metric = geojax.SteinScoreMetric(ring, lam=100.0)
    >>> aim = lambda x: jnp.sum((x - jnp.array([3.0, 0.0])) ** 2) / 2
    >>> path = geojax.riemannian_gradient_descent(
    ...     metric, aim, jnp.array([0.0, 1.0]), learning_rate=0.02, max_steps=100
    ... )
    >>> bool(jnp.max(jnp.abs(jnp.linalg.norm(path.xs, axis=1) - 1)) < 0.1)  # stays by the ring
    True
    """
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, got {learning_rate}.")
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, got {max_steps}.")
    if gtol < 0:
        raise ValueError(f"gtol must not be negative, got {gtol}.")
    solution = _descend(metric, objective, x0, args, learning_rate, max_steps, gtol, retraction)
    return or_raise(solution) if throw else solution


@eqx.filter_jit
def _descend(
    metric, objective, x0, args, learning_rate, max_steps, gtol, retraction
) -> DescentSolution:
    move = retraction or (lambda x, v: x + v)

    def gradient_at(x):
        value, covector = jax.value_and_grad(objective)(x)
        gradient = metric.sharp(x, covector, args)
        return value, gradient, dot(covector, gradient)

    def step(carry, _):
        x, value, gradient, slope, stuck = carry

        def too_long(state):
            size, _, new, halvings = state
            falls = new <= value - _ARMIJO * size * slope
            return ~falls & (halvings < _HALVINGS)

        def halve(state):
            size, _, _, halvings = state
            target = move(x, -size / 2 * gradient)
            return size / 2, target, objective(target), halvings + 1

        size = jnp.asarray(learning_rate, x.dtype)
        target = move(x, -size * gradient)
        trial = (size, target, objective(target), jnp.zeros((), jnp.int32))
        size, target, new, _ = jax.lax.while_loop(too_long, halve, trial)
        at_rest = jnp.sqrt(slope) <= gtol
        failed = ~at_rest & ~(new <= value - _ARMIJO * size * slope)
        going = ~at_rest & ~failed & ~stuck
        size = jnp.where(going, size, 0.0)
        x = jnp.where(going, target, x)
        carry = (x, *gradient_at(x), stuck | failed)
        return carry, (x, carry[1], jnp.sqrt(carry[3]), size)

    start = (x0, *gradient_at(x0), jnp.zeros((), bool))
    end, (xs, values, norms, sizes) = jax.lax.scan(step, start, length=max_steps)
    xs = jnp.concatenate([x0[None], xs])
    values = jnp.concatenate([start[1][None], values])
    norms = jnp.concatenate([jnp.sqrt(start[3])[None], norms])
    result = RESULTS.where(end[4], RESULTS.no_descent, RESULTS.successful)
    short = (gtol > 0) & ~(norms[-1] <= gtol)
    result = RESULTS.where(short & ~end[4], RESULTS.not_converged, result)
    finite = jnp.all(jnp.isfinite(values)) & jnp.all(jnp.isfinite(norms))
    result = RESULTS.where(finite, result, RESULTS.non_finite)
    limits = {"gradient_norm": jnp.asarray(gtol, x0.dtype)}
    return DescentSolution(
        xs=xs,
        values=values,
        gradient_norms=norms,
        step_sizes=sizes,
        result=result,
        limits=limits,
    )
