"""Figures of a latent model that are known before any solve: contrast, detour, level, errors."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import cdist

from ...scores import score_contrast, suited_level
from ._autoencoder import from_bytes
from ._distances import neighbour_graph
from ._model import LatentModel

LEVELS = tuple(round(0.05 * i, 2) for i in range(1, 16))
_PAIRS, _GRAPH = 256, 1500


def latent_figures(model: LatentModel, pixels, points, *, seed: int = 0) -> dict[str, Any]:
    """The figures of a model card, by name.

    - `t`: the level among `LEVELS` that `suited_level` chooses; `sigma`: its noise, in the unit of
      the points.
    - `contrast`, `lam`: of `score_contrast` at that level, between random pairs.
    - `detour`: the median of path over chord along the neighbour graph of the points, between
      random connected pairs. Above about 2 a straight line is a poor start.
    - `psnr`: of the decoded images, in decibels, from the mean squared error of all.
    """
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, len(points), (2, _PAIRS))
    levels = jnp.asarray(LEVELS, points.dtype)
    x0, x1 = points[first], points[second]
    found = jax.lax.map(lambda t: score_contrast(model.score.at(t), x0, x1), levels)
    best = suited_level(np.asarray(found.ratio))
    sample = rng.permutation(len(pixels))[:_PAIRS]
    errors = jax.jit(jax.vmap(lambda p: _squared_error(model, p)))(jnp.asarray(pixels[sample]))
    return {
        "t": LEVELS[best],
        "sigma": round(float(model.score.schedule.sigma(LEVELS[best])), 4),
        "contrast": round(float(found.ratio[best]), 2),
        "lam": float(f"{float(found.lam[best]):.4g}"),
        "detour": round(detour(np.asarray(points), seed=seed), 3),
        "psnr": round(float(10 * np.log10(4 / np.mean(np.asarray(errors)))), 2),
    }


def detour(points: np.ndarray, *, neighbours: int = 6, seed: int = 0) -> float:
    """The median of path over chord along the neighbour graph, between random connected pairs."""
    rng = np.random.default_rng(seed)
    points = np.asarray(points, np.float64)[rng.permutation(len(points))[:_GRAPH]]
    graph = neighbour_graph(points, min(neighbours, len(points) - 1))
    starts = np.arange(min(64, len(points)))
    paths = dijkstra(graph, directed=False, indices=starts)
    chords = cdist(points[starts], points)
    joined = np.isfinite(paths) & (chords > 0)
    return float(np.median(paths[joined] / chords[joined]))


def _squared_error(model: LatentModel, pixels):
    image = from_bytes(pixels)
    return jnp.mean((model.to_image(model.to_level(image)) - image) ** 2)
