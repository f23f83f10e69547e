"""Traces of linear maps from products with fixed random vectors."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._arrays import Numbers, as_floating


class TraceEstimate(NamedTuple):
    """A trace and its uncertainty.

    **Arguments:**

    - `value`: a scalar.
    - `standard_error`: of the mean over the probes. 0 if the trace is exact, NaN if a single probe
      (or pair of probes) leaves it unknown.

    >>> import jax.numpy as jnp, geojax
    >>> geojax.ricci_curvature(geojax.Euclidean(), jnp.zeros(3), jnp.ones(3)).value.item()
    0.0
    """

    value: Float[Array, ""]
    standard_error: Float[Array, ""]


def trace_probes(
    shape: Sequence[int], num_probes: int, *, key: Key[Array, ""], dtype=None
) -> Float[Array, "probes *shape"]:
    """Fixed vectors of random signs, with `E[e e^T] = I`, to estimate traces.

    `trace A = E[e^T A e]`, with the least variance among vectors of independent entries. Drawn once
    and used for every point, they make an estimate a smooth function of the point.

    **Arguments:**

    - `shape`: of a point.
    - `num_probes`: at least 1.
    - `key`: draws the signs.
    - `dtype`: default float.

    **Returns:**

    The vectors, shape `(num_probes, *shape)`.

    **Raises:**

    - `ValueError`: when `num_probes` < 1.

    Source: Hutchinson (1990).

    >>> import jax, geojax
    >>> geojax.curvature.trace_probes((1, 4, 4), 8, key=jax.random.key(0)).shape
    (8, 1, 4, 4)
    """
    if num_probes < 1:
        raise ValueError(f"num_probes must be at least 1, got {num_probes}.")
    dtype = jnp.result_type(float) if dtype is None else dtype
    return jax.random.rademacher(key, (num_probes, *shape), dtype)


def check_probes(probes: Numbers, x: Array, least: int = 1) -> Array:
    """The probes in the dtype of `x`; `ValueError` unless they are at least `least` vectors like
    `x`.
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
    """`sum_i function(e_i)` over the D unit vectors, one at a time: O(D) memory."""

    def at(i):
        return function(jnp.zeros(like.size, like.dtype).at[i].set(1).reshape(like.shape))

    return jnp.sum(jax.lax.map(at, jnp.arange(like.size)))
