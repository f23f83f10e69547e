"""The energy of a path to second order in full, for metrics of few coordinates."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._linalg import dot, einsum, matmul
from . import _banded as banded
from ._bsplines import BSplines, bsplines
from ._certificate import where_active
from ._linear_model import AbstractLinearModel, Proposal, Sample
from ._problem import TwoPointProblem

_AT_ONCE = 256  # rows of a metric's matrices in one pass over columns of the Hessian


class DenseParts(NamedTuple):
    """The gradient by the inner nodes, the local second derivatives, and the Christoffel symbols.

    The latter are those of the first kind, `g Gamma(x', .)`, multiplied by the weight of the point.
    """

    gradient: Float[Array, "inner d"]
    local: banded.LocalHessians
    christoffel: Float[Array, "q d d"]


def dense_sample(problem: TwoPointProblem, offsets) -> Sample:
    """A path's energy with both derivatives.

    It is not defined where the metric is not positive definite at a point of the rule. So a path
    that has left the chart is refused.
    """

    def energy_of(inner):
        return problem.energy(offsets.at[1:-1].set(inner))

    energy, gradient = jax.value_and_grad(energy_of)(offsets[1:-1])
    local, christoffel = _local(problem, offsets)
    derivatives = local.xx, local.vx, christoffel
    finite = [jnp.all(jnp.isfinite(a)) for a in (energy, gradient, *derivatives)]
    positive = jnp.all(jnp.isfinite(jnp.linalg.cholesky(local.vv)))
    rounding = 32 * jnp.finfo(offsets.dtype).eps * energy
    parts = DenseParts(gradient.reshape(len(offsets) - 2, -1), local, christoffel)
    return Sample(energy, jnp.all(jnp.stack(finite)) & positive, rounding, parts)


def _local(problem: TwoPointProblem, offsets):
    """The second derivatives at the points, and the Christoffel symbols."""
    metric, args, shape = problem.metric, problem.args, problem.x0.shape

    def one(x, v, weight):
        def momentum(y):
            square = lambda y, v: metric.inner(  # noqa: E731
                y.reshape(shape), v.reshape(shape), v.reshape(shape), args
            )
            return jax.grad(square, argnums=(0, 1))(y, v.reshape(-1))

        # Quadratic in v, so the second derivative by v is the metric itself.
        xx, vx = _jacobian(momentum, x.reshape(-1))
        half = weight / 2
        g, along = jax.jvp(lambda y: metric.as_matrix(y, args), (x,), (v,))
        vx, g = half * vx, weight * (g + g.T) / 2
        christoffel = (half * (along + along.T) / 2) + (vx - vx.T) / 2
        return banded.LocalHessians(half * (xx + xx.T) / 2, vx, g), christoffel

    path, weights = problem.path(offsets), problem.basis(offsets).weights
    return problem.rule.map(one, path.points, path.velocities, weights)


def _jacobian(function, x):
    """The Jacobians of both parts of the value.

    Few columns at a time where matrices of a metric would fill the memory.
    """
    _, push = jax.linearize(function, x)
    some = max(1, _AT_ONCE // x.size)
    columns = jnp.eye(x.size, dtype=x.dtype)
    if some >= x.size:
        first, second = jax.vmap(push)(columns)
    else:
        first, second = jax.lax.map(push, columns, batch_size=some)
    return first.T, second.T


class Solved(NamedTuple):
    """A step, whether the matrix is positive definite, and `-gradient . step`."""

    step: Float[Array, "inner d"]
    positive: Bool[Array, ""]
    slope: Float[Array, ""]


class BandedInverse(eqx.Module):
    """`T (T^T (H + mu S) T)^-1 T^T`, from the factor of the banded matrix in the middle."""

    functions: BSplines
    factor: banded.Factor

    def __call__(self, right: Float[Array, "inner d"]) -> Float[Array, "inner d"]:
        nodes = self.functions.nodes
        return matmul(nodes, banded.solve(self.factor, matmul(nodes.T, right)))


class DenseModel(AbstractLinearModel):
    """The Hessian H of the energy with the damping `mu S`.

    S is the Gram matrix of the metric along the path: `z^T S z = sum w_q <z', z'>_g`.

    Where `H + mu S` is not positive definite, `J + mu S` replaces it, with
    `z^T J z = sum w_q |D_t z|_g^2` of the covariant derivatives `D_t z = z' + Gamma(x', z)`. J
    leaves out the curvature of the space and the acceleration of the path (Gauss-Newton). It is
    never negative.

    In B-splines the matrix is a band of D x D blocks. With z = T c for nodes and coefficients,
    `T (T^T (H + mu S) T)^-1 T^T` is the inverse.
    """

    gradient: Float[Array, "inner d"]
    preconditioner: BandedInverse
    problem: TwoPointProblem
    offsets: Float[Array, "nodes *shape"]
    local: banded.LocalHessians
    damping: Float[Array, ""]

    def propose(self, accuracy):
        del accuracy
        step = -self.preconditioner(self.gradient)
        slope = -dot(self.gradient, step)
        stretch = dot(step, self.stiffness(step))
        # `slope` is the squared norm of the step in the damped Hessian.
        predicted = jnp.where(slope >= 0, (slope + self.damping * stretch) / 2, -jnp.inf)
        gain = jnp.where(slope >= 0, (1 + self.damping) * slope, jnp.inf)
        return Proposal(step, predicted, gain, jnp.asarray(0))

    def undamped(self, least: float) -> Solved:
        """Newton's step, and whether all curvatures, relative to S, are at least `-least`."""
        shift = jnp.asarray(least, self.damping.dtype)
        functions = self.preconditioner.functions
        factor = factorised(self.local, functions, len(self.offsets) - 1, shift)
        step = -BandedInverse(functions, factor)(self.gradient)
        return Solved(step, factor.defined, -dot(self.gradient, step))

    def hessian(self):
        return self._product

    def _product(self, d):
        by_point, by_velocity = self._seen(d)
        local = self.local
        at_points = _times(local.xx, by_point)
        at_points = at_points + einsum("qij,qi->qj", local.vx, by_velocity)
        of_velocities = _times(local.vx, by_point) + _times(local.vv, by_velocity)
        return self._spread(at_points, of_velocities)

    def stiffness(self, d):
        _, by_velocity = self._seen(d)
        of_velocities = _times(self.local.vv, by_velocity)
        return self._spread(jnp.zeros_like(of_velocities), of_velocities)

    def _seen(self, d):
        basis = self.problem.basis(self.offsets)
        return matmul(basis.inner_points, d), matmul(basis.inner_derivative, d)

    def _spread(self, at_points, of_velocities):
        basis = self.problem.basis(self.offsets)
        spread = matmul(basis.inner_points.T, at_points)
        return spread + matmul(basis.inner_derivative.T, of_velocities)


def dense_model(problem: TwoPointProblem, offsets, parts: DenseParts, damping) -> DenseModel:
    """The model at a path, from the `parts` of its sample."""
    n, local = len(offsets) - 1, parts.local
    functions = bsplines(problem.rule.scheme, n, offsets.dtype, problem.ts)
    factor = factorised(local, functions, n, damping)

    def covariant():
        c = parts.christoffel
        raised = jax.vmap(lambda g, c: jax.scipy.linalg.solve(g, c, assume_a="pos"))(local.vv, c)
        squares = banded.LocalHessians(einsum("qki,qkj->qij", c, raised), c, local.vv)
        return factorised(squares, functions, n, damping)

    factor = where_active(~factor.defined, covariant, factor)
    inverse = BandedInverse(functions, factor)
    return DenseModel(parts.gradient, inverse, problem, offsets, local, damping)


def factorised(local, functions: BSplines, num_segments: int, damping) -> banded.Factor:
    """The factor of `T^T (H + mu S) T`."""
    damped = local._replace(vv=(1 + damping) * local.vv)
    return banded.factorise(banded.assemble(damped, functions, num_segments))


def _times(matrices, vectors):
    return einsum("qij,qj->qi", matrices, vectors)
