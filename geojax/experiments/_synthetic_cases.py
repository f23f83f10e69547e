"""The manifolds by name, and what a case needs: pairs of points, truths, a noised score."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import matmul
from ..evaluation import (
    AbstractManifold,
    EmbeddedSphere,
    FlatTorus,
    Torus,
    TwoMoons,
    c_shape,
    closed_curve,
    swiss_roll,
)
from ..scores import AbstractSchedule, AbstractScore
from ._synthetic_network import kept

TIMES = 33  # times at which a path is measured
_NETWORK = ", network"  # suffix of the names of cases with a trained score
_POINTS = 100  # of the sample from which the second point of a pair is chosen


@dataclasses.dataclass(frozen=True)
class SyntheticCase:
    """A manifold, and the distance between the two points of a pair.

    **Arguments:**

    - `make`: `key -> manifold`.
    - `codimension`: of the manifold in R^D.
    - `reach`: the distance of the two points, relative to the largest distance in a sample.
    - `num`: points of the data set whose noised score is used, if there is no closed form.
    - `across`: the two points are on different components. No geodesic joins them, and only the
      distance from the manifold is measured.
    - `trained`: the score is that of a network, trained on the manifold by denoising score
      matching.
    """

    make: Callable[[Array], AbstractManifold]
    codimension: int
    reach: float = 0.5
    num: int = 2000
    across: bool = False
    trained: bool = False


def _wiggly(dim: int, waves: int) -> AbstractManifold:
    """A circle with waves of decreasing size in all coordinates."""
    rng = np.random.default_rng(0)
    amplitudes = rng.standard_normal((waves, dim)) / np.arange(1, waves + 1)[:, None] ** 1.5 / 3
    amplitudes[0, :2] += 1
    return closed_curve(amplitudes)


CASES: dict[str, SyntheticCase] = {
    "circle in R^2": SyntheticCase(lambda key: EmbeddedSphere(1), 1),
    "circle in R^50": SyntheticCase(lambda key: EmbeddedSphere(1).embedded(50, key=key), 49),
    "S^2 in R^10": SyntheticCase(lambda key: EmbeddedSphere(2).embedded(10, key=key), 8),
    "S^10 in R^100": SyntheticCase(lambda key: EmbeddedSphere(10).embedded(100, key=key), 90),
    "wiggly curve in R^2": SyntheticCase(lambda key: _wiggly(2, 4), 1, 0.4, 500),
    "C in R^2": SyntheticCase(lambda key: c_shape(), 1, num=500),
    "two moons": SyntheticCase(lambda key: TwoMoons(), 1, 0.8, 500),
    "across two moons": SyntheticCase(lambda key: TwoMoons(), 1, num=500, across=True),
    "wiggly curve in R^3": SyntheticCase(lambda key: _wiggly(3, 4), 2, 0.4),
    "torus in R^3": SyntheticCase(lambda key: Torus(), 1),
    "Swiss roll in R^3": SyntheticCase(lambda key: swiss_roll(), 1, 0.3, 4000),
    "flat torus in R^4": SyntheticCase(lambda key: FlatTorus((1.0, 0.6)), 2, num=3000),
    "wiggly curve in R^100": SyntheticCase(
        lambda key: _wiggly(6, 4).embedded(100, key=key), 99, 0.4, 500
    ),
}
# The same manifolds and pairs, with the score of a network.
CASES |= {
    name + _NETWORK: dataclasses.replace(CASES[name], trained=True)
    for name in ("S^2 in R^10", "wiggly curve in R^3")
}


class Level(AbstractSchedule):
    """The same noise level at all times, as an argument of compiled programs."""

    value: Float[Array, ""]

    def alpha(self, t):
        return jnp.ones_like(self.value)

    def sigma(self, t):
        return self.value


class Scene(eqx.Module):
    """A manifold, its pairs of points, the true geodesics and the noised score.

    - `score`: its schedule is a `Level`.
    - `ends`: shape `(pairs, 2, D)`.
    - `lengths`: of the geodesics between them, shape `(pairs,)`.
    - `truths`: by kind of row, the geodesics at the times of that kind, shape `(pairs, times, D)`;
      NaN where there is none.
    - `aims`: points off the manifold, the minima of the descents, which start from the first ends;
      shape `(pairs, D)`.
    - `floors`: the nearest points to them on the manifold, shape `(pairs, D)`.
    - `cloud`: points of the manifold, for pictures.
    """

    manifold: AbstractManifold
    score: AbstractScore
    ends: Float[Array, "pairs 2 dim"]
    lengths: Float[Array, " pairs"]
    truths: dict[str, Float[Array, "pairs times dim"]]
    aims: Float[Array, "pairs dim"]
    floors: Float[Array, "pairs dim"]
    cloud: Float[Array, "points dim"]
    key: Array

    def view(self, points: Float[Array, "points dim"]) -> np.ndarray:
        """At most three coordinates of points in the subspace of the manifold."""
        rows = self.manifold.embedding
        inside = points if rows is None else matmul(points, rows.T)
        return np.asarray(inside[:, :3])


def times(kind: str, until: float | None) -> tuple[float, ...]:
    """The times at which a path or an extrapolation is measured."""
    start, end = (0.0, 1.0) if until is None or kind != "beyond" else (1.0, until)
    return tuple(np.linspace(start, end, TIMES).tolist())


def make_scene(
    name: str, num_pairs: int, until: float, seed: int, networks: Path, num_steps: int
) -> Scene:
    """The scene of a case; a network is trained for `num_steps` and stored in `networks`."""
    case, base = CASES[name], name.removesuffix(_NETWORK)
    root = jax.random.fold_in(jax.random.key(seed), list(CASES).index(base))
    keys = jax.random.split(root, 6)
    manifold = case.make(keys[0])
    ends = _pairs(manifold, case, num_pairs, keys[1])
    if case.trained:
        file = f"{''.join(c if c.isalnum() else '-' for c in base)}-{num_steps}-{seed}.eqx"
        trained = kept(networks / file, manifold, num_steps, key=keys[4])
        score: Any = eqx.tree_at(lambda s: s.schedule, trained, Level(jnp.asarray(1.0)))
    else:
        score = manifold.noised(Level(jnp.asarray(1.0)), num=case.num, key=keys[2])

    @jax.jit
    def truths(ends):
        def of_pair(pair):
            at = {
                kind: manifold.geodesic(pair[0], pair[1], jnp.asarray(times(kind, until)))
                for kind in ("path", "beyond")
            }
            return manifold.distance(pair[0], pair[1]), at

        return jax.lax.map(of_pair, ends)

    lengths, at = truths(ends)
    # If the manifold has an edge before that, the geodesic ends there.
    walked = jnp.sum(jnp.linalg.norm(jnp.diff(at["beyond"], axis=1), axis=2), axis=1)
    ended = walked < 0.99 * (until - 1) * lengths
    at["beyond"] = jnp.where(ended[:, None, None], jnp.nan, at["beyond"])
    ways = jax.random.normal(keys[5], ends[:, 1].shape)
    ways = ways / jnp.linalg.norm(ways, axis=1, keepdims=True)
    aims = ends[:, 1] + jnp.where(jnp.isfinite(lengths), lengths, 1.0)[:, None] / 2 * ways
    floors = jax.vmap(manifold.project)(aims)
    cloud = manifold.sample(400, key=keys[5])
    return Scene(manifold, score, ends, lengths, at, aims, floors, cloud, keys[3])


def _pairs(manifold: AbstractManifold, case: SyntheticCase, num: int, key) -> Array:
    """Pairs of a start and that point of a sample whose distance is nearest to the wanted one."""
    points = manifold.sample(_POINTS, key=key)
    # A pair is determined by its number: further pairs use new samples of the same size.
    more = [
        manifold.sample(_POINTS, key=jax.random.fold_in(key, k))
        for k in range(1, -(-num // _POINTS))
    ]
    starts = jnp.concatenate([points, *more])[:num]

    @jax.jit
    def distances(starts):
        one = jax.vmap(manifold.distance, (None, 0))
        return jax.lax.map(lambda a: one(a, points), starts)

    apart = distances(starts)
    if case.across:
        chosen = jnp.argmax(jnp.isinf(apart), axis=1)
    else:
        apart = jnp.where(jnp.isfinite(apart), apart, -jnp.inf)
        chosen = jnp.argmin(jnp.abs(apart - case.reach * jnp.max(apart)), axis=1)
    return jnp.stack([starts, points[chosen]], axis=1)
