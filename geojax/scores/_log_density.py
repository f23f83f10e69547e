"""A score from a log-density."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from .._arrays import takes_arrays


class LogDensityScore(eqx.Module):
    """The gradient of a log-density, at one noise level: ``(x, args) -> s``."""

    function: Callable[[Array, Any], Array]

    @takes_arrays("x")
    def __call__(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, "*shape"]:
        return jax.grad(self.function)(x, args)

    @takes_arrays("x")
    def log_density(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, ""]:
        return self.function(x, args)


def from_log_density(log_density: Callable[[Array, Any], Array]) -> LogDensityScore:
    """The score of a log-density ``(x, args) -> scalar``, by reverse-mode differentiation.

    The log-density need not be normalised. **Returns:** a callable ``(x, args) -> s`` with
    ``log_density(x, args)``, as metrics take it. **Raises:** `ValueError` when ``log_density``
    cannot be called with two arguments.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import from_log_density
    >>> score = from_log_density(lambda x, args: -jnp.sum(x**2) / 2)
    >>> score(jnp.array([1.0, -2.0])).tolist()
    [-1.0, 2.0]
    """
    try:
        inspect.signature(log_density).bind(None, None)
    except TypeError as error:
        raise ValueError(
            f"log_density must be a callable (x, args) -> scalar, got {log_density!r}. Wrap a "
            "function f of x alone as lambda x, args: f(x)."
        ) from error
    return LogDensityScore(log_density)
