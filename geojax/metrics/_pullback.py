"""Metrics of the form `base I + weight J^T J`, with J the Jacobian of a map.

This is the metric that R^D inherits from the graph `x -> (sqrt(base) x, sqrt(weight) f(x))`. The
length of a curve is that of its image, so path energies need no derivative of f.
"""

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from .._functions import explained_derivatives
from .._linalg import dot
from ._base import Mapping, at_once, solve
from ._sampled import SampledPath
from ._sum_of_squares import AbstractSumOfSquaresMetric


class AbstractPullbackMetric(AbstractSumOfSquaresMetric):
    """The interface of metrics `base I + weight J^T J`, with J the Jacobian of a map.

    A subclass defines `parts`.
    """

    @abc.abstractmethod
    def parts(self) -> tuple[Float[Array, ""], Float[Array, ""], Callable[..., Any]]:
        """The base, the weight, and the map `(x, args) -> y`, where y is one array of any shape."""

    def _at(self, x, args):
        base, weight, function = self.parts()
        # The map may be a network of lower precision; the geometry keeps the point's precision.
        image = lambda y: function(y, args).astype(x.dtype)  # noqa: E731
        return base.astype(x.dtype), weight.astype(x.dtype), image

    def _linearised(self, x, args):
        """g(x) and J^T, from one linearisation of the map."""
        base, weight, image = self._at(x, args)
        _, push = jax.linearize(image, x)
        pull = jax.linear_transpose(push, x)

        def product(v):
            return base * v + weight * pull(push(v))[0]

        structure = jax.ShapeDtypeStruct(x.shape, x.dtype)
        tag = lx.positive_semidefinite_tag
        return lx.FunctionLinearOperator(product, structure, tag), lambda y: pull(weight * y)[0]

    def operator(self, x, args: Any = None) -> lx.AbstractLinearOperator:
        return self._linearised(x, args)[0]

    @explained_derivatives()
    def inner(self, x, u, v, args: Any = None):
        """`<u, v>_g` at `x`: two JVPs and no VJP."""
        base, weight, image = self._at(x, args)
        _, push = jax.linearize(image, x)
        return base * dot(u, v) + weight * dot(push(u), push(v))

    @explained_derivatives()
    def christoffel_first(self, x, v, w, args: Any = None):
        """`weight J^T D^2 f(v, w)`: one second-order product and one VJP."""
        _, _, image = self._at(x, args)
        _, pull = self._linearised(x, args)
        return pull(_bend(image, x, v, w))

    @explained_derivatives()
    def acceleration(self, x, v, args: Any = None):
        """`g a = -weight J^T D^2 f(v, v)`: the acceleration of the image has no tangential part."""
        _, _, image = self._at(x, args)
        operator, pull = self._linearised(x, args)
        return solve(operator, -pull(_bend(image, x, v, v)))

    def root(self, x, v, args: Any = None):
        """`sqrt(base) v` and `sqrt(weight) J v`."""
        base, weight, image = self._at(x, args)
        return jnp.sqrt(base) * v, jnp.sqrt(weight) * jax.jvp(image, (x,), (v,))[1]

    def roots(self, path: SampledPath, args: Any = None, mapping: Mapping = at_once):
        """The roots from a path's image, evaluated once per node: no derivative of the map."""
        base, weight, image = self._at(path.points, args)
        moved = path.rates(mapping(image, path.nodes))
        return jnp.sqrt(base) * path.velocities, jnp.sqrt(weight) * moved

    def squared_speeds(self, path: SampledPath, args: Any = None, mapping: Mapping = at_once):
        # The weights stand outside the squares: a square root has no derivative at weight 0.
        base, weight, image = self._at(path.points, args)
        moved = path.rates(mapping(image, path.nodes))

        def squares(vectors):
            return jnp.sum(vectors.reshape(len(vectors), -1) ** 2, axis=1)

        return base * squares(path.velocities) + weight * squares(moved)


def _bend(image, x, v, w):
    """`D^2 f(v, w)`, the second derivative of the map along two directions."""
    return jax.jvp(lambda y: jax.jvp(image, (y,), (v,))[1], (x,), (w,))[1]
