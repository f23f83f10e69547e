"""One step of the damped Newton loop, over a model of the energy that a solver provides."""

import abc
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ._conjugate_gradients import Truncated
from ._damping import MOST_IDLE, Judgement, escape, judge
from ._iterate import AbstractIterativeSolver, unit_of_energy
from ._linear_model import AbstractLinearModel, Proposal, Sample
from ._problem import TwoPointProblem

_IDLE = 3  # consecutive steps with a predicted gain below the energy's rounding error


class DampedState(NamedTuple):
    """A path that has been evaluated, and the next trial step from it."""

    offsets: Float[Array, "nodes *shape"]
    sample: Sample
    damping: Float[Array, ""]
    step: Float[Array, "inner d"]
    predicted: Float[Array, ""]  # predicted decrease of the energy by the step
    bound: Float[Array, ""]  # on the decrement in the model's own Hessian
    decrement: Float[Array, ""]  # the loop's criterion: inf until a minimum has been certified
    exact: Bool[Array, ""]  # whether steps use the exact curvature
    idle: Int[Array, ""]
    products: Int[Array, ""]  # with the model's own Hessian, so far
    exact_products: Int[Array, ""]  # with the exact Hessian, so far
    exact_runs: Int[Array, ""]  # number of paths at which these were computed
    missed_saddle: Float[Array, ""]  # a bound on its probability


class AbstractDampedNewton(AbstractIterativeSolver):
    """Levenberg-Marquardt on the energy of a path.

    A subclass provides the `AbstractLinearModel`, the sample that it is built from, and `refine`,
    which may replace the step that the model proposes.
    """

    damping: eqx.AbstractVar[float]

    def __check_init__(self):
        if self.rtol is not None and not 0 < self.rtol < 1:
            raise ValueError(f"rtol must lie between 0 and 1, or be None, got {self.rtol}.")
        if not 0 <= self.damping < math.inf:
            raise ValueError(f"damping must be a finite number >= 0, got {self.damping}.")

    @abc.abstractmethod
    def check_problem(self, problem: TwoPointProblem) -> None:
        """Raise a `ValueError` for a metric or a rule that the solver does not support."""

    @abc.abstractmethod
    def sample(self, problem: TwoPointProblem, offsets) -> Sample:
        """Evaluate a trial path."""

    @abc.abstractmethod
    def model(self, problem: TwoPointProblem, offsets, parts, damping) -> AbstractLinearModel:
        """The model at a path, from the `parts` of its sample."""

    @abc.abstractmethod
    def refine(
        self,
        problem: TwoPointProblem,
        before: DampedState,
        state: DampedState,
        model: Any,
        proposal: Proposal,
        verdict: Judgement,
    ) -> DampedState:
        """The state with the model's proposal or a better one.

        At the end it also checks that the path is a minimum. `before` is the state of the previous
        step.
        """

    def init(self, problem, offsets):
        self.check_problem(problem)
        shapes = jax.eval_shape(lambda: self.sample(problem, offsets))
        blank = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        unknown = jnp.asarray(jnp.inf, offsets.dtype)
        blank = blank._replace(energy=unknown)
        damping = jnp.asarray(self.damping, offsets.dtype)
        step = jnp.zeros((len(offsets) - 2, offsets[0].size), offsets.dtype)
        no, none = jnp.asarray(False), jnp.asarray(0)
        decrements, counts = (unknown, unknown, unknown), (none, none, none, none)
        certain = jnp.ones((), offsets.dtype)
        return DampedState(offsets, blank, damping, step, *decrements, no, *counts, certain)

    def step(self, problem, state):
        inner = state.offsets[1:-1]
        offsets = state.offsets.at[1:-1].add(state.step.reshape(inner.shape))
        found = self.sample(problem, offsets)
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
        model = self.model(problem, kept.offsets, kept.sample.parts, kept.damping)
        proposal = model.propose(accuracy_after(state.bound))
        bound = proposal.gain / unit_of_energy(kept.sample.energy)
        bound = jnp.where(jnp.isfinite(bound), bound, jnp.inf)
        # After a refused step the path is the same, so the previous bound still holds.
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
        return self.refine(problem, state, new, model, proposal, verdict)

    def read(self, state):
        return state.offsets, state.sample.energy, state.decrement

    def rounding(self, state):
        # The estimate is for the worst case, so it counts only where steps gain nothing.
        rounding = state.sample.rounding / unit_of_energy(state.sample.energy)
        return jnp.where(state.idle >= _IDLE, rounding, rounding / 8)

    def stalled(self, state):
        return (state.damping > 1e12) | (state.idle >= MOST_IDLE)


def accuracy_after(bound: Float[Array, ""]) -> Float[Array, ""]:
    """The accuracy of an iterative step, after one that left this bound on the decrement."""
    return jnp.clip(jnp.sqrt(bound), 1e-3, 0.1)


def leaving(state: DampedState, found: Truncated, model, problem: TwoPointProblem) -> DampedState:
    """The state with a step along the direction of negative curvature that was found."""
    away, gain = escape(found, model.gradient, problem, state.offsets, state.damping)
    return state._replace(
        step=away,
        predicted=gain,
        decrement=jnp.asarray(jnp.inf, gain.dtype),
        damping=jnp.maximum(state.damping, 1.0),
    )
