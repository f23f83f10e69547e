"""Between two photographs: paths among the latents of a conditioned model, and their pictures.

What `compare` is to images that are points themselves, `compare_latents` is to a latent diffusion
model: the paths are found among noised latents, points are denoised and decoded a chunk at a time,
and the condition may change on the way from A to B.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..geodesics import RESULTS, AbstractRule, Midpoint, exponential_map, geodesic
from ..metrics import AbstractMetric
from ..scores import AbstractScore, ConditionBetween, ScoreAt, ddim, ddim_inversion
from ._base import AbstractInterpolator
from ._comparison import Comparison, PathRecord
from ._geodesic import ExtendedGeodesic
from ._lerp import Lerp
from ._seconds import stopwatch
from ._slerp import Slerp

_ORDER = 3  # Gauss-Legendre points a segment of the fine prices


def compare_latents(
    score: AbstractScore,
    latents: Float[Array, "2 *shape"],
    given: Float[Array, "2 *pixels"],
    *,
    metric: Callable[[ScoreAt], AbstractMetric],
    decode: Callable[[Array], Array],
    conditions: tuple[Any, Any],
    t: float,
    key: Key[Array, ""],
    noising: Literal["shared", "inversion"] = "shared",
    num_steps: int = 50,
    chunk: int = 4,
    until: float = 1.0,
    frames: int = 17,
    options: Mapping[str, Any] | None = None,
    baselines: Mapping[str, AbstractInterpolator] | None = None,
    evaluations: int = 1,
    on_stage: Callable[[str], None] | None = None,
) -> Comparison:
    """The geodesic from A to B among noised latents, beside baselines, with pictures and figures.

    - ``score``: on latents; ``latents``: of A and B; ``given``: the photographs themselves.
    - ``metric``: makes the metric from the score at level ``t``.
    - ``decode``: from one latent to its pixels.
    - ``conditions``: the ``args`` of the score at A and at B; where they are not one object, they
      are mixed on the way (`ConditionBetween`).
    - ``noising``: "shared" adds one noise, drawn with ``key``, to both; "inversion" is DDIM
      backwards, and its reconstruction errors are told in the notes.
    - ``num_steps``: of DDIM. ``chunk``: how many points are denoised or decoded at once.
    - ``until``, ``frames``, ``on_stage``: as for `compare`.
    - ``options``: of `geodesic`. ``baselines``: by name, default LERP and SLERP.
    - ``evaluations``: how many network evaluations one of the score takes (2 with guidance).

    Figures as for `compare`, and ``network_evaluations``: those to find the path and to make its
    pictures, all counted. **Raises:** `ValueError` when ``chunk``, ``frames``, ``until`` or
    ``noising`` is out of range.

    >>> import jax, jax.numpy as jnp, geojax
    >>> from geojax.interpolation import compare_latents
    >>> score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=1.0)
    >>> ends = jnp.asarray([[2.0, 0.0], [0.0, 2.0]])
    >>> result = compare_latents(
    ...     score, ends, ends, metric=geojax.SteinScoreMetric, decode=lambda z: z, t=0.4,
    ...     conditions=(None, None), key=jax.random.key(0), options={"num_segments": 8}, frames=3)
    >>> {name: record.images.shape for name, record in result.records.items()}
    {'LERP': (3, 2), 'SLERP': (3, 2), 'geodesic': (3, 2)}
    """
    _check(chunk=chunk >= 1, frames=frames >= 2, until=until >= 1)
    stage = on_stage or (lambda name: None)
    options = dict(options or {})
    methods = {"LERP": Lerp(), "SLERP": Slerp()} if baselines is None else dict(baselines)
    stage("noise")
    ends, noise, notes = _noised(score, latents, conditions, t, noising, num_steps, key)
    args: Any = conditions[0]
    guide = score
    if conditions[0] is not conditions[1]:
        guide = ConditionBetween(score, latents, noise)  # pyright: ignore
        args = tuple(conditions)
    chosen = metric(guide.at(t))
    stage("geodesic")
    with stopwatch() as seconds:
        solution = geodesic(chosen, ends[0], ends[1], args=args, throw=False, **options)
        jax.block_until_ready(solution)
    num_segments = len(solution.curve.ts) - 1
    node_times, frame_times = _times(until, num_segments), _times(until, frames - 1)
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
        counted = ("energy_drift", "num_steps", "score_evaluations")
        extension_figures = {
            name.removeprefix("num_"): extension.stats[name].item() for name in counted
        } | extension_seconds
    stage("figures")
    path = ExtendedGeodesic(solution, extension, until)
    rule = options.get("rule") or Midpoint()
    nodes, points, prices = {}, {}, {}
    for name in [*methods, "geodesic"]:
        at = (
            path.evaluate
            if name == "geodesic"
            else lambda ts, method=methods[name]: method(ends[0], ends[1], ts, key=key)
        )
        nodes[name], points[name] = (
            at(jnp.asarray(ts, ends.dtype)) for ts in (node_times, frame_times)
        )
        prices[name] = _price(chosen, guide.at(t), rule, nodes[name], node_times, args, chunk)
    stage("images")
    shares = jnp.asarray(np.clip(frame_times, 0, 1), ends.dtype)
    draw = _Pictures(score, decode, conditions, t, num_steps)
    images = {name: in_chunks(draw, chunk, zs, shares) for name, zs in points.items()}
    steps = np.diff(node_times)
    records = {}
    first = next(iter(points))
    for name in points:
        density, rates, energies = (np.asarray(a) for a in prices[name])
        density_within, tau = density[:num_segments], steps[:num_segments]
        energy, fine = float(np.sum(energies[:num_segments])), float(density_within @ tau)
        log_density = np.concatenate([[0.0], np.cumsum(rates * steps)])
        found = name == "geodesic"
        count = int(solution.stats["score_evaluations"]) if found else 0
        within = frame_times <= 1
        figures = {
            "energy": energy,
            "energy_fine": fine,
            "resolution": abs(fine - energy) / energy if energy else 0.0,
            "length": float(np.sqrt(2 * energies[:num_segments] * tau).sum()),
            "lower_bound": float(solution.stats["lower_bound"]),
            "deviation": _deviation(points[name], points[first], within),
            "picture_deviation": _deviation(images[name], images[first], within),
            "log_density_change": float(log_density[num_segments]),
            "iterations": int(solution.stats["num_steps"]) if found else 0,
            "score_evaluations": count,
            "score_products": int(solution.stats["score_products"]) if found else 0,
            "network_evaluations": evaluations * (count + len(frame_times) * num_steps),
            **(seconds if found else {"seconds": 0.0, "compile_seconds": 0.0}),
        }
        records[name] = PathRecord(
            np.asarray(points[name]), images[name], density, log_density, figures
        )
    problems = []
    for kind, solved in (("geodesic", solution), ("extrapolation", extension)):
        if solved is not None and bool(solved.result != RESULTS.successful):
            problems.append(f"The {kind}: {solved.message}")
    return Comparison(
        records,
        frame_times,
        node_times,
        np.asarray(given),
        solution,
        extension,
        extension_figures,
        problems,
        notes,
    )


def _check(**good: bool) -> None:
    bounds = {"chunk": "at least 1", "frames": "at least 2", "until": "at least 1, the time of B"}
    for name, fine in good.items():
        if not fine:
            raise ValueError(f"{name} must be {bounds[name]}.")


def _noised(score, latents, conditions, t, noising, num_steps, key):
    """A and B at level t, their noises, and what was lost on the way."""
    schedule = score.schedule
    if noising == "shared":
        eps = jax.random.normal(key, latents.shape[1:], latents.dtype)
        noise = jnp.stack([eps, eps])
        return schedule.add_noise(latents, noise, t), noise, []
    if noising != "inversion":
        raise ValueError(f"noising must be 'shared' or 'inversion', got {noising!r}.")
    inverted = [
        ddim_inversion(score, x, t, num_steps=num_steps, args=args)
        for x, args in zip(latents, conditions, strict=True)
    ]
    ends = jnp.stack([i.point for i in inverted])
    alpha, sigma = (f(t).astype(ends.dtype) for f in (schedule.alpha, schedule.sigma))
    errors = " and ".join(f"{float(i.error):.1%}" for i in inverted)
    note = f"DDIM inversion and back changes the latents of A and B by {errors}."
    return ends, (ends - alpha * latents) / sigma, [note]


def _times(until: float, per_unit: int) -> np.ndarray:
    """Times from 0 to 1 and on to ``until``, (nearly) equally spaced, 1 among them."""
    beyond = max(1, round((until - 1) * per_unit)) if until > 1 else 0
    later = 1 + (until - 1) * np.arange(1, beyond + 1) / max(beyond, 1)
    return np.concatenate([np.linspace(0, 1, per_unit + 1), later])


@eqx.filter_jit
def _price(
    metric: AbstractMetric, score, rule: AbstractRule, nodes, times, args, chunk: int
) -> tuple[Array, Array, Array]:
    """By segment: the means of ``1/2 g(x', x')`` and of ``s . x'``, finely; the rule's energy."""
    places, weights = np.polynomial.legendre.leggauss(_ORDER)
    steps = jnp.diff(jnp.asarray(times, nodes.dtype))
    taus = jnp.repeat(steps, _ORDER)
    starts, deltas = (jnp.repeat(a, _ORDER, axis=0) for a in (nodes[:-1], jnp.diff(nodes, axis=0)))
    shares = jnp.tile(jnp.asarray((places + 1) / 2, nodes.dtype), len(steps))

    def fine(start, delta, tau, share):
        x, v = start + share * delta, delta / tau
        return metric.inner(x, v, v, args) / 2, jnp.vdot(score(x, args), v)

    def coarse(pair, tau):
        return rule.segment_energies(metric, pair, args)[0] / tau

    mapped = jax.lax.map(lambda a: fine(*a), (starts, deltas, taus, shares), batch_size=chunk)
    pairs = jnp.stack([nodes[:-1], nodes[1:]], axis=1)
    energies = jax.lax.map(lambda a: coarse(*a), (pairs, steps), batch_size=chunk)
    share = jnp.asarray(weights / 2, nodes.dtype)
    density, rates = (a.reshape(-1, _ORDER) @ share for a in mapped)
    return density, rates, energies


class _Pictures(eqx.Module):
    """From a point at level t and its parameter on the path to its picture."""

    score: AbstractScore
    decode: Callable[[Array], Array]
    conditions: tuple[Any, Any]
    t: float = eqx.field(static=True)
    num_steps: int = eqx.field(static=True)

    def __call__(self, z, share):
        def mix(a, b):
            return (1 - share).astype(a.dtype) * a + share.astype(a.dtype) * b

        args = jax.tree.map(mix, *self.conditions)
        return self.decode(ddim(self.score, z, self.t, 0.0, num_steps=self.num_steps, args=args))


def in_chunks(
    function: Callable[..., Array], chunk: int, *arrays: Array
) -> Float[np.ndarray, "points *shape"]:
    """``function`` over the leading axes, ``chunk`` points at a time, on the host.

    The last chunk is filled up, so that one program serves all.
    """
    count = len(arrays[0])
    fill = -count % chunk
    padded = [jnp.concatenate([a, jnp.repeat(a[-1:], fill, axis=0)]) for a in arrays]
    parts = [
        np.asarray(_mapped(function, *(a[i : i + chunk] for a in padded)))
        for i in range(0, count + fill, chunk)
    ]
    return np.concatenate(parts)[:count]


@eqx.filter_jit
def _mapped(function, *arrays):
    return jax.vmap(function)(*arrays)


def _deviation(path: Any, reference: Any, within: np.ndarray) -> float:
    """The largest distance at the same time, relative to the distance of the reference's ends."""
    path, reference = np.asarray(path)[within], np.asarray(reference)[within]
    chord = np.linalg.norm(reference[-1] - reference[0])
    apart = np.linalg.norm((path - reference).reshape(len(path), -1), axis=1)
    return float(np.max(apart) / chord) if chord else 0.0
