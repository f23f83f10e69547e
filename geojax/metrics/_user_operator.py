"""A metric that the user defines as a lineax operator."""

from collections.abc import Callable
from typing import Any

import jax
import lineax as lx

from .._functions import as_pytree, check_function
from ._base import AbstractMetric, positive


class OperatorMetric(AbstractMetric):
    """A metric from any `(x, args) -> operator`, a lineax operator on arrays of the shape of x.

    Use it for a metric of your own in many dimensions. Nothing is made dense: the inverse is by
    conjugate gradients, or entry by entry where lineax knows the operator to be diagonal.

    **Arguments:**

    - `function`: a callable `(x, args) -> operator`. The operator must be symmetric positive
      definite; it need not be tagged so.

    **Raises:**

    - `ValueError`: when `function` is not callable, or it returns no lineax operator on arrays of
      the shape and dtype of `x`.

    >>> import jax.numpy as jnp, lineax as lx, geojax
    >>> metric = geojax.OperatorMetric(lambda x, args: lx.DiagonalLinearOperator(1 + x**2))
    >>> print(metric.sharp(jnp.array([0.0, 1.0]), jnp.array([1.0, 1.0])))
    [1.  0.5]
    """

    function: Callable[..., Any]

    def __init__(self, function: Any):
        check_function("function", function, "(x, args) -> lineax operator")
        self.function = as_pytree(function)

    def operator(self, x, args: Any = None) -> lx.AbstractLinearOperator:
        operator = self.function(x, args)
        if not isinstance(operator, lx.AbstractLinearOperator):
            raise ValueError(
                f"function must return a lineax operator, got {type(operator).__name__}. For a "
                "matrix use DenseMetric."
            )
        structure = jax.ShapeDtypeStruct(x.shape, x.dtype)
        if operator.in_structure() != structure or operator.out_structure() != structure:
            raise ValueError(
                f"function must return an operator on arrays of shape {x.shape} and dtype "
                f"{x.dtype}, got one from {operator.in_structure()} to {operator.out_structure()}. "
                "For one on the flattened point use DenseMetric, or lineax.FunctionLinearOperator."
            )
        return positive(operator)
