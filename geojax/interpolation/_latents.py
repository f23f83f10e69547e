"""Between two photographs: paths among the latents of a conditioned model, and their pictures.

What `compare` is to images that are points themselves, `compare_latents` is to a latent diffusion
model: the paths are found among noised latents, points are denoised and decoded a block at a time,
and the condition may change on the way from A to B.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from .._arrays import takes_arrays
from .._linalg import dot, matmul
from .._verdicts import Notice
from ..geodesics import (
    RESULTS,
    AbstractRule,
    AbstractSolver,
    GeodesicSolution,
    Midpoint,
    TwoPointProblem,
    exponential_map,
    geodesic,
)
from ..metrics import AbstractMetric
from ..scores import AbstractScore, ConditionBetween
from ._base import InterpolatedPath, found
from ._comparison import Comparison, PathRecord, deviation, end_of, verdict
from ._geodesic import ExtendedGeodesic
from ._interpolate import path_times
from ._noise_diffusion import NoiseDiffusion
from ._pictures import SAMPLERS, Pictures, Sampler, moved, shared_noise
from ._registry import NAMED_METRICS, MethodSettings, check_methods, interpolator
from ._route import NoiseRoute
from ._routed import Routed
from ._seconds import stopwatch
from ._slerp import Slerp
from ._string_method import StringMethod

_ORDER = 3  # Gauss-Legendre points a segment of the fine prices


@takes_arrays("latents")
@takes_arrays("given")
def compare_latents(
    score: AbstractScore,
    latents: Float[Array, "2 *shape"],
    given: Float[Array, "2 *pixels"],
    *,
    decode: Callable[[Array], Array],
    conditions: tuple[Any, Any],
    t: float,
    key: Key[Array, ""],
    metric: Callable[[MethodSettings], AbstractMetric] = NAMED_METRICS["Stein"],
    lam: float = 0.1,
    rule: AbstractRule | None = None,
    solver: AbstractSolver | None = None,
    num_segments: int = 32,
    max_steps: int = 200,
    certify: bool = True,
    methods: Sequence[str] = ("SLERP",),
    noising: Literal["shared", "inversion"] = "inversion",
    denoising: Sampler = "ddim",
    num_steps: int = 50,
    flow_rtol: float = 1e-4,
    until: float = 1.0,
    frames: int = 17,
    evaluations: int = 1,
    on_stage: Callable[[str], None] | None = None,
    on_share: Callable[[float], None] | None = None,
    find: Callable[..., GeodesicSolution] = geodesic,
) -> Comparison:
    """The geodesic from A to B among noised latents, beside other paths, with pictures and figures.

    - ``score``: on latents; ``latents``: of A and B; ``given``: the photographs themselves.
    - ``decode``: from one latent to its pixels.
    - ``conditions``: the ``args`` of the score at A and at B; where they are not one object, they
      are mixed on the way (`ConditionBetween`).
    - ``metric``: one of `NAMED_METRICS`, or a function like these; ``lam``: its weight.
    - ``rule``: how a segment is priced. Its ``batch_size`` and ``devices`` hold for everything, so
      also for denoising and decoding. Default: ``Midpoint(batch_size=4)``.
    - ``solver``, ``num_segments``, ``max_steps``, ``certify``: as for `geodesic`.
    - ``methods``: names of `INTERPOLATORS`, and where ``until`` is beyond B of `EXTRAPOLATORS`,
      besides LERP, which is always there. They are set up
      among the noised latents; how a solve of theirs ended is told in the notes.
    - ``noising``: "inversion" is the way of ``denoising`` backwards, and what it loses is told in
      the notes; "shared" adds one noise, drawn with ``key``, to both.
    - ``denoising``: "ddim", of ``num_steps`` steps, or "probability_flow", the ODE, to the
      tolerance ``flow_rtol``.
    - ``until``, ``frames``: as for `compare`.
    - ``evaluations``: how many network evaluations one of the score takes (2 with guidance).
    - ``on_stage``: called with "noise", "geodesic", "methods", "extension", "figures", "images" as
      each begins; ``on_share`` with the share of the images that is done.
    - ``find``: as for `compare`.

    Figures as for `compare`, those beyond B counted with the path's, and ``network_evaluations``:
    to invert A and B, to find the path and to make its pictures, all counted. What these figures
    themselves take is told apart, as ``pricing_evaluations``. The same programs serve all pairs of
    one shape.

    **Raises:** `ValueError` when ``frames``, ``until``, ``noising`` or ``denoising`` is out of
    range, on an unknown method, and on one that ends at B where ``until`` is beyond.

    >>> import jax, jax.numpy as jnp, geojax
    >>> from geojax.interpolation import compare_latents
    >>> score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=1.0)
    >>> ends = jnp.asarray([[2.0, 0.0], [0.0, 2.0]])
    >>> result = compare_latents(
    ...     score, ends, ends, decode=lambda z: z, t=0.4, conditions=(None, None),
    ...     key=jax.random.key(0), num_segments=8, frames=3)
    >>> {name: record.images.shape for name, record in result.records.items()}
    {'LERP': (3, 2), 'SLERP': (3, 2), 'geodesic': (3, 2)}
    """
    _check(frames, until, noising, denoising)
    check_methods(methods, until)
    stage, share_done = on_stage or (lambda name: None), on_share or (lambda share: None)
    rule = Midpoint(batch_size=4) if rule is None else rule
    pictures = Pictures(score, decode, conditions, rule, t, denoising, num_steps, flow_rtol)
    stage("noise")
    if noising == "shared":
        ends, noise = shared_noise(score.schedule, latents, t, key)
        noised, notes = 0, []
    else:
        ends, noise, noised, notes = _inverted(pictures, latents)
    args: Any = conditions[0]
    guide = score
    if conditions[0] is not conditions[1]:
        guide = ConditionBetween(score, latents, noise)  # pyright: ignore
        args = tuple(conditions)
    settings = MethodSettings(
        NoiseRoute(guide, t, "shared", args=args),
        latents.shape[1:],
        jax.random.fold_in(key, 1),
        lam,
        num_segments,
        max_steps,
        Midpoint(rule.batch_size, rule.devices),
        ends[0],
    )
    paths = {
        name: _method(name, settings, pictures, noising, latents, noise)
        for name in dict.fromkeys(["LERP", *methods])
    }
    chosen = metric(settings)
    stage("geodesic")
    with stopwatch() as seconds:
        solution = find(
            chosen,
            ends[0],
            ends[1],
            args,
            solver=solver,
            num_segments=num_segments,
            rule=rule,
            max_steps=max_steps,
            certify=certify,
            throw=False,
        )
        jax.block_until_ready(solution)
    until = end_of(solution, until)
    node_times, frame_times = path_times(until, num_segments), path_times(until, frames - 1)
    extension, extension_figures = None, {}
    if until > 1:
        stage("extension")
        with stopwatch() as extension_seconds:
            extension = exponential_map(
                chosen,
                ends[1],
                (until - 1) * solution.final_velocity,
                args,
                num_segments=len(node_times) - 1 - num_segments,
                throw=False,
            )
            jax.block_until_ready(extension)
        counted = ("energy_drift", "num_steps", "score_evaluations", "score_products")
        extension_figures = {
            name.removeprefix("num_"): extension.stats[name].item() for name in counted
        } | extension_seconds
    stage("methods")
    all_times = jnp.asarray(np.concatenate([node_times, frame_times]), ends.dtype)
    runs, times = {}, {}
    for name, method in paths.items():
        with stopwatch() as times[name]:
            runs[name] = jax.block_until_ready(method(ends, all_times))
        if bool(runs[name].result != RESULTS.successful):
            notes.append(runs[name].notice().of(name))
    path = ExtendedGeodesic(solution, extension, until)
    runs["geodesic"] = InterpolatedPath(path.evaluate(all_times), solution.result, *path.cost)
    times["geodesic"] = seconds
    stage("figures")
    nodes = {name: run.points[: len(node_times)] for name, run in runs.items()}
    points = {name: run.points[len(node_times) :] for name, run in runs.items()}
    pricing = _pricing_cost(chosen, rule, len(node_times) - 1)
    prices = {
        name: _price(chosen, settings.score, rule, xs, node_times, args)
        for name, xs in nodes.items()
    }
    stage("images")
    images, denoised = {}, {}
    for i, (name, zs) in enumerate(points.items()):

        def heard(done, i=i):
            share_done((i * len(frame_times) + done) / (len(points) * len(frame_times)))

        images[name], denoised[name] = pictures.of(zs, np.clip(frame_times, 0, 1), heard)
    records = {}
    within, steps = frame_times <= 1, np.diff(node_times)
    for name, run in runs.items():
        density, rates, energies = (np.asarray(a) for a in prices[name])
        tau = steps[:num_segments]
        energy = float(energies[:num_segments].sum())
        fine = float(np.dot(density[:num_segments], tau))
        log_density = np.concatenate([[0.0], np.cumsum(rates * steps)])
        found_by_solving, count = name == "geodesic", int(run.score_evaluations)
        figures = {
            "energy": energy,
            "energy_fine": fine,
            "discretisation_error": abs(fine - energy) / energy if energy else 0.0,
            "length": float(np.sqrt(2 * energies[:num_segments] * tau).sum()),
            "lower_bound": float(solution.stats["lower_bound"]),
            "deviation": deviation(*(np.asarray(points[n])[within] for n in (name, "LERP"))),
            "picture_deviation": deviation(images[name][within], images["LERP"][within]),
            "log_density_change": float(log_density[num_segments]),
            "iterations": int(solution.stats["num_steps"]) if found_by_solving else 0,
            "score_evaluations": count,
            "score_products": int(run.score_products),
            "network_evaluations": evaluations * (noised + count + denoised[name]),
            "pricing_evaluations": evaluations * pricing,
            **(times[name] if count else {"seconds": 0.0, "compile_seconds": 0.0}),
        }
        message = run.message if count else "closed form"
        records[name] = PathRecord(
            np.asarray(points[name]), images[name], density, log_density, figures, message
        )
    problems, remarks = verdict(records, solution, extension)
    return Comparison(
        records,
        frame_times,
        node_times,
        np.asarray(given),
        solution,
        extension,
        extension_figures,
        problems,
        notes + remarks,
    )


def _check(frames, until, noising, denoising) -> None:
    for name, good, wanted in (
        ("frames", frames >= 2, "at least 2"),
        ("until", until >= 1, "at least 1, the time of B"),
        ("noising", noising in ("shared", "inversion"), "'shared' or 'inversion'"),
        ("denoising", denoising in SAMPLERS, " or ".join(map(repr, SAMPLERS))),
    ):
        if not good:
            given = {"frames": frames, "until": until, "noising": noising, "denoising": denoising}
            raise ValueError(f"{name} must be {wanted}, got {given[name]!r}.")


def _method(
    name: str,
    settings: MethodSettings,
    pictures: Pictures,
    noising: str,
    latents: Array,
    noise: Array,
) -> Callable[[Array, Array], InterpolatedPath]:
    """The method of that name among noised latents: from the ends and times to a path."""
    method = interpolator(name, settings)
    if isinstance(method, NoiseDiffusion):
        if noising == "shared":  # its noises lie on a circle: one for both would not
            noise = jax.random.normal(settings.key, latents.shape, latents.dtype)
        return lambda ends, ts: found(method.at_level(latents, noise, ts))
    if isinstance(method, StringMethod):
        return lambda ends, ts: _string(method, pictures, noising, latents, ends, ts)
    assert isinstance(method, Routed)
    inner, level, t = method.inner, float(method.route.t), float(settings.route.t)

    def run(ends, ts):
        if level == t:
            return inner.run(ends[0], ends[1], ts)
        # Among the seeds of another level, and back from there.
        there, up = moved((pictures, jnp.asarray([0, 1], ts.dtype), t, level), jnp.array(ends))
        path = inner.run(there[0], there[1], ts)
        given = pictures, jnp.clip(ts, 0, 1), level, t
        points, down = moved(given, jnp.array(path.points))
        evaluations = path.score_evaluations + jnp.sum(up) + jnp.sum(down)
        return dataclasses.replace(path, points=points, score_evaluations=evaluations)

    return run


def _string(method: StringMethod, pictures: Pictures, noising: str, latents, ends, ts):
    """The string's latents without noise, taken back to level t, where pictures are made from."""
    route = dataclasses.replace(method.route, num_steps=pictures.num_steps)
    start = Slerp() if noising == "inversion" else method.start
    path = dataclasses.replace(method, route=route, start=start).descend(latents, ends, ts)
    given = pictures, jnp.clip(ts, 0, 1), 0.0, pictures.t
    points, up = moved(given, jnp.array(path.points))
    evaluations = path.score_evaluations + jnp.sum(up)
    return dataclasses.replace(path, points=points, score_evaluations=evaluations)


