"""Curves on [0, 1] as diffrax paths, given by their nodes."""

from functools import partial
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import as_floating
from ._nodes import AbstractCurve, AbstractSmoothCurve
from ._spline import CubicSpline


class Polyline(AbstractCurve):
    """A polyline through nodes, as a diffrax path.

    **Arguments:**

    - `ts`: rising parameters of the nodes, shape (nodes,).
    - `xs`: the nodes, shape `(nodes, *shape)`.

    `curve.evaluate(t)` gives its points.

    >>> import jax.numpy as jnp
    >>> from geojax.geodesics import Polyline
    >>> line = Polyline(jnp.array([0.0, 1.0]), jnp.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> line.evaluate(0.25).tolist(), line.evaluate(jnp.array([0.0, 0.5, 1.0])).shape
    ([0.25, 1.5], (3, 2))
    """

    ts: Float[Array, " nodes"] = eqx.field(converter=partial(as_floating, "ts", axes="nodes"))
    xs: Float[Array, "nodes *shape"] = eqx.field(
        converter=partial(as_floating, "xs", axes="nodes *shape")
    )

    def _at(self, t):
        i = jnp.clip(jnp.searchsorted(self.ts, t) - 1, 0, len(self.ts) - 2)
        weight = (t - self.ts[i]) / (self.ts[i + 1] - self.ts[i])
        weight = weight.astype(self.xs.dtype)
        return (1 - weight) * self.xs[i] + weight * self.xs[i + 1]


class IntegratedCurve(AbstractSmoothCurve):
    """A geodesic that diffrax integrated, the curve of an exponential map.

    With diffrax's dense output its points are as accurate as the integration. Without, it is cubic
    between the nodes, accurate to the fourth order of their distance.

    **Arguments:**

    - `ts`: rising parameters of the nodes, shape (nodes,).
    - `xs`, `vs`: points and velocities at the nodes, shape `(nodes, *shape)`.
    - `dense`: diffrax's dense output, or None.
    """

    ts: Float[Array, " nodes"]
    xs: Float[Array, "nodes *shape"]
    vs: Float[Array, "nodes *shape"]
    dense: Any

    def _position_and_velocity(self, t):
        return self._cubic(t) if self.dense is None else self.dense.evaluate(t)

    def _cubic(self, t):
        """Position and velocity of the cubic between the neighbouring nodes."""
        i = jnp.clip(jnp.searchsorted(self.ts, t) - 1, 0, len(self.ts) - 2)
        h = self.ts[i + 1] - self.ts[i]
        w = (t - self.ts[i]) / h
        a, b = self.xs[i], self.xs[i + 1]
        p, q = h * self.vs[i], h * self.vs[i + 1]
        # The straight line, and the contribution of the end velocities.
        x = a + w * (b - a) + w * (1 - w) * ((1 - w) * (p - (b - a)) - w * (q - (b - a)))
        bend = (1 - w) * (1 - 3 * w) * (p - (b - a)) - w * (2 - 3 * w) * (q - (b - a))
        return x, (b - a + bend) / h


def resample(
    xs: Float[Array, "nodes *shape"], num_segments: int
) -> Float[Array, "new_nodes *shape"]:
    """The polyline with `num_segments` pieces of equal parameter; both ends are kept exactly."""
    return _resampled(Polyline, xs, num_segments)


def refine(xs: Float[Array, "nodes *shape"], num_segments: int) -> Float[Array, "new_nodes *shape"]:
    """The cubic spline with `num_segments` pieces of equal parameter, for a path that is smooth."""
    return _resampled(CubicSpline, xs, num_segments)


def _resampled(kind, xs, num_segments: int):
    n = len(xs) - 1
    if n == num_segments:
        return xs
    curve = kind(jnp.linspace(0, 1, n + 1, dtype=xs.dtype), xs)
    inner = jnp.arange(1, num_segments, dtype=xs.dtype) / num_segments
    return jnp.concatenate([xs[:1], curve.evaluate(inner), xs[-1:]])


def check_init(init, x0) -> Array | None:
    """The nodes of an initial path, as an array.

    Raise a `ValueError` where they are not nodes of points like `x0`.
    """
    if init is None:
        return None
    init = as_floating("init", init, dtype=x0.dtype)
    if init.ndim != x0.ndim + 1 or init.shape[1:] != x0.shape or len(init) < 2:
        raise ValueError(
            f"init must hold at least two nodes of shape {x0.shape}, shape (nodes, *shape), "
            f"got shape {init.shape}."
        )
    return init
