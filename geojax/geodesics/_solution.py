"""The solution of a geodesic problem."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from .._verdicts import AbstractSolution, Verdicts
from ._curve import IntegratedCurve
from ._results import RESULTS, VERDICTS
from ._spline import CubicSpline


class GeodesicSolution(AbstractSolution):
    """A geodesic, its figures, and its verdict.

    [`geojax.geodesic`][], [`geojax.exponential_map`][] and the other solving functions return it.
    Printing it shows a summary.

    **Arguments:**

    - `curve`: a diffrax path on [0, 1], the [`geojax.CubicSpline`][] through nodes `curve.xs` of
      shape `(num_segments + 1, *shape)` at `curve.ts`. `start`, `end` are its ends, `evaluate(t)`
      its points and `velocity(t)` its velocities.
    - `energy`: `1/2 integral g(x', x') dt`, as discretised by the rule that was minimised.
    - `length`: the length in the metric.
    - `initial_velocity`, `final_velocity`: x' at both ends, of the shape of a point.
    - `result`: a member of [`geojax.RESULTS`][]; `successful`: whether it is `RESULTS.successful`.
    - `stats`: figures by name; `geodesic` and `exponential_map` list theirs.
    - `limits`: the bounds for these figures, by the names of `stats`: the solver's tolerance for
      `decrement`, `max_steps` for `num_steps`, and so on.

    `message` is the verdict in words with its figures and the remedy. A batch, from `jax.vmap` or
    [`geojax.geodesic_batch`][], has leading axes on every array, `messages` for its lanes, and
    `solution[i]`.

    >>> import jax.numpy as jnp, geojax
    >>> solution = geojax.geodesic(geojax.Euclidean(), jnp.zeros(2), jnp.ones(2), num_segments=4)
    >>> solution.curve.xs.shape, bool(solution.successful), solution.message
    ((5, 2), True, 'successful')
    >>> print(solution.evaluate(0.5), solution.end)
    [0.5 0.5] [1. 1.]
    """

    curve: CubicSpline | IntegratedCurve
    energy: Float[Array, ""]
    length: Float[Array, ""]
    initial_velocity: Float[Array, "*shape"]
    final_velocity: Float[Array, "*shape"]
    result: RESULTS
    stats: dict[str, Any]
    limits: dict[str, Any] = eqx.field(default_factory=dict)
    verdicts: ClassVar[Verdicts] = VERDICTS
    noun: ClassVar[str] = "geodesic"

    def __getitem__(self, lane) -> "GeodesicSolution":
        """One lane of a batch, or several: any index into the leading axis of an array.

        Raise a `TypeError` for a single solution.
        """
        if not self.energy.ndim:
            raise TypeError("this is a single geodesic; only a batch of them has lanes.")
        return jax.tree.map(lambda leaf: leaf[lane] if eqx.is_array(leaf) else leaf, self)

    @property
    def start(self) -> Float[Array, "*shape"]:
        """The curve's first point; for a batch one per lane."""
        return self._node(0)

    @property
    def end(self) -> Float[Array, "*shape"]:
        """The curve's last point; for a batch one per lane."""
        return self._node(-1)

    def _node(self, index: int):
        return self.curve.xs[(*(slice(None),) * self.energy.ndim, index)]

    def evaluate(self, t) -> Array:
        """The points of the curve at `t` in [0, 1], as `curve.evaluate` gives them.

        For a batch, lane by lane, with the lanes' axes first.
        """
        return self._of_lanes(lambda curve: curve.evaluate(t))

    def velocity(self, t) -> Array:
        """The velocities of the curve at `t`, as for `evaluate`."""
        return self._of_lanes(lambda curve: curve.velocity(t))

    def _of_lanes(self, of_lane) -> Array:
        for _ in range(self.energy.ndim):
            of_lane = eqx.filter_vmap(of_lane)
        return of_lane(self.curve)

    def figures(self) -> dict[str, Any]:
        figures = super().figures()
        error, limit = (figures.get(f"discretisation_error{end}") for end in ("", "_limit"))
        if error is not None and limit is not None:
            # The error falls like 1 / num_segments^4, once the path is resolved at all.
            factor = np.where(np.asarray(error) > 16 * np.asarray(limit), 4, 2)
            figures["more_segments"] = factor * self._num_segments
        return figures

    @property
    def _num_segments(self) -> int:
        return self.curve.ts.shape[-1] - 1

    def rows(self) -> dict[str, Any]:
        return {"energy": self.energy, "length": self.length, **self.stats}

    def title(self) -> str:
        return f"geodesic with {self._num_segments} segments"
