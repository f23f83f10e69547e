"""The one loop of the iterative solvers: steps, limits, verdicts, progress."""

import abc
import math
from collections.abc import Callable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from ._devices import map_lanes
from ._problem import SolverOutput, TwoPointProblem
from ._queue import in_queue
from ._results import RESULTS


class AbstractSolver(eqx.Module):
    """The interface of two-point solvers: minimise the energy of a path with fixed ends.

    Subclass it for a solver with a loop of its own. For one whose steps can be repeated, subclass
    [`geojax.AbstractIterativeSolver`][].
    """

    def unchecked(self) -> "AbstractSolver":
        """The solver without its own check that the path is a minimum."""
        return self

    @abc.abstractmethod
    def solve(
        self,
        problem: TwoPointProblem,
        offsets: Float[Array, "nodes *shape"],
        max_steps: int,
        progress_meter: diffrax.AbstractProgressMeter,
    ) -> SolverOutput:
        """Minimise from the path with these `offsets`; the result has as many nodes."""

    def solve_many(
        self,
        problem_of: Callable[[Int[Array, ""]], TwoPointProblem],
        offsets: Float[Array, "lanes nodes *shape"],
        max_steps: int,
        batch_size: int,
        progress_meter: diffrax.AbstractProgressMeter,
    ) -> SolverOutput:
        """`solve` for many paths, where `problem_of(lane)` is the problem of a lane.

        Every leaf of the output has a leading axis of lanes. Here `batch_size` lanes are solved at
        a time, and each batch takes as long as its slowest lane.
        """

        def one(lane):
            problem = problem_of(lane)
            return self.solve(problem, offsets[lane], max_steps, diffrax.NoProgressMeter())

        lanes = jnp.arange(len(offsets))
        if isinstance(progress_meter, diffrax.NoProgressMeter):
            return map_lanes(one, lanes, batch_size)
        return _watched(one, lanes, batch_size, progress_meter)


def _watched(one, lanes, batch_size: int, meter: diffrax.AbstractProgressMeter) -> SolverOutput:
    """`one` for all lanes, batch by batch; the meter shows the lanes that have ended."""
    size = min(batch_size, len(lanes))
    batches = len(lanes) // size

    def batch(carry, some):
        shown, ended = carry
        output = jax.vmap(one)(some)
        # A barrier, so that the meter waits for the solve.
        output, ended = jax.lax.optimization_barrier((output, ended + len(some)))
        done = (ended / len(lanes)).astype(jnp.result_type(float))
        return (meter.step(shown, done), ended), output

    start = meter.init(), jnp.asarray(0)
    carry, outputs = jax.lax.scan(batch, start, lanes[: batches * size].reshape(batches, size))
    outputs = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), outputs)
    if len(lanes) > batches * size:
        carry, rest = batch(carry, lanes[batches * size :])
        outputs = jax.tree.map(lambda *parts: jnp.concatenate(parts), outputs, rest)
    meter.close(carry[0])
    return outputs


def one_segment(problem: TwoPointProblem, offsets: Float[Array, "nodes *shape"]) -> SolverOutput:
    """The output of any solver for a path of one segment, which has no node to move."""
    energy = problem.energy(offsets)
    result = RESULTS.where(jnp.isfinite(energy), RESULTS.successful, RESULTS.non_finite)
    zero, none = jnp.zeros_like(energy), jnp.asarray(0)
    counts = none, jnp.asarray(problem.energy_cost(1)), none
    return SolverOutput(offsets, energy, zero, result, *counts, missed_saddle=zero)


