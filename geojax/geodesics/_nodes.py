"""The common parts of curves on [0, 1] that are given by their nodes."""

import abc

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float


class AbstractCurve(diffrax.AbstractPath):
    """A diffrax path through nodes `xs`, shape `(nodes, *shape)`, at rising parameters `ts`."""

    ts: eqx.AbstractVar[Float[Array, " nodes"]]
    xs: eqx.AbstractVar[Float[Array, "nodes *shape"]]

    @abc.abstractmethod
    def _at(self, t: Float[Array, ""]) -> Float[Array, "*shape"]:
        """The point at one time."""

    @property
    def t0(self):
        return self.ts[0]

    @property
    def t1(self):
        return self.ts[-1]

    def evaluate(self, t0: ArrayLike, t1: ArrayLike | None = None, left: bool = True):
        """The point at `t0`, or the increment from `t0` to `t1`.

        For an array of times: the points, shape `(times, *shape)`.
        """
        if t1 is not None:
            return self.evaluate(t1) - self.evaluate(t0)
        return self._each(self._at, t0)

    def _each(self, function, times):
        """`function` of one time, or of each time in an array, along the first axis.

        Raise a `ValueError` for times with more than one axis.
        """
        times = jnp.asarray(times, self.ts.dtype)
        if times.ndim > 1:
            raise ValueError(f"t must be a time or an array of shape (times,), got {times.shape}.")
        return _mapped(function, times)


# Compiled as a whole, because called eagerly each of its operations compiles by itself.
@eqx.filter_jit
def _mapped(function, times):
    return function(times) if times.ndim == 0 else jax.vmap(function)(times)


class AbstractSmoothCurve(AbstractCurve):
    """A curve with a velocity."""

    @abc.abstractmethod
    def _position_and_velocity(self, t: Float[Array, ""]) -> tuple[Array, Array]:
        """Position and velocity at one time."""

    def _at(self, t):
        return self._position_and_velocity(t)[0]

    def _velocity_at(self, t):
        return self._position_and_velocity(t)[1]

    def velocity(self, t: ArrayLike):
        """The velocity at time `t`; for an array of times, shape `(times, *shape)`."""
        return self._each(self._velocity_at, t)
