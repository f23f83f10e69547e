"""A score from a log-density."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from .._arrays import Numbers, as_floating
from .._functions import as_pytree, as_scalar_output, check_function


class LogDensityScore(eqx.Module):
    """The gradient of a log-density, at one noise level: a callable `(x, args) -> s`."""

    function: Callable[[Array, Any], Array] = eqx.field(converter=as_pytree)

    def __call__(self, x: Numbers, args: Any = None) -> Float[Array, "*shape"]:
        return jax.grad(self.log_density)(as_floating("x", x), args)

    def log_density(self, x: Numbers, args: Any = None) -> Float[Array, ""]:
        x = as_floating("x", x)
        return as_scalar_output("log_density", self.function(x, args), x)


def from_log_density(log_density: Callable[[Array, Any], Array]) -> LogDensityScore:
    """Make a score from a log-density `(x, args) -> scalar`, by reverse-mode differentiation.

    Use it for a density of your own. The log-density need not be normalised.

    **Arguments:**

    - `log_density`: a callable `(x, args) -> scalar`.

    **Returns:**

    A callable `(x, args) -> s` with `log_density(x, args)`, as metrics take it.

    **Raises:**

    - `ValueError`: when `log_density` cannot be called with two arguments, or does not return a
      scalar.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import from_log_density
    >>> score = from_log_density(lambda x, args: -jnp.sum(x**2) / 2)
    >>> score(jnp.array([1.0, -2.0])).tolist()
    [-1.0, 2.0]
    """
    check_function("log_density", log_density, "(x, args) -> scalar")
    return LogDensityScore(log_density)