class AbstractIterativeSolver(AbstractSolver):
    """The interface of iterative solvers: a step that is repeated by a shared loop, `solve`.

    A state is a pytree with a path that is not yet evaluated. A step evaluates it, judges it and
    replaces it by the next one. So the program contains the score once, which halves the compile
    time of a network.

    **Arguments:**

    - `rtol`: bound on the decrement, an estimate of the relative energy still to be gained. A
      decrement of NaN means that the derivative of the energy is not defined.
    """

    rtol: eqx.AbstractVar[float | None]

    @abc.abstractmethod
    def init(self, problem: TwoPointProblem, offsets: Float[Array, "nodes *shape"]) -> PyTree:
        """The state before the initial path is evaluated, with an energy of inf."""

    @abc.abstractmethod
    def step(self, problem: TwoPointProblem, state: PyTree) -> PyTree:
        """Evaluate the path in the state, and propose the next."""

    @abc.abstractmethod
    def read(self, state: PyTree) -> tuple[Array, Array, Array]:
        """The path to return, its energy, its decrement."""

    def rounding(self, state: PyTree) -> Float[Array, ""]:
        """The relative rounding error of the energy; smaller gains are not possible."""
        _, energy, _ = self.read(state)
        return jnp.asarray(4 * jnp.finfo(energy.dtype).eps, energy.dtype)

    def limit(self, state: PyTree) -> Float[Array, ""]:
        """The bound on the decrement: the tolerance, or working precision where that is larger."""
        rounding = self.rounding(state)
        return jnp.maximum(jnp.asarray(self.tolerance(rounding.dtype), rounding.dtype), rounding)

    def stalled(self, state: PyTree) -> Bool[Array, ""]:
        """Whether no further step can help."""
        del state
        return jnp.asarray(False)

    def stepped(self, problem: TwoPointProblem) -> "AbstractIterativeSolver | None":
        """The solver whose steps solve this problem; None where it has a loop of its own."""
        del problem
        return self

    def cost(self, problem: TwoPointProblem, num_segments: int) -> tuple[int, int]:
        """Score evaluations and derivative products of a `step`."""
        return problem.cost(num_segments)

    def extra_cost(
        self, problem: TwoPointProblem, num_segments: int, state: PyTree
    ) -> tuple[Array | int, Array | int]:
        """Score evaluations and derivative products so far, in addition to those of `cost`."""
        del problem, num_segments, state
        return 0, 0

    def tolerance(self, dtype) -> float:
        """`rtol`, or its default."""
        return default_rtol(dtype) if self.rtol is None else self.rtol

    def going(self, state: PyTree, evaluated, max_steps: int | Int[Array, ""]) -> Bool[Array, ""]:
        """Whether to take another step after `evaluated` of them."""
        _, energy, decrement = self.read(state)
        active = (decrement > self.limit(state)) & jnp.isfinite(energy)
        active &= ~self.stalled(state)
        return (evaluated == 0) | active & (evaluated <= max_steps)

    def share_done(
        self, decrement: Array, evaluated: Array, max_steps: int | Int[Array, ""]
    ) -> Float[Array, ""]:
        """A rough estimate of the share of the work that is done, in [0, 1]."""
        rtol = self.tolerance(decrement.dtype)
        # Newton-like decrements fall by orders of magnitude: measure progress in digits too.
        digits = jnp.log10(jnp.clip(decrement, rtol, 1.0)) / math.log10(rtol)
        return jnp.maximum(evaluated / jnp.maximum(max_steps, 1), digits)

    def output(self, problem: TwoPointProblem, state: PyTree, evaluated) -> SolverOutput:
        """The path in the state with its verdict and the counts of `evaluated` steps."""
        offsets, energy, decrement = self.read(state)
        limit = self.limit(state)
        result = RESULTS.where(
            decrement <= limit,
            RESULTS.successful,
            RESULTS.where(self.stalled(state), RESULTS.stalled, RESULTS.max_steps_reached),
        )
        defined = jnp.isfinite(energy) & ~jnp.isnan(decrement)
        result = RESULTS.where(defined, result, RESULTS.non_finite)
        a_step = self.cost(problem, len(offsets) - 1)
        extra = self.extra_cost(problem, len(offsets) - 1, state)
        evaluations, products = (
            evaluated * one + more for one, more in zip(a_step, extra, strict=True)
        )
        counts = evaluated - 1, evaluations, products
        limits = {"decrement": limit}
        rounding = self.rounding(state)
        return SolverOutput(offsets, energy, decrement, result, *counts, limits, rounding)

    def solve(self, problem, offsets, max_steps, progress_meter):
        def body(carry):
            state, evaluated, meter = carry
            state = self.step(problem, state)
            _, _, decrement = self.read(state)
            done = self.share_done(decrement, evaluated, max_steps)
            return (
                state,
                evaluated + 1,
                progress_meter.step(meter, done.astype(jnp.result_type(float))),
            )

        start = (self.init(problem, offsets), jnp.asarray(0), progress_meter.init())
        state, evaluated, meter = jax.lax.while_loop(
            lambda carry: self.going(carry[0], carry[1], max_steps), body, start
        )
        progress_meter.close(meter)
        return self.output(problem, state, evaluated)

    def solve_many(self, problem_of, offsets, max_steps, batch_size, progress_meter):
        return in_queue(self, problem_of, offsets, max_steps, batch_size, progress_meter)


def unit_of_energy(energy: Array) -> Float[Array, ""]:
    """The unit of a decrement: the energy, or 1 where that is 0."""
    return jnp.where(energy > 0, energy, 1.0)


def default_rtol(dtype) -> float:
    """1e-10 in float64, 1e-6 in float32, above the rounding error of the energy."""
    return 1e-10 if jnp.dtype(dtype) == jnp.float64 else 1e-6


class Solved(AbstractSolver):
    """A solver that has already run: `geodesic` judges its output."""

    found: SolverOutput

    def solve(self, problem, offsets, max_steps, progress_meter):
        return self.found
