"""The geometry of a diffusion model around some images, by noise level.

All figures that the metric `I + lam s s^T` depends on are measured at several levels, between the
same images. Everything here runs on the host; compiled parts take the level as an array.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from .._arrays import Numbers, as_floating, refuse_pixels
from .._functions import explained_derivatives
from .._linalg import dot, norm
from ..curvature import DimensionEstimate, intrinsic_dimension, ricci_curvature, trace_probes
from ..geodesics import AbstractSolver, Diagnostics, GaussNewton, geodesic
from ..metrics import SteinScoreMetric
from ..scores import AbstractScore, ddim
from ._advice import SUCCESSFUL, Recommendation, recommend

DIRECTIONS = ("another image", "nearest images", "random directions")
NEIGHBOURS = 3  # images that count as nearest
_LINE_POINTS = 32  # points for the energy of the straight line
_PROBES = 8  # for the Ricci curvature; also antithetic noises for the contrast
_INVERSION_STEPS = 20
_PURE_NOISE = 1e7  # sigma / alpha above which rounding destroys the images


# Plain steps without a certificate: the deviation of a path is needed, not its last digit.
_SOLVER = GaussNewton(rtol=1e-4, curvature_steps=0)


class Inspection(NamedTuple):
    """The result of `inspect_score`: arrays by noise level, then lambda, image or pair.

    **Arguments:**

    - `ts`, `noise_ratios`: the levels and sigma / alpha there, shape `(levels,)`.
    - `seen`: the first image at every level, as the score receives it, shape `(levels, *shape)`.
    - `pairs`: indices of the images between which geodesics were found, shape `(pairs, 2)`.
    - `score_norms`: |s|^2 at the noised images, shape `(levels, images)`.
    - `cosines`: by `DIRECTIONS`, |cos| of the angle between s and the direction to another image,
      to the nearest ones and to random ones (means), shape `(levels, images)`. A vector that is
      independent of the direction has about 0.8 / sqrt(D).
    - `asymmetry`: |(J - J^T) v| / |J v| for v towards another image, shape `(levels, images)`. 0 if
      the score is a gradient; sqrt(2) is typical of a matrix without any symmetry.
    - `lams`, `lam_names`: the lambdas tried, shape `(levels, lams)`, and how each was chosen.
    - `contrast`: how much further the denoiser, averaged over noises, moves the middle of the
      straight line than its ends, shape `(levels, pairs)`. Above 1 the score detects that the
      middle of LERP is not like the data. Otherwise no geodesic can follow the data.
    - `deviation`: the largest distance of the geodesic from LERP at the same time, relative to
      |B - A|, shape `(levels, lams, pairs)`. It is that of the solver's last path.
    - `successful`, `verdicts`: whether the solve succeeded, and the verdict, of that shape.
    - `curvature`: `Ric(B - A, B - A) / (D - 1)` at A, the mean curvature of the planes through
      B - A times its squared length, without unit, shape `(levels, lams, pairs)`. Where it is about
      pi^2 or more along the whole path, geodesics of that length are no longer the shortest.
    - `dimension`: a [`geojax.DimensionEstimate`][] of the first image.
    - `findings`, `recommendation`: a sentence a level; a level and a lambda, and the reason.
    """

    ts: Float[np.ndarray, " levels"]
    noise_ratios: Float[np.ndarray, " levels"]
    seen: Float[np.ndarray, "levels *shape"]
    pairs: Int[np.ndarray, "pairs 2"]
    score_norms: Float[np.ndarray, "levels images"]
    cosines: dict[str, Float[np.ndarray, "levels images"]]
    asymmetry: Float[np.ndarray, "levels images"]
    lams: Float[np.ndarray, "levels lams"]
    lam_names: list[str]
    contrast: Float[np.ndarray, "levels pairs"]
    deviation: Float[np.ndarray, "levels lams pairs"]
    successful: Bool[np.ndarray, "levels lams pairs"]
    verdicts: np.ndarray
    curvature: Float[np.ndarray, "levels lams pairs"]
    dimension: DimensionEstimate
    findings: list[str]
    recommendation: Recommendation

    def __str__(self) -> str:
        return "\n".join([*self.findings, str(self.recommendation)])


@explained_derivatives()
def inspect_score(
    score: AbstractScore,
    images: Numbers,
    ts: Sequence[float] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6),
    *,
    key: Key[Array, ""],
    lams: Sequence[float] | None = None,
    weights: Sequence[float] = (0.3, 1.0),
    num_pairs: int = 2,
    num_values: int = 24,
    noising: str = "inversion",
    args: Any = None,
    solver: AbstractSolver | None = None,
    num_segments: int = 16,
    max_steps: int = 40,
    diagnostics: Diagnostics = "price",
    on_level: Callable[[int], None] | None = None,
) -> Inspection:
    """Measure the geometry of `I + lam s s^T` around images at several noise levels.

    Use it to choose a noise level and a lambda for a data set. An unsuccessful solve is a finding,
    not an error.

    **Arguments:**

    - `score`: a score with noise levels.
    - `images`: at least two clean points, shape `(images, *shape)`.
    - `ts`: noise levels in (0, 1].
    - `key`: for the noise, the same for all images and levels, and for the random directions.
    - `lams`, `weights`: lambdas to try at every level. Default: for each of the `weights` the
      lambda with which, along the straight lines, the term of the score costs that many times the
      Euclidean one.
    - `num_pairs`: the number of pairs joined by geodesics.
    - `num_values`: of [`geojax.intrinsic_dimension`][].
    - `noising`: how images come to a level, as in [`geojax.NoiseRoute`][]. "inversion" follows the
      probability flow by 20 steps of DDIM, "shared" adds the same noise to all. The contrast and
      the dimension use noise of their own in both cases.
    - `args`: passed to the score (a label, or None).
    - `solver`, `num_segments`, `max_steps`, `diagnostics`: as for [`geojax.geodesic`][]. The
      default solver is plain Gauss-Newton to a decrement of 1e-4.
    - `on_level`: called with the index of each level as it begins.

    **Returns:**

    A [`geojax.evaluation.Inspection`][].

    **Raises:**

    - `ValueError`: with fewer than two images, equal images, an unknown `noising` or numbers out of
      range.

    >>> import jax, geojax
    >>> from geojax.evaluation import inspect_score
    >>> ring, key = geojax.NoisedSphere(2.0, width=0.2), jax.random.key(0)
    >>> images = 2 * jax.numpy.array([[1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]])
    >>> found = inspect_score(ring, images, (0.1, 0.9), key=key, num_values=2)
    >>> found.recommendation.t
    0.1
    """
    refuse_pixels("images", images)
    images = as_floating("images", images, "images *shape")
    if noising not in ("inversion", "shared"):
        raise ValueError(f"noising must be 'inversion' or 'shared', got {noising!r}.")
    levels = _checked(images, ts, lams, weights, num_pairs)
    _check_signal(score, levels[-1])
    begin = on_level or (lambda i: None)
    options = {
        "solver": _SOLVER if solver is None else solver,
        "num_segments": num_segments,
        "max_steps": max_steps,
        "diagnostics": diagnostics,
    }
    noise_key, probe_key, dimension_key = jax.random.split(key, 3)
    like = images[0]
    noises = jax.random.normal(noise_key, (1 + _PROBES, *like.shape), like.dtype)
    probes = trace_probes(like.shape, _PROBES, key=probe_key, dtype=like.dtype)
    others, nearest = _partners(np.asarray(images, np.float64))
    pairs = np.stack([np.arange(len(images)), others], axis=1)
    pairs = pairs[: num_pairs if len(images) > 2 else 1]
    ends = images[pairs]
    towards = np.concatenate([others[:, None], nearest], axis=1)
    rows = []
    for i, level in enumerate(levels):
        begin(i)
        t = jnp.asarray(level, like.dtype)
        points = _noised(score, t, images, noises[0] if noising == "shared" else None, args)
        measured = _measure(score, t, points, points[towards], probes, args)
        rates, contrast = _along_lines(score, t, points[pairs], ends, noises[1:], args)
        tried = (
            np.asarray(weights) / np.median(np.asarray(rates)) if lams is None else np.asarray(lams)
        )
        solved = [
            [_between(score, t, lam, points[i], points[j], probes, args, options) for i, j in pairs]
            for lam in tried
        ]
        dimension = intrinsic_dimension(
            score, like, t[None], args, key=dimension_key, num_values=num_values
        )
        seen = np.asarray(points[0])
        rows.append(
            (seen, jax.device_get(measured), np.asarray(contrast), tried, solved, dimension)
        )
    names = (
        [f"λ that adds {weight:.0%} to LERP's energy" for weight in weights]
        if lams is None
        else [f"λ = {lam:g}" for lam in lams]
    )
    return _collected(score, levels, pairs, names, rows)


def _checked(images, ts, lams, weights, num_pairs) -> list[float]:
    if len(images) < 2:
        raise ValueError(f"images must hold at least two, got {len(images)}.")
    for name, values, good in (
        ("ts", ts, lambda v: 0 < v <= 1),
        ("lams", () if lams is None else lams, lambda v: 0 <= v < np.inf),
        ("weights", weights, lambda v: 0 < v < np.inf),
    ):
        wrong = [value for value in values if not good(value)]
        wanted = "in (0, 1]" if name == "ts" else "finite and positive"
        if wrong:
            raise ValueError(f"{name} must be {wanted}, got {wrong[0]}.")
    if not len(ts) or not len(weights if lams is None else lams):
        raise ValueError("ts and lams (or weights) must not be empty.")
    if num_pairs < 1:
        raise ValueError(f"num_pairs must be at least 1, got {num_pairs}.")
    return sorted({float(t) for t in ts})


def _check_signal(score: AbstractScore, highest: float) -> None:
    ratio = float(score.schedule.noise_to_signal(highest))
    if not ratio < _PURE_NOISE:
        raise ValueError(
            f"ts must be below 1 with this schedule, got {highest:g}: alpha is 0 there, so all "
            "images become equal. Take 0.99 or less."
        )


def _partners(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each image, the index of another one (the next), and the indices of its nearest ones."""
    flat = images.reshape(len(images), -1)
    count = min(NEIGHBOURS, len(images) - 1)
    nearest = np.empty((len(images), count), int)
    for i, image in enumerate(flat):  # one row at a time needs (images, D) numbers only
        apart = np.linalg.norm(flat - image[None], axis=1)
        apart[i] = np.inf
        nearest[i] = np.argsort(apart)[:count]
        if apart[nearest[i, 0]] == 0:
            raise ValueError(
                f"images {i} and {nearest[i, 0]} are equal: there is no direction between them."
            )
    return np.roll(np.arange(len(images)), -1), nearest


