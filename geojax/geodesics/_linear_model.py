"""The model of the path energy that the damped Newton loop needs, and two linear models."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._linalg import dot, matmul
from ..metrics import AbstractLowRankMetric, AbstractSumOfSquaresMetric
from . import _path_hessian as ph
from ._conjugate_gradients import truncated_cg
from ._curvature import hessian
from ._preconditioner import (
    GaussNewtonPreconditioner,
    StiffnessPreconditioner,
    gauss_newton,
    stiffness,
)
from ._problem import TwoPointProblem

_CG_STEPS = 100


class Proposal(NamedTuple):
    """A damped Gauss-Newton step.

    - `step`: of the inner nodes; `predicted`: the energy that it should gain, -inf where the linear
      algebra failed.
    - `gain`: a bound on twice the energy that an undamped step would gain.
    - `products`: the number of products with the Gauss-Newton Hessian.
    """

    step: Float[Array, "inner d"]
    predicted: Float[Array, ""]
    gain: Float[Array, ""]
    products: Int[Array, ""]


class AbstractLinearModel(eqx.Module):
    """A path's energy to second order, damped by `mu` times the model's own H^1 norm."""

    gradient: eqx.AbstractVar[Float[Array, "inner d"]]
    preconditioner: eqx.AbstractVar[Callable[[Array], Array]]  # of the damped Hessian

    @abc.abstractmethod
    def propose(self, accuracy: Array) -> Proposal:
        """The damped Gauss-Newton step, to a relative `accuracy` where it is iterative."""

    @abc.abstractmethod
    def hessian(self) -> Callable[[Float[Array, "inner d"]], Float[Array, "inner d"]]:
        """The product with the exact Hessian, undamped."""

    @abc.abstractmethod
    def stiffness(self, d: Float[Array, "inner d"]) -> Float[Array, "inner d"]:
        """The product with the matrix of the H^1 norm that is used for damping."""


class Sample(NamedTuple):
    """An evaluated trial path: enough to judge it, and to continue from it.

    - `rounding`: the error of the energy due to the rounding of its parts.
    - `parts`: what the linear model is built from.
    """

    energy: Float[Array, ""]
    defined: Bool[Array, ""]
    rounding: Float[Array, ""]
    parts: Any


def sample(problem: TwoPointProblem, offsets) -> Sample:
    """A path's energy, and for a low-rank metric its linearisation."""
    if isinstance(problem.metric, AbstractLowRankMetric):
        parts = ph.linearise(problem, offsets)
        return Sample(parts.energy, parts.defined, ph.rounding_error(parts), parts)
    energy = problem.energy(offsets)
    rounding = 32 * jnp.finfo(offsets.dtype).eps * energy
    return Sample(energy, jnp.isfinite(energy), rounding, None)


def linear_model(problem: TwoPointProblem, offsets, parts, damping) -> AbstractLinearModel:
    """The linear model at a path, from the `parts` of its sample."""
    if isinstance(problem.metric, AbstractLowRankMetric):
        inverse = gauss_newton(parts, damping)
        return LowRankModel(ph.gradient(parts), inverse, problem, offsets, damping)
    residual, push = jax.linearize(lambda inner: residuals(problem, offsets, inner), offsets[1:-1])
    pull = jax.linear_transpose(push, offsets[1:-1])
    flat = (len(offsets) - 2, -1)
    gradient = pull(residual)[0].reshape(flat)
    inverse = stiffness(problem, offsets, damping)
    return LeastSquaresModel(gradient, inverse, problem, offsets, push, pull, damping)


