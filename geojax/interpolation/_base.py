"""The interface of interpolators: points between two points, and beyond the second."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, Key

from .._arrays import ConvertsArrays, takes_arrays
from .._verdicts import Notice
from ..geodesics import RESULTS, GeodesicSolution


class InterpolatedPath(eqx.Module):
    """The points of a path, its verdict and its cost.

    **Arguments:**

    - `points`: at the requested times, shape `(times, *shape)`.
    - `result`: a member of `RESULTS`. Methods that solve nothing are successful.
    - `score_evaluations`: forward evaluations of the score to find the path, including those inside
      derivative products.
    - `score_products`: derivative products of the score (JVPs and VJPs).
    """

    points: Float[Array, "times *shape"]
    result: RESULTS
    score_evaluations: Integer[Array, ""]
    score_products: Integer[Array, ""] = eqx.field(default_factory=lambda: jnp.asarray(0))

    @property
    def successful(self) -> Bool[Array, "..."]:
        """Whether the path was found."""
        return self.result == RESULTS.successful

    @property
    def message(self) -> str:
        """The verdict in words."""
        return self.notice().text()

    def notice(self) -> Notice:
        """The parts of `message`."""
        verdicts = GeodesicSolution.verdicts
        return verdicts.notice(str(verdicts.names(self.result)), {})


class AbstractInterpolator(ConvertsArrays, eqx.Module):
    """A path from `x0` (time 0) to `x1` (time 1) and, at times above 1, beyond it.

    Subclasses define `run`. Calling an interpolator gives the points alone.
    """

    @abc.abstractmethod
    @takes_arrays("x0", "x1", times="ts")
    def run(
        self,
        x0: Float[Array, "*shape"],
        x1: Float[Array, "*shape"],
        ts: Float[Array, " times"],
        *,
        key: Key[Array, ""] | None = None,
    ) -> InterpolatedPath:
        """The path at the times `ts`, with its verdict and cost.

        **Arguments:**

        - `x0`, `x1`: the end-points, of one shape.
        - `ts`: times >= 0, shape `(times,)`.
        - `key`: for methods that draw random numbers; most do not.
        """

    @takes_arrays("x0", "x1", times="ts")
    def __call__(
        self,
        x0: Float[Array, "*shape"],
        x1: Float[Array, "*shape"],
        ts: Float[Array, " times"],
        *,
        key: Key[Array, ""] | None = None,
    ) -> Float[Array, "times *shape"]:
        """The points at the times `ts`."""
        return self.run(x0, x1, ts, key=key).points


def closed_form_path(points: Float[Array, "times *shape"], score_evaluations=0) -> InterpolatedPath:
    """The path of a method that solves nothing; `no_path` if a point is not finite."""
    defined = jnp.all(jnp.isfinite(points))
    result = RESULTS.where(defined, RESULTS.successful, RESULTS.no_path)
    return InterpolatedPath(points, result, jnp.asarray(score_evaluations))


def only_between(ts: Float[Array, " times"], name: str) -> Float[Array, " times"]:
    """The times; a run-time error if one is above 1."""
    slack = 8 * float(jnp.finfo(ts.dtype).eps)
    message = f"{name} is defined between its end-points only: ts must lie in [0, 1]."
    return jnp.minimum(eqx.error_if(ts, ts > 1 + slack, message), 1)
