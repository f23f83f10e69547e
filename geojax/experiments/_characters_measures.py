"""The figures of every method between turned characters in the space of a latent model."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ..evaluation import LPIPS, data_rmse, gamma_rmse, psnr
from ..geodesics import PathEnergy, exponential_map, geodesic, neighbour_path
from ..interpolation import DensityFlow, Lerp, Nao, ScoreWalk, Slerp, StringMethod, TangentStep
from ..metrics import AbstractMetric, JacobianMetric, ScoreNormMetric, SteinScoreMetric
from ..models import to_pixels, turned_characters
from ..models.latent import LatentModel
from ..scores import NoiseRoute, ddim, score_contrast
from ..statistics import frechet_mean, principal_geodesics
from ._characters_plan import BEYOND, METHODS, SEGMENTS, CharactersPlan

_SEGMENTS = 32  # of published methods, and of expensive rules for |s|^2
_SPREAD = 40.0  # degrees from the middle angle to the others of a mean
_FAN = np.linspace(-60.0, 60.0, 5)  # degrees; angles for a principal geodesic


class Found(NamedTuple):
    """The nodes of a path at equal times, with the figures of its solve."""

    nodes: Float[Array, "nodes components"]
    velocity: Array | None = None
    evaluations: int = 0
    seconds: float = 0.0
    successful: float = 1.0
    result: str = "closed form"


class Truth(NamedTuple):
    """The true turn: points at every halfway angle, pictures at the times of the frames."""

    points: Float[Array, "nodes components"]
    images: Float[Array, "frames 1 side side"]


class Bench:
    """A model, its training points, and the paths that were found on it."""

    def __init__(
        self,
        plan: CharactersPlan,
        model: LatentModel,
        data: Float[Array, "points components"],
        lpips: LPIPS,
        warm: set[tuple],
    ):
        self.plan, self.model, self.data, self.lpips = plan, model, data, lpips
        self.score = model.score.at(model.t)
        self.variance = model.score.schedule.sigma(model.t) ** 2
        self.warm = warm  # compiled programs, whose second run is timed
        self._found: dict[tuple[str, int], Found] = {}
        self._truths: dict[tuple[int, float], list[Truth]] = {}

    def measured(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The figures of a row; for paths also the pictures and the true ones."""
        measure = {"path": self._path, "beyond": self._beyond, "mean": self._mean}
        measure["principal"] = self._principal
        return measure[row["kind"]](row)

    def truths(self, number: int, first: float, last: float) -> list[Truth]:
        """The turns of a pair between two angles after A's; of half a turn both directions."""
        if (known := self._truths.get((number, first))) is not None:
            return known
        glyph, angle = self.plan.pair(number)
        turn = self.plan.turns[number % len(self.plan.turns)]
        steps = round((last - first) * self.plan.angles / 360)
        every = steps // (self.plan.frames - 1)
        found = []
        for sign in (1, -1) if turn == 180 else (1,):
            turned = angle + sign * np.linspace(first, last, steps + 1)
            images = self._drawn(glyph, turned)
            found.append(Truth(_encoded(self.model, images), images[::every]))
        self._truths[number, first] = found
        return found

    def _drawn(self, glyph: str, angles) -> Array:
        side = self.model.shape[-1]
        drawn = turned_characters(glyph, angles, side=side)[0][:, None]
        return jnp.asarray(drawn / 127.5 - 1, jnp.float32)

    def _ends(self, number: int) -> tuple[Array, Array]:
        glyph, angle = self.plan.pair(number)
        turn = self.plan.turns[number % len(self.plan.turns)]
        a, b = _encoded(self.model, self._drawn(glyph, [angle, angle + turn]))
        return a, b

    def _metric(self, name: str, x0s: Array, x1s: Array) -> AbstractMetric:
        """A metric of the score, with lam from the chords as for `lam="auto"`."""
        contrast = score_contrast(self.score, x0s, x1s)
        lam = contrast.lam
        if name == "Stein":
            return SteinScoreMetric(self.score, lam)
        if name == "Stein, 100":
            return SteinScoreMetric(self.score, 100 / contrast.middle)
        if name == "combined":
            jacobian = JacobianMetric(self.score, lam * self.variance, 1e-6)
            return SteinScoreMetric(self.score, lam) + jacobian
        if name == "Jacobian":
            return JacobianMetric(self.score, 10 * self.variance**2, 1.0)
        jacobian = JacobianMetric(self.score, 10 * self.variance**2, 1e-6)
        return ScoreNormMetric(self.score, lam) + jacobian

    def find(self, method: str, number: int) -> Found:
        """The path of a method, computed once."""
        key = method, number
        if key not in self._found:
            self._found[key] = self._searched(method, *self._ends(number), number)
        return self._found[key]

    def _searched(self, method: str, a: Array, b: Array, number: int) -> Found:
        if method == "neighbour graph":
            began = time.perf_counter()
            nodes = np.asarray(neighbour_path(self.data, a, b))
            seconds = time.perf_counter() - began
            return Found(_evenly(nodes, _SEGMENTS), seconds=seconds)
        if (solved := METHODS[method]) is not None:
            name, start = solved
            before = self.find(start, number)
            metric = self._metric(name, a[None], b[None])
            segments = _SEGMENTS if name == "norm + Jacobian" else SEGMENTS
            found = self._timed((method,), _solve, metric, a, b, before.nodes, None, segments)
            return found._replace(
                evaluations=found.evaluations + before.evaluations,
                seconds=found.seconds + before.seconds,
            )
        if method == "Stein as published":
            metric = SteinScoreMetric(self.score, 1000.0)
            line = self.find("LERP", number).nodes
            return self._timed((method,), _solve, metric, a, b, line, 500, _SEGMENTS)
        route = NoiseRoute(self.model.score, t=self.model.t, noising="none", denoising="none")
        closed: dict[str, Any] = {
            "LERP": Lerp(),
            "SLERP": Slerp(),
            "NAO": Nao(throw=False),
            "density flow": DensityFlow(self.score),
            "string method": StringMethod(route),
        }
        schedule = self.model.score.schedule if method == "NAO" else None
        return self._timed((method,), _run, closed[method], self.model.score, schedule, a, b)

    def _timed(self, name: tuple, program: Callable[..., tuple], *arguments) -> Found:
        """The result of a program, and its seconds without compilation."""
        key = (*name, len(self.data[0]))
        if key not in self.warm:
            jax.block_until_ready(program(*arguments))
            self.warm.add(key)
        began = time.perf_counter()
        nodes, velocity, evaluations, message = jax.block_until_ready(program(*arguments))
        seconds = time.perf_counter() - began
        text = message.message if message is not None else "closed form"
        good = True if message is None else bool(message.successful)
        return Found(nodes, velocity, int(evaluations), seconds, float(good), text)

    def _path(self, row):
        number, turn = row["pair"], row["turn"]
        found = self.find(row["method"], number)
        truths = self.truths(number, 0.0, turn)
        errors = [float(_gamma(found.nodes, truth.points)) for truth in truths]
        truth = truths[int(np.argmin(errors))]
        figures = {
            "gamma_rmse": min(errors),
            "data_rmse": float(_from_data(found.nodes, self.data)),
        }
        return self._seen(figures, found, truth, slice(1, -1))

    def _beyond(self, row):
        number, turn = row["pair"], row["turn"]
        a, b = self._ends(number)
        share = jnp.asarray(self.plan.beyond / turn, a.dtype)
        name = row["method"]
        if (method := BEYOND[name]) is not None:
            before = self.find(method, number)
            solved = METHODS[method]
            assert solved is not None and before.velocity is not None
            metric = self._metric(solved[0], a[None], b[None])
            found = self._timed((name,), _shoot, metric, b, share * before.velocity)
            found = found._replace(
                evaluations=found.evaluations + before.evaluations,
                seconds=found.seconds + before.seconds,
                successful=found.successful * before.successful,
            )
        else:
            kinds = {"tangent step": TangentStep, "score-guided walk": ScoreWalk}
            path = kinds[name](self.score, self.variance) if name in kinds else Lerp()
            found = self._timed((name,), _run_beyond, path, a, b, share)
        truths = self.truths(number, turn, turn + self.plan.beyond)
        errors = [_apart(found.nodes, truth.points) for truth in truths]
        truth = truths[int(np.argmin(errors))]
        return self._seen({"rmse": min(errors)}, found, truth, slice(1, None))

    def _mean(self, row):
        glyph, angle = self.plan.pair(row["pair"])
        images = self._drawn(glyph, [angle - _SPREAD, angle, angle + _SPREAD])
        points = _encoded(self.model, images)
        began = time.perf_counter()
        middle = jnp.mean(points, axis=0)
        found = Found(middle[None], seconds=time.perf_counter() - began)
        if row["method"] != "Euclidean":
            metric = self._metric(row["method"], points[:1], points[2:])
            found = self._timed(("mean", row["method"]), _frechet, metric, points, middle)
        error = float(jnp.linalg.norm(found.nodes[0] - points[1]))
        return self._seen({"rmse": error}, found, Truth(points[1:2], images[1:2]), slice(None))

    def _principal(self, row):
        glyph, angle = self.plan.pair(row["pair"])
        images = self._drawn(glyph, angle + _FAN)
        points = _encoded(self.model, images)
        if row["method"] == "Euclidean":
            began = time.perf_counter()
            nodes, share = _principal_line(points)
            found = Found(nodes, seconds=time.perf_counter() - began)
        else:
            metric = self._metric(row["method"], points[:1], points[-1:])
            found = self._timed(("principal", row["method"]), _fitted, metric, points)
            assert found.velocity is not None
            share = float(found.velocity)
        figures = {"share": share, "rmse": _apart(found.nodes, points)}
        return self._seen(figures, found, Truth(points, images), slice(None))

    def _seen(self, figures: dict[str, Any], found: Found, truth: Truth, inside: slice):
        """The figures with those of the pictures, and the pictures as pixels."""
        nodes = _at(found.nodes, len(truth.images))
        images, decibels, apart = _pictures(self.model, self.lpips, nodes, truth.images)
        figures |= {
            "psnr": float(np.mean(np.asarray(decibels)[inside])),
            "lpips": float(np.mean(np.asarray(apart)[inside])),
            "score_evaluations": found.evaluations,
            "seconds": round(found.seconds, 4),
            "successful": found.successful,
            "result": found.result,
        }
        pixels = [to_pixels(shown[:, 0]) for shown in (images, truth.images)]
        return figures, {"frames": pixels[0], "truth": pixels[1]}


