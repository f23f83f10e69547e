"""A path as the input of a metric: points, velocities, and time derivatives along it."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import tensordot


class SampledPath(NamedTuple):
    """A path at the points of a quadrature rule, as metrics take it.

    **Arguments:**

    - `points`: x(t_q), shape `(points, *shape)`; `velocities`: x'(t_q), of the same shape.
    - `nodes`: shape `(nodes, *shape)`.
    - `derivative`: the matrix from values at the nodes to the derivative of their interpolant at
      t_q, shape (points, nodes).

    >>> import jax.numpy as jnp
    >>> from geojax.metrics import SampledPath
    >>> line = SampledPath.straight(jnp.zeros(2), jnp.array([3.0, 4.0]))
    >>> line.velocities.tolist(), line.rates(line.nodes).tolist()
    ([[3.0, 4.0]], [[3.0, 4.0]])
    """

    points: Float[Array, "points *shape"]
    velocities: Float[Array, "points *shape"]
    nodes: Float[Array, "nodes *shape"]
    derivative: Float[Array, "points nodes"]

    @classmethod
    def straight(cls, start: Float[Array, "*shape"], end: Float[Array, "*shape"]) -> "SampledPath":
        """One straight segment of unit time, evaluated at its middle."""
        derivative = jnp.array([[-1.0, 1.0]], start.dtype)
        middle = start + (end - start) / 2
        return cls(middle[None], (end - start)[None], jnp.stack([start, end]), derivative)

    def rates(self, values: Float[Array, "nodes *any"]) -> Float[Array, "points *any"]:
        """The time derivative, at the points, of a quantity with these `values` at the nodes."""
        return tensordot(self.derivative.astype(values.dtype), values, axes=1)
