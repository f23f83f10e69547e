"""What a solve returns."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from ._curve import IntegratedCurve, Polyline
from ._results import RESULTS


class GeodesicSolution(eqx.Module):
    """A geodesic, its figures, and the verdict on it.

    - ``curve``: a diffrax path on [0, 1]: ``curve.evaluate(t)``, nodes ``curve.xs`` of shape
      (num_segments + 1, *shape) at ``curve.ts``.
    - ``energy``: ``1/2 integral g(x', x') dt``, as discretised by the rule that was minimised.
    - ``length``: the length in the metric.
    - ``initial_velocity``, ``final_velocity``: x' at both ends, of the shape of a point.
    - ``result``: a member of `RESULTS`.
    - ``stats``: figures by name; `geodesic` and `exponential_map` list theirs.

    >>> import jax.numpy as jnp, geojax
    >>> solution = geojax.geodesic(geojax.Euclidean(), jnp.zeros(2), jnp.ones(2), num_segments=4)
    >>> solution.curve.xs.shape
    (5, 2)
    """

    curve: Polyline | IntegratedCurve
    energy: Float[Array, ""]
    length: Float[Array, ""]
    initial_velocity: Float[Array, "*shape"]
    final_velocity: Float[Array, "*shape"]
    result: RESULTS
    stats: dict[str, Any]

    def __getitem__(self, lane) -> "GeodesicSolution":
        """One lane of a batch, or several: whatever indexes an array's leading axis.

        **Raises:** `TypeError` for a single solution.
        """
        if not self.energy.ndim:
            raise TypeError("this is a single geodesic; only a batch of them has lanes.")
        return jax.tree.map(lambda leaf: leaf[lane] if eqx.is_array(leaf) else leaf, self)

    @property
    def message(self) -> str:
        """The verdict in words (outside `jax.jit`, for a single solution)."""
        if bool(self.result == RESULTS.successful):
            return "successful"
        return RESULTS[self.result]

    def __str__(self) -> str:
        try:
            return self._summary()
        except jax.errors.ConcretizationTypeError:  # inside a transformation there are no values
            return repr(self)

    def _summary(self) -> str:
        if self.energy.ndim:
            good = int((self.result == RESULTS.successful).sum())
            return f"{self.energy.size} geodesics, {good} successful"
        lines = [f"geodesic with {len(self.curve.ts) - 1} segments: {self.message}"]
        figures = {"energy": self.energy, "length": self.length, **self.stats}
        lines += [f"  {name:<18} {_show(value)}" for name, value in figures.items()]
        return "\n".join(lines)


def _show(value) -> str:
    value = value.item() if hasattr(value, "item") else value
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
