"""Traces of linear maps from products with fixed random vectors."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._arrays import Numbers, as_floating


class TraceEstimate(NamedTuple):
    """A trace, and how uncertain it is.

    - ``value``: a scalar.
    - ``standard_error``: of the mean over the probes; 0 where the trace is exact, NaN where one
      probe (or one pair of probes) leaves it unknown.

    >>> import jax.numpy as jnp, geojax
    >>> geojax.ricci_curvature(geojax.Euclidean(), jnp.zeros(3), jnp.ones(3)).value.item()
    0.0
    """

    value: Float[Array, ""]
    standard_error: Float[Array, ""]


def trace_probes(
    shape: Sequence[int], num_probes: int, *, key: Key[Array, ""], dtype=None
) -> Float[Array, "probes *shape"]:
    """Fixed vectors of random signs, with ``E[e e^T] = I``: Hutchinson's (1990) probes.

    ``trace A = E[e^T A e]``, with the least variance among independent entries. Drawn once and
    used for every point, they make an estimate a smooth function of the point.

    - ``shape``: of a point; ``num_probes``: at least 1; ``dtype``: default float.

    **Returns:** shape (num_probes, *shape). **Raises:** `ValueError` on ``num_probes`` < 1.

    >>> import jax, geojax
    >>> geojax.curvature.trace_probes((1, 4, 4), 8, key=jax.random.key(0)).shape
    (8, 1, 4, 4)
    """
    if num_probes < 1:
        raise ValueError(f"num_probes must be at least 1, got {num_probes}.")
    dtype = jnp.result_type(float) if dtype is None else dtype
    return jax.random.rademacher(key, (num_probes, *shape), dtype)


def check_probes(probes: Numbers, x: Array, least: int = 1) -> Array:
    """The probes in the dtype of ``x``.

    **Raises:** `ValueError` unless they are at least ``least`` vectors like ``x``.
    """
    probes = as_floating("probes", probes, dtype=x.dtype)
    if probes.ndim != x.ndim + 1 or probes.shape[1:] != x.shape or len(probes) < least:
        raise ValueError(
            f"probes must have shape (num_probes >= {least}, *{x.shape}), got {probes.shape}. "
            "geojax.curvature.trace_probes makes them."
        )
    return probes


def mean_estimate(samples: Float[Array, " samples"]) -> TraceEstimate:
    """The mean of independent estimates, with its standard error."""
    n = len(samples)
    error = jnp.std(samples, ddof=1) / n**0.5 if n > 1 else jnp.full((), jnp.nan, samples.dtype)
    return TraceEstimate(jnp.mean(samples), error)


def basis_sum(function: Callable[[Array], Array], like: Array) -> Array:
    """``sum_i function(e_i)`` over the D unit vectors, one at a time: O(D) memory."""

    def at(i):
        return function(jnp.zeros(like.size, like.dtype).at[i].set(1).reshape(like.shape))

    return jnp.sum(jax.lax.map(at, jnp.arange(like.size)))
