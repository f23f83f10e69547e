"""Products and norms at the highest precision.

By default recent GPUs and TPUs compute float32 products in TF32 or bfloat16. Verdicts compare
figures at the rounding of float32, so every contraction outside the networks uses this module. A
test of the source and of the compiled programs checks this.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Num

_HIGHEST = jax.lax.Precision.HIGHEST


def dot(a: Num[Array, "..."], b: Num[Array, "..."]) -> Num[Array, ""]:
    """The sum of `a * b` over all coordinates of two arrays of one shape."""
    if a.shape != b.shape:
        raise ValueError(f"dot takes two arrays of one shape, got {a.shape} and {b.shape}.")
    return jnp.vdot(a, b, precision=_HIGHEST)


def matmul(a: Num[Array, "..."], b: Num[Array, "..."]) -> Num[Array, "..."]:
    """`jax.numpy.matmul`."""
    return jnp.matmul(a, b, precision=_HIGHEST)


def einsum(subscripts: str, *operands: Num[Array, "..."]) -> Num[Array, "..."]:
    """`jax.numpy.einsum`."""
    return jnp.einsum(subscripts, *operands, precision=_HIGHEST)


def tensordot(a: Num[Array, "..."], b: Num[Array, "..."], axes) -> Num[Array, "..."]:
    """`jax.numpy.tensordot`."""
    return jnp.tensordot(a, b, axes=axes, precision=_HIGHEST)


def safe_sqrt(x: Num[Array, "..."]) -> Num[Array, "..."]:
    """`sqrt(x)` with the derivative 0 at 0 instead of infinity; NaN below 0."""
    zero = x == 0
    return jnp.where(zero, jnp.zeros_like(x), jnp.sqrt(jnp.where(zero, jnp.ones_like(x), x)))


def norm(x: Num[Array, "..."]) -> Num[Array, ""]:
    """`|x|` over all coordinates, with derivative 0 at 0.

    Scaled by the largest coordinate, so that squares neither overflow nor underflow.
    """
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), initial=0))
    scale = jnp.where((largest > 0) & jnp.isfinite(largest), largest, jnp.ones_like(largest))
    return scale * safe_sqrt(jnp.sum(jnp.square(x / scale)))


def unit_of(x: Num[Array, "..."]) -> Num[Array, ""]:
    """A unit for `x`: the root mean square over all coordinates, or 1 where that is 0.

    It is a constant for derivatives.
    """
    size = jax.lax.stop_gradient(norm(x)) / x.size**0.5
    return jnp.where(size > 0, size, jnp.ones_like(size))
