"""Gauss-Newton with damping in the H^1 norm, and exact curvature: the default two-point solver."""

import dataclasses
import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._linalg import dot
from ..metrics import AbstractLowRankMetric, AbstractSumOfSquaresMetric
from . import _path_hessian as ph
from ._certificate import missed_saddle, probe, residual_needed, search
from ._damping import MOST_IDLE, PATIENCE, escape, judge
from ._iterate import AbstractIterativeSolver, unit_of_energy
from ._linear_model import AbstractLinearModel, Proposal, Sample, linear_model, sample
from ._problem import PathFigures, TwoPointProblem
from ._rules import Midpoint, SplineGauss

_IDLE = 3  # steps in a row whose gain should be below the energy's rounding error
_ROUGH = 1e-3, 0.1  # least and largest accuracy of an iterative step
_CHECK = 3  # times `curvature_steps`: products in a check at most


class _State(NamedTuple):
    offsets: Float[Array, "nodes *shape"]
    sample: Sample
    damping: Float[Array, ""]
    step: Float[Array, "inner d"]
    predicted: Float[Array, ""]  # the energy that the step should gain
    bound: Float[Array, ""]  # on the decrement in the Gauss-Newton Hessian
    decrement: Float[Array, ""]  # what the loop reads: inf until a minimum has been certified
    exact: Bool[Array, ""]  # whether steps use the exact curvature
    idle: Int[Array, ""]
    products: Int[Array, ""]  # with the Gauss-Newton Hessian, so far
    exact_products: Int[Array, ""]  # with the exact Hessian, so far
    exact_runs: Int[Array, ""]  # the paths at which these were taken
    missed_saddle: Float[Array, ""]  # a bound on the probability


