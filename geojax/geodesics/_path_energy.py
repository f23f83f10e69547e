"""First-order and quasi-Newton minimisation of the path energy, for any metric."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import optimistix as optx
from jaxtyping import Array, Float

from .._linalg import matmul
from .._options import check_option
from ..metrics import AbstractLowRankMetric
from ._basis import Basis
from ._iterate import AbstractIterativeSolver, AbstractSolver, default_rtol
from ._meters import metered, unmetered
from ._problem import SolverOutput, TwoPointProblem
from ._results import RESULTS


class _State(NamedTuple):
    offsets: Float[Array, "nodes *shape"]
    optimiser: Any
    best: Float[Array, "nodes *shape"]
    best_energy: Float[Array, ""]
    best_decrement: Float[Array, ""]


class PathEnergy(AbstractIterativeSolver):
    """Minimise the energy over the inner nodes by an optax optimiser or an optimistix minimiser.

    It takes any metric in any dimension, and is the default for metrics of many coordinates whose
    energy is no sum of squares.

    **Arguments:**

    - `optimiser`: any `optax.GradientTransformation` (with a learning-rate schedule if wanted), or
      any `optimistix.AbstractMinimiser`. Default `optimistix.LBFGS` with tolerances of 1e-10 in
      float64 and 1e-6 in float32. An optax run returns the path of the lowest energy that it met;
      an optimistix minimiser stops by its own tolerances. Create an optax optimiser once and keep
      it: `optax.adam(1e-2)` is a new function each time, and each new one is compiled again.
    - `rtol`: bound on the decrement, which is here `g^T (b K)^-1 g / E`. It is the squared H^1 dual
      norm of the gradient, which bounds the Newton decrement of a low-rank metric from above. K is
      the stiffness matrix of the path, b the metric's base, or for other metrics the least
      `<x', x'>_g / |x'|^2`.

    The decrement of a first-order run seldom meets a strict `rtol`. The result then says so, and
    the path is the best one found. Counts of evaluations are exact for optax and for BFGS and
    LBFGS. Any other minimiser is assumed to evaluate the energy and its gradient once per step.

    **Raises:**

    - `ValueError`: when `optimiser` is neither of the two.

    >>> import jax.numpy as jnp, optax, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> solver = geojax.PathEnergy(optax.adam(1e-2), rtol=1e-3)
    >>> solution = geojax.geodesic(metric, a, b, solver=solver, num_segments=16, max_steps=2000)
    >>> print(f"{solution.length:.2f}")
    2.12
    """

    optimiser: Any = eqx.field(static=True, default=None)
    rtol: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        kinds = optax.GradientTransformation | optx.AbstractMinimiser | None
        remedy = ""
        if isinstance(self.optimiser, int | float):
            remedy = "A learning rate belongs to one: optimiser=optax.adam(1e-2)."
        elif callable(self.optimiser):
            remedy = "Call it: optimiser=optax.adam(1e-2)."
        wanted = "an optimiser of optax or a minimiser of optimistix"
        check_option("optimiser", self.optimiser, kinds, wanted, remedy)

    @property
    def _minimises(self) -> bool:
        """Whether the optimiser is an optimistix minimiser, which has its own loop."""
        return self.optimiser is None or isinstance(self.optimiser, optx.AbstractMinimiser)

    def init(self, problem, offsets):
        unknown = jnp.asarray(jnp.inf, offsets.dtype)
        return _State(offsets, self.optimiser.init(offsets[1:-1]), offsets, unknown, unknown)

    def step(self, problem, state):
        offsets = state.offsets
        energy, gradient, decrement = _gradient_at(problem, offsets)
        # `not >`, so that a non-finite energy ends the loop with its verdict.
        better = ~(energy > state.best_energy)
        pick = lambda new, old: jnp.where(better, new, old)  # noqa: E731
        best = pick(offsets, state.best), pick(energy, state.best_energy)
        best = *best, pick(decrement, state.best_decrement)
        inner = offsets[1:-1]
        # optax and optimistix rely on implicit promotion, also under a user's strict setting.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimiser = self.optimiser.update(gradient, state.optimiser, inner)
            inner = optax.apply_updates(inner, updates)
        return _State(offsets.at[1:-1].set(inner), optimiser, *best)

    def read(self, state):
        return state.best, state.best_energy, state.best_decrement

    def cost(self, problem, num_segments):
        return problem.gradient_cost(num_segments)

    def stepped(self, problem):
        del problem
        return None if self._minimises else self

    def solve(self, problem, offsets, max_steps, progress_meter):
        if not self._minimises:
            return super().solve(problem, offsets, max_steps, progress_meter)
        return self._minimise(problem, offsets, max_steps, progress_meter)

    def solve_many(self, problem_of, offsets, max_steps, batch_size, progress_meter):
        # An optimistix minimiser has its own loop, which no queue can step through.
        lanes = (problem_of, offsets, max_steps, batch_size, progress_meter)
        if self._minimises:
            return AbstractSolver.solve_many(self, *lanes)
        return super().solve_many(*lanes)

    def _minimise(self, problem, offsets, max_steps, progress_meter) -> SolverOutput:
        optimiser = self.optimiser
        if optimiser is None:
            tolerance = 1e-10 if offsets.dtype == jnp.float64 else 1e-6
            optimiser = optx.LBFGS(rtol=tolerance, atol=tolerance)
        solver = metered(optimiser, progress_meter, max_steps)

        def whole(inner):
            return offsets.at[1:-1].set(inner)

        # In units of the least possible energy, because minimisers also have absolute tolerances.
        n, low_rank = len(offsets) - 1, isinstance(problem.metric, AbstractLowRankMetric)
        base = _base(problem, offsets, None if low_rank else problem.squared_speeds(offsets))
        least = base * jnp.sum(problem.chord**2) / 2
        unit = jnp.where(least > 0, least, 1.0)
        with jax.numpy_dtype_promotion("standard"):
            found = optx.minimise(
                lambda inner, _: problem.energy(whole(inner)) / unit,
                solver,
                offsets[1:-1],
                max_steps=max_steps,
                throw=False,
            )
        path = whole(found.value)
        energy, _, decrement = _gradient_at(problem, path)
        rtol = default_rtol(offsets.dtype) if self.rtol is None else self.rtol
        result = RESULTS.where(
            decrement <= rtol,
            RESULTS.successful,
            RESULTS.where(
                found.result == optx.RESULTS.nonlinear_max_steps_reached,
                RESULTS.max_steps_reached,
                RESULTS.stalled,
            ),
        )
        defined = jnp.isfinite(energy) & ~jnp.isnan(decrement)
        result = RESULTS.where(defined, result, RESULTS.non_finite)
        # Each step evaluates the energy once. A quasi-Newton method differentiates it only where
        # the step is accepted. The verdict takes one more of each.
        steps = jnp.asarray(found.stats["num_steps"])
        state = unmetered(found.state, solver)
        differentiated = getattr(state, "num_accepted_steps", steps) + 1
        forward, (evaluations, products) = problem.energy_cost(n), problem.gradient_cost(n)
        for_unit = 0 if low_rank else forward
        evaluations = (steps + 1) * forward + differentiated * (evaluations - forward) + for_unit
        products = differentiated * products
        counts = steps, evaluations, products
        limits = {"decrement": jnp.asarray(rtol, offsets.dtype)}
        exact = isinstance(optimiser, optx.BFGS | optx.LBFGS)
        return SolverOutput(
            path, energy, decrement, result, *counts, limits, counts_are_lower_bounds=not exact
        )


def _gradient_at(problem: TwoPointProblem, offsets):
    """The energy, its gradient by the inner offsets, and `sobolev_decrement`."""
    basis = problem.basis(offsets)

    def energy(inner):
        squares = problem.squared_speeds(offsets.at[1:-1].set(inner))
        return jnp.sum(basis.weights * squares) / 2, squares

    (total, squares), gradient = jax.value_and_grad(energy, has_aux=True)(offsets[1:-1])
    base = _base(problem, offsets, squares)
    return total, gradient, sobolev_decrement(gradient, basis, base, total)


def _base(problem: TwoPointProblem, offsets, squared_speeds) -> Float[Array, ""]:
    """The base b of a low-rank metric; else the least `<x', x'>_g / |x'|^2`."""
    if isinstance(problem.metric, AbstractLowRankMetric):
        return jnp.asarray(problem.metric.terms().base, offsets.dtype)
    velocities = problem.path(offsets).velocities
    flat = jnp.sum(velocities.reshape(len(velocities), -1) ** 2, axis=1)
    ratios = jnp.where(flat > 0, squared_speeds / jnp.where(flat > 0, flat, 1.0), jnp.inf)
    least = jnp.min(ratios)
    return jnp.where(jnp.isposinf(least), 1.0, least)


def sobolev_decrement(gradient, basis: Basis, base, energy) -> Float[Array, ""]:
    """`g^T (b K)^-1 g / E`, independent of the units of the energy and of the mesh."""
    flat = gradient.reshape(len(gradient), -1)
    square = jnp.sum(flat * matmul(basis.inverse, flat))
    return square / base / jnp.where(energy > 0, energy, 1.0)