@eqx.filter_jit
def _encoded(model: LatentModel, images):
    return jax.vmap(model.encode)(images)


@eqx.filter_jit
def _solve(metric, a, b, init, adam_steps: int | None, segments: int):
    options: dict[str, Any] = {}
    if adam_steps is not None:
        options = {"solver": PathEnergy(optimiser=optax.adam(1e-3)), "diagnostics": "price"}
        options["max_steps"] = adam_steps
    path = geodesic(metric, a, b, init=init, num_segments=segments, throw=False, **options)
    return path.curve.xs, path.final_velocity, path.stats["score_evaluations"], path


@eqx.filter_jit
def _shoot(metric, x, v):
    path = exponential_map(metric, x, v, num_segments=_SEGMENTS, throw=False)
    return path.curve.xs, None, path.stats["score_evaluations"], path


def _frechet(metric, points, init):
    mean = frechet_mean(metric, points, init=init, throw=False, batch_size=len(points))
    cost = jnp.sum(mean.solutions.stats["score_evaluations"])
    return mean.point[None], None, cost, mean


def _fitted(metric, points):
    """The first principal geodesic at the points' coordinates, and its share of the variance."""
    fit = principal_geodesics(
        metric, points, 1, max_corrections=0, throw=False, batch_size=len(points)
    )
    steps = fit.coordinates[:, 0]
    nodes = jnp.stack([_shoot(metric, fit.mean.point, c * fit.components[0])[0][-1] for c in steps])
    cost = jnp.sum(fit.solutions.stats["score_evaluations"])
    return nodes, fit.explained_variance_ratio[0], cost, fit


