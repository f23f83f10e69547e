"""Paths and descents of all pairs of a case by one compiled program, and their figures."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..curvature import riemannian_gradient_descent
from ..evaluation import distance_to, path_error, path_figures
from ..geodesics import RESULTS
from ..interpolation import MethodSettings, interpolator
from ..metrics import (
    Euclidean,
    JacobianMetric,
    ScoreNormMetric,
    SmoothedSteinScoreMetric,
    SteinScoreMetric,
)
from ..scores import NoiseRoute
from ._synthetic_cases import Scene, times

FIGURES = ("distance_mean", "distance_max", "rmse", "length_error", "energy_ratio")
FIGURES += ("missed", "score_evaluations", "seconds", "successful")
DESCENTS = ("Euclidean", "Stein", "Jacobian", "combined", "smoothed", "norm + Stein")
_RATE, _STEPS = 0.05, 200  # of a descent


class Setting(NamedTuple):
    """The common settings of the pairs of one measurement; `kind` is path, beyond or descent."""

    kind: str
    method: str
    sigma: float
    lam: float | None
    segments: int | None
    until: float | None


class Programs:
    """Compiled programs by method, number of segments and kind of score.

    They are kept for later cases with the same shapes. Noise level, lambda, points and the numbers
    in a score are arguments. Compiling takes longer than running, so `prepare` compiles in the
    background, two programs at a time. This is a context; at its end nothing more is compiled.
    """

    def __init__(self):
        self._made: dict[Any, Future] = {}
        self._pool = ThreadPoolExecutor(2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pool.shutdown(wait=False, cancel_futures=True)

    def prepare(self, scene: Scene, setting: Setting) -> tuple[Future, Any]:
        """The future program, and its arguments."""
        kind = setting.kind
        keys = jax.vmap(lambda i: jax.random.fold_in(scene.key, i))(jnp.arange(len(scene.ends)))
        numbers = jnp.asarray(setting.sigma), jnp.asarray(setting.lam or 0.0), scene.key
        if kind == "descent":
            function, static = _descents, setting.method
            arrays = (scene.score, numbers, scene.ends[:, 0], scene.aims)
        else:
            function = _paths
            static = (setting.method, setting.segments or 32, times(kind, setting.until))
            arrays = (scene.score, numbers, scene.ends, keys)
        # All else than arrays, for example a radius, is a constant of the program.
        shapes = tuple(
            (leaf.shape, str(leaf.dtype)) if eqx.is_array(leaf) else leaf
            for leaf in jax.tree.leaves(arrays)
        )
        name = (kind, static, jax.tree.structure(scene.score), shapes)
        if name not in self._made:
            make = lambda: function.lower(static, *arrays).compile()  # noqa: E731
            self._made[name] = self._pool.submit(make)
        return self._made[name], (static, *arrays)

    def __call__(self, scene: Scene, setting: Setting) -> tuple[Any, float]:
        """The results of the program for all pairs, and its seconds without compilation."""
        program, arguments = self.prepare(scene, setting)
        compiled = program.result()
        began = time.perf_counter()
        found = jax.block_until_ready(compiled(*arguments))
        return found, time.perf_counter() - began


def _at_level(score, sigma):
    return eqx.tree_at(lambda s: s.schedule.value, score, sigma)


# One pair after the other, not vectorised: a slow pair then delays no other, and a branch that is
# not taken costs nothing.


@eqx.filter_jit
def _paths(static, score, numbers, ends, keys):
    name, segments, ts = static
    sigma, lam, key = numbers
    # Points without noise, with the score of the level: alpha is 1, and t has no effect.
    route = NoiseRoute(_at_level(score, sigma), t=0.5, noising="none", denoising="none")
    shape = ends.shape[2:]
    settings = MethodSettings(route, shape, key, lam=lam * sigma**2, num_segments=segments)
    method = interpolator(name, settings)
    with jax.ensure_compile_time_eval():
        ts = jnp.asarray(ts, ends.dtype)
    return jax.lax.map(lambda a: method.run(a[0][0], a[0][1], ts, key=a[1]), (ends, keys))


@eqx.filter_jit
def _descents(name, score, numbers, starts, aims):
    sigma, lam, key = numbers
    metric = _metric(name, _at_level(score, sigma).at(0.5), sigma, lam * sigma**2, starts, key)

    def descend(pair):
        start, aim = pair
        return riemannian_gradient_descent(
            metric,
            lambda x: jnp.sum((x - aim) ** 2) / 2,
            start,
            learning_rate=_RATE,
            max_steps=_STEPS,
            throw=False,
        )

    return jax.lax.map(descend, (starts, aims))


def _metric(name: str, score, sigma, lam, points, key):
    stein, jacobian = SteinScoreMetric(score, lam), JacobianMetric(score, lam * sigma**2)
    return {
        "Euclidean": lambda: Euclidean(),
        "Stein": lambda: stein,
        "Jacobian": lambda: jacobian,
        "combined": lambda: stein + jacobian,
        "smoothed": lambda: SmoothedSteinScoreMetric.draw(
            score, points.shape[1:], 8, sigma, lam, key=key
        ),
        "norm + Stein": lambda: ScoreNormMetric(score, lam) + stein,
    }[name]()


def measured_pairs(programs: Programs, scene: Scene, setting: Setting) -> list[dict[str, Any]]:
    """The figures of all pairs."""
    found, seconds = programs(scene, setting)
    of_all = _descent_figures if setting.kind == "descent" else _path_figures
    points = found.xs if setting.kind == "descent" else found.points
    figures = jax.tree.map(np.asarray, of_all(scene, setting.kind, found))
    rows = []
    for i in range(len(scene.ends)):
        result = jax.tree.map(lambda leaf: leaf[i], found.result)  # noqa: B023
        good = bool(result == RESULTS.successful)
        row: dict[str, Any] = {name: float(values[i]) for name, values in figures.items()}
        row["seconds"] = round(seconds / len(scene.ends), 5)
        row["successful"] = float(good)
        row["result"] = "successful" if good else RESULTS[result]
        if i == 0 and setting.kind == "path":
            row["points"] = _rounded(scene.view(points[i]))
            if setting.method == "LERP":  # in every plan, so once for each case
                truth = scene.truths["path"][i]
                row["truth"] = _rounded(scene.view(truth)) if jnp.all(jnp.isfinite(truth)) else None
                row["manifold"] = _rounded(scene.view(scene.cloud))
        rows.append(row)
    return rows


def _rounded(points) -> list[list[float]]:
    return np.round(points, 3).tolist()


@eqx.filter_jit
def _path_figures(scene: Scene, kind: str, found) -> dict[str, Array]:
    def one(pair):
        points, truth, length = pair
        distances = distance_to(scene.manifold.project, points)
        share = 1.0 if kind == "path" else _share(truth, length)
        priced = path_figures(points)
        distance = share * length
        known = jnp.isfinite(distance)
        return {
            "distance_mean": distances.mean,
            "distance_max": distances.largest,
            "rmse": path_error(points, truth),
            "length_error": jnp.where(known, priced.length / distance - 1, jnp.nan),
            "energy_ratio": jnp.where(known, 2 * priced.energy / distance**2, jnp.nan),
        }

    figures = jax.lax.map(one, (found.points, scene.truths[kind], scene.lengths))
    return {**figures, "score_evaluations": found.score_evaluations}


def _share(truth, length):
    """How much further the geodesic goes, in units of its length."""
    return path_figures(truth).length / length


@eqx.filter_jit
def _descent_figures(scene: Scene, kind: str, found) -> dict[str, Array]:
    """The figures of descents until the objective has its least value on the manifold.

    `missed` is the distance of the descent then from the point of the manifold with that value.
    """

    def one(pair):
        xs, values, aim, floor = pair
        within = values >= jnp.sum((floor - aim) ** 2) / 2
        gaps = jnp.linalg.norm(xs - jax.vmap(scene.manifold.project)(xs), axis=1)
        count = jnp.sum(within)
        last = xs[jnp.maximum(count - 1, 0)]
        return {
            "distance_mean": jnp.sum(jnp.where(within, gaps, 0)) / count.astype(xs.dtype),
            "distance_max": jnp.max(jnp.where(within, gaps, 0)),
            "missed": jnp.linalg.norm(last - floor),
        }

    return jax.lax.map(one, (found.xs, found.values, scene.aims, scene.floors))
