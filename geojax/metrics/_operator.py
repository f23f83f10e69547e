"""A multiple of the identity plus a sum of outer products, as a lineax operator."""

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from .._linalg import matmul, tensordot


class LowRankOperator(lx.AbstractLinearOperator):
    """``base I + sum_k f_k f_k^T`` on arrays of one shape; inverse and determinant closed form.

    The inverse is Woodbury's formula with a K x K matrix. For K = 1 that is the Sherman-Morrison
    ``(w - f <f, w> / (base + |f|^2)) / base``. Sums of such operators are such operators.
    """

    base: Float[Array, ""]
    factors: Float[Array, "rank *shape"]

    def mv(self, vector):
        return self.base * vector + self._combine(self._products(vector))

    def __add__(self, other):
        if not isinstance(other, LowRankOperator):
            return super().__add__(other)
        factors = jnp.concatenate([self.factors, other.factors])
        return LowRankOperator(self.base + other.base, factors)

    def scaled(self, factor: Float[Array, ""]) -> "LowRankOperator":
        """A positive multiple."""
        return LowRankOperator(factor * self.base, jnp.sqrt(factor) * self.factors)

    def inverse_mv(self, vector):
        """``operator^-1 vector``."""
        return (vector - self._combine(self._small_solve(self._products(vector)))) / self.base

    def log_det(self) -> Float[Array, ""]:
        """The log of the determinant."""
        size = self.in_structure().size
        gram = self._small_gram() / self.base
        chol = jnp.linalg.cholesky(jnp.eye(len(gram), dtype=gram.dtype) + gram)
        return size * jnp.log(self.base) + 2 * jnp.sum(jnp.log(jnp.diagonal(chol)))

    def _products(self, vector):
        return tensordot(self.factors, vector, axes=vector.ndim)

    def _combine(self, weights):
        return tensordot(weights, self.factors, axes=1)

    def _small_gram(self):
        flat = self.factors.reshape(len(self.factors), self.in_structure().size)
        return matmul(flat, flat.T)

    def _small_solve(self, right):
        if len(self.factors) == 0:
            return right
        gram = self._small_gram()
        matrix = self.base * jnp.eye(len(gram), dtype=gram.dtype) + gram
        if len(gram) == 1:
            return right / matrix[0]
        return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(matrix), True), right)

    def as_matrix(self):
        size = self.in_structure().size
        flat = self.factors.reshape(len(self.factors), size)
        return self.base * jnp.eye(size, dtype=flat.dtype) + matmul(flat.T, flat)

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
    squares = jnp.sum(operator.factors**2, axis=0).reshape(-1)
    return operator.base + squares
