"""Gauss-Newton with H^1 damping and exact curvature: the default two-point solver."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

from .._linalg import dot
from ..metrics import AbstractLowRankMetric, AbstractSumOfSquaresMetric
from . import _path_hessian as ph
from ._certificate import missed_saddle, probe, residual_needed, search
from ._damped_newton import AbstractDampedNewton, DampedState, accuracy_after, leaving
from ._damping import PATIENCE
from ._iterate import unit_of_energy
from ._linear_model import LeastSquaresModel, LowRankModel, linear_model, sample
from ._problem import PathFigures, TwoPointProblem
from ._rules import Midpoint, SplineGauss

_CHECK = 10  # largest number of products in a check, as a multiple of `curvature_steps`


class GaussNewton(AbstractDampedNewton):
    """Gauss-Newton (Levenberg-Marquardt) for energies that are sums of squares, with H^1 damping.

    It is the default for low-rank metrics and other sums of squares
    ([`geojax.AbstractSumOfSquaresMetric`][]). For low-rank metrics the linear system is solved
    directly, for all others by conjugate gradients. Nothing of size D^2 is made. The step is
    formula [(8)][eq-step] of the theory page.

    The Gauss-Newton Hessian leaves out the curvature of the score. Where that slows convergence, a
    step uses the exact Hessian instead, by conjugate gradients preconditioned with the Gauss-Newton
    Hessian (Steihaug 1983).

    A path counts as a minimum only if conjugate gradients on white noise meet no direction of
    negative curvature. That run would meet one with a probability of 99 % (`_certificate`);
    `stats["missed_saddle"]` is the remaining probability. From a saddle, such as the straight line
    between opposite points of a ring, the solver moves on.

    For a low-rank metric a Gauss-Newton iteration costs one score and one VJP per point of the
    rule, two points per segment by default.

    **Arguments:**

    - `rtol`: bound on the Newton decrement `-grad . d / E`, the relative energy that a full step
      would still gain. None: 1e-10 in float64, 1e-6 in float32.
    - `damping`: the initial mu, relative to the Euclidean Hessian, hence independent of the mesh.
    - `curvature_steps`: the largest number of products with the exact Hessian in a step; in a check
      ten times as many. Each product takes a JVP and a VJP per point of the rule, forward over
      reverse. 0: Gauss-Newton steps only, and saddles are not recognised.
    - `check`: whether to check that the path is a minimum. `geodesic` leaves the check out unless
      its `diagnostics` are "full".

    **Raises:**

    - `ValueError`: for a metric that is no sum of squares, or options out of range.

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
    check: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.curvature_steps < 0:
            raise ValueError(f"curvature_steps must be at least 0, got {self.curvature_steps}.")

    def unchecked(self) -> "GaussNewton":
        return dataclasses.replace(self, check=False)

    def check_problem(self, problem: TwoPointProblem) -> None:
        metric, rule = problem.metric, problem.rule
        if not isinstance(metric, AbstractSumOfSquaresMetric):
            raise ValueError(
                "GaussNewton needs a metric whose path energy is a sum of squares (an "
                f"AbstractSumOfSquaresMetric), got {type(metric).__name__}. Use "
                "solver=Newton(), PathEnergy() or Shooting()."
            )
        if not isinstance(metric, AbstractLowRankMetric) and not isinstance(
            rule, SplineGauss | Midpoint
        ):
            raise ValueError(
                f"rule={type(rule).__name__}() needs a metric of the form base I + sum "
                f"lam s s^T, got {type(metric).__name__}. Use rule=SplineGauss()."
            )

    def sample(self, problem, offsets):
        return sample(problem, offsets)

    def model(self, problem, offsets, parts, damping):
        return linear_model(problem, offsets, parts, damping)

    def refine(self, problem, before, state, model, proposal, verdict):
        del proposal
        if self.curvature_steps == 0:
            return state
        # Exact curvature where Gauss-Newton steps are slow, but not while the energy still falls
        # by large factors. After a refused step, try the other kind.
        slow = verdict.slow & (state.bound > PATIENCE * before.bound)
        exact = jnp.where(verdict.accept, before.exact | slow, ~before.exact)
        return self._with_curvature(problem, state._replace(exact=exact), model)

    def _with_curvature(
        self, problem, state: DampedState, model: LowRankModel | LeastSquaresModel
    ) -> DampedState:
        """The step of the exact Hessian; at the end, the check that the path is a minimum."""
        damping, gradient = state.damping, model.gradient
        ended = state.bound <= self.limit(state)

        def damped():
            hessian = model.hessian()
            # At the end the energy itself must curve upwards, not the damped model.
            mu = jnp.where(ended, 0.0, damping)
            return lambda d: hessian(d) + mu * model.stiffness(d)

        def right():
            return jnp.where(ended, probe(model.preconditioner, gradient), -gradient)

        checked = ended if self.check else jnp.asarray(False)
        rough = accuracy_after(state.bound)
        found = search(
            damped,
            model.preconditioner,
            right,
            gradient,
            active=checked | (~ended & state.exact & (state.predicted > 0)),
            rtol=jnp.where(ended, residual_needed(gradient.size), rough),
            max_steps=jnp.where(ended, _CHECK, 1) * self.curvature_steps,
        )
        stretch = dot(found.solution, model.stiffness(found.solution))
        energy = unit_of_energy(state.sample.energy)
        plain = state._replace(
            exact_products=state.exact_products + found.count,
            exact_runs=state.exact_runs + jnp.minimum(found.count, 1),
            missed_saddle=missed_saddle(found, gradient.size),
        )
        newton = plain._replace(
            step=found.solution,
            predicted=(found.decrease + damping * stretch) / 2,
            decrement=jnp.maximum((1 + damping) * found.decrease / energy, state.bound),
        )
        away = leaving(plain, found, model, problem)
        taken = jax.tree.map(
            lambda a, b: jnp.where(state.exact & (found.decrease > 0), a, b), newton, plain
        )
        at_end = jax.tree.map(lambda a, b: jnp.where(found.negative, a, b), away, plain)
        return jax.tree.map(lambda a, b: jnp.where(ended, a, b), at_end, taken)

    def cost(self, problem, num_segments):
        evaluations, products = problem.cost(num_segments)
        if isinstance(problem.metric, AbstractLowRankMetric):
            return evaluations, products
        # A trial, the weights of the preconditioner, and the linearisation with one product more.
        return 3 * evaluations, 2 * products

    def extra_cost(self, problem, num_segments, state):
        _, products = problem.cost(num_segments)
        runs, count = state.exact_runs, state.exact_products
        evaluations, twice = problem.curvature_cost(num_segments, runs, count)
        return evaluations, state.products * 2 * products + twice

    def output(self, problem, state, evaluated):
        output = super().output(problem, state, evaluated)
        missed = state.missed_saddle if self.check and self.curvature_steps > 0 else None
        parts, figures = state.sample.parts, None
        if parts is not None:
            ends = jnp.stack(ph.momenta(parts)).reshape(2, *problem.x0.shape)
            figures = PathFigures(ph.squared_speeds(parts), ph.rates(parts), ends)
        return dataclasses.replace(output, missed_saddle=missed, figures=figures)
