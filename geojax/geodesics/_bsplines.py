"""The curves of a mesh in a basis of small support: B-splines.

The cubic splines through N + 1 nodes with not-a-knot ends have the knots
`t_0 (four times), t_2, ..., t_{N-2}, t_N (four times)`. There are N + 1 basis functions, four of
them non-zero at a point (de Boor 1978, chapters IX and XIII). A path of two segments is a parabola;
polylines have the hat functions. The first coefficient is the first node, the last one the last
node.
"""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from ._basis import Scheme, on_mesh


class BSplines(NamedTuple):
    """The `degree + 1` non-zero functions at each of Q points, and all functions at the nodes.

    - `values`, `slopes`: shape (Q, degree + 1).
    - `nodes`: the matrix from inner coefficients to inner nodes, shape (N - 1, N - 1).
    """

    values: Float[Array, "q support"]
    slopes: Float[Array, "q support"]
    nodes: Float[Array, "inner inner"]

    @property
    def degree(self) -> int:
        return self.values.shape[1] - 1


def bsplines(scheme: Scheme, num_segments: int, dtype, ts: Array | None = None) -> BSplines:
    """The functions for equal steps, or for the nodes' parameters `ts`."""
    return BSplines(*on_mesh(_functions, scheme, num_segments, dtype, ts))


def intervals(degree: int, num_segments: int) -> np.ndarray:
    """The index of the first non-zero function on each segment."""
    segments = np.arange(num_segments)
    return segments if degree == 1 else np.clip(segments - 1, 0, num_segments - degree)


def _functions(scheme: Scheme, ts, xp: ModuleType) -> Any:
    n = len(ts) - 1
    degree = min(3, n) if scheme.spline else 1
    between = {1: ts[1:-1], 2: ts[:0], 3: ts[2:-2]}[degree]
    knots = xp.concatenate([xp.repeat(ts[:1], degree + 1), between, xp.repeat(ts[-1:], degree + 1)])
    first = intervals(degree, n)
    places = np.asarray(scheme.places)
    which = np.repeat(np.arange(n), len(places))
    inside = ts[which] + xp.asarray(np.tile(places, n), ts.dtype) * (ts[which + 1] - ts[which])
    values, slopes = _at(knots, first[which], inside, degree, xp)
    rows = np.arange(1, n)
    at_nodes, _ = _at(knots, first[rows], ts[1:-1], degree, xp)
    # Functions 0 and N are not zero at inner nodes either, but their coefficients are zero.
    columns = np.arange(n + 1)[None]
    nodes = xp.zeros((n - 1, n + 1), ts.dtype)
    for m in range(degree + 1):
        here = columns == (first[rows] + m)[:, None]
        nodes = nodes + xp.where(here, at_nodes[:, m : m + 1], xp.zeros((), ts.dtype))
    return values, slopes, nodes[:, 1:-1]


def _at(knots, first, t, degree: int, xp: ModuleType):
    """The functions `first` to `first + degree` at t, and their derivatives.

    By de Boor's recurrence, which only adds positive terms.
    """
    values, slopes = [xp.ones_like(t)], [xp.zeros_like(t)]
    for d in range(1, degree + 1):
        higher, slopes = ([xp.zeros_like(t) for _ in range(d + 1)] for _ in range(2))
        for r, value in enumerate(values):
            low, high = knots[first + degree - d + 1 + r], knots[first + degree + 1 + r]
            share = value / (high - low)
            higher[r] = higher[r] + (high - t) * share
            higher[r + 1] = higher[r + 1] + (t - low) * share
            slopes[r] = slopes[r] - d * share
            slopes[r + 1] = slopes[r + 1] + d * share
        values = higher
    return xp.stack(values, axis=1), xp.stack(slopes, axis=1)