def _principal_line(points: Array) -> tuple[Array, float]:
    """The points projected to their first principal component, and its share of the variance."""
    values = np.asarray(points, np.float64)
    mean = values.mean(axis=0)
    left, sizes, rows = np.linalg.svd(values - mean, full_matrices=False)
    line = mean + sizes[0] * np.outer(left[:, 0], rows[0])
    return jnp.asarray(line, points.dtype), float(sizes[0] ** 2 / np.sum(sizes**2))


@eqx.filter_jit
def _run(method, score, schedule, a, b):
    """A path between two points; for NAO between their seeds, standard normal points of level 1."""
    times = jnp.linspace(0, 1, _SEGMENTS + 1, dtype=a.dtype)
    if schedule is None:
        path = method.run(a, b, times)
        return path.points, None, path.score_evaluations, path
    # Points have unit variance, and noise of level 1 is added.
    scale = jnp.sqrt(schedule.alpha(1.0) ** 2 + schedule.sigma(1.0) ** 2).astype(a.dtype)
    seeds = [ddim(score, x, 0.0, 1.0) / scale for x in (a, b)]
    path = method.run(*seeds, times)
    points = jax.vmap(lambda seed: ddim(score, scale * seed, 1.0, 0.0))(path.points)
    return points, None, path.score_evaluations + 2 * 50, path  # + those to invert both ends


