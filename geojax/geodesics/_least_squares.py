"""Gauss-Newton by conjugate gradients, for metrics whose path energy is a sum of squares.

With r the displacements of all segments, each over ``sqrt(tau)``, and J their Jacobian by the
interior nodes, ``E = |r|^2 / 2`` and a step solves ``(J^T J + mu L_c) d = -J^T r`` by products with
J and J^T alone. The preconditioner is the Laplacian of the path with weights c_i, what the metric
does to a generic vector at segment i: for a conformal metric it is ``J^T J`` but for the change of
its factor, whatever the contrast.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._linalg import dot
from ..metrics import AbstractSumOfSquaresMetric
from . import _path_hessian as ph
from ._conjugate_gradients import Truncated, truncated_cg
from ._damping import MOST_IDLE, PATIENCE, escape, judge
from ._iterate import AbstractIterativeSolver
from ._problem import TwoPointProblem

_CG_STEPS = 100


class _State(NamedTuple):
    xs: Float[Array, "nodes *shape"]
    energy: Float[Array, ""]
    damping: Float[Array, ""]
    step: Float[Array, "inner d"]
    predicted: Float[Array, ""]
    bound: Float[Array, ""]
    decrement: Float[Array, ""]
    exact: Bool[Array, ""]
    idle: Int[Array, ""]
    products: Int[Array, ""]  # with J^T J
    exact_products: Int[Array, ""]


class LeastSquares(AbstractIterativeSolver):
    """What `GaussNewton` is for an `AbstractSumOfSquaresMetric` that is not low-rank."""

    rtol: float | None = eqx.field(static=True)
    damping: float = eqx.field(static=True)
    curvature_steps: int = eqx.field(static=True)

    @property
    def certifies(self) -> bool:
        return self.curvature_steps > 0

    def init(self, problem, xs):
        unknown = jnp.asarray(jnp.inf, xs.dtype)
        step = jnp.zeros_like(xs[1:-1].reshape(len(xs) - 2, -1))
        damping, no, none = jnp.asarray(self.damping, xs.dtype), jnp.asarray(False), jnp.asarray(0)
        return _State(xs, unknown, damping, step, unknown, unknown, unknown, no, none, none, none)

    def step(self, problem, state):
        xs = state.xs.at[1:-1].add(state.step.reshape(state.xs[1:-1].shape))
        energy = problem.energy(xs)
        first = jnp.isinf(state.energy)
        verdict = judge(
            energy,
            jnp.isfinite(energy),
            state.energy,
            state.predicted,
            state.damping,
            state.idle,
            32 * jnp.finfo(xs.dtype).eps * state.energy,
        )
        undefined = first & ~jnp.isfinite(energy)
        kept = state._replace(
            xs=jnp.where(verdict.accept, xs, state.xs),
            energy=jnp.where(undefined, jnp.nan, jnp.where(verdict.accept, energy, state.energy)),
            damping=verdict.damping,
            idle=verdict.idle,
        )
        return self._propose(problem, kept, verdict.accept, verdict.unhurried)

    def _propose(self, problem, state: _State, accepted, unhurried) -> _State:
        xs, inner = state.xs, state.xs[1:-1]
        taus = problem.taus(xs)
        flat = state.step.shape

        def residuals(nodes):
            return _residuals(problem, xs.at[1:-1].set(nodes))

        r, push = jax.linearize(residuals, inner)
        pull = jax.linear_transpose(push, inner)
        gradient = pull(r)[0].reshape(flat)
        weights = _weights(problem, xs)
        soft = taus / weights
        total = jnp.sum(soft)

        def laplacian(d):
            return ph.laplacian(soft, d)

        def precondition(right):
            return total * ph.inverse_laplacian(soft / total, right) / (1 + damping_now)

        def gauss_newton(d):
            return pull(push(d.reshape(inner.shape)))[0].reshape(flat)

        def exact(d):
            def derivative(nodes):
                return jax.grad(lambda y: problem.energy(xs.at[1:-1].set(y)))(nodes)

            return jax.jvp(derivative, (inner,), (d.reshape(inner.shape),))[1].reshape(flat)

        def descend(product, active, rtol, right, max_steps) -> Truncated:
            start = precondition(right)
            return truncated_cg(
                product,
                precondition,
                right,
                start,
                dot(right, start),
                active=active,
                rtol=rtol,
                max_steps=max_steps,
            )

        energy = self.unit(xs, state.energy)
        damping_now = state.damping
        rough = jnp.clip(jnp.sqrt(state.bound), 1e-3, 0.1)
        found = descend(
            lambda d: gauss_newton(d) + state.damping * laplacian(d),
            jnp.isfinite(state.energy),
            rough,
            -gradient,
            _CG_STEPS,
        )
        # Truncated conjugate gradients see the decrement from below, by about the squared
        # tolerance; damping lowers it by 1 + mu at most where the Laplacian is the metric's.
        bound = (1 + state.damping) * found.decrease * (1 + 2 * rough) / energy
        bound = jnp.where(jnp.all(jnp.isfinite(gradient)), bound, jnp.nan)
        bound = jnp.where(jnp.isfinite(state.energy), bound, jnp.nan)
        stretch = dot(found.solution, laplacian(found.solution))
        new = state._replace(
            step=found.solution,
            predicted=(found.decrease + state.damping * stretch) / 2,
            bound=bound,
            decrement=bound,
            products=state.products + found.count,
        )
        if self.curvature_steps == 0:
            return new
        slow = unhurried & (bound > PATIENCE * state.bound)
        new = new._replace(exact=jnp.where(accepted, state.exact | slow, ~state.exact))
        ended = new.bound <= self.tolerance(xs.dtype)
        probe = jax.random.normal(jax.random.key(0), flat, xs.dtype)
        damping_now = jnp.where(ended, 0.0, state.damping)
        newton = descend(
            lambda d: exact(d) + jnp.where(ended, 0.0, state.damping) * laplacian(d),
            ended | new.exact,
            jnp.where(ended, 1e-2, rough),
            jnp.where(ended, probe, -gradient),
            self.curvature_steps,
        )
        new = new._replace(exact_products=new.exact_products + newton.count)
        stretch = dot(newton.solution, laplacian(newton.solution))
        stepped = new._replace(
            step=newton.solution,
            predicted=(newton.decrease + state.damping * stretch) / 2,
            decrement=jnp.maximum((1 + state.damping) * newton.decrease / energy, bound),
        )
        deltas = (xs[1:] - xs[:-1]).reshape(len(taus), -1)
        away, gain = escape(newton, gradient, deltas, taus, state.damping)
        leaving = new._replace(
            step=away,
            predicted=gain,
            decrement=jnp.asarray(jnp.inf, xs.dtype),
            damping=jnp.maximum(state.damping, 1.0),
        )
        use = new.exact & (newton.decrease > 0)
        taken = jax.tree.map(lambda a, b: jnp.where(use, a, b), stepped, new)
        at_end = jax.tree.map(lambda a, b: jnp.where(newton.negative, a, b), leaving, new)
        return jax.tree.map(lambda a, b: jnp.where(ended, a, b), at_end, taken)

    def cost(self, problem, num_segments):
        """A trial, and the linearisation with one product more."""
        evaluations, products = problem.cost(num_segments)
        return 2 * evaluations, 2 * products

    def extra_cost(self, problem, num_segments, state):
        _, products = problem.cost(num_segments)
        evaluations, twice = problem.curvature_cost(num_segments)
        return (
            state.exact_products * evaluations,
            state.products * 2 * products + state.exact_products * twice,
        )

    def read(self, state):
        return state.xs, state.energy, state.decrement

    def stalled(self, state):
        return (state.damping > 1e12) | (state.idle >= MOST_IDLE)


def _residuals(problem: TwoPointProblem, xs):
    """All displacements, one row a segment: ``|r|^2 / 2`` is the energy."""
    n, roots = len(xs) - 1, jnp.sqrt(problem.taus(xs))
    assert isinstance(problem.metric, AbstractSumOfSquaresMetric)
    parts = problem.metric.displacements(xs, problem.args, problem.rule.map)
    return jnp.concatenate([part.reshape(n, -1) for part in parts], axis=1) / roots[:, None]


def _weights(problem: TwoPointProblem, xs) -> Float[Array, " segments"]:
    """``<p, p>_g / |p|^2`` at each segment for a generic vector p: one product.

    Neighbouring nodes moved by p / 2 in opposite directions leave the middles where they are.
    """
    vector = jax.random.normal(jax.random.key(1), xs.shape[1:], xs.dtype)
    signs = jnp.where(jnp.arange(len(xs)) % 2 == 0, 0.5, -0.5).astype(xs.dtype)
    moves = jnp.multiply.outer(signs, vector)
    change = jax.jvp(lambda path: _residuals(problem, path), (xs,), (moves,))[1]
    weights = problem.taus(xs) * jnp.sum(change**2, axis=1) / jnp.sum(vector**2)
    most = jnp.max(weights)
    return jnp.where(most > 0, jnp.maximum(weights, 1e-12 * most), 1.0)
