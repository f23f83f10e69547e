"""NAO: paths and centroids of Gaussian seeds with likely norms (Samuel et al. 2023)."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._linalg import dot, matmul, norm
from ..geodesics import GaussNewton
from ..metrics import AbstractConformalMetric
from ..statistics import frechet_mean
from ._base import AbstractInterpolator, InterpolatedPath, only_between
from ._geodesic import GeodesicInterpolator
from ._slerp import Slerp


class NormPriorMetric(AbstractConformalMetric):
    """The metric `g(x) = (-log chi(|x|))^2 I`, with chi the density of the norm of a standard
    normal vector.

    **Arguments:**

    - `dim`: the dimension of that vector. Points may be coordinates in a subspace that contains the
      path.
    """

    dim: int = eqx.field(static=True)

    def log_factor(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, ""]:
        square = jnp.sum(x**2)
        constant = (self.dim / 2 - 1) * math.log(2) + math.lgamma(self.dim / 2)
        return 2 * jnp.log(constant + square / 2 - (self.dim - 1) / 2 * jnp.log(square))


class Nao(AbstractInterpolator):
    """The path between two Gaussian seeds of least `integral -log chi(|x|) |dx|`.

    The seeds are points at level 1, standard normal. The integrand depends on the norm alone, so
    the path lies in the plane of the two seeds and the origin. There it is found as a geodesic of
    many segments, because the integrand rises within a fraction of 1 from the likely norm. The path
    is defined between its ends only. Seeds in opposite directions have no path.

    **Arguments:**

    - `num_segments`: of the geodesic in the plane.
    - `throw`: raise when the solve does not succeed.

    Source: Samuel, Ben-Ari, Darshan, Maron & Chechik, NeurIPS 2023.

    >>> import jax, jax.numpy as jnp, geojax
    >>> from geojax.interpolation import Nao
    >>> x0, x1 = jax.random.normal(jax.random.key(0), (2, 50))
    >>> middle = Nao()(x0, x1, jnp.array([0.5]))[0]
    >>> bool(6.5 < jnp.linalg.norm(middle) < 7.5)  # as that of most seeds
    True
    """

    num_segments: int = eqx.field(static=True, default=64)
    throw: bool = eqx.field(static=True, default=True)

    def run(self, x0, x1, ts, *, key=None):
        ts = only_between(ts, "NAO")
        first = x0 / norm(x0)
        along = dot(first, x1)
        rest = x1 - along * first
        height = norm(rest)
        second = rest / jnp.where(height > 0, height, 1.0)
        path = GeodesicInterpolator(
            NormPriorMetric(x0.size),
            solver=GaussNewton(rtol=1e-3),  # in float32 this energy has few digits
            num_segments=self.num_segments,
            start=Slerp(),
            throw=self.throw,
        )
        plane = path.solve(
            jnp.stack([dot(first, x0), jnp.zeros_like(along)]),
            jnp.stack([along, height]),
            throw=self.throw,
        )
        inside = plane.evaluate(ts)
        points = jax.vmap(lambda c: c[0] * first + c[1] * second)(inside)
        return InterpolatedPath(points, plane.solution.result, jnp.asarray(0))


@takes_arrays("seeds")
def nao_centroid(
    seeds: Float[Array, "seeds *shape"], *, num_segments: int = 16, throw: bool = True
) -> Float[Array, "*shape"]:
    """The seed in the middle of others: the Fréchet mean in the metric of `Nao`.

    By symmetry it lies in the span of the seeds, where it is computed. It minimises the sum of
    *squared* lengths of the paths to the seeds; the paper takes the lengths. For two seeds the
    former gives the middle of their path, the latter any point of it.

    **Arguments:**

    - `seeds`: standard normal, at least two, shape `(seeds, *shape)`.
    - `num_segments`: of each geodesic.
    - `throw`: raise when the mean was not found.

    **Returns:**

    The mean, shape `(*shape)`.

    **Raises:**

    - `ValueError`: when there are fewer than two seeds.
    - a run-time error with the remedy when it was not found and `throw` is True.

    >>> import jax, jax.numpy as jnp
    >>> from geojax.interpolation import nao_centroid
    >>> seeds = jax.random.normal(jax.random.key(0), (3, 100))
    >>> bool(9 < jnp.linalg.norm(nao_centroid(seeds, num_segments=8)) < 11)
    True
    """
    if seeds.ndim < 2 or len(seeds) < 2:
        raise ValueError(
            f"seeds must hold at least two seeds, shape (seeds, *shape), got {seeds.shape}."
        )
    flat = seeds.reshape(len(seeds), -1)
    basis, triangle = jnp.linalg.qr(flat.T)
    mean = jnp.mean(triangle, axis=1)
    start = mean * math.sqrt(flat.shape[1]) / jnp.linalg.norm(mean)
    found = frechet_mean(
        NormPriorMetric(flat.shape[1]),
        triangle.T,
        init=start,
        num_segments=num_segments,
        rtol=1e-3,
        throw=throw,
    )
    return matmul(basis, found.point).reshape(seeds.shape[1:])
