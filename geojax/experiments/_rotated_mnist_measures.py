"""The figures of one path of digits, and of the frames of many."""

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

_ORBIT = 181  # points of the true orbit among which the nearest is taken: a degree apart or less
_ROUNDING = 1e-4  # per pixel; below it decibels say nothing
# Digits are left out in turn for a standard error, in so many groups; with fewer there is none.
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
    """The figures of a row, and the classifier's features of the frames that they are means over:
    all but those at the times 0 and 1.

    ``ts``: from 0 to 1, or from 1 on for an extrapolation, which has no ``end_error``. Between a
    digit and itself there is no ``deviation``, and no PSNR where only rounding is left.
    """
    numbers = jnp.asarray([pair.angle, pair.turn], frames.dtype)
    # Half a turn is the same there and back: the way that a path is nearer to counts.
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
    frames = jnp.clip(frames, -1, 1)  # as a picture shows them
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
    """LPIPS of images of one channel."""
    return lambda x, y: lpips(jnp.repeat(x, 3, axis=0), jnp.repeat(y, 3, axis=0))


def classifier_features(
    classifier: DigitClassifier, images: Float[Array, "n 1 28 28"]
) -> Float[Array, "n features"]:
    """The features of images, some hundred at a time."""
    return jax.lax.map(classifier.features, images, batch_size=256)


def set_distances(
    features: Sequence[Float[np.ndarray, "_ features"]],
    digits: Sequence[int],
    reference: Float[Array, "n features"],
) -> dict[str, Any]:
    """Fréchet and kernel distance of the frames of several rows, by the classifier's features,
    from reference images, with standard errors.

    ``digits`` says of which digit a row is. The frames of one are alike, at all angles: so the
    standard errors are a jackknife's that leaves out digits, all of their rows at once (None with
    fewer than five digits). The kernel distance is that of `unbiased_discrepancy`. Frames that are
    not finite are left out.

    **Returns:** ``images``, ``frechet``, ``frechet_se``, ``kernel``, ``kernel_se``; None for what
    too few frames do not give.
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
    """A value of so many groups, and its standard error from those without each of them."""
    everything = np.arange(count)
    whole = value(everything)
    if count < _LEAST_GROUPS:
        return whole, None
    left_out = [value(np.delete(everything, i)) for i in everything]
    return whole, float(np.sqrt((count - 1) * np.var(left_out)))


def _frechet(groups: Sequence[np.ndarray], known: np.ndarray) -> Callable[[np.ndarray], float]:
    """`gaussian_frechet_distance` of some of the groups together."""

    def moments(x):
        numbers = x.mean(axis=0), np.cov(x, rowvar=False)
        return [jnp.asarray(number, jnp.result_type(float)) for number in numbers]

    reference = moments(known)

    def value(keep):
        frames = np.concatenate([groups[i] for i in keep])
        return float(gaussian_frechet_distance(*moments(frames), *reference))

    return value


def _kernel(groups: Sequence[np.ndarray], known: np.ndarray) -> Callable[[np.ndarray], float]:
    """`unbiased_discrepancy` of some of the groups together, by sums over blocks of the kernel's
    matrix, which is computed once.
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
