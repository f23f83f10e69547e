"""LERP, SLERP and the geodesic side by side, from image to image: paths, pictures and figures.

Everything here is for one pair of images and runs on the host; it is what the command line and a
notebook show. The paths are found and priced at the noise level of the route, the pictures are what
the route makes of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from .._arrays import Numbers, as_alike, refuse_pixels
from .._linalg import dot, matmul
from .._verdicts import Notice
from ..geodesics import RESULTS, GeodesicSolution, Midpoint
from ..geodesics import geodesic as find_geodesic
from ..metrics import AbstractMetric
from ._geodesic import ExtendedGeodesic, GeodesicInterpolator
from ._interpolate import path_times
from ._lerp import Lerp
from ._route import NoiseRoute
from ._seconds import stopwatch
from ._slerp import Slerp

METHODS = ("LERP", "SLERP", "geodesic")
INDISTINGUISHABLE = 0.05  # a path or its pictures this close to LERP's, relative to |B - A|
PATH_DEPENDENT = 0.2  # a score whose line integrals differ by this much is far from a gradient
_ORDER = 5  # Gauss-Legendre points a segment: the count with which `geodesic` prices finely


class PathRecord(NamedTuple):
    """One method's path. Times run from 0 (A) to 1 (B) and on to ``until``.

    - ``points``, ``images``: at the frame times, shape (frames, *shape); at the noise level, and
      denoised.
    - ``energy_density``: ``1/2 g(x', x')`` on each segment, shape (segments,); its mean over
      [0, 1] is the energy.
    - ``log_density``: log p_t less its value at A, at the nodes, shape (segments + 1,): the line
      integral of the score along the path.
    - ``figures``: by name. Of the path from A to B: ``energy`` (by the rule of the solve),
      ``energy_fine`` (five Gauss-Legendre points a segment), ``discretisation_error`` (their
      relative difference), ``length``, ``lower_bound`` (of the length of any path),
      ``deviation`` (largest distance from LERP at the same time, relative to |B - A|),
      ``picture_deviation`` (the same of the pictures), ``log_density_change``, ``iterations``,
      ``score_evaluations`` and ``score_products`` (to find the path), ``seconds`` and,
      of these, ``compile_seconds``.
    - ``message``: how the method ended.
    """

    points: Float[np.ndarray, "frames *shape"]
    images: Float[np.ndarray, "frames *shape"]
    energy_density: Float[np.ndarray, " segments"]
    log_density: Float[np.ndarray, " nodes"]
    figures: dict[str, float | int]
    message: str = "closed form"


class Comparison(NamedTuple):
    """What `compare` returns.

    - ``records``: by method, in the order of `METHODS`.
    - ``frame_times``, ``node_times``: of the pictures and points, and of the curves.
    - ``given``: the two images, shape (2, *shape).
    - ``solution``, ``extension``: the geodesic and, beyond B, its continuation (or None).
    - ``extension_figures``: ``energy_drift``, ``steps``, ``score_evaluations``,
      ``score_products``, ``seconds``, ``compile_seconds``; empty without an extension.
    - ``problems``: what went wrong; empty when every solve succeeded. ``str`` of each says what
      happened and what to do.
    - ``notes``: what a reader should know, likewise.
    """

    records: dict[str, PathRecord]
    frame_times: Float[np.ndarray, " frames"]
    node_times: Float[np.ndarray, " nodes"]
    given: Float[np.ndarray, "2 *shape"]
    solution: GeodesicSolution
    extension: GeodesicSolution | None
    extension_figures: dict[str, float | int]
    problems: list[Notice]
    notes: list[Notice]


def compare(
    route: NoiseRoute,
    geodesic: GeodesicInterpolator,
    image_a: Numbers,
    image_b: Numbers,
    *,
    key: Key[Array, ""],
    until: float = 1.0,
    frames: int = 17,
    on_stage: Callable[[str], None] | None = None,
    find: Callable[..., GeodesicSolution] = find_geodesic,
) -> Comparison:
    """LERP, SLERP and the geodesic from A to B and on to time ``until``, with their figures.

    - ``route``: takes the images to the noise level and the paths back to images.
    - ``geodesic``: the metric (of ``route.score.at(route.t)``) and the options of the solve.
    - ``image_a``, ``image_b``: of one shape.
    - ``key``: for the noise that both images share.
    - ``until``: the last time, at least 1.
    - ``frames``: how many pictures from A to B; beyond B they are as far apart.
    - ``on_stage``: called with "noise", "geodesic", "extension", "figures", "images" as each
      begins.
    - ``find``: finds the geodesic; called as `geodesic` is. Where its search was interrupted the
      paths end at B.

    A solve that did not succeed does not raise: read ``problems``.

    **Raises:** `ValueError` when ``until`` < 1 or ``frames`` < 2; else as `NoiseRoute`.

    >>> import jax, jax.numpy as jnp, geojax
    >>> from geojax.interpolation import compare
    >>> score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=1.0)
    >>> route = geojax.NoiseRoute(score, t=0.4)
    >>> path = geojax.GeodesicInterpolator(geojax.SteinScoreMetric(score.at(0.4)), num_segments=8)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> result = compare(route, path, a, b, key=jax.random.key(0))
    >>> energies = {name: record.figures["energy"] for name, record in result.records.items()}
    >>> min(energies, key=energies.get)
    'geodesic'
    """
    if until < 1:
        raise ValueError(f"until must be at least 1, the time of B, got {until}.")
    if frames < 2:
        raise ValueError(f"frames must be at least 2, got {frames}.")
    refuse_pixels("image_a", image_a)
    refuse_pixels("image_b", image_b)
    image_a, image_b = as_alike(image_a=image_a, image_b=image_b)
    stage = on_stage or (lambda name: None)
    stage("noise")
    z0, z1 = (route.to_level(image, key=key) for image in (image_a, image_b))
    stage("geodesic")
    with stopwatch() as solve_seconds:
        found_path = geodesic.solve(z0, z1, throw=False, find=find)
        solution = jax.block_until_ready(found_path.solution)
    until = end_of(solution, until)
    num_segments = len(solution.curve.ts) - 1
    extension, extension_figures = None, {}
    if until > 1:
        stage("extension")
        extension, extension_figures = _extend(geodesic, solution, until, num_segments)
    stage("figures")
    node_times = path_times(until, num_segments)
    frame_times = path_times(until, frames - 1)
    nodes, points = _paths(solution, extension, until, z0, z1, node_times, frame_times)
    rule = geodesic.rule or Midpoint()
    density, rates, priced = _price(
        geodesic.metric,
        route.score.at(route.t),
        rule,
        num_segments,
        nodes,
        node_times,
        geodesic.args,
    )
    steps = np.diff(node_times)
    log_density = np.pad(np.cumsum(np.asarray(rates) * steps, axis=1), [(0, 0), (1, 0)])
    stage("images")
    flat = jnp.concatenate(list(points))
    images = np.asarray(jax.vmap(route.to_image)(flat)).reshape(points.shape)
    points, density = np.asarray(points), np.asarray(density)
    found = {
        "iterations": int(solution.stats["num_steps"]),
        "score_evaluations": int(solution.stats["score_evaluations"]),
        "score_products": int(solution.stats["score_products"]),
        **solve_seconds,
    }
    direct = dict.fromkeys(("iterations", "score_evaluations", "score_products"), 0)
    direct |= {"seconds": 0.0, "compile_seconds": 0.0}
    within = frame_times <= 1
    records = {}
    for i, name in enumerate(METHODS):
        energies = np.asarray(priced[i])
        energy, fine = float(np.sum(energies)), float(np.mean(density[i, :num_segments]))
        figures = {
            "energy": energy,
            "energy_fine": fine,
            "discretisation_error": abs(fine - energy) / energy if energy else 0.0,
            "length": float(np.mean(np.sqrt(2 * num_segments * energies))),
            "lower_bound": float(solution.stats["lower_bound"]),
            "deviation": deviation(points[i, within], points[0, within]),
            "picture_deviation": deviation(images[i, within], images[0, within]),
            "log_density_change": float(log_density[i, num_segments]),
            **(found if name == "geodesic" else direct),
        }
        message = solution.message if name == "geodesic" else "closed form"
        records[name] = PathRecord(
            points[i], images[i], density[i], log_density[i], figures, message
        )
    given = np.stack([np.asarray(image_a), np.asarray(image_b)])
    problems, notes = verdict(records, solution, extension)
    return Comparison(
        records,
        frame_times,
        node_times,
        given,
        solution,
        extension,
        extension_figures,
        problems,
        notes,
    )


def end_of(solution: GeodesicSolution, until: float) -> float:
    """The last time: that of B where the search for the geodesic was interrupted."""
    return 1.0 if bool(solution.result == RESULTS.interrupted) else until


def _extend(
    geodesic: GeodesicInterpolator, solution: GeodesicSolution, until: float, num_segments: int
):
    """The continuation beyond B, and its figures."""
    pieces = max(1, round((until - 1) * num_segments))
    with stopwatch() as seconds:
        extension = geodesic.extend(solution, until, num_segments=pieces, throw=False)
        jax.block_until_ready(extension)
    return extension, {
        "energy_drift": float(extension.stats["energy_drift"]),
        "steps": int(extension.stats["num_steps"]),
        "score_evaluations": int(extension.stats["score_evaluations"]),
        "score_products": int(extension.stats["score_products"]),
        **seconds,
    }


@eqx.filter_jit
def _paths(solution, extension, until, z0, z1, node_times, frame_times):
    """The three paths at the node times and at the frame times, shape (methods, times, *shape)."""
    geodesic = ExtendedGeodesic(solution, extension, until)

    def at(times):
        ts = jnp.asarray(times, z0.dtype)
        return jnp.stack([Lerp()(z0, z1, ts), Slerp()(z0, z1, ts), geodesic.evaluate(ts)])

    return at(node_times), at(frame_times)


@eqx.filter_jit
def _price(metric: AbstractMetric, score, rule, num_segments, paths, times, args):
    """By path and segment: the mean of ``1/2 g(x', x')`` and of ``s . x'``; and, on [0, 1], the
    energies by the rule of the solve.
    """
    places, weights = np.polynomial.legendre.leggauss(_ORDER)
    places = jnp.asarray((places + 1) / 2, paths.dtype)
    weights = jnp.asarray(weights / 2, paths.dtype)
    steps = jnp.diff(jnp.asarray(times, paths.dtype))

    def at(a, b, step, place):
        x, v = a + place * (b - a), (b - a) / step
        return metric.inner(x, v, v, args) / 2, dot(score(x, args), v)

    over_places = jax.vmap(at, in_axes=(None, None, None, 0))
    over_segments = jax.vmap(over_places, in_axes=(0, 0, 0, None))
    over_paths = jax.vmap(over_segments, in_axes=(0, 0, None, None))
    density, rates = over_paths(paths[:, :-1], paths[:, 1:], steps, places)
    energies = jax.vmap(lambda xs: rule.segment_energies(metric, xs, args))(
        paths[:, : num_segments + 1]
    )
    return matmul(density, weights), matmul(rates, weights), energies


def deviation(path: np.ndarray, reference: np.ndarray) -> float:
    """The largest distance at the same time, relative to the distance of the reference's ends."""
    with np.errstate(invalid="ignore", over="ignore"):
        chord = np.linalg.norm(reference[-1] - reference[0])
        apart = np.linalg.norm((path - reference).reshape(len(path), -1), axis=1)
        return float(np.max(apart) / chord) if chord else 0.0