@eqx.filter_jit
def _run_beyond(method, a, b, share):
    times = 1 + share * jnp.linspace(0, 1, _SEGMENTS + 1, dtype=a.dtype)
    path = method.run(a, b, times)
    return path.points, None, path.score_evaluations, path


_gamma, _from_data = jax.jit(gamma_rmse), jax.jit(data_rmse)


@eqx.filter_jit
def _pictures(model: LatentModel, lpips: LPIPS, points, truth):
    images = jnp.clip(jax.vmap(model.decode)(points), -1, 1)
    apart = jax.lax.map(
        lambda both: lpips(*(jnp.repeat(image, 3, axis=0) for image in both)), (images, truth)
    )
    return images, jax.vmap(psnr)(images, truth), apart


def _at(nodes: Array, count: int) -> Array:
    """The points of a path at `count` equal times, from nodes at equal times."""
    values = np.asarray(nodes, np.float64)
    times, wanted = np.linspace(0, 1, len(values)), np.linspace(0, 1, count)
    columns = [np.interp(wanted, times, column) for column in values.T]
    return jnp.asarray(np.stack(columns, axis=1), nodes.dtype)


def _apart(nodes: Array, truth: Array) -> float:
    """The root mean squared distance at equal times."""
    first, second = np.asarray(_at(nodes, len(truth))), np.asarray(truth)
    return float(np.sqrt(np.mean(np.sum((first - second) ** 2, axis=1))))


def _evenly(nodes: np.ndarray, segments: int) -> Array:
    """The polyline through the nodes, divided into pieces of equal length."""
    walked = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(nodes, axis=0), axis=1))])
    wanted = np.linspace(0, walked[-1], segments + 1)
    columns = [np.interp(wanted, walked, column) for column in nodes.T]
    return jnp.asarray(np.stack(columns, axis=1), nodes.dtype)
