"""The other methods at the level of a pipeline: between its points, without images."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._verdicts import Notice
from ..scores import AbstractPipeline, ConditionBetween, NoiseRoute, PathEnds
from ._base import InterpolatedPath, closed_form_path
from ._noise_diffusion import NoiseDiffusion
from ._pictures import moved
from ._registry import MethodSettings, interpolator
from ._routed import Routed
from ._slerp import Slerp
from ._string_method import StringMethod


class Level(NamedTuple):
    """The level of the geometry: a route to it, the score there and its `args`."""

    route: NoiseRoute
    score: Callable[..., Any]
    args: Any

    @classmethod
    def of(cls, pipeline: AbstractPipeline, ends: PathEnds) -> "Level":
        score, args = pipeline.score, pipeline.conditions[0]
        if pipeline.conditions[0] is not pipeline.conditions[1]:
            score = ConditionBetween(score, ends.clean, noise_of(pipeline, ends))  # pyright: ignore
            args = tuple(pipeline.conditions)
        noising = "shared" if _adds_noise(pipeline) else "none"
        route = NoiseRoute(score, pipeline.t, noising, "ddim", args=args)
        return cls(route, score.at(route.t), args)


def _adds_noise(pipeline: AbstractPipeline) -> bool:
    return isinstance(pipeline, NoiseRoute) and pipeline.noising != "none"


def noise_of(pipeline: AbstractPipeline, ends: PathEnds) -> Array:
    """The noise that was added to A and B."""
    schedule, t, dtype = pipeline.score.schedule, pipeline.t, ends.points.dtype
    alpha, sigma = schedule.alpha(t).astype(dtype), schedule.sigma(t).astype(dtype)
    return (ends.points - alpha * ends.clean) / sigma


def method_at_level(
    name: str, settings: MethodSettings, pipeline: AbstractPipeline, ends: PathEnds
) -> Callable[[Array, Array], InterpolatedPath]:
    """The method of that name between points at the level: a function of the ends and times."""
    method = interpolator(name, settings)
    if isinstance(method, NoiseDiffusion):
        if not isinstance(pipeline, NoiseRoute) or pipeline.noising == "none":
            raise ValueError("method 'NoiseDiffusion' needs a pipeline that adds noise.")
        noise = noise_of(pipeline, ends)
        if pipeline.noising == "shared":  # on a circle, so each needs its own
            noise = jax.random.normal(settings.key, ends.clean.shape, ends.clean.dtype)
        return lambda points, ts: closed_form_path(method.at_level(ends.clean, noise, ts))
    if isinstance(method, StringMethod):
        return lambda points, ts: _string(method, settings, pipeline, ends, ts)
    assert isinstance(method, Routed)
    inner, level, t = method.inner, float(method.route.t), float(settings.route.t)

    def run(points, ts):
        if level == t:
            return inner.run(points[0], points[1], ts)
        # Move the ends to the other level, find the path there, and move its points back.
        assert isinstance(pipeline, NoiseRoute)
        way = pipeline, settings.rule
        there, up = moved((*way, jnp.asarray([0, 1], ts.dtype), t, level), jnp.array(points))
        path = inner.run(there[0], there[1], ts)
        given = *way, jnp.clip(ts, 0, 1), level, t
        back, down = moved(given, jnp.array(path.points))
        evaluations = path.score_evaluations + jnp.sum(up) + jnp.sum(down)
        return dataclasses.replace(path, points=back, score_evaluations=evaluations)

    return run


def _string(method: StringMethod, settings, pipeline, ends: PathEnds, ts) -> InterpolatedPath:
    """The noiseless points of the string, moved back to the level that images are made from."""
    if not isinstance(pipeline, NoiseRoute):
        return method.descend(ends.clean, ends.points, ts)
    route = dataclasses.replace(method.route, num_steps=pipeline.num_steps)
    start = Slerp() if pipeline.noising == "inversion" else method.start
    path = dataclasses.replace(method, route=route, start=start)
    path = path.descend(ends.clean, ends.points, ts)
    given = pipeline, settings.rule, jnp.clip(ts, 0, 1), 0.0, float(pipeline.t)
    points, up = moved(given, jnp.array(path.points))
    evaluations = path.score_evaluations + jnp.sum(up)
    return dataclasses.replace(path, points=points, score_evaluations=evaluations)


def lost_on_the_way(pipeline: AbstractPipeline, ends: PathEnds) -> list[Notice]:
    """A notice of how much the way to the level and back changes A and B."""
    if ends.loss is None:
        return []
    changes = " and ".join(f"{float(loss):.1%}" for loss in ends.loss)
    way = "The way to the noise level"
    if isinstance(pipeline, NoiseRoute):
        way = {"probability_flow": "The probability flow"}.get(pipeline.denoising, "DDIM")
    return [Notice(f"{way} backwards and forwards again changes A and B by {changes}.")]
