"""The figures of one path of digits, and of sets of frames."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import norm
from ..evaluation import (
    LPIPS,
    endpoint_error,
    gaussian_frechet_distance,
    neighbour_distances,
    psnr,
    root_mean_square,
    ssim,
)
from ..models import DigitClassifier
from ._rotated_mnist_pairs import Pair, turned_by

_ORBIT = 181  # points of the true orbit for the nearest one: at most a degree apart
_ROUNDING = 1e-4  # per pixel; below it decibels only measure rounding
# Groups of digits that are left out in turn for a standard error; with fewer there is none.
_GROUPS, _LEAST_GROUPS = 10, 5

# The figures of a row.
FIGURES = ("rms", "psnr", "gain", "ssim", "lpips", "orbit_psnr", "orbit_ssim", "orbit_lpips")
FIGURES += ("ppl", "pdv", "confidence_mean", "confidence_min", "end_error", "deviation")
FIGURES += ("score_evaluations", "seconds", "successful")


def path_measures(
    classifier: DigitClassifier,
    lpips: LPIPS | None,
    pair: Pair,
    frames: Float[Array, "frames 1 28 28"],
    ts: Float[Array, " frames"],
    *,
    has_truth: bool,
) -> tuple[dict[str, float], Float[np.ndarray, "inner features"]]:
    """The figures of a row, and the classifier's features of its frames.

    Means are over all frames except those at the times 0 and 1. `ts` go from 0 to 1, or from 1 on
    for an extrapolation, which has no `end_error`. Between a digit and itself there is no
    `deviation`, and no PSNR if only rounding is left.
    """
    numbers = jnp.asarray([pair.angle, pair.turn], frames.dtype)
    # Half a turn is the same in both directions: the direction nearer to the path counts.
    alternative = -pair.turn if abs(pair.turn - np.pi) < 1e-6 else pair.turn
    numbers = jnp.append(numbers, jnp.asarray(alternative, frames.dtype))
    given = pair.upright.astype(frames.dtype), numbers, jnp.asarray(pair.labels)
    beyond = bool(ts[0] > 0)
    found, features = _measured(
        classifier, lpips, pair.x0, pair.x1, *given, frames, ts, beyond, has_truth
    )
    figures = {name: float(value) for name, value in found.items()}
    if not pair.turn and has_truth:
        del figures["deviation"]
        if figures["rms"] < _ROUNDING:
            del figures["psnr"], figures["orbit_psnr"]
    return figures, np.asarray(features)


@eqx.filter_jit
def _measured(
    classifier, lpips, x0, x1, upright, numbers, labels, frames, ts, beyond: bool, has_truth: bool
) -> tuple[dict[str, Array], Array]:
    frames = jnp.clip(frames, -1, 1)  # as in a picture
    inside = slice(1, None) if beyond else slice(1, -1)
    inner, times = frames[inside], ts[inside]
    astray = jax.vmap(lambda x, t: norm(x - (1 - t) * x0 - t * x1))(inner, times)
    found = {"deviation": jnp.max(astray) / norm(x1 - x0)}
    logits, features = jax.vmap(lambda x: (classifier(x), classifier.features(x)))(inner)
    shares = jax.nn.softmax(logits, axis=1)
    second = jnp.where(labels[0] == labels[1], 0.0, 1.0).astype(shares.dtype)
    confidence = shares[:, labels[0]] + second * shares[:, labels[1]]
    found |= {"confidence_mean": jnp.mean(confidence), "confidence_min": jnp.min(confidence)}
    if not beyond:
        found["end_error"] = endpoint_error(frames, x0, x1)
    if lpips is not None:
        steps = neighbour_distances(frames, _grey(lpips))
        found |= {"ppl": jnp.sum(steps), "pdv": jnp.std(steps)}
    if has_truth:
        angle, *turns = numbers
        candidates = jnp.stack([turned_by(upright, angle + times * turn) for turn in turns])
        nearer = jnp.argmax(jnp.mean(jax.vmap(jax.vmap(psnr), (None, 0))(inner, candidates), 1))
        found["rms"] = jnp.mean(jax.vmap(root_mean_square)(inner, candidates[nearer]))
        found |= _against(lpips, inner, candidates[nearer], "")
        along = jnp.linspace(ts[0], ts[-1], _ORBIT, dtype=ts.dtype)
        orbit = turned_by(upright, angle + along * jnp.stack(turns)[nearer])
        apart = jax.vmap(lambda x: jax.vmap(lambda y: norm(x - y))(orbit))(inner)
        found |= _against(lpips, inner, orbit[jnp.argmin(apart, axis=1)], "orbit_")
    return found, features


def _against(lpips: LPIPS | None, images, truth, before: str) -> dict[str, Array]:
    found = {"psnr": jax.vmap(psnr)(images, truth), "ssim": jax.vmap(ssim)(images, truth)}
    if lpips is not None:
        found["lpips"] = jax.lax.map(lambda both: _grey(lpips)(*both), (images, truth))
    return {f"{before}{name}": jnp.mean(values) for name, values in found.items()}


def _grey(lpips: LPIPS):
    """LPIPS for images of one channel."""
    return lambda x, y: lpips(jnp.repeat(x, 3, axis=0), jnp.repeat(y, 3, axis=0))


def classifier_features(
    classifier: DigitClassifier, images: Float[Array, "n 1 28 28"]
) -> Float[Array, "n features"]:
    """The features of images, computed in batches."""
    return jax.lax.map(classifier.features, images, batch_size=256)


def set_distances(
    features: Sequence[Float[np.ndarray, "_ features"]],
    digits: Sequence[int],
    reference: Float[Array, "n features"],
) -> dict[str, Any]:
    """Fréchet and kernel distance of the frames of several rows from reference images.

    They use the features of the classifier and have standard errors. `digits` has the digit of each
    row. The frames of one digit are alike at all angles, so the standard errors are from a
    jackknife that leaves out all rows of a digit at once (None with fewer than five digits). The
    kernel distance is that of `unbiased_discrepancy`. Frames that are not finite are left out.

    **Returns:**

    `images`, `frechet`, `frechet_se`, `kernel`, `kernel_se`; None if there are too few frames.
    """
    rows = [row[np.all(np.isfinite(row), axis=1)].astype(np.float64) for row in features]
    count, width = sum(map(len, rows)), reference.shape[1]
    empty = dict.fromkeys(("frechet", "frechet_se", "kernel", "kernel_se"))
    if count < 4:
        return {"images": count, **empty}
    known = np.asarray(reference, np.float64)
    place = {digit: i % _GROUPS for i, digit in enumerate(dict.fromkeys(digits))}
    groups = [
        np.concatenate([row for row, digit in zip(rows, digits, strict=True) if place[digit] == i])
        for i in range(len(set(place.values())))
    ]
    frechet, frechet_se = _jackknife(_frechet(groups, known), len(groups))
    kernel, kernel_se = _jackknife(_kernel(groups, known), len(groups))
    return {
        "images": count,
        "frechet": frechet,
        "frechet_se": frechet_se if count > width else None,
        "kernel": kernel,
        "kernel_se": kernel_se,
    }


def _jackknife(value: Callable[[np.ndarray], float], count: int) -> tuple[float, float | None]:
    """A value of `count` groups, and its standard error from the values without each of them."""
    everything = np.arange(count)
    whole = value(everything)
    if count < _LEAST_GROUPS:
        return whole, None
    left_out = [value(np.delete(everything, i)) for i in everything]
    return whole, float(np.sqrt((count - 1) * np.var(left_out)))


def _frechet(groups: Sequence[np.ndarray], known: np.ndarray) -> Callable[[np.ndarray], float]:
    """`gaussian_frechet_distance` of a selection of the groups."""

    def moments(x):
        numbers = x.mean(axis=0), np.cov(x, rowvar=False)
        return [jnp.asarray(number, jnp.result_type(float)) for number in numbers]

    reference = moments(known)

    def value(keep):
        frames = np.concatenate([groups[i] for i in keep])
        return float(gaussian_frechet_distance(*moments(frames), *reference))

    return value


def _kernel(groups: Sequence[np.ndarray], known: np.ndarray) -> Callable[[np.ndarray], float]:
    """`unbiased_discrepancy` of a selection of the groups.

    It sums over blocks of the kernel's matrix, which is computed once.
    """

    def kernel(x, y):
        return (np.matmul(x, y.T) / x.shape[1] + 1) ** 3

    frames, sizes = np.concatenate(groups), np.asarray([len(group) for group in groups])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    between = kernel(frames, frames)
    np.fill_diagonal(between, 0)
    between = np.add.reduceat(np.add.reduceat(between, starts, axis=0), starts, axis=1)
    across = np.add.reduceat(np.sum(kernel(frames, known), axis=1), starts)
    others, m = kernel(known, known), len(known)
    constant = (np.sum(others) - np.trace(others)) / (m * (m - 1))

    def value(keep):
        n = sizes[keep].sum()
        inside = between[np.ix_(keep, keep)].sum() / (n * (n - 1))
        return float(inside + constant - 2 * across[keep].sum() / (n * m))

    return value