class LowRankModel(AbstractLinearModel):
    """The model for metrics `base I + sum lam s s^T`, solved directly by Woodbury's formula."""

    gradient: Float[Array, "inner d"]
    preconditioner: GaussNewtonPreconditioner
    problem: TwoPointProblem
    offsets: Float[Array, "nodes *shape"]
    damping: Float[Array, ""]

    def propose(self, accuracy):
        del accuracy
        parts = self.preconditioner.model
        step = ph.downhill(parts, self.preconditioner.factor)
        weights = parts.basis.weights[:, None]
        # -grad . d and d^T H d are computed separately: they agree only if the linear algebra is
        # accurate.
        slope = -parts.base * jnp.sum(weights * parts.bends * step.bends)
        slope = slope - jnp.sum(parts.weights * parts.h * step.change)
        stretch = parts.base * jnp.sum(weights * step.bends**2)
        curvature = stretch + jnp.sum(parts.weights * step.change**2)
        damped = curvature + self.damping * stretch
        error = jnp.abs(slope - damped)
        predicted = jnp.where(error <= 0.5 * damped, slope - curvature / 2, -jnp.inf)
        # H_mu <= (1 + mu) H, so this bounds the undamped decrement from above.
        gain = (1 + self.damping) * (jnp.maximum(slope, damped) + error)
        # A factorisation that fails by rounding needs more damping; the path may be good.
        gain = jnp.where(parts.defined & jnp.isnan(gain), jnp.inf, gain)
        return Proposal(step.nodes, predicted, gain, jnp.asarray(0))

    def hessian(self):
        return hessian(self.problem, self.offsets)

    def stiffness(self, d):
        parts = self.preconditioner.model
        return parts.base * ph.stiffness_product(parts.basis, d)


class LeastSquaresModel(AbstractLinearModel):
    """The model for other sums of squares: conjugate gradients with products of the Jacobian alone.

    With r the `residuals` and J their Jacobian, `E = |r|^2 / 2` and a step solves
    `(J^T J + mu K_c) d = -J^T r`. The preconditioner is the path's stiffness matrix with weights
    c_q, the metric's value for a generic vector at each point. For a conformal metric it is `J^T J`
    except for the change of its factor, whatever the contrast.
    """

    gradient: Float[Array, "inner d"]
    preconditioner: StiffnessPreconditioner
    problem: TwoPointProblem
    offsets: Float[Array, "nodes *shape"]
    push: Any
    pull: Any
    damping: Float[Array, ""]

    def propose(self, accuracy):
        def product(d):
            image = self.pull(self.push(d.reshape(self.offsets[1:-1].shape)))[0]
            return image.reshape(d.shape) + self.damping * self.stiffness(d)

        right = -self.gradient
        start = self.preconditioner(right)
        found = truncated_cg(
            product,
            self.preconditioner,
            right,
            start,
            dot(right, start),
            active=jnp.all(jnp.isfinite(self.gradient)),
            rtol=accuracy,
            max_steps=_CG_STEPS,
        )
        stretch = dot(found.solution, self.stiffness(found.solution))
        predicted = (found.decrease + self.damping * stretch) / 2
        # Truncated conjugate gradients underestimate the decrement, by about the squared
        # tolerance; damping lowers it by 1 + mu at most where the stiffness is the metric's.
        gain = (1 + self.damping) * found.decrease * (1 + 2 * accuracy)
        gain = jnp.where(jnp.all(jnp.isfinite(self.gradient)), gain, jnp.nan)
        return Proposal(found.solution, predicted, gain, found.count)

    def hessian(self):
        return hessian(self.problem, self.offsets)

    def stiffness(self, d):
        return matmul(self.preconditioner.matrix, d)


def residuals(problem: TwoPointProblem, offsets, inner):
    """The roots of the metric at all points, one row per point: `|r|^2 / 2` is the energy."""
    assert isinstance(problem.metric, AbstractSumOfSquaresMetric)
    offsets = offsets.at[1:-1].set(inner)
    basis = problem.basis(offsets)
    path = problem.sampled(basis, offsets)
    parts = problem.metric.roots(path, problem.args, problem.rule.map)
    rows = jnp.concatenate([part.reshape(len(basis.weights), -1) for part in parts], axis=1)
    return jnp.sqrt(basis.weights)[:, None] * rows
