"""Gauss-Newton with damping in the H^1 norm, and exact curvature: the default two-point solver."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._linalg import dot
from ..metrics import AbstractLowRankMetric, AbstractSumOfSquaresMetric
from . import _path_hessian as ph
from ._conjugate_gradients import truncated_cg
from ._damping import MOST_IDLE, PATIENCE, escape, judge
from ._iterate import AbstractIterativeSolver
from ._least_squares import LeastSquares
from ._problem import TwoPointProblem
from ._rules import Midpoint


class _State(NamedTuple):
    xs: Float[Array, "nodes *shape"]
    model: ph.PathModel
    damping: Float[Array, ""]
    step: Float[Array, "inner d"]
    predicted: Float[Array, ""]  # the energy that the step should gain
    bound: Float[Array, ""]  # on the decrement in the Gauss-Newton Hessian
    decrement: Float[Array, ""]  # what the loop reads: inf until a minimum has been certified
    exact: Bool[Array, ""]  # whether steps use the exact curvature
    idle: Int[Array, ""]
    products: Int[Array, ""]  # with the exact Hessian, so far


class GaussNewton(AbstractIterativeSolver):
    """Gauss-Newton/Levenberg-Marquardt for energies that are sums of squares, damped in the H^1
    norm.

    For low-rank metrics the linear system is solved directly, for all others by conjugate
    gradients (`AbstractSumOfSquaresMetric`); nothing of size D^2 is made.

    The Gauss-Newton Hessian leaves out the curvature of the score. Where that slows it down, a step
    is that of the exact Hessian instead, by conjugate gradients preconditioned with the
    Gauss-Newton one (Steihaug 1983). And a path is taken for a minimum only where a run of
    conjugate gradients on a generic right-hand side meets no direction of negative curvature; from
    a saddle, such as the straight line between opposite points of a ring, it moves on along it.
    A weak direction among tens of thousands of coordinates can be missed.

    - ``rtol``: bound on the Newton decrement ``-grad . d / E``, the relative energy that a full
      step would still gain. None: 1e-10 in float64, 1e-6 in float32.
    - ``damping``: the initial mu, relative to the Euclidean Hessian, hence independent of the mesh.
    - ``curvature_steps``: products with the exact Hessian at most in a step or a check, each of a
      score, a JVP and a VJP a segment, forward over reverse. 0: Gauss-Newton steps only, and
      no saddle is recognised.

    For a low-rank metric a Gauss-Newton iteration costs one score and one VJP a segment (midpoint
    rule).

    **Raises:** `ValueError` for a metric that is no sum of squares, or options out of range.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> solution = geojax.geodesic(metric, a, b, solver=geojax.GaussNewton(rtol=1e-4))
    >>> print(f"{solution.length:.3f}")
    2.122
    """

    rtol: float | None = eqx.field(static=True, default=None)
    damping: float = eqx.field(static=True, default=1.0)
    curvature_steps: int = eqx.field(static=True, default=20)

    def __check_init__(self):
        if self.rtol is not None and not 0 < self.rtol < 1:
            raise ValueError(f"rtol must lie between 0 and 1, or be None, got {self.rtol}.")
        if not 0 <= self.damping < math.inf:
            raise ValueError(f"damping must be a finite number >= 0, got {self.damping}.")
        if self.curvature_steps < 0:
            raise ValueError(f"curvature_steps must be at least 0, got {self.curvature_steps}.")

    @property
    def certifies(self) -> bool:
        return self.curvature_steps > 0

    def solve(self, problem, xs, max_steps, progress_meter):
        solver = self.stepped(problem)
        if solver is self:
            return super().solve(problem, xs, max_steps, progress_meter)
        return solver.solve(problem, xs, max_steps, progress_meter)

    def solve_many(self, problem_of, xs, max_steps, batch_size, progress_meter):
        solver = self.stepped(problem_of(jnp.asarray(0)))
        if solver is self:
            return super().solve_many(problem_of, xs, max_steps, batch_size, progress_meter)
        return solver.solve_many(problem_of, xs, max_steps, batch_size, progress_meter)

    def stepped(self, problem: TwoPointProblem) -> AbstractIterativeSolver:
        """This, or its form for sums of squares that are not low-rank."""
        metric = problem.metric
        if isinstance(metric, AbstractLowRankMetric):
            return self
        if not isinstance(metric, AbstractSumOfSquaresMetric):
            raise ValueError(
                "GaussNewton needs a metric whose path energy is a sum of squares (an "
                f"AbstractSumOfSquaresMetric), got {type(metric).__name__}. Use "
                "solver=PathEnergy(), Georce(dense=True) or Shooting()."
            )
        if not isinstance(problem.rule, Midpoint):
            raise ValueError(
                f"rule={type(problem.rule).__name__}() needs a metric of the form base I + sum "
                f"lam s s^T, got {type(metric).__name__}. Use rule=Midpoint()."
            )
        return LeastSquares(self.rtol, self.damping, self.curvature_steps)

    def init(self, problem, xs):
        shapes = jax.eval_shape(lambda: ph.linearise(problem, xs))
        blank = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        unknown = jnp.asarray(jnp.inf, xs.dtype)
        blank = blank._replace(energy=unknown)
        damping, step = jnp.asarray(self.damping, xs.dtype), jnp.zeros_like(blank.deltas[1:])
        no, none = jnp.asarray(False), jnp.asarray(0)
        return _State(xs, blank, damping, step, unknown, unknown, unknown, no, none, none)

    def step(self, problem, state):
        xs = state.xs.at[1:-1].add(state.step.reshape(state.xs[1:-1].shape))
        model = ph.linearise(problem, xs)
        verdict = judge(
            model.energy,
            model.defined,
            state.model.energy,
            state.predicted,
            state.damping,
            state.idle,
            ph.rounding_error(state.model),
        )
        accept = verdict.accept
        pick = lambda new, old: jnp.where(accept, new, old)  # noqa: E731
        kept = state._replace(
            xs=pick(xs, state.xs),
            model=jax.tree.map(pick, model, state.model),
            damping=verdict.damping,
            idle=verdict.idle,
        )
        factor = ph.factorise(kept.model, ph.gram(kept.model), kept.damping)
        unit = self.unit(xs, kept.model.energy, kept.model.base)
        new, slope = _propose(kept, factor, accept, unit)
        if self.curvature_steps == 0:
            return new
        # Exact curvature where Gauss-Newton steps are slow, but not while the energy still falls
        # by large factors; a refused step gives the other kind its turn.
        slow = verdict.unhurried & (new.bound > PATIENCE * state.bound)
        new = new._replace(exact=jnp.where(accept, state.exact | slow, ~state.exact))
        return self._with_curvature(problem, new, factor, slope)

    def _with_curvature(self, problem, state: _State, factor, slope) -> _State:
        """The step of the exact Hessian; or at the end, the check that the path is a minimum."""
        model, inner = state.model, state.xs[1:-1]

        def derivative(nodes):
            return ph.gradient(ph.linearise(problem, state.xs.at[1:-1].set(nodes)))

        def product(d):
            image = jax.jvp(derivative, (inner,), (d.reshape(inner.shape),))[1]
            # At the end it is the energy itself that must curve upwards, not the damped model.
            damping = jnp.where(ended, 0.0, state.damping)
            return image + damping * model.base * ph.laplacian(model.taus, d)

        def precondition(right):
            return ph.solve(model, factor, right).nodes

        ended = state.bound <= self.tolerance(inner.dtype)
        probe = ph.generic(model)
        probed = precondition(probe)
        found = truncated_cg(
            product,
            precondition,
            jnp.where(ended, probe, -ph.gradient(model)),
            jnp.where(ended, probed, state.step),
            jnp.where(ended, dot(probe, probed), slope),
            active=ended | (state.exact & (state.predicted > 0)),
            rtol=jnp.where(ended, 1e-2, jnp.clip(jnp.sqrt(state.bound), 1e-3, 0.3)),
            max_steps=self.curvature_steps,
        )
        energy = self.unit(state.xs, model.energy, model.base)
        stretch = model.base * ph.h1_square(model.taus, found.solution)
        newton = _State(
            state.xs,
            model,
            state.damping,
            found.solution,
            (found.decrease + state.damping * stretch) / 2,
            state.bound,
            jnp.maximum((1 + state.damping) * found.decrease / energy, state.bound),
            state.exact,
            state.idle,
            state.products + found.count,
        )
        gradient = ph.gradient(model)
        away, gain = escape(found, gradient, model.deltas, model.taus, state.damping)
        leaving = newton._replace(
            step=away,
            predicted=gain,
            decrement=jnp.asarray(jnp.inf, inner.dtype),
            damping=jnp.maximum(state.damping, 1.0),
        )
        plain = state._replace(products=newton.products)
        taken = jax.tree.map(
            lambda a, b: jnp.where(state.exact & (found.decrease > 0), a, b), newton, plain
        )
        at_end = jax.tree.map(lambda a, b: jnp.where(found.negative, a, b), leaving, plain)
        return jax.tree.map(lambda a, b: jnp.where(ended, a, b), at_end, taken)

    def extra_cost(self, problem, num_segments, state):
        evaluations, products = problem.curvature_cost(num_segments)
        return state.products * evaluations, state.products * products

    def read(self, state):
        return state.xs, state.model.energy, state.decrement

    def stalled(self, state):
        return (state.damping > 1e12) | (state.idle >= MOST_IDLE)


def _propose(state: _State, factor: ph.Factor, accepted, energy) -> tuple[_State, Array]:
    """The damped Gauss-Newton step, its decrement relative to ``energy`` and what it should gain;
    -grad . d.
    """
    model, damping = state.model, state.damping
    step = ph.downhill(model, factor)
    taus, base = model.taus[:, None], model.base
    # -grad . d and d^T H d are computed apart: they agree only if the linear algebra held.
    slope = -base * jnp.sum(model.deltas * step.differences / taus)
    slope = slope - jnp.sum(model.weights * model.h * step.change)
    stretch = base * jnp.sum(step.differences**2 / taus)
    curvature = stretch + jnp.sum(model.weights * step.change**2)
    damped = curvature + damping * stretch
    error = jnp.abs(slope - damped)
    sound = error <= 0.5 * damped
    # H_mu <= (1 + mu) H, so this bounds the undamped decrement from above.
    bound = (1 + damping) * (jnp.maximum(slope, damped) + error) / energy
    bound = jnp.where(jnp.isfinite(bound), bound, jnp.inf)
    # After a refused step the path is the same and the bound found before holds too.
    bound = jnp.where(accepted, bound, jnp.minimum(bound, state.bound))
    bound = jnp.where(model.defined, bound, jnp.nan)
    predicted = jnp.where(sound, slope - curvature / 2, -jnp.inf)
    new = state._replace(step=step.nodes, predicted=predicted, bound=bound, decrement=bound)
    return new, slope
