"""Cubic splines through the nodes of a path: as matrices, and as a curve.

The interpolating C2 spline with not-a-knot ends is linear in its nodes. So its values and its
derivative at any parameters are matrices times the nodes. With two nodes it is the straight line,
with three the parabola. It is of fourth order, its derivative of third (de Boor 1978, chapter IV).
"""

from functools import partial
from types import ModuleType
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._arrays import as_floating
from .._linalg import tensordot
from ._nodes import AbstractSmoothCurve


def bending(ts, xp: ModuleType = jnp) -> Any:
    """The matrix from nodes to the spline's second derivatives there, shape (nodes, nodes)."""
    n, dtype = len(ts) - 1, ts.dtype
    if n == 1:
        return xp.zeros((2, 2), dtype)
    h = ts[1:] - ts[:-1]
    # Rows 1 to n - 1: the first derivative is continuous at the inner nodes.
    inner = np.arange(n - 1)
    system, right = (np.zeros((n + 1, n + 1)) for _ in range(2))
    if xp is np:
        put = _put_numpy
    else:
        system, right = (xp.asarray(a, dtype) for a in (system, right))
        put = _put_jax
    system = put(system, inner + 1, inner, h[:-1] / 6)
    system = put(system, inner + 1, inner + 1, (h[:-1] + h[1:]) / 3)
    system = put(system, inner + 1, inner + 2, h[1:] / 6)
    right = put(right, inner + 1, inner, 1 / h[:-1])
    right = put(right, inner + 1, inner + 1, -1 / h[:-1] - 1 / h[1:])
    right = put(right, inner + 1, inner + 2, 1 / h[1:])
    # First and last row: the third derivative is continuous at the second node and at the last
    # but one; of two segments it is zero.
    for row, first, second, sign in ((0, 0, 1, 1), (n, n, n - 1, -1)):
        if n == 2:
            system = put(system, row, first, xp.ones((), dtype))
            system = put(system, row, second, -xp.ones((), dtype))
            continue
        third = second + sign
        a, b = (h[0], h[1]) if row == 0 else (h[-1], h[-2])
        system = put(system, row, first, b)
        system = put(system, row, second, -(a + b))
        system = put(system, row, third, a)
    return xp.linalg.solve(system, right)


def _put_numpy(matrix, rows, columns, values):
    matrix[rows, columns] = values
    return matrix


def _put_jax(matrix, rows, columns, values):
    return matrix.at[rows, columns].set(values)


def sampling(ts, places, xp: ModuleType = jnp) -> tuple[Any, Any]:
    """The matrices from nodes to the spline and its derivative at `places` in [0, 1] of each
    segment.

    Segment by segment: shapes (segments x places, nodes).
    """
    n, dtype = len(ts) - 1, ts.dtype
    bends = bending(ts, xp)
    w = xp.tile(xp.asarray(places, dtype), n)[:, None]
    h = xp.repeat(ts[1:] - ts[:-1], len(places))[:, None]
    which = np.repeat(np.arange(n), len(places))
    eye = np.eye(n + 1, dtype=dtype)
    left, right, low, high = eye[which], eye[which + 1], bends[which], bends[which + 1]
    u = 1 - w
    values = u * left + w * right - h**2 / 6 * u * w * ((1 + u) * low + (1 + w) * high)
    slopes = (right - left) / h + h / 6 * ((1 - 3 * u**2) * low - (1 - 3 * w**2) * high)
    return values, slopes


class CubicSpline(AbstractSmoothCurve):
    """The cubic spline through given nodes, as a diffrax path: the curve of a solution.

    **Arguments:**

    - `ts`: rising parameters, shape (nodes,), at least two.
    - `xs`: the nodes, shape `(nodes, *shape)`.

    `curve.evaluate(t)` gives its points, `curve.velocity(t)` its velocities, and `curve.bends` its
    second derivatives at the nodes.

    **Raises:**

    - `ValueError`: when `ts` and `xs` do not have as many nodes, or fewer than two.

    >>> import jax.numpy as jnp
    >>> from geojax.geodesics import CubicSpline
    >>> ts = jnp.linspace(0.0, 1.0, 5)
    >>> curve = CubicSpline(ts, jnp.stack([ts, ts**3], axis=1))  # cubics are met exactly
    >>> print(curve.evaluate(0.3), curve.velocity(jnp.array([0.0, 0.5, 1.0]))[:, 1])
    [0.3   0.027] [0.   0.75 3.  ]
    """

    ts: Float[Array, " nodes"] = eqx.field(converter=partial(as_floating, "ts", axes="nodes"))
    xs: Float[Array, "nodes *shape"] = eqx.field(
        converter=partial(as_floating, "xs", axes="nodes *shape")
    )
    bends: Float[Array, "nodes *shape"]

    def __init__(self, ts, xs):
        self.ts = as_floating("ts", ts, axes="nodes")
        self.xs = as_floating("xs", xs, axes="nodes *shape")
        if len(self.ts) != len(self.xs) or len(self.ts) < 2:
            raise ValueError(
                f"ts and xs must hold as many nodes, at least two, got {len(self.ts)} and "
                f"{len(self.xs)}."
            )
        moved = self.xs - self.xs[:1]  # keeps the digits of differences far from the origin
        self.bends = tensordot(bending(self.ts).astype(moved.dtype), moved, axes=1)

    def _position_and_velocity(self, t):
        i = jnp.clip(jnp.searchsorted(self.ts, t) - 1, 0, len(self.ts) - 2)
        h = (self.ts[i + 1] - self.ts[i]).astype(self.xs.dtype)
        w = ((t - self.ts[i]) / (self.ts[i + 1] - self.ts[i])).astype(self.xs.dtype)
        u = 1 - w
        a, b, low, high = self.xs[i], self.xs[i + 1], self.bends[i], self.bends[i + 1]
        x = u * a + w * b - h**2 / 6 * u * w * ((1 + u) * low + (1 + w) * high)
        return x, (b - a) / h + h / 6 * ((1 - 3 * u**2) * low - (1 - 3 * w**2) * high)
