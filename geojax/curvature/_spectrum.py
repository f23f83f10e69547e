"""Singular values of a linear map from products with it and its transpose."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

_OVERSAMPLING = 8
Product = Callable[[Array], Array]


def leading_singular_values(
    product: Product,
    transposed: Product,
    like: Float[Array, "*shape"],
    num_values: int,
    *,
    key: Key[Array, ""],
    num_iterations: int,
    batch_size: int | None,
) -> tuple[Float[Array, " values"], Float[Array, "size range"]]:
    """The largest singular values of a square map on arrays like ``like``, largest first.

    By randomised subspace iteration (Halko, Martinsson & Tropp 2011). Unlike a Lanczos iteration
    from one vector it sees every copy of a repeated value, which counts dimensions. With
    ``num_values`` at least the number of entries the basis is complete and they are exact.

    **Returns:** the values, and an orthonormal basis of their range, as columns.
    """
    size = like.size
    width = min(size, num_values + _OVERSAMPLING)

    def block(function: Product, columns: Array) -> Array:
        one = lambda column: function(column.reshape(like.shape)).reshape(-1)  # noqa: E731
        rows = columns.T
        mapped = (
            jax.vmap(one)(rows)
            if batch_size is None
            else jax.lax.map(one, rows, batch_size=batch_size)
        )
        return mapped.T

    basis = jax.random.normal(key, (size, width), like.dtype)
    basis = jnp.linalg.qr(block(product, basis))[0]
    for _ in range(num_iterations if width < size else 0):
        basis = jnp.linalg.qr(block(transposed, basis))[0]
        basis = jnp.linalg.qr(block(product, basis))[0]
    values = jnp.linalg.svd(block(transposed, basis), compute_uv=False)
    return values[:num_values], basis
