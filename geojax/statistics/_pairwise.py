"""All distances between points, computed in chunks and optionally stored on disk."""

import json
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from .._arrays import Numbers, as_one_dtype
from .._files import read_arrays, written_whole
from .._shares import own_and_others, spans_processes
from .._verdicts import AbstractSolution, Verdicts
from ..geodesics import (
    DISCRETISATION_TOLERANCE,
    RESULTS,
    AbstractRule,
    AbstractSolver,
    Diagnostics,
    GeodesicSolution,
    geodesic_batch,
)
from ..metrics import AbstractMetric
from ._fingerprint import fingerprint
from ._solves import as_points

_SETTINGS = "settings.json"


class PairwiseDistances(AbstractSolution):
    """A matrix of geodesic distances, with a verdict on each.

    **Arguments:**

    - `distances`: shape `(rows, columns)`; NaN where the geodesic did not succeed.
    - `lower_bounds`: the chord bound of each distance (`lower_bound` of [`geojax.geodesic`][]),
      which also holds for failed geodesics. NaN for metrics without it.
    - `result`: members of `RESULTS`, of that shape.
    - `num_geodesics`, `score_evaluations`: the total cost.
    """

    distances: Float[Array, "rows columns"]
    lower_bounds: Float[Array, "rows columns"]
    result: RESULTS
    num_geodesics: int = eqx.field(static=True)
    score_evaluations: Int[Array, ""]
    verdicts: ClassVar[Verdicts] = GeodesicSolution.verdicts
    noun: ClassVar[str] = "distance"

    def _summary(self) -> str:
        rows, columns = self.distances.shape
        good = int(jnp.sum(jnp.isfinite(self.distances)))
        return (
            f"{rows} x {columns} distances by {self.num_geodesics} geodesics, "
            f"{rows * columns - good} not found"
        )


class _Pairs(NamedTuple):
    """What a chunk stores of each of its pairs."""

    length: Any
    lower_bound: Any
    verdict: Any
    score_evaluations: Any


def pairwise_distances(
    metric: AbstractMetric,
    points: Numbers,
    others: Numbers | None = None,
    args: Any = None,
    *,
    solver: AbstractSolver | None = None,
    chunk_size: int = 1024,
    folder: Path | str | None = None,
    progress_meter: diffrax.AbstractProgressMeter | None = None,
    num_segments: int = 16,
    batch_size: int = 16,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    diagnostics: Diagnostics = "full",
    devices: Mesh | None = None,
) -> PairwiseDistances:
    """The geodesic distances between all `points`, or from `points` to `others`.

    Between the points themselves every pair is solved once and the diagonal is 0. Pairs go through
    [`geojax.geodesic_batch`][], `chunk_size` at a time. Only numbers are kept of a chunk, not the
    paths.

    **Arguments:**

    - `metric`: any geojax metric.
    - `points`, `others`: shape `(points, *shape)`.
    - `args`, `solver`, `num_segments`, `batch_size`, `rule`, `max_steps`,
      `discretisation_tolerance`, `diagnostics`, `devices`: as for `geodesic_batch`. The distance of
      a pair that failed is NaN, with its verdict in `result`.
    - `chunk_size`: pairs of a chunk at most.
    - `folder`: finished chunks are written there, whole or not at all, and never computed again. An
      interrupted call continues when it is called again, in this process or another. A folder with
      chunks of other points, another metric or other settings is refused. Only outside `jax.jit`.
      The processes of `jax.distributed` share the chunks: each computes its own, then the chunks of
      the others that are still missing, and returns the whole. All must see the folder. If one
      process dies, the others do its work. Without a folder, a [`geojax.device_mesh`][] over all
      processes as `devices` shares every chunk, and no process may die.
    - `progress_meter`: shows the fraction of finished chunks.

    **Returns:**

    A [`geojax.PairwiseDistances`][], with matrices of shape `(points, points)` or (points, others).

    **Raises:**

    - `ValueError`: on shapes that do not fit and on a folder of other settings.

    >>> import jax.numpy as jnp, geojax
    >>> points = jnp.array([[0.0, 0.0], [3.0, 4.0], [0.0, 8.0]])
    >>> found = geojax.statistics.pairwise_distances(geojax.Euclidean(), points, num_segments=2)
    >>> print(found.distances[0])
    [0. 5. 8.]
    >>> print(found)
    3 x 3 distances by 3 geodesics, 0 not found
    """
    points = as_points("points", points)
    if others is not None:
        points, others = as_one_dtype(points=points, others=as_points("others", others))
    targets = points if others is None else others
    if targets.shape[1:] != points.shape[1:]:
        raise ValueError(
            "points and others must hold points of one shape, (points, *shape), got "
            f"{points.shape} and {targets.shape}."
        )
    options = {
        "num_segments": num_segments,
        "batch_size": batch_size,
        "rule": rule,
        "max_steps": max_steps,
        "discretisation_tolerance": discretisation_tolerance,
        "diagnostics": diagnostics,
        "devices": devices,
    }
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}.")
    shape = len(points), len(targets)
    rows, columns = np.triu_indices(len(points), 1) if others is None else np.indices(shape)
    rows, columns = rows.reshape(-1), columns.reshape(-1)
    chunks = _chunks(len(rows), chunk_size)
    store = None
    if folder is not None:
        settings = {
            "points": fingerprint(points),
            "others": fingerprint(others),
            "metric": fingerprint(metric),
            "solver": fingerprint(solver),
            "args": fingerprint(args),
            "options": fingerprint(sorted(options.items())),
            "chunks": [len(rows), len(chunks)],
        }
        store = _Folder(Path(folder), settings)
    meter = diffrax.NoProgressMeter() if progress_meter is None else progress_meter
    numbers = list(range(len(chunks)))
    together = spans_processes(devices) or (rule is not None and spans_processes(rule.devices))
    if store is not None and not together:
        own, later = own_and_others(numbers)
        numbers = own + later
    shown, found = meter.init(), {}
    for done, number in enumerate(numbers, 1):
        chunk = chunks[number]
        pairs = None if store is None else store.read(number, len(chunk))
        if pairs is None:
            ends = points[rows[chunk]], targets[columns[chunk]]
            pairs = _solve(metric, *ends, solver, args, options)
            if store is not None:
                pairs = store.write(number, pairs)
        found[number] = pairs
        shown = meter.step(shown, jnp.asarray(done / len(chunks)))
    meter.close(shown)
    solved = [found[number] for number in range(len(chunks))]
    return _assemble(solved, len(rows), (rows, columns), shape, others is None, points.dtype)


