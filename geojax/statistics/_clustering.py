"""Clusters of points from their distances alone."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from .._arrays import Numbers, as_floating
from .._linalg import dot, matmul
from .._verdicts import AbstractSolution, Verdicts, or_raise
from ._results import FIT_RESULTS, FIT_VERDICTS


class Clusters(AbstractSolution):
    """Clusters of points around medoids, the result of `k_medoids`.

    **Arguments:**

    - `medoids`: the indices of the medoids, ascending, shape `(num_clusters,)`.
    - `labels`: the nearest of the `medoids` for each point, shape `(points,)`.
    - `cost`: the weighted sum of the distances of the points to their medoids.
    - `num_swaps`: the number of swaps from the best start.
    - `result`: `FIT_RESULTS.successful` if no swap of a medoid for another point lowers the cost,
      else `FIT_RESULTS.max_swaps_reached`.
    """

    medoids: Int[Array, " clusters"]
    labels: Int[Array, " points"]
    cost: Float[Array, ""]
    num_swaps: Int[Array, ""]
    result: FIT_RESULTS
    limits: dict[str, Any] = eqx.field(default_factory=dict)
    verdicts: ClassVar[Verdicts] = FIT_VERDICTS
    noun: ClassVar[str] = "clustering"

    def rows(self) -> dict[str, Any]:
        return {"medoids": self.medoids, "cost": self.cost, "num_swaps": self.num_swaps}

    def figures(self) -> dict[str, Any]:
        return super().figures() | self.rows()


def k_medoids(
    distances: Numbers,
    num_clusters: int,
    weights: Numbers | None = None,
    *,
    key: Key[Array, ""],
    num_starts: int = 4,
    max_swaps: int = 200,
    throw: bool = True,
) -> Clusters:
    """Partition around medoids: the `num_clusters` points of least total distance to all points.

    Use it to cluster by any matrix of distances, such as that of [`geojax.pairwise_distances`][].
    Each start is that of k-medoids++: each medoid is drawn with a probability proportional to the
    distance from those already drawn. Then the swap of a medoid for a point that lowers the cost
    most is made, until none lowers it. Each swap costs O(points^2 num_clusters). The best of
    `num_starts` runs is returned.

    **Arguments:**

    - `distances`: shape `(points, points)`. `distances[i, j]` is the distance of point i from
      medoid j; the matrix need not be symmetric.
    - `num_clusters`: from 1 to the number of points.
    - `weights`: of the points, shape `(points,)`, default 1.
    - `key`: draws the starts.
    - `num_starts`: independent runs.
    - `max_swaps`: swaps of a run at most.
    - `throw`: raise when `max_swaps` swaps were not enough; else read `result`.

    **Returns:**

    A [`geojax.Clusters`][].

    **Raises:**

    - `ValueError`: when the matrix is not square or has fewer points than clusters.
    - a run-time error: when a distance is negative or not finite (NaN: its geodesic failed).
    - [`geojax.GeodesicError`][]: when all swaps were used and `throw` is True.

    Source: Kaufman & Rousseeuw (1990); Schubert & Rousseeuw (2021), "Fast and eager k-medoids
    clustering"; Arthur & Vassilvitskii (2007) for the start.

    >>> import jax, jax.numpy as jnp, geojax
    >>> x = jnp.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.3])
    >>> distances = jnp.abs(x[:, None] - x[None, :])
    >>> clusters = geojax.statistics.k_medoids(distances, 2, key=jax.random.key(0))
    >>> print(clusters.medoids, clusters.labels)
    [1 4] [0 0 0 1 1 1]
    """
    distances = as_floating("distances", distances)
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise ValueError(f"distances must be a square matrix, got shape {distances.shape}.")
    num_points = len(distances)
    if not 1 <= num_clusters <= num_points:
        raise ValueError(f"num_clusters must be from 1 to {num_points}, got {num_clusters}.")
    if num_starts < 1:
        raise ValueError(f"num_starts must be at least 1, got {num_starts}.")
    weights = np.ones(num_points) if weights is None else weights
    weights = as_floating("weights", weights, dtype=distances.dtype)
    if weights.shape != (num_points,):
        raise ValueError(f"weights must have shape ({num_points},), got {weights.shape}.")
    bad = ~jnp.all(jnp.isfinite(distances) & (distances >= 0))
    distances = eqx.error_if(
        distances,
        bad,
        "distances must be finite and at least 0. Where a geodesic failed it is NaN: solve that "
        "pair again, or leave its points out.",
    )
    clusters = _cluster(distances, weights, key, num_clusters, num_starts, max_swaps)
    return or_raise(clusters) if throw else clusters


@eqx.filter_jit
def _cluster(distances, weights, key, num_clusters: int, num_starts: int, max_swaps: int):
    def run(key):
        medoids = _plus_plus(distances, weights, num_clusters, key)
        return _swap(distances, weights, medoids, max_swaps)

    runs = jax.lax.map(run, jax.random.split(key, num_starts))
    best = jnp.argmin(runs.cost)
    return jax.tree.map(lambda leaf: leaf[best], runs)


def _plus_plus(distances, weights, num_clusters: int, key) -> Int[Array, " clusters"]:
    """Medoids drawn one after the other, far from each other."""

    def draw(carry, key):
        nearest, chosen = carry
        # Points that coincide with a medoid are drawn only if there are no others.
        masses = weights * nearest
        masses = jnp.where(jnp.sum(masses) > 0, masses, jnp.where(chosen, 0.0, 1.0))
        index = jax.random.choice(key, len(masses), p=masses / jnp.sum(masses))
        return (jnp.minimum(nearest, distances[:, index]), chosen.at[index].set(True)), index

    start = jnp.ones_like(weights), jnp.zeros(len(weights), bool)
    keys = jax.random.split(key, num_clusters)
    (_, _), first = draw(start, keys[0])
    after = distances[:, first], start[1].at[first].set(True)
    _, others = jax.lax.scan(draw, after, keys[1:])
    return jnp.concatenate([first[None], others])


def _swap(distances, weights, medoids, max_swaps: int) -> Clusters:
    """Steepest descent over swaps of one medoid for one point."""
    num_clusters = len(medoids)
    slack = 8 * jnp.finfo(distances.dtype).eps

    def assign(medoids):
        to_medoids = distances[:, medoids]
        labels = jnp.argmin(to_medoids, axis=1)
        nearest = jnp.min(to_medoids, axis=1)
        others = to_medoids.at[jnp.arange(len(labels)), labels].set(jnp.inf)
        return labels, nearest, jnp.min(others, axis=1)

    def cost_of_swaps(medoids):
        """The cost with point c in the place of medoid m, for every c and m: (points, clusters).

        A point of another cluster goes to the nearer of c and its own medoid. A point of m's
        cluster goes to the nearer of c and its second medoid.
        """
        labels, nearest, second = assign(medoids)
        stays = weights[:, None] * jnp.minimum(distances, nearest[:, None])
        moves = weights[:, None] * jnp.minimum(distances, second[:, None])
        inside = jax.nn.one_hot(labels, num_clusters, dtype=distances.dtype)
        return jnp.sum(stays, axis=0)[:, None] + matmul((moves - stays).T, inside)

    def cost(medoids):
        return dot(weights, assign(medoids)[1])

    def body(carry):
        medoids, now, swaps, _ = carry
        costs = cost_of_swaps(medoids)
        point, medoid = jnp.unravel_index(jnp.argmin(costs), costs.shape)
        better = costs[point, medoid] < now * (1 - slack)
        medoids = jnp.where(better, medoids.at[medoid].set(point), medoids)
        return (
            medoids,
            jnp.where(better, cost(medoids), now),
            swaps + better.astype(swaps.dtype),
            ~better,
        )

    def going(carry):
        return ~carry[3] & (carry[2] < max_swaps)

    start = medoids, cost(medoids), jnp.asarray(0), jnp.asarray(False)
    medoids, now, swaps, converged = jax.lax.while_loop(going, body, start)
    medoids = jnp.sort(medoids)
    result = FIT_RESULTS.where(converged, FIT_RESULTS.successful, FIT_RESULTS.max_swaps_reached)
    return Clusters(
        medoids=medoids,
        labels=assign(medoids)[0],
        cost=now,
        num_swaps=swaps,
        result=result,
        limits={"num_swaps": jnp.asarray(max_swaps)},
    )