def _inverted(pictures: Pictures, latents):
    """A and B at level t by the sampler backwards, their noises, and what was lost on the way."""
    schedule, t = pictures.score.schedule, pictures.t
    ends, errors, evaluations = pictures.to_level(latents)
    alpha, sigma = (f(t).astype(ends.dtype) for f in (schedule.alpha, schedule.sigma))
    told = " and ".join(f"{float(error):.1%}" for error in errors)
    way = {"ddim": "DDIM", "probability_flow": "The probability flow"}[pictures.sampler]
    note = Notice(f"{way} backwards and forwards again changes the latents of A and B by {told}.")
    return ends, (ends - alpha * latents) / sigma, evaluations, [note]


def _pricing_cost(metric: AbstractMetric, rule: AbstractRule, num_segments: int) -> int:
    """Score evaluations of `_price`."""
    problem = TwoPointProblem(metric, rule, None)
    fine = num_segments * _ORDER * (problem.rank + 1)
    return fine + problem.energy_cost(num_segments)


@eqx.filter_jit
def _price(
    metric: AbstractMetric, score, rule: AbstractRule, nodes, times, args
) -> tuple[Array, Array, Array]:
    """By segment: the means of ``1/2 g(x', x')`` and of ``s . x'``, finely; the rule's energy."""
    places, weights = np.polynomial.legendre.leggauss(_ORDER)
    steps = jnp.diff(jnp.asarray(times, nodes.dtype))
    taus = jnp.repeat(steps, _ORDER)
    starts, deltas = (jnp.repeat(a, _ORDER, axis=0) for a in (nodes[:-1], jnp.diff(nodes, axis=0)))
    shares = jnp.tile(jnp.asarray((places + 1) / 2, nodes.dtype), len(steps))

    def fine(start, delta, tau, share):
        x, v = start + share * delta, delta / tau
        return metric.inner(x, v, v, args) / 2, dot(score(x, args), v)

    mapped = rule.map(fine, starts, deltas, taus, shares)
    energies = rule.segment_energies(metric, nodes, args) / (len(steps) * steps)
    share = jnp.asarray(weights / 2, nodes.dtype)
    density, rates = (matmul(a.reshape(-1, _ORDER), share) for a in mapped)
    return density, rates, energies