def verdict(records, solution, extension) -> tuple[list[Notice], list[Notice]]:
    """Problems and notes."""
    problems, notes = [], []
    if bool(solution.result != RESULTS.successful):
        problems.append(solution.notice().of("The geodesic"))
    if extension is not None and bool(extension.result != RESULTS.successful):
        problems.append(extension.notice().of("The extrapolation"))
    geodesic, lerp = records["geodesic"].figures, records["LERP"].figures
    if geodesic["energy_fine"] > (1 + INDISTINGUISHABLE) * lerp["energy_fine"]:
        notes.append(
            Notice(
                "The straight line has less energy than the path that the solver found "
                f"({lerp['energy_fine']:.4g} against {geodesic['energy_fine']:.4g}), which is "
                "therefore not the geodesic.",
                "Raise num_segments, lower lam, or call robust_geodesic.",
                "Raise --segments or lower --lam.",
            )
        )
    if max(geodesic["deviation"], geodesic["picture_deviation"]) < INDISTINGUISHABLE:
        notes.append(
            Notice(
                "The geodesic is indistinguishable from LERP here: it strays by "
                f"{geodesic['deviation']:.1%} of |B - A| and its pictures by "
                f"{geodesic['picture_deviation']:.1%}.",
                "Raise lam, or lower t.",
                "Raise --lam, or lower --t.",
            )
        )
    dependence = float(solution.stats["path_dependence"])
    if dependence > PATH_DEPENDENT:
        notes.append(
            Notice(
                "This score is not exactly a gradient: the change of log-density from A to B "
                f"depends on the path by {dependence:.0%} of the total variation, so that "
                "log-densities and the lower bound are indications only."
            )
        )
    return problems, notes
