"""What a user asks for: points between two points, and beyond the second."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, Key


class AbstractInterpolator(eqx.Module):
    """A path from ``x0`` (time 0) to ``x1`` (time 1) and, at times above 1, beyond it."""

    @abc.abstractmethod
    def __call__(
        self,
        x0: Float[Array, "*shape"],
        x1: Float[Array, "*shape"],
        ts: Float[Array, " times"],
        *,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "times *shape"]:
        """The points at the times ``ts`` >= 0. ``key`` is for methods that draw; most do not."""
