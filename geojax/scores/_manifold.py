"""Densities near a sphere in a subspace: exact references for every dimension and codimension.

The subspace is spanned by the first `dim` coordinates, or by the rows of an `embedding`. Points of
any shape are flattened. Nothing of size D^2 is made.
"""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._arrays import Numbers, as_floating
from .._linalg import matmul, norm
from .._numbers import known, scalar
from ._base import AbstractDensity
from ._bessel import bessel_ratio, log_scaled_bessel
from ._schedule import AbstractSchedule, VPLinear


def random_embedding(
    dim: int, ambient_dim: int, *, key: Key[Array, ""]
) -> Float[Array, "dim ambient_dim"]:
    """Draw orthonormal rows that span a uniformly random subspace.

    **Arguments:**

    - `dim`, `ambient_dim`: the dimensions of the subspace and of the space.
    - `key`: draws the subspace.

    **Returns:**

    An array of shape (dim, ambient_dim).

    **Raises:**

    - `ValueError`: unless `1 <= dim <= ambient_dim`.

    >>> import jax
    >>> from geojax.scores import random_embedding
    >>> random_embedding(2, 50, key=jax.random.key(0)).shape
    (2, 50)
    """
    if not 1 <= dim <= ambient_dim:
        raise ValueError(
            f"dim must lie between 1 and ambient_dim, got dim={dim}, ambient_dim={ambient_dim}."
        )
    columns, triangle = jnp.linalg.qr(jax.random.normal(key, (ambient_dim, dim)))
    # The signs of the diagonal make the distribution uniform for any convention of the QR.
    return (columns * jnp.sign(jnp.diagonal(triangle))[None]).T


def _orthonormal(rows: Array | None) -> Array | None:
    rows = None if rows is None else as_floating("embedding", rows)
    if rows is None or rows.ndim != 2 or rows.shape[0] > rows.shape[1]:
        return rows
    gram = matmul(rows, rows.T)
    bad = ~(jnp.max(jnp.abs(gram - jnp.eye(len(rows), dtype=rows.dtype))) < 1e-4)
    return eqx.error_if(rows, bad, "embedding must have orthonormal rows: take the Q of its QR.")


class NoisedSphere(AbstractDensity):
    """The uniform distribution on a sphere in a subspace, noised exactly.

    Use it as a diffusion model without training. It is the sphere S^(dim-1) of the given radius
    (`dim=2`: a ring), convolved with a Gaussian of standard deviation `width` in every direction of
    the space and then noised. With y the component of x in the subspace,
    `s^2 = sigma^2 + alpha^2 width^2`, `nu = dim / 2 - 1` and `z = alpha radius |y| / s^2`, the
    density is proportional to `exp(-(|x|^2 + alpha^2 radius^2) / 2 s^2) z^-nu I_nu(z)`, and it is
    normalised. The score is smooth everywhere, also at the centre.

    **Arguments:**

    - `radius`: a scalar.
    - `dim`: the dimension of the subspace.
    - `embedding`: orthonormal rows that span the subspace, shape (dim, D), as
      [`geojax.random_embedding`][] makes them; None: the first `dim` coordinates.
    - `width`: a scalar >= 0.
    - `schedule`: by default [`geojax.VPLinear`][].

    **Raises:**

    - `ValueError`: when the shapes or the numbers do not fit, or at a `t` without noise when
      `width` is zero.
    - `RuntimeError`: when the rows of `embedding` are not orthonormal.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import NoisedSphere
    >>> ring = NoisedSphere(2.0, width=0.25)
    >>> ring(jnp.array([0.0, 0.0, 1.0]), 0.0).tolist()
    [0.0, 0.0, -16.0]
    """

    radius: Float[Array, ""] = eqx.field(
        converter=functools.partial(scalar, "radius", positive=True)
    )
    dim: int = eqx.field(static=True, default=2)
    embedding: Float[Array, "dim ambient_dim"] | None = eqx.field(
        default=None, converter=_orthonormal
    )
    width: Float[Array, ""] = eqx.field(
        default=0.0,  # pyright: ignore[reportAssignmentType]
        converter=functools.partial(scalar, "width"),
    )
    schedule: AbstractSchedule = eqx.field(default_factory=VPLinear)

    def __check_init__(self):
        _check_sphere(self.dim, self.embedding)

    @property
    def needs_noise(self) -> str | None:
        thin = known(self.width) == 0
        return "a sphere has no density there without a positive width" if thin else None

    def _parts(self, x, t):
        """The component of `x` in the subspace, its square, alpha^2 radius^2 and s^2."""
        alpha = self.schedule.alpha(t).astype(x.dtype)
        sigma = self.schedule.sigma(t).astype(x.dtype)
        inside = _projected(x, self.dim, self.embedding)
        reach2 = (alpha * self.radius.astype(x.dtype)) ** 2
        variance = sigma**2 + (alpha * self.width.astype(x.dtype)) ** 2
        return inside, jnp.sum(inside**2), reach2, variance

    def evaluate(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, "*shape"]:
        inside, r2, reach2, variance = self._parts(x, t)
        ratio = bessel_ratio(self.dim / 2 - 1, r2 * reach2 / variance**2)
        return (reach2 / variance * ratio * inside - x) / variance

    def evaluate_log_density(
        self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
    ) -> Float[Array, ""]:
        inside, r2, reach2, variance = self._parts(x, t)
        rest2 = jnp.sum((x - inside) ** 2)
        normaliser = x.size * jnp.log(2 * jnp.pi * variance) / 2
        radial = _log_radial(self.dim / 2 - 1, r2, reach2, variance)
        return radial - rest2 / (2 * variance) - normaliser


