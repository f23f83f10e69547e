"""A multiple of the identity plus a sum of outer products, as a lineax operator."""

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from .._linalg import matmul, tensordot


class LowRankOperator(lx.AbstractLinearOperator):
    """The lineax operator `base I + sum_k weights_k f_k f_k^T` on arrays of one shape.

    It has a closed-form inverse and determinant. The inverse is Woodbury's formula with a K x K
    matrix. For K = 1 that is the Sherman-Morrison formula
    `(w - f weight <f, w> / (base + weight |f|^2)) / base`. Sums of such operators are such
    operators. The weights stand outside the squares, so that everything has a derivative by a
    weight of 0.

    **Arguments:**

    - `base`: a scalar > 0.
    - `factors`: the f_k, shape `(K, *shape)`.
    - `weights`: shape (K,).

    >>> import jax.numpy as jnp
    >>> from geojax.metrics import LowRankOperator
    >>> operator = LowRankOperator(jnp.asarray(1.0), jnp.array([2.0]), jnp.array([[1.0, 0.0]]))
    >>> print(operator.mv(jnp.ones(2)), operator.inverse_mv(jnp.array([3.0, 1.0])))
    [3. 1.] [1. 1.]
    """

    base: Float[Array, ""]
    weights: Float[Array, " rank"]
    factors: Float[Array, "rank *shape"]

    def mv(self, vector):
        return self.base * vector + self._combine(self.weights * self._products(vector))

    def __add__(self, other):
        if not isinstance(other, LowRankOperator):
            return super().__add__(other)
        weights = jnp.concatenate([self.weights, other.weights])
        factors = jnp.concatenate([self.factors, other.factors])
        return LowRankOperator(self.base + other.base, weights, factors)

    def scaled(self, factor: Float[Array, ""]) -> "LowRankOperator":
        """A positive multiple."""
        return LowRankOperator(factor * self.base, factor * self.weights, self.factors)

    def inverse_mv(self, vector):
        """`operator^-1 vector`."""
        inner = self.weights * self._small_solve(self._products(vector))
        return (vector - self._combine(inner)) / self.base

    def log_det(self) -> Float[Array, ""]:
        """The log of the determinant."""
        size, matrix = self.in_structure().size, self._small_matrix() / self.base
        small = jnp.linalg.slogdet(matrix)[1] if len(matrix) else jnp.zeros_like(self.base)
        return size * jnp.log(self.base) + small

    def _products(self, vector):
        return tensordot(self.factors, vector, axes=vector.ndim)

    def _combine(self, weights):
        return tensordot(weights, self.factors, axes=1)

    def _small_matrix(self):
        """`base I + F F^T W`: similar to a positive definite matrix wherever W is positive."""
        flat = self.factors.reshape(len(self.factors), self.in_structure().size)
        gram = matmul(flat, flat.T)
        return self.base * jnp.eye(len(gram), dtype=gram.dtype) + gram * self.weights[None, :]

    def _small_solve(self, right):
        if len(self.factors) == 0:
            return right
        matrix = self._small_matrix()
        return right / matrix[0] if len(matrix) == 1 else jnp.linalg.solve(matrix, right)

    def as_matrix(self):
        size = self.in_structure().size
        flat = self.factors.reshape(len(self.factors), size)
        weighted = self.weights[:, None] * flat
        return self.base * jnp.eye(size, dtype=flat.dtype) + matmul(flat.T, weighted)

    def transpose(self):
        return self

    def in_structure(self):
        return jax.ShapeDtypeStruct(self.factors.shape[1:], self.factors.dtype)

    def out_structure(self):
        return self.in_structure()


@lx.is_symmetric.register(LowRankOperator)
@lx.is_positive_semidefinite.register(LowRankOperator)
def _yes(operator):
    del operator
    return True


@lx.is_diagonal.register(LowRankOperator)
@lx.is_tridiagonal.register(LowRankOperator)
@lx.is_lower_triangular.register(LowRankOperator)
@lx.is_upper_triangular.register(LowRankOperator)
@lx.is_negative_semidefinite.register(LowRankOperator)
@lx.has_unit_diagonal.register(LowRankOperator)
def _no(operator):
    del operator
    return False


@lx.linearise.register(LowRankOperator)
@lx.materialise.register(LowRankOperator)
@lx.conj.register(LowRankOperator)
def _itself(operator):
    return operator


@lx.diagonal.register(LowRankOperator)
def _diagonal(operator):
    squares = operator.factors.reshape(len(operator.factors), operator.in_size()) ** 2
    return operator.base + jnp.sum(operator.weights[:, None] * squares, axis=0)
