"""The path as a linear function of its nodes, evaluated at the points of a quadrature rule.

A path is stored as the offsets z of its nodes from the straight line between its ends. This keeps
the digits of points that are near to each other or far from the origin:

    x(t_q) = x0 + t_q (x1 - x0) + (B z)_q        x'(t_q) = x1 - x0 + (V z)_q

with z = 0 at both ends. B and V are matrices of the mesh. The Euclidean energy is
`|x1 - x0|^2 / 2 + z^T K z / 2` with `K = V^T W V` of the inner nodes and W the diagonal matrix of
the quadrature weights. There is no mixed term, because every rule here integrates derivatives
exactly.
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import matmul, tensordot
from .._quadrature import gauss_legendre
from ..metrics import SampledPath
from ._spline import sampling


class Basis(NamedTuple):
    """The matrices of a mesh of N segments, at Q points.

    - `points` (B), `derivative` (V): shape (Q, N + 1); `weights`, `times`: shape (Q,).
    - `inverse`: `K^-1`, shape (N - 1, N - 1).
    """

    points: Float[Array, "q nodes"]
    derivative: Float[Array, "q nodes"]
    weights: Float[Array, " q"]
    times: Float[Array, " q"]
    inverse: Float[Array, "inner inner"]

    @property
    def num_segments(self) -> int:
        return self.points.shape[1] - 1

    @property
    def inner_points(self) -> Float[Array, "q inner"]:
        return self.points[:, 1:-1]

    @property
    def inner_derivative(self) -> Float[Array, "q inner"]:
        return self.derivative[:, 1:-1]

    def stiffness(self, factors: Float[Array, " q"]) -> Float[Array, "inner inner"]:
        """`V^T W F V` of the inner nodes, where F is the diagonal matrix of `factors`."""
        v = self.inner_derivative
        return matmul(v.T * (self.weights * factors)[None], v)

    def energies(self, squared_speeds: Float[Array, " q"]) -> Float[Array, " n"]:
        """The energy of each segment, from `<x', x'>_g` at the points."""
        return jnp.sum((self.weights * squared_speeds).reshape(self.num_segments, -1), axis=1) / 2


class Scheme(NamedTuple):
    """The kind of curve through the nodes, and a quadrature rule on each segment.

    The `places` lie in [0, 1]; the `weights` sum to 1.
    """

    spline: bool
    places: tuple[float, ...]
    weights: tuple[float, ...]


@functools.cache
def gauss(order: int, spline: bool) -> Scheme:
    """The Gauss-Legendre rule with `order` points."""
    return Scheme(spline, *gauss_legendre(order))


# The two Gauss-Legendre points of a segment, its ends and its middle: a rule of degree 5. The
# values at the Gauss points are known from the energy.
_FIRST, _SECOND = gauss(2, spline=True).places
BETWEEN = Scheme(True, (0.0, _FIRST, 0.5, _SECOND, 1.0), (1 / 15, 3 / 10, 4 / 15, 3 / 10, 1 / 15))


def basis(scheme: Scheme, num_segments: int, dtype, ts: Array | None = None) -> Basis:
    """The matrices for equal steps, or for the nodes' parameters `ts`."""
    return Basis(*on_mesh(_matrices, scheme, num_segments, dtype, ts))


def on_mesh(
    build: Callable[[Scheme, Any, ModuleType], Any],
    scheme: Scheme,
    num_segments: int,
    dtype,
    ts: Array | None,
) -> Any:
    """The arrays that `build(scheme, ts, numpy or jax.numpy)` returns for a mesh.

    For equal steps they are computed once, as constants of the program; else from `ts`.
    """
    if ts is None:
        parts = _uniform(build, scheme, num_segments, jnp.dtype(dtype).name)
        return tuple(map(jnp.asarray, parts))
    return build(scheme, ts.astype(dtype), jnp)


def sampled_path(
    rule: Any, ts: Float[Array, " nodes"], xs: Float[Array, "nodes *shape"], fine: bool = False
) -> tuple[SampledPath, Float[Array, " points"]]:
    """Evaluate the curve that a quadrature rule draws through given nodes, at the rule's points.

    Use it to integrate along a path with the rule of a solver.

    **Arguments:**

    - `rule`: an [`geojax.AbstractRule`][].
    - `ts`: rising parameters of the nodes, shape (nodes,).
    - `xs`: the nodes, shape `(nodes, *shape)`.
    - `fine`: True for a solution's curve, at the points where its energy is computed again.

    **Returns:**

    The sampled path (points and velocities), and the weights of the points, shape (points,).
    """
    mesh = basis(rule.fine if fine else rule.scheme, len(ts) - 1, xs.dtype, ts)
    moved = xs - xs[:1]
    points = xs[:1] + tensordot(mesh.points, moved, axes=1)
    velocities = tensordot(mesh.derivative, moved, axes=1)
    return SampledPath(points, velocities, xs, mesh.derivative), mesh.weights


@functools.lru_cache(maxsize=128)
def _uniform(build, scheme: Scheme, num_segments: int, dtype: str) -> tuple[np.ndarray, ...]:
    """Compute in float64, then round to `dtype`."""
    found = build(scheme, np.linspace(0, 1, num_segments + 1), np)
    return tuple(part.astype(dtype) for part in found)


def _matrices(scheme: Scheme, ts, xp: ModuleType) -> Any:
    places = np.asarray(scheme.places)
    n, steps = len(ts) - 1, ts[1:] - ts[:-1]
    if scheme.spline:
        points, derivative = sampling(ts, places, xp)
    else:
        which = np.repeat(np.arange(n), len(places))
        low, high = np.eye(n + 1)[which], np.eye(n + 1)[which + 1]
        w = np.tile(places, n)[:, None]
        points = xp.asarray((1 - w) * low + w * high, ts.dtype)
        derivative = xp.asarray(high - low, ts.dtype) / steps[which][:, None]
    shares = xp.asarray(np.tile(scheme.weights, n), ts.dtype)
    weights = shares * xp.repeat(steps, len(places))
    times = xp.repeat(ts[:-1], len(places))
    times = times + xp.asarray(np.tile(places, n), ts.dtype) * xp.repeat(steps, len(places))
    inner = derivative[:, 1:-1]
    if n > 1:
        inverse = xp.linalg.inv(xp.matmul(inner.T * weights[None], inner))
        inverse = (inverse + inverse.T) / 2
    else:
        inverse = xp.zeros((0, 0), ts.dtype)
    return points, derivative, weights, times, inverse