class Shell(eqx.Module):
    """A clean, unnormalised density around a sphere in a subspace.

    Use it as the score of an example. `log p = -((r - radius)^2 + |rest|^2) / (2 width^2)`, with r
    the norm of the component of x in the subspace and rest the part orthogonal to it. It has no
    noise level: it is a callable `(x, args) -> s` with `log_density(x, args)`, as metrics take it.
    At the centre of the sphere, where the density has a cusp, the score has no component in the
    subspace. With a radius of 0 it is a Gaussian.

    **Arguments:**

    - `radius`: a scalar.
    - `width`: a scalar > 0.
    - `dim`: the dimension of the subspace.
    - `embedding`: orthonormal rows that span the subspace, shape (dim, D), as
      [`geojax.random_embedding`][] makes them; None: the first `dim` coordinates.

    **Raises:**

    - `ValueError`: when the shapes or the numbers do not fit.
    - `RuntimeError`: when the rows of `embedding` are not orthonormal.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import Shell
    >>> ring = Shell(radius=2.0, width=0.25)
    >>> ring(jnp.array([0.0, 1.5, 0.0])).tolist()
    [0.0, 8.0, 0.0]
    """

    radius: Float[Array, ""] = eqx.field(converter=functools.partial(scalar, "radius"))
    width: Float[Array, ""] = eqx.field(converter=functools.partial(scalar, "width", positive=True))
    dim: int = eqx.field(static=True, default=2)
    embedding: Float[Array, "dim ambient_dim"] | None = eqx.field(
        default=None, converter=_orthonormal
    )

    def __check_init__(self):
        _check_sphere(self.dim, self.embedding)

    def __call__(self, x: Numbers, args: Any = None) -> Float[Array, "*shape"]:
        x = as_floating("x", x)
        inside = _projected(x, self.dim, self.embedding)
        r, radius = norm(inside), self.radius.astype(x.dtype)
        nearest = jnp.where(r > 0, radius / jnp.where(r > 0, r, 1), 1) * inside
        return (nearest - x) / self.width.astype(x.dtype) ** 2

    def log_density(self, x: Numbers, args: Any = None) -> Float[Array, ""]:
        x = as_floating("x", x)
        inside = _projected(x, self.dim, self.embedding)
        gap = norm(inside) - self.radius.astype(x.dtype)
        square = gap**2 + jnp.sum((x - inside) ** 2)
        return -square / (2 * self.width.astype(x.dtype) ** 2)


def _check_sphere(dim: int, embedding: Array | None) -> None:
    if dim < 1:
        raise ValueError(f"dim must be at least 1, got {dim}.")
    if embedding is not None and (
        embedding.ndim != 2 or embedding.shape[0] != dim or embedding.shape[1] < dim
    ):
        raise ValueError(
            f"embedding must have shape (dim, D) with dim = {dim} <= D, got {embedding.shape}. "
            "geojax.scores.random_embedding makes one."
        )


def _projected(x: Array, dim: int, embedding: Array | None) -> Array:
    """The component of `x` in the subspace, of the shape of `x`."""
    ambient = dim if embedding is None else embedding.shape[1]
    if x.size < ambient or (embedding is not None and x.size != ambient):
        need = f"at least dim = {dim}" if embedding is None else f"the embedding's {ambient}"
        raise ValueError(f"x must have {need} entries, got shape {x.shape}.")
    if embedding is None:
        return jnp.where(jnp.arange(x.size) < dim, x.ravel(), 0).reshape(x.shape)
    embedding = embedding.astype(x.dtype)
    coordinates = matmul(embedding, x.ravel())
    return matmul(coordinates, embedding).reshape(x.shape)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_radial(order: float, r2: Array, reach2: Array, variance: Array) -> Array:
    """`-(r - reach)^2 / (2 variance)` plus the scaled Bessel term at r reach / variance.

    The value is computed from r and reach, which keeps the digits of a large z. The derivative is
    computed from their squares, which is smooth at r = 0.
    """
    r, reach = jnp.sqrt(r2), jnp.sqrt(reach2)
    gap = -((r - reach) ** 2) / (2 * variance)
    return gap + log_scaled_bessel(order, r * reach / variance)


@_log_radial.defjvp
def _log_radial_jvp(order, primals, tangents):
    r2, reach2, variance = primals
    r2_dot, reach2_dot, variance_dot = tangents
    ratio = bessel_ratio(order, r2 * reach2 / variance**2)
    by_r2 = (reach2 * ratio / variance - 1) / (2 * variance)
    by_reach2 = (r2 * ratio / variance - 1) / (2 * variance)
    by_variance = ((r2 + reach2) / 2 - r2 * reach2 * ratio / variance) / variance**2
    slope = by_r2 * r2_dot + by_reach2 * reach2_dot + by_variance * variance_dot
    return _log_radial(order, r2, reach2, variance), slope