def _chunks(num_pairs: int, chunk_size: int) -> list[np.ndarray]:
    """The pairs of each chunk. All chunks have one length; the last repeats pairs to reach it."""
    if num_pairs == 0:
        return []
    number = -(-num_pairs // chunk_size)
    size = -(-num_pairs // number)
    index = np.minimum(np.arange(number * size), num_pairs - 1)
    return list(index.reshape(number, size))


@eqx.filter_jit
def _solve(metric, x0, x1, solver, args, options) -> _Pairs:
    batch = geodesic_batch(metric, x0, x1, args, solver=solver, throw=False, **options)
    stats = batch.stats
    return _Pairs(batch.length, stats["lower_bound"], batch.result, stats["score_evaluations"])


class _Folder:
    """Finished chunks on disk."""

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path = path
        stored = path / _SETTINGS
        chunks = any(path.glob("chunk-*.npz"))  # before: another process may write both just now
        if stored.is_file():
            old = json.loads(stored.read_text())
            other = sorted(k for k in {*old, *settings} if old.get(k) != settings.get(k))
            if other:
                raise ValueError(
                    f"folder {path} holds distances of other settings: {', '.join(other)} differ. "
                    "Choose another folder, or delete this one."
                )
            return
        if chunks:
            raise ValueError(f"folder {path} holds chunks but no {_SETTINGS}. Choose another one.")
        with written_whole(stored) as temporary:
            temporary.write_text(json.dumps(settings, indent=1) + "\n")

    def _file(self, number: int) -> Path:
        return self.path / f"chunk-{number:06d}.npz"

    def read(self, number: int, size: int) -> _Pairs | None:
        """A finished chunk, or None if it does not exist."""
        file = self._file(number)
        if not file.is_file():
            return None
        remedy = f"{file} is not a chunk of {size} pairs. Delete it to have it solved again."
        try:
            arrays = read_arrays(file, *_Pairs._fields)
            pairs = _Pairs(**{name: arrays[name] for name in _Pairs._fields})
            if any(array.shape != (size,) for array in pairs):
                raise ValueError(remedy)
            verdict = GeodesicSolution.verdicts.results(pairs.verdict)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(remedy) from error
        return pairs._replace(verdict=verdict)

    def write(self, number: int, pairs: _Pairs) -> _Pairs:
        # Verdicts are stored by name, because a later version may renumber them.
        names = GeodesicSolution.verdicts.names(pairs.verdict)
        arrays = _Pairs(*map(np.asarray, pairs._replace(verdict=names)))
        with written_whole(self._file(number)) as temporary:
            np.savez(temporary, **arrays._asdict())
        return pairs


def _assemble(found: list[_Pairs], num_pairs, where, shape, symmetric, dtype) -> PairwiseDistances:
    if not found:
        empty = jnp.zeros(0, dtype)
        none = jax.tree.map(lambda leaf: jnp.zeros(0, leaf.dtype), RESULTS.successful)
        found = [_Pairs(empty, empty, none, jnp.zeros(0, int))]
    pairs = jax.tree.map(lambda *parts: jnp.concatenate(parts)[:num_pairs], *found)
    good = pairs.verdict == RESULTS.successful

    def matrix(values, diagonal):
        out = jnp.full(shape, diagonal, values.dtype).at[where].set(values)
        return out.at[where[::-1]].set(values) if symmetric else out

    return PairwiseDistances(
        distances=matrix(jnp.where(good, pairs.length, jnp.nan), 0.0),
        lower_bounds=matrix(pairs.lower_bound, 0.0),
        result=jax.tree.map(matrix, pairs.verdict, RESULTS.successful),
        num_geodesics=num_pairs,
        score_evaluations=jnp.sum(pairs.score_evaluations),
    )