@eqx.filter_jit
def _noised(score, t, images, noise, args):
    """The images at level t: with `noise`, or by inversion if it is None."""
    if noise is not None:
        return jax.vmap(lambda image: score.schedule.add_noise(image, noise, t))(images)
    invert = lambda x: ddim(score, x, 0.0, t, num_steps=_INVERSION_STEPS, args=args)  # noqa: E731
    return jax.lax.map(invert, images)


@eqx.filter_jit
def _measure(score, t, points, towards, random, args):
    """|s|^2, the cosines and the asymmetry at every noised image, one image at a time."""
    at = lambda x: score(x, t, args)  # noqa: E731

    def one(pair):
        x, ends = pair
        chords = ends - x[None]
        s, jv = jax.jvp(at, (x,), (chords[0],))
        pulled = jax.vjp(at, x)[1](chords[0])[0]
        cosine = jax.vmap(lambda v: jnp.abs(dot(s, v)) / (norm(s) * norm(v)))
        angles, others = cosine(chords), cosine(random)
        cosines = jnp.stack([angles[0], jnp.mean(angles[1:]), jnp.mean(others)])
        return jnp.sum(s**2), cosines, norm(jv - pulled) / norm(jv)

    return jax.lax.map(one, (points, towards))


@eqx.filter_jit
def _along_lines(score, t, pairs, images, noises, args):
    """Two figures of each pair: the cost rate along the straight line, and the contrast.

    The first is the mean of `(s . v)^2 / |v|^2` along the line at level t. The second is how far
    the averaged denoiser moves the middle of the images, relative to the images.
    """
    places = (jnp.arange(_LINE_POINTS, dtype=noises.dtype) + 0.5) / _LINE_POINTS
    signed = jnp.concatenate([noises, -noises])

    def residual(x):
        denoised = lambda e: score.denoised(score.schedule.add_noise(x, e, t), t, args)  # noqa: E731
        return norm(jnp.mean(jax.vmap(denoised)(signed), axis=0) - x)

    def one(both):
        (a, b), pair = both
        rate = lambda w: dot(score(a + w * (b - a), t, args), b - a) ** 2  # noqa: E731
        rate = jnp.mean(jax.vmap(rate)(places)) / jnp.sum((b - a) ** 2)
        first, middle, last = jax.lax.map(
            residual, jnp.stack([pair[0], jnp.mean(pair, 0), pair[1]])
        )
        return rate, 2 * middle / (first + last)

    return jax.lax.map(one, (pairs, images))


