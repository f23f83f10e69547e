"""Singular values of a linear map from products with it and its transpose."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._linalg import matmul

_OVERSAMPLING = 8
Product = Callable[[Array], Array]


def leading_singular_values(
    product: Product,
    transposed: Product,
    like: Float[Array, "*shape"],
    num_values: int,
    probes: Float[Array, "probes size"],
    *,
    key: Key[Array, ""],
    num_iterations: int,
    batch_size: int | None,
) -> tuple[Float[Array, " values"], Float[Array, " probes"]]:
    """The largest singular values of a square map, largest first, and estimates of its trace.

    The map acts on arrays like `like`. The method is randomised subspace iteration (Halko,
    Martinsson & Tropp 2011). Unlike a Lanczos iteration from one vector it finds every copy of a
    repeated value, which is what a dimension counts. If `num_values` is at least the number of
    entries, the basis is complete and the values are exact. The trace is exact inside the subspace
    and estimated by the `probes` outside it (Hutch++, Meyer et al. 2021), one estimate a probe.
    """
    size = like.size
    width = min(size, num_values + _OVERSAMPLING)

    def block(function: Product, columns: Array) -> Array:
        one = lambda row: function(row.reshape(like.shape)).reshape(-1)  # noqa: E731
        together = batch_size or columns.shape[1]
        return jax.lax.map(one, columns.T, batch_size=together).T

    def iterate(columns: Array, _) -> tuple[Array, tuple[Array, Array]]:
        basis = jnp.linalg.qr(block(product, columns))[0]
        outside = probes.T - matmul(basis, matmul(basis.T, probes.T))
        image = block(transposed, jnp.concatenate([basis, outside], axis=1))
        inside = jnp.sum(basis * image[:, :width])
        traces = inside + jnp.sum(outside * image[:, width:], axis=0)
        values = jnp.linalg.svd(image[:, :width], compute_uv=False)
        return jnp.linalg.qr(image[:, :width])[0], (values[:num_values], traces)

    # A scan over the rounds, so that the map is compiled once.
    rounds = 1 + (num_iterations if width < size else 0)
    start = jax.random.normal(key, (size, width), like.dtype)
    _, (values, traces) = jax.lax.scan(iterate, start, length=rounds)
    return values[-1], traces[-1]
