"""A metric that the user defines as a matrix."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx

from .._functions import as_array, as_pytree, check_function
from .._linalg import matmul
from ._base import AbstractMetric


class DenseMetric(AbstractMetric):
    """A metric from any `(x, args) -> G`, the D x D matrix of the flattened point.

    Use it for charts of model spaces and for small D. Products with the inverse are by Cholesky.
    Where a metric has a matrix-free form, that form is preferable.

    **Arguments:**

    - `function`: a callable `(x, args) -> G`, where G is symmetric positive definite, shape (D, D).

    **Raises:**

    - `ValueError`: when `function` is not callable or G has not the shape (D, D).

    >>> import jax.numpy as jnp, geojax
    >>> half_plane = geojax.DenseMetric(lambda x, args: jnp.eye(2) / x[1] ** 2)
    >>> float(half_plane.norm(jnp.array([0.0, 2.0]), jnp.array([0.0, 1.0])))
    0.5
    """

    function: Callable[..., Any]

    def __init__(self, function: Any):
        check_function("function", function, "(x, args) -> matrix")
        self.function = as_pytree(function)

    def as_matrix(self, x, args: Any = None):
        wanted = f"a matrix of shape ({x.size}, {x.size})"
        returned = self.function(x, args)
        returned = jnp.asarray(returned) if isinstance(returned, list) else returned
        matrix = as_array("function", returned, wanted, x.dtype)
        if matrix.shape != (x.size, x.size):
            raise ValueError(
                f"function must return a matrix of shape ({x.size}, {x.size}) at a point of shape "
                f"{x.shape}, got {matrix.shape}."
            )
        return matrix

    def operator(self, x, args: Any = None) -> lx.AbstractLinearOperator:
        matrix = self.as_matrix(x, args)

        def product(v):
            return matmul(matrix, v.reshape(-1)).reshape(x.shape)

        structure = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return lx.FunctionLinearOperator(product, structure, lx.positive_semidefinite_tag)

    def sharp(self, x, w, args: Any = None):
        chol = jnp.linalg.cholesky(self.as_matrix(x, args))
        return jax.scipy.linalg.cho_solve((chol, True), w.reshape(-1)).reshape(x.shape)

    def log_det(self, x, args: Any = None):
        chol = jnp.linalg.cholesky(self.as_matrix(x, args))
        return 2 * jnp.sum(jnp.log(jnp.diagonal(chol)))
