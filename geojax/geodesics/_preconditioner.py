"""Approximate inverses of the Hessian of a path's energy, with white noise in their norms."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._linalg import matmul
from . import _path_hessian as ph
from ._basis import Basis
from ._problem import TwoPointProblem


class AbstractPreconditioner(eqx.Module):
    """`P^-1` for a positive definite P near the Hessian."""

    @abc.abstractmethod
    def __call__(self, right: Float[Array, "inner d"]) -> Float[Array, "inner d"]:
        """`P^-1 right`."""

    @abc.abstractmethod
    def noise(self, key: PRNGKeyArray, size: int) -> Float[Array, "inner size"]:
        """A normal sample with covariance P: white noise in the norm of `P^-1`."""


class GaussNewtonPreconditioner(AbstractPreconditioner):
    """`P = b (1 + mu) K + A^T C A` of a low-rank metric, the damped Gauss-Newton Hessian."""

    model: ph.PathModel
    factor: ph.Factor

    def __call__(self, right):
        return ph.solve(self.model, self.factor, right).nodes

    def noise(self, key, size):
        model = self.model
        flat, steep = jax.random.split(key)
        bends = jax.random.normal(flat, (len(model.bends), size), model.bends.dtype)
        bends = jnp.sqrt(model.basis.weights / self.factor.c)[:, None] * bends
        rates = jax.random.normal(steep, model.h.shape, model.h.dtype)
        rates = ph.to_nodes(model, jnp.sqrt(model.weights) * rates)
        return matmul(model.basis.inner_derivative.T, bends) + rates


class StiffnessPreconditioner(AbstractPreconditioner):
    """`P = scale V^T W F V`, where F is the metric's value for a generic vector at each point."""

    basis: Basis
    factors: Float[Array, " q"]
    matrix: Float[Array, "inner inner"]
    cholesky: Float[Array, "inner inner"]
    scale: Float[Array, ""]

    def __init__(self, basis: Basis, factors: Float[Array, " q"], scale: Array):
        self.basis, self.factors, self.scale = basis, factors, scale
        self.matrix = basis.stiffness(factors)
        self.cholesky = jnp.linalg.cholesky(self.matrix)

    def __call__(self, right):
        return jax.scipy.linalg.cho_solve((self.cholesky, True), right) / self.scale

    def noise(self, key, size):
        bends = jax.random.normal(key, (len(self.factors), size), self.factors.dtype)
        roots = jnp.sqrt(self.scale * self.basis.weights * self.factors)
        return matmul(self.basis.inner_derivative.T, roots[:, None] * bends)


def generic_weights(problem: TwoPointProblem, offsets) -> Float[Array, " points"]:
    """`<p, p>_g / |p|^2` at each point for a generic vector p; positive."""
    path = problem.path(offsets)
    vector = jax.random.normal(jax.random.key(1), offsets.shape[1:], offsets.dtype)
    square = lambda x: problem.metric.inner(x, vector, vector, problem.args)  # noqa: E731
    factors = problem.rule.map(square, path.points) / jnp.sum(vector**2)
    most = jnp.max(factors)
    return jnp.where(most > 0, jnp.maximum(factors, 1e-12 * most), 1.0)


def gauss_newton(model: ph.PathModel, damping) -> GaussNewtonPreconditioner:
    """The preconditioner from the model of a path."""
    return GaussNewtonPreconditioner(model, ph.factorise(model, ph.gram(model), damping))


def stiffness(problem: TwoPointProblem, offsets, damping) -> StiffnessPreconditioner:
    """The preconditioner of a path in any metric."""
    factors = generic_weights(problem, offsets)
    return StiffnessPreconditioner(problem.basis(offsets), factors, 1 + damping)
