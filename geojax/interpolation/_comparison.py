"""The geodesic beside other paths, from image to image: paths, images and figures.

Everything here is for one pair of images and runs on the host. The command line and the notebooks
show it. Paths and their energies are computed at the level of the pipeline; it turns them into
images, a block at a time.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from .._arrays import Numbers, as_alike, as_floating, refuse_pixels
from .._verdicts import Notice
from ..geodesics import (
    RESULTS,
    AbstractRule,
    AbstractSolver,
    Diagnostics,
    GeodesicSolution,
    SplineGauss,
    exponential_map,
    geodesic,
)
from ..metrics import AbstractMetric
from ..scores import AbstractPipeline, ScoreContrast
from ..scores import score_contrast as find_contrast
from ._base import AbstractInterpolator, InterpolatedPath
from ._default import chosen_geometry, has_start_metric
from ._geodesic import ExtendedGeodesic
from ._interpolate import path_times, suited_lam
from ._level import Level, lost_on_the_way, method_at_level
from ._pictures import pictures
from ._price import price_path, pricing_cost
from ._registry import NAMED_METRICS, MethodSettings, check_methods
from ._seconds import stopwatch
from ._truth import against_truth, true_images
from ._verdict import deviation, verdict

METHODS = ("LERP", "SLERP", "geodesic")


class PathRecord(NamedTuple):
    """The path of one method in a comparison. Times run from 0 (A) to 1 (B) and on to `until`.

    **Arguments:**

    - `points`, `images`: at the frame times, shape `(frames, *shape)` and `(frames, *image)`.
    - `energy_density`: `1/2 g(x', x')` on each segment, shape `(segments,)`. Its mean over [0, 1]
      is the energy.
    - `log_density`: log p_t less its value at A, at the nodes, shape `(segments + 1,)`: the line
      integral of the score along the path.
    - `figures`: by name, for the path from A to B:
      - `energy` (by the rule of the solve), `energy_fine` (at other points too) and
        `discretisation_error` (their relative difference);
      - `length`, and `lower_bound` (of the length of any path);
      - `detour` (Euclidean length over |B - A|), `deviation` (largest distance from LERP at the
        same time, relative to |B - A|), `picture_deviation` (the same for the images);
      - `log_density_change`;
      - `iterations`, `score_evaluations` and `score_products` (to find the path),
        `network_evaluations` (to invert A and B, to find the path and to make its images),
        `pricing_evaluations` (of the network, to compute these figures);
      - `seconds` and, of these, `compile_seconds`;
      - with a truth, `psnr` (mean over the images between A and B, in decibels) and, beyond B,
        `psnr_beyond`.
    - `message`: how the method ended.
    """

    points: Float[np.ndarray, "frames *shape"]
    images: Float[np.ndarray, "frames *image"]
    energy_density: Float[np.ndarray, " segments"]
    log_density: Float[np.ndarray, " nodes"]
    figures: dict[str, float | int]
    message: str = "closed form"


class Comparison(NamedTuple):
    """The result of `compare`.

    **Arguments:**

    - `records`: by method: LERP, the other requested methods, the geodesic.
    - `frame_times`, `node_times`: of the images and points, and of the curves.
    - `given`: the two images, shape `(2, *image)`.
    - `truth`: the true images, shape `(frames, *image)`, or None.
    - `contrast`: whether the score detects that this chord leaves the data.
    - `lam`: the weight of s s^T.
    - `metric`: a description of the metric and of the start of its solve.
    - `leading`: the geodesic of another metric that the solve started from, or None.
    - `solution`, `extension`: the geodesic and, beyond B, its continuation (or None).
    - `extension_figures`: `energy_drift`, `steps`, `score_evaluations`, `score_products`,
      `seconds`, `compile_seconds`; empty without an extension.
    - `problems`: what went wrong; empty when every solve succeeded. `str` of each gives the problem
      and the remedy.
    - `notes`: what a reader should know, in the same form.
    """

    records: dict[str, PathRecord]
    frame_times: Float[np.ndarray, " frames"]
    node_times: Float[np.ndarray, " nodes"]
    given: Float[np.ndarray, "2 *image"]
    truth: Float[np.ndarray, "frames *image"] | None
    contrast: ScoreContrast
    lam: float
    metric: str
    leading: GeodesicSolution | None
    solution: GeodesicSolution
    extension: GeodesicSolution | None
    extension_figures: dict[str, float | int]
    problems: list[Notice]
    notes: list[Notice]


def compare(
    pipeline: AbstractPipeline,
    image_a: Numbers,
    image_b: Numbers,
    *,
    key: Key[Array, ""],
    metric: str | Callable[[MethodSettings], AbstractMetric] | None = None,
    lam: Numbers | str = "auto",
    solver: AbstractSolver | None = None,
    num_segments: int = 16,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    diagnostics: Diagnostics = "full",
    methods: Sequence[str] = ("SLERP",),
    until: float = 1.0,
    frames: int = 17,
    truth: Callable[[float], Numbers] | None = None,
    on_stage: Callable[[str], None] | None = None,
    on_share: Callable[[float], None] | None = None,
    find: Callable[..., GeodesicSolution] = geodesic,
    start: AbstractInterpolator | None = None,
) -> Comparison:
    """Compare the geodesic from A to B, and on to time `until`, with other paths and their figures.

    An unsuccessful solve does not raise: read `problems`. The same compiled programs serve all
    pairs of one shape.

    **Arguments:**

    - `pipeline`: takes the images to the space of the geometry and the paths back to images: a
      [`geojax.NoiseRoute`][], a latent model, or your own. If its conditions differ at A and B,
      they are mixed along the path ([`geojax.ConditionBetween`][]).
    - `image_a`, `image_b`: of one shape.
    - `key`: for random numbers: the noise that both images share, the probes of the smoothed
      metric.
    - `metric`: a name of [`geojax.interpolation.NAMED_METRICS`][], or a function like these. It is
      then the only metric, and its solve starts from the straight line. None: as for
      [`geojax.interpolate`][]: "Stein", or where points carry no noise and `lam` is "auto" the
      metric of J^T J of weight 10 sigma^4, started from the geodesic of "Stein".
    - `lam`: the weight of the metric, or "auto" ([`geojax.score_contrast`][]).
    - `solver`, `num_segments`, `max_steps`, `diagnostics`: as for [`geojax.geodesic`][].
    - `rule`: of the energy of a segment. Its `batch_size` and `devices` hold for everything, also
      for denoising and decoding. Default: `SplineGauss()`, all points at once.
    - `methods`: names of `INTERPOLATORS` and, if `until` is above 1, of `EXTRAPOLATORS`. LERP is
      always included. The notes report how each solve ended.
    - `until`: the last time, at least 1.
    - `frames`: how many images from A to B; beyond B they have the same spacing.
    - `truth`: a function from a time to the true image there; adds figures.
    - `on_stage`: called with "noise", "start" (only with a start from another metric), "geodesic",
      "extension", "methods", "figures", "images" as each begins.
    - `on_share`: called with the finished share of the images.
    - `find`: finds the geodesic; called as `geodesic` is. If its search was interrupted, the paths
      end at B.
    - `start`: the interpolator whose path the solver starts from, instead of the straight line or
      another geodesic.

    **Returns:**

    A [`geojax.Comparison`][].

    **Raises:**

    - `ValueError`: when `until` < 1 or `frames` < 2, on an unknown method or metric, and on a
      method that ends at B if `until` is above 1.

    >>> import jax, jax.numpy as jnp, geojax
    >>> score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=1.0)
    >>> route = geojax.NoiseRoute(score, t=0.4)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> result = geojax.compare(route, a, b, key=jax.random.key(0), lam=0.1, num_segments=8)
    >>> energies = {name: record.figures["energy"] for name, record in result.records.items()}
    >>> min(energies, key=energies.get)
    'geodesic'
    """
    _check(metric, lam, frames, until)
    check_methods(methods, until)
    refuse_pixels("image_a", image_a)
    refuse_pixels("image_b", image_b)
    image_a, image_b = as_alike(image_a=image_a, image_b=image_b)
    stage, share_done = on_stage or (lambda name: None), on_share or (lambda share: None)
    rule = SplineGauss() if rule is None else rule
    stage("noise")
    ends = pipeline.ends(image_a, image_b, key=key)
    z0, z1 = ends.points
    level = Level.of(pipeline, ends)
    contrast = find_contrast(level.score, z0[None], z1[None], level.args)
    weight = suited_lam(contrast) if isinstance(lam, str) else as_floating("lam", lam)
    settings = MethodSettings(
        level.route,
        z0.shape,
        jax.random.fold_in(key, 1),
        weight,
        num_segments,
        max_steps,
        SplineGauss(batch_size=rule.batch_size, devices=rule.devices),
        z0,
    )
    paths = {
        name: method_at_level(name, settings, pipeline, ends)
        for name in dict.fromkeys(["LERP", *methods])
    }
    auto, with_start = isinstance(lam, str), start is None and has_start_metric(pipeline, lam, rule)
    geometry = chosen_geometry(metric, settings, with_start=with_start, auto=auto)
    chosen, solves = geometry.metric, []

    def found(*arguments, **options) -> GeodesicSolution:
        stage("start" if geometry.start_metric is not None and not solves else "geodesic")
        solves.append(find(*arguments, **options))
        return solves[-1]

    options = {"num_segments": num_segments, "rule": rule, "max_steps": max_steps}
    options |= {"solver": solver, "diagnostics": diagnostics}
    with stopwatch() as seconds:
        curve = geometry.interpolator(level.args, start, **options)
        solution = curve.solve(z0, z1, throw=False, find=found).solution
        jax.block_until_ready(solution)
    until = end_of(solution, until)
    node_times, frame_times = path_times(until, num_segments), path_times(until, frames - 1)
    pieces = len(node_times) - 1
    extension, extension_figures = None, {}
    if until > 1:
        stage("extension")
        beyond = pieces - num_segments
        extension, extension_figures = _extend(chosen, solution, level.args, until, beyond)
    stage("methods")
    all_times = jnp.asarray(np.concatenate([node_times, frame_times]), z0.dtype)
    runs, times, notes = {}, {}, lost_on_the_way(pipeline, ends)
    for name, method in paths.items():
        with stopwatch() as times[name]:
            runs[name] = jax.block_until_ready(method(ends.points, all_times))
        if bool(runs[name].result != RESULTS.successful):
            notes.append(runs[name].notice().of(name))
    path = ExtendedGeodesic(solution, extension, until)
    runs["geodesic"] = InterpolatedPath(path.evaluate(all_times), solution.result, *path.cost)
    times["geodesic"] = seconds
    stage("figures")
    priced, points = {}, {}
    for name, run in runs.items():
        nodes, points[name] = run.points[: len(node_times)], run.points[len(node_times) :]
        curve = nodes, node_times, num_segments
        priced[name] = price_path(chosen, level.score, rule, *curve, level.args)
    stage("images")
    images, taken = {}, {}
    for i, (name, zs) in enumerate(points.items()):

        def report(done, i=i):
            share_done((i * len(frame_times) + done) / (len(points) * len(frame_times)))

        shares = np.clip(frame_times, 0, 1)
        images[name], taken[name] = pictures(pipeline, rule, zs, shares, report)
    true = true_images(truth, frame_times, image_a)
    calls = pipeline.score.network_evaluations
    seen = {name: np.asarray(zs) for name, zs in points.items()}
    records = {}
    for name, run in runs.items():
        solved, count = name == "geodesic", int(run.score_evaluations)
        log_density, figures = priced[name].figures(num_segments)
        figures |= {
            "lower_bound": float(solution.stats["lower_bound"]),
            "detour": _detour(np.asarray(run.points[: num_segments + 1])),
            "deviation": deviation(seen[name], seen["LERP"], frame_times),
            "picture_deviation": deviation(images[name], images["LERP"], frame_times),
            "iterations": sum(int(each.stats["num_steps"]) for each in solves) if solved else 0,
            "score_evaluations": count,
            "score_products": int(run.score_products),
            "network_evaluations": calls * (ends.evaluations + count + taken[name]),
            # The contrast evaluates the score at A, at B and at the middle between them.
            "pricing_evaluations": calls * (pricing_cost(chosen, rule, pieces) + 3 * solved),
            **(times[name] if count else {"seconds": 0.0, "compile_seconds": 0.0}),
            **against_truth(true, images[name], frame_times),
        }
        message = run.message if count else "closed form"
        records[name] = PathRecord(
            seen[name],
            images[name],
            priced[name].density,
            log_density,
            figures,
            message,
        )
    problems, remarks = verdict(records, solution, extension, contrast)
    return Comparison(
        records,
        frame_times,
        node_times,
        np.stack([np.asarray(image_a), np.asarray(image_b)]),
        true,
        contrast,
        float(weight),
        geometry.description,
        None if geometry.start_metric is None else solves[0],
        solution,
        extension,
        extension_figures,
        problems,
        notes + remarks,
    )


def _check(metric, lam, frames, until) -> None:
    if until < 1:
        raise ValueError(f"until must be at least 1, the time of B, got {until}.")
    if frames < 2:
        raise ValueError(f"frames must be at least 2, got {frames}.")
    if isinstance(metric, str) and metric not in NAMED_METRICS:
        raise ValueError(f"unknown metric {metric!r}. Known: {', '.join(NAMED_METRICS)}.")
    if isinstance(lam, str) and lam != "auto":
        raise ValueError(f"lam must be a number or 'auto', got {lam!r}.")


def end_of(solution: GeodesicSolution, until: float) -> float:
    """The last time; 1 if the search for the geodesic was interrupted."""
    return 1.0 if bool(solution.result == RESULTS.interrupted) else until


def _extend(metric, solution: GeodesicSolution, args, until: float, pieces: int):
    """The continuation beyond B and its figures."""
    with stopwatch() as seconds:
        velocity = (until - 1) * solution.final_velocity
        extension = exponential_map(
            metric, solution.curve.xs[-1], velocity, args, num_segments=pieces, throw=False
        )
        jax.block_until_ready(extension)
    counted = ("energy_drift", "num_steps", "score_evaluations", "score_products")
    figures = {name.removeprefix("num_"): extension.stats[name].item() for name in counted}
    return extension, figures | seconds


def _detour(nodes: np.ndarray) -> float:
    flat = nodes.reshape(len(nodes), -1)
    chord = float(np.linalg.norm(flat[-1] - flat[0]))
    length = float(np.sum(np.linalg.norm(np.diff(flat, axis=0), axis=1)))
    return length / chord if chord else math.nan