@eqx.filter_jit
def _curvature(metric, x, chord, probes, args):
    ricci = ricci_curvature(metric, x, chord, args, probes=probes).value
    return ricci / (x.size - 1)


def _between(score, t, lam, a, b, probes, args, options) -> tuple[float, str, float]:
    """The deviation of the geodesic from LERP, its verdict, and the curvature at its start."""
    metric = SteinScoreMetric(score.at(t), jnp.asarray(lam, a.dtype))
    solution = geodesic(metric, a, b, args, throw=False, **options)
    xs, ts = np.asarray(solution.curve.xs), np.asarray(solution.curve.ts)
    ts = ts.reshape(-1, *[1] * a.ndim)
    apart = xs - ((1 - ts) * np.asarray(a) + ts * np.asarray(b))
    chord = float(norm(b - a))
    with np.errstate(invalid="ignore", over="ignore"):
        deviation = float(np.max(np.linalg.norm(apart.reshape(len(ts), -1), axis=1))) / chord
    bend = float(_curvature(metric, a, b - a, probes, args))
    return deviation, solution.message, bend


def _collected(score, levels, pairs, names, rows) -> Inspection:
    seen, measured, contrast, tried, solved, dimensions = zip(*rows, strict=True)
    norms, cosines, asymmetry = (np.stack(part) for part in zip(*measured, strict=True))
    shape = (len(levels), len(tried[0]), len(pairs), 3)
    solves = np.array(solved, dtype=object).reshape(shape)
    deviation, curvature = (solves[..., i].astype(np.float64) for i in (0, 2))
    verdicts = solves[..., 1]
    ts = np.asarray(levels)
    dimension = jax.tree.map(lambda *parts: jnp.concatenate(parts), *dimensions)
    lams = np.stack(tried).astype(np.float64)
    ratios = np.asarray(jax.vmap(score.schedule.noise_to_signal)(jnp.asarray(ts)))
    figures = (ts, lams, deviation, verdicts, asymmetry, np.stack(contrast), curvature)
    findings, recommendation = recommend(*figures)
    return Inspection(
        ts,
        ratios,
        np.stack(seen),
        pairs,
        norms,
        {name: cosines[:, :, i] for i, name in enumerate(DIRECTIONS)},
        asymmetry,
        lams,
        names,
        np.stack(contrast),
        deviation,
        verdicts == SUCCESSFUL,
        verdicts,
        curvature,
        dimension,
        findings,
        recommendation,
    )
