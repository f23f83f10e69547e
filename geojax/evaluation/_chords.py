"""Measure by noise level, before any solve, whether a score detects that chords leave the data."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from .._arrays import Numbers, as_floating, refuse_pixels
from ..scores import LEAST_CONTRAST, AbstractPipeline, score_contrast, suited_level

LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6)
_PAIRS = 16


class ChordInspection(NamedTuple):
    """The result of `inspect_chords`, by noise level.

    **Arguments:**

    - `ts`: the levels, shape `(levels,)`.
    - `contrast`: |s|^2 at the middles of chords over |s|^2 on data ([`geojax.score_contrast`][]),
      shape `(levels,)`.
    - `lam`: the suited weight of s s^T, in units of length^2, shape `(levels,)`.
    - `t`: the noisiest level whose contrast is at least a quarter of the largest and at least 10.
      If none reaches 10, the level of the largest.
    """

    ts: Float[np.ndarray, " levels"]
    contrast: Float[np.ndarray, " levels"]
    lam: Float[np.ndarray, " levels"]
    t: float

    @property
    def best(self) -> int:
        """The index of `t`."""
        return int(np.flatnonzero(self.ts == self.t)[0])

    @property
    def knows_the_chords(self) -> bool:
        """Whether the contrast at `t` is at least 10."""
        return bool(self.contrast[self.best] >= LEAST_CONTRAST)

    def __str__(self) -> str:
        rows = [
            f"t = {t:g}: contrast {c:.3g}, lambda {lam:.3g}"
            for t, c, lam in zip(self.ts, self.contrast, self.lam, strict=True)
        ]
        if self.knows_the_chords:
            verdict = (
                f"Take t = {self.t:g} and lambda = {self.lam[self.best]:.3g}: the score knows "
                "that the chords between these images leave the data."
            )
        else:
            verdict = (
                f"The contrast is below {LEAST_CONTRAST:g} at every level: this score does not "
                "know that the chords between these images leave the data, and a geodesic cannot "
                "follow the data here."
            )
        return "\n".join([*rows, verdict])


def inspect_chords(
    pipeline: AbstractPipeline,
    images: Numbers,
    ts: Sequence[float] = LEVELS,
    *,
    key: Key[Array, ""] | None = None,
    on_level: Callable[[int], None] | None = None,
) -> ChordInspection:
    """|s|^2 at the middles of the chords between images over |s|^2 at the images, by level.

    Use it before a solve: it costs the way to each level and three evaluations of the score a
    chord, minutes where a geodesic takes an hour.

    **Arguments:**

    - `pipeline`: maps images to the space of the geometry; its own `t` is not used.
    - `images`: at least two, shape `(images, *image)`. Of more than six the first 16 pairs are
      used.
    - `ts`: levels in (0, 1].
    - `key`: for the noise that images share, if the pipeline draws any.
    - `on_level`: called with the index of each level as it begins.

    **Returns:**

    A [`geojax.evaluation.ChordInspection`][].

    **Raises:**

    - `ValueError`: on fewer than two images or levels out of range.

    >>> import jax.numpy as jnp, geojax
    >>> from geojax.evaluation import inspect_chords
    >>> ring = geojax.NoisedSphere(2.0, schedule=geojax.VE(0.01, 2.0))
    >>> route = geojax.NoiseRoute(ring, noising="none", denoising="none")
    >>> print(inspect_chords(route, [[2.0, 0.0], [0.0, 2.0]], (0.5, 0.99)).t)
    0.5
    """
    refuse_pixels("images", images)
    images = as_floating("images", images, "images *image")
    if len(images) < 2:
        raise ValueError(f"images must hold at least two, got {len(images)}.")
    levels = sorted({float(t) for t in ts})
    wrong = [t for t in levels if not 0 < t <= 1]
    if wrong or not levels:
        raise ValueError(f"ts must be levels in (0, 1], got {wrong[0] if wrong else 'none'}.")
    # Without noise an image is the same point at every level, so it is encoded once.
    clean = [pipeline.encode(image) for image in images]
    pairs = np.asarray(list(itertools.combinations(range(len(images)), 2))[:_PAIRS])
    found = []
    for i, level in enumerate(levels):
        if on_level is not None:
            on_level(i)
        at = eqx.tree_at(lambda p: p.t, pipeline, jnp.asarray(level, images.dtype))
        points = jnp.stack([at.noised(point, key=key) for point in clean])
        score, args = at.score.at(at.t), at.conditions[0]
        contrast = score_contrast(
            score, points[pairs[:, 0]], points[pairs[:, 1]], args, batch_size=1
        )
        found.append((float(contrast.ratio), float(contrast.lam)))
    contrasts, lams = np.asarray(found).T
    best = suited_level(contrasts)
    return ChordInspection(np.asarray(levels), contrasts, lams, levels[best])