class GaussNewton(AbstractIterativeSolver):
    """Gauss-Newton/Levenberg-Marquardt for energies that are sums of squares, damped in the H^1
    norm.

    For low-rank metrics the linear system is solved directly, for all others by conjugate
    gradients (`AbstractSumOfSquaresMetric`); nothing of size D^2 is made.

    The Gauss-Newton Hessian leaves out the curvature of the score. Where that slows it down, a step
    is that of the exact Hessian instead, by conjugate gradients preconditioned with the
    Gauss-Newton one (Steihaug 1983). And a path is taken for a minimum only where conjugate
    gradients on white noise meet no direction of negative curvature, in a run that would have met
    one with a probability of 99 % (`_certificate`; ``stats["missed_saddle"]`` is what is left);
    from a saddle, such as the straight line between opposite points of a ring, it moves on.

    - ``rtol``: bound on the Newton decrement ``-grad . d / E``, the relative energy that a full
      step would still gain. None: 1e-10 in float64, 1e-6 in float32.
    - ``damping``: the initial mu, relative to the Euclidean Hessian, hence independent of the mesh.
    - ``curvature_steps``: products with the exact Hessian at most in a step, each of a JVP and a
      VJP a point of the rule, forward over reverse; in a check three times as many. 0:
      Gauss-Newton steps only, and no saddle is recognised.
    - ``check``: whether it checks that the path is a minimum; `geodesic` leaves the check out where
      its ``diagnostics`` are not "full".

    For a low-rank metric a Gauss-Newton iteration costs one score and one VJP a point of the rule,
    two points a segment by default.

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
    check: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.rtol is not None and not 0 < self.rtol < 1:
            raise ValueError(f"rtol must lie between 0 and 1, or be None, got {self.rtol}.")
        if not 0 <= self.damping < math.inf:
            raise ValueError(f"damping must be a finite number >= 0, got {self.damping}.")
        if self.curvature_steps < 0:
            raise ValueError(f"curvature_steps must be at least 0, got {self.curvature_steps}.")

    def unchecked(self) -> "GaussNewton":
        return dataclasses.replace(self, check=False)

    def _check(self, problem: TwoPointProblem) -> None:
        metric, rule = problem.metric, problem.rule
        if not isinstance(metric, AbstractSumOfSquaresMetric):
            raise ValueError(
                "GaussNewton needs a metric whose path energy is a sum of squares (an "
                f"AbstractSumOfSquaresMetric), got {type(metric).__name__}. Use "
                "solver=PathEnergy(), Georce(dense=True) or Shooting()."
            )
        if not isinstance(metric, AbstractLowRankMetric) and not isinstance(
            rule, SplineGauss | Midpoint
        ):
            raise ValueError(
                f"rule={type(rule).__name__}() needs a metric of the form base I + sum "
                f"lam s s^T, got {type(metric).__name__}. Use rule=SplineGauss()."
            )

    def init(self, problem, offsets):
        self._check(problem)
        shapes = jax.eval_shape(lambda: sample(problem, offsets))
        blank = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        unknown = jnp.asarray(jnp.inf, offsets.dtype)
        blank = blank._replace(energy=unknown)
        damping = jnp.asarray(self.damping, offsets.dtype)
        step = jnp.zeros((len(offsets) - 2, offsets[0].size), offsets.dtype)
        no, none = jnp.asarray(False), jnp.asarray(0)
        decrements, counts = (unknown, unknown, unknown), (none, none, none, none)
        certain = jnp.ones((), offsets.dtype)
        return _State(offsets, blank, damping, step, *decrements, no, *counts, certain)

    def step(self, problem, state):
        inner = state.offsets[1:-1]
        offsets = state.offsets.at[1:-1].add(state.step.reshape(inner.shape))
        found = sample(problem, offsets)
        verdict = judge(
            found.energy,
            found.defined,
            state.sample.energy,
            state.predicted,
            state.damping,
            state.idle,
            state.sample.rounding,
        )
        accept = verdict.accept
        pick = lambda new, old: jnp.where(accept, new, old)  # noqa: E731
        kept = state._replace(
            offsets=pick(offsets, state.offsets),
            sample=jax.tree.map(pick, found, state.sample),
            damping=verdict.damping,
            idle=verdict.idle,
        )
        model = linear_model(problem, kept.offsets, kept.sample.parts, kept.damping)
        rough = jnp.clip(jnp.sqrt(state.bound), *_ROUGH)
        proposal = model.propose(rough)
        bound = proposal.gain / unit_of_energy(kept.sample.energy)
        bound = jnp.where(jnp.isfinite(bound), bound, jnp.inf)
        # After a refused step the path is the same and the bound found before holds too.
        bound = jnp.where(accept, bound, jnp.minimum(bound, state.bound))
        defined = jnp.isfinite(kept.sample.energy) & ~jnp.isnan(proposal.gain)
        bound = jnp.where(defined, bound, jnp.nan)
        new = kept._replace(
            step=proposal.step,
            predicted=proposal.predicted,
            bound=bound,
            decrement=bound,
            products=kept.products + proposal.products,
        )
        if self.curvature_steps == 0:
            return new
        # Exact curvature where Gauss-Newton steps are slow, but not while the energy still falls
        # by large factors; a refused step gives the other kind its turn.
        slow = verdict.unhurried & (bound > PATIENCE * state.bound)
        new = new._replace(exact=jnp.where(accept, state.exact | slow, ~state.exact))
        return self._with_curvature(problem, new, model, proposal)

    def _with_curvature(
        self, problem, state: _State, model: AbstractLinearModel, proposal: Proposal
    ) -> _State:
        """The step of the exact Hessian; or at the end, the check that the path is a minimum."""
        damping, gradient = state.damping, model.gradient
        ended = state.bound <= self.limit(state)

        def damped():
            hessian = model.hessian()
            # At the end it is the energy itself that must curve upwards, not the damped model.
            mu = jnp.where(ended, 0.0, damping)
            return lambda d: hessian(d) + mu * model.stiffness(d)

        rough = jnp.clip(jnp.sqrt(state.bound), *_ROUGH)
        noise = probe(model.preconditioner, gradient)
        checked = ended if self.check else jnp.asarray(False)
        found = search(
            damped,
            model.preconditioner,
            jnp.where(ended, noise, -gradient),
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
        away, gain = escape(found, gradient, problem, state.offsets, damping)
        leaving = plain._replace(
            step=away,
            predicted=gain,
            decrement=jnp.asarray(jnp.inf, gradient.dtype),
            damping=jnp.maximum(damping, 1.0),
        )
        taken = jax.tree.map(
            lambda a, b: jnp.where(state.exact & (found.decrease > 0), a, b), newton, plain
        )
        at_end = jax.tree.map(lambda a, b: jnp.where(found.negative, a, b), leaving, plain)
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

    def read(self, state):
        return state.offsets, state.sample.energy, state.decrement

    def output(self, problem, state, evaluated):
        output = super().output(problem, state, evaluated)
        missed = state.missed_saddle if self.check and self.curvature_steps > 0 else None
        parts, figures = state.sample.parts, None
        if parts is not None:
            ends = jnp.stack(ph.momenta(parts)).reshape(2, *problem.x0.shape)
            figures = PathFigures(ph.squared_speeds(parts), ph.rates(parts), ends)
        return dataclasses.replace(output, missed_saddle=missed, figures=figures)

    def rounding(self, state):
        # The estimate is for the worst case; it is believed where steps gain nothing any more.
        rounding = state.sample.rounding / unit_of_energy(state.sample.energy)
        return jnp.where(state.idle >= _IDLE, rounding, rounding / 8)

    def stalled(self, state):
        return (state.damping > 1e12) | (state.idle >= MOST_IDLE)
