"""First-order and quasi-Newton minimisation of the path energy, for any metric."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import optimistix as optx
from jaxtyping import Array, Float

from ..metrics import AbstractLowRankMetric
from ._iterate import AbstractIterativeSolver, default_rtol
from ._problem import SolverOutput, TwoPointProblem
from ._results import RESULTS


class _State(NamedTuple):
    xs: Float[Array, "nodes *shape"]
    gradient: Float[Array, "inner *shape"]
    optimiser: Any
    best: Float[Array, "nodes *shape"]
    best_energy: Float[Array, ""]
    best_decrement: Float[Array, ""]


class PathEnergy(AbstractIterativeSolver):
    """The energy over the interior nodes, by an optax optimiser or an optimistix minimiser.

    - ``optimiser``: any ``optax.GradientTransformation`` (with a learning-rate schedule if
      wanted), or any ``optimistix.AbstractMinimiser``; default Adam with learning rate 1e-2. An
      optax run returns the path of the lowest energy that it met; an optimistix minimiser stops
      by its own tolerances.
    - ``rtol``: bound on the decrement, which is here ``g^T (N b L)^-1 g / E``: the squared H^1
      dual norm of the gradient, which bounds the Newton decrement of a low-rank metric from above.

    The decrement of a first-order run seldom meets a strict ``rtol``: then the result says so and
    the energy is what it is.

    >>> import jax.numpy as jnp, optax, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> solver = geojax.PathEnergy(optax.adam(1e-2), rtol=1e-3)
    >>> solution = geojax.geodesic(metric, a, b, solver, num_segments=16, max_steps=2000)
    >>> print(f"{solution.length:.2f}")
    2.12
    """

    optimiser: Any = eqx.field(static=True, default_factory=lambda: optax.adam(1e-2))
    rtol: float | None = eqx.field(static=True, default=None)

    def init(self, problem, xs):
        energy, gradient = _energy_and_gradient(problem, xs)
        decrement = sobolev_decrement(problem, gradient, energy)
        return _State(xs, gradient, self.optimiser.init(xs[1:-1]), xs, energy, decrement)

    def step(self, problem, state):
        inner = state.xs[1:-1]
        # optax and optimistix rely on implicit promotion; a user's strict setting is not theirs.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimiser = self.optimiser.update(state.gradient, state.optimiser, inner)
            inner = optax.apply_updates(inner, updates)
        xs = state.xs.at[1:-1].set(inner)
        energy, gradient = _energy_and_gradient(problem, xs)
        decrement = sobolev_decrement(problem, gradient, energy)
        # `not >` so that a non-finite energy is passed on and ends the loop with its verdict.
        better = ~(energy > state.best_energy)
        pick = lambda new, old: jnp.where(better, new, old)  # noqa: E731
        best = pick(xs, state.best), pick(energy, state.best_energy)
        return _State(xs, gradient, optimiser, *best, pick(decrement, state.best_decrement))

    def read(self, state):
        return state.best, state.best_energy, state.best_decrement

    def solve(self, problem, xs, max_steps, progress_meter):
        if not isinstance(self.optimiser, optx.AbstractMinimiser):
            return super().solve(problem, xs, max_steps, progress_meter)
        return self._minimise(problem, xs, max_steps)

    def _minimise(self, problem, xs, max_steps) -> SolverOutput:
        def whole(inner):
            return xs.at[1:-1].set(inner)

        with jax.numpy_dtype_promotion("standard"):
            found = optx.minimise(
                lambda inner, _: problem.energy(whole(inner)),
                self.optimiser,
                xs[1:-1],
                max_steps=max_steps,
                throw=False,
            )
        path = whole(found.value)
        energy, gradient = _energy_and_gradient(problem, path)
        decrement = sobolev_decrement(problem, gradient, energy)
        rtol = default_rtol(xs.dtype) if self.rtol is None else self.rtol
        result = RESULTS.where(
            decrement <= rtol,
            RESULTS.successful,
            RESULTS.where(
                found.result == optx.RESULTS.nonlinear_max_steps_reached,
                RESULTS.max_steps_reached,
                RESULTS.stalled,
            ),
        )
        result = RESULTS.where(jnp.isfinite(energy), result, RESULTS.non_finite)
        # Each optimistix step evaluates the energy once (a refused step of a line search too).
        steps = jnp.asarray(found.stats["num_steps"])
        evaluations, products = problem.cost(len(xs) - 1)
        counts = (steps + 1) * evaluations, (steps + 1) * products
        return SolverOutput(path, energy, decrement, result, steps, *counts)


def _energy_and_gradient(problem: TwoPointProblem, xs):
    def energy(inner):
        return problem.energy(xs.at[1:-1].set(inner))

    return jax.value_and_grad(energy)(xs[1:-1])


def sobolev_decrement(problem: TwoPointProblem, gradient, energy) -> Float[Array, ""]:
    """``g^T (N b L)^-1 g / E``, b the base of a low-rank metric, 1 for any other."""
    n = len(gradient) + 1
    base = 1.0
    if isinstance(problem.metric, AbstractLowRankMetric):
        base = problem.metric.terms().base
    running = jnp.cumsum(gradient, axis=0)
    w = jnp.concatenate([jnp.zeros((1, *gradient.shape[1:]), gradient.dtype), running])
    w = w - jnp.mean(w, axis=0, keepdims=True)
    bound = jnp.sum(w**2) / (n * jnp.asarray(base, w.dtype))
    return bound / jnp.where(energy > 0, energy, 1.0)
