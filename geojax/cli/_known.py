"""A check whether a model knows two pictures, before a solve of minutes.

A picture x is noised to `alpha x + sigma e` and denoised to D. The denoiser also predicts its
expected error: the trace of its posterior covariance, `sigma^2 / alpha tr dD/dx` (Tweedie's
formula, second order). For pictures like the training data `|D - x|^2` is about that trace; for
others it is a multiple. The check needs no reference but the model.

With the bundled model, the largest ratio over the levels is: for 500 test digits, upright and
turned, 0.8 to 2.2 (99 % below 1.8); for 80 digits drawn from it 0.8 to 1.5; for 85 photographs and
their negatives 2.2 to 43; for digits in black on white 5.5 to 6.3.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._linalg import dot
from ..scores import AbstractScore

LEVELS = (0.1, 0.2, 0.4)
UNKNOWN, UNUSUAL = 2.25, 1.8  # ratios of squared errors
_NOISES = 4  # antithetic pairs
_DRAWN = 3  # pictures that a model draws for comparison, if the ratio is large


class Acquaintance(NamedTuple):
    """How well a model knows two pictures.

    - `surprises`: of each picture, the largest ratio over `LEVELS`.
    - `contrast`: how much further the denoiser moves the mean of both, relative to themselves, at
      the level of the geometry. Below 1 the denoiser moves a cross-fade less than the pictures.
    """

    surprises: tuple[float, ...]
    contrast: float


def acquaintance(score: AbstractScore, pictures: Sequence[Array], t: float, label: Any):
    """The ratios and the contrast of two pictures, as an `Acquaintance`."""
    a, b = pictures
    pairs = [(x, level) for x in (a, b) for level in LEVELS]
    pairs += [(x, t) for x in (a, b, (a + b) / 2)]
    misses, expected, moved = _evaluated(score, pairs, label)
    surprises = _ratios(misses[:-3], expected[:-3])
    ends = moved[-3] + moved[-2]
    return Acquaintance(surprises, float(2 * moved[-1] / ends) if ends > 0 else 1.0)


def typical_surprise(
    score: AbstractScore, draw: Callable[[int], Iterable[Array]], label: Any
) -> float:
    """The median of the same ratio over pictures that the model draws."""
    drawn = list(draw(_DRAWN))
    misses, expected, _ = _evaluated(score, [(x, level) for x in drawn for level in LEVELS], label)
    return float(np.median(_ratios(misses, expected)))


def check_known(
    names: Sequence[str],
    found: Acquaintance,
    typical: Callable[[], float],
    *,
    model: str,
    t: float,
    force: bool,
) -> list[str]:
    """Notices about pictures that are unusual for the model.

    `typical` computes the ratio of the model's own pictures. It is called only if a ratio is large,
    because the ratio of an inaccurate model is large for all pictures.

    **Raises:**

    - `ValueError`: for a picture that the model does not know, unless `force`.
    """
    notices = []
    unit = max(1.0, typical()) if max(found.surprises) > UNUSUAL else 1.0
    for name, surprise in zip(names, found.surprises, strict=True):
        ratio = surprise / unit
        if ratio <= UNUSUAL:
            continue
        reason = (
            f"the squared error of its denoiser at {name} is {ratio:.1f} times what it expects "
            "(about 1 for pictures of its kind)"
        )
        if ratio > UNKNOWN and not force:
            raise ValueError(
                f"the model {model} does not know such pictures: {reason}. Give pictures of the "
                "kind that it was trained on, a --model that knows these (for photographs a Stable "
                "Diffusion folder), or --force to compute the path all the same."
            )
        worth = "means nothing" if ratio > UNKNOWN else "may mean little"
        notices.append(f"{name} is unusual for the model {model}: {reason}. Its geometry {worth}.")
    if found.contrast < 1:
        notices.append(
            f"At t = {t:g} the model prefers the cross-fade of A and B to A and B themselves "
            f"(contrast {found.contrast:.2f}; it should be above 1): expect a geodesic near LERP. "
            "A lower --t may help; `geojax inspect` measures the contrast by level."
        )
    return notices


def _ratios(misses: np.ndarray, expected: np.ndarray) -> tuple[float, ...]:
    """Of each picture, the largest ratio over the levels with a positive expected error."""
    ratios = np.where(expected > 0, misses / np.where(expected > 0, expected, 1.0), -np.inf)
    largest = np.max(ratios.reshape(-1, len(LEVELS)), axis=1)
    return tuple(float(ratio) if ratio > 0 else float("inf") for ratio in largest)


def _evaluated(score, pairs: Sequence[tuple[Array, float]], label) -> tuple[np.ndarray, ...]:
    points = jnp.stack([x for x, _ in pairs])
    levels = jnp.asarray([level for _, level in pairs], points.dtype)
    found = _denoised(score, points, levels, jax.random.key(0), label)
    return tuple(np.asarray(part, np.float64) for part in found)


@eqx.filter_jit
def _denoised(score, points, levels, key, label):
    """By point: the mean of |D - x|^2, the value that the model expects, and |mean of D - x|."""
    shape = (_NOISES, *points.shape[1:])
    noises = jax.random.normal(key, shape, points.dtype)
    noises = jnp.concatenate([noises, -noises])
    probes = jax.random.rademacher(jax.random.fold_in(key, 1), noises.shape, points.dtype)

    def at(point):
        x, t = point
        schedule = score.schedule
        alpha, sigma = (f(t).astype(x.dtype) for f in (schedule.alpha, schedule.sigma))

        def one(pair):
            noise, probe = pair
            denoised, change = jax.jvp(
                lambda z: score.denoised(z, t, label), (alpha * x + sigma * noise,), (probe,)
            )
            return denoised - x, dot(probe, change)

        misses, traces = jax.lax.map(one, (noises, probes))
        squares = jnp.sum(misses**2) / len(noises)
        moved = jnp.sqrt(jnp.sum(jnp.mean(misses, axis=0) ** 2))
        return squares, sigma**2 / alpha * jnp.mean(traces), moved

    return jax.lax.map(at, (points, levels))
