"""Does a score know the chords between pictures? Where geodesics can follow the data.

    python benchmarks/contrast.py              # some minutes on two cores; needs MNIST

Pairs of pictures, by kind:

- ``A and nearly A``: a picture and itself turned by 2 degrees, the control: a chord that stays on
  the data has a contrast of about 1, whatever the score.
- ``turned by 90``: a picture and itself turned by 90 degrees.
- ``one class``, ``two classes``: of two digits (Rotated MNIST only).

For each the contrast (|s|^2 at the middles of chords over |s|^2 on data) by noise level, of the
latent model `characters` and of the pixels of `rotated_mnist`, there with inversion and for points
without noise; and the detour, arc over chord of the true turn.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from record import ROOT, origin, save

import geojax
from geojax.evaluation import inspect_chords
from geojax.models import GLYPHS, load, load_mnist, rotated_batch, turned_characters

RESULTS = ROOT / "benchmarks" / "results" / "contrast.json"
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6)
NEAR, FAR, STEPS = 2.0, 90.0, 90


def characters(rng: np.random.Generator, turn: float) -> np.ndarray:
    """A character from a random angle on: STEPS + 1 pictures up to ``turn`` degrees."""
    angles = rng.uniform(0, 360) + np.linspace(0, turn, STEPS + 1)
    drawn = turned_characters(GLYPHS[rng.integers(len(GLYPHS))], angles)[0]
    return (drawn[:, None] / 127.5 - 1).astype(np.float32)


def digits(kind: str) -> Callable[[np.random.Generator, float], np.ndarray]:
    """The same of test digits without 6 and 9; other kinds: two digits, each at some angle."""
    images, labels = load_mnist("test")
    kept = np.flatnonzero(~np.isin(labels, (6, 9)))

    def draw(rng: np.random.Generator, turn: float) -> np.ndarray:
        first = rng.choice(kept)
        start = rng.uniform(0, 360)
        if kind == "turn":
            angles = np.radians(start + np.linspace(0, turn, STEPS + 1))
            return np.asarray(rotated_batch(np.repeat(images[first][None], STEPS + 1, 0), angles))
        alike = labels[kept] == labels[first]
        others = kept[(alike if kind == "one class" else ~alike) & (kept != first)]
        pair = images[[first, rng.choice(others)]]
        return np.asarray(rotated_batch(pair, np.radians([start, rng.uniform(0, 360)])))

    return draw


def measured(pipeline, draw, turn: float, count: int) -> dict[str, Any]:
    """Contrast by level over pairs, each asked for on its own; and the median detour."""
    rng = np.random.default_rng(0)
    contrasts, detours = [], []
    for _ in range(count):
        way = draw(rng, turn)
        found = inspect_chords(pipeline, way[[0, -1]], LEVELS)
        contrasts.append(found.contrast)
        points = np.stack([np.asarray(pipeline.encode(x)).ravel() for x in way])
        arc = np.sum(np.linalg.norm(np.diff(points, axis=0), axis=1))
        detours.append(arc / np.linalg.norm(points[-1] - points[0]))
    medians = np.median(contrasts, axis=0)
    row = {f"contrast at t = {t:g}": float(c) for t, c in zip(LEVELS, medians, strict=True)}
    return row | ({"detour": float(np.median(detours))} if len(way) > 2 else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=16, help="of each kind")
    pairs = parser.parse_args().pairs
    network = load("rotated_mnist")
    clean = geojax.NoiseRoute(network, noising="none", denoising="none")
    inverted = geojax.NoiseRoute(network, num_steps=20)
    plan = [("characters, latent", load("characters"), characters, ("A and nearly A", "turned"))]
    for name, route in (("digits, clean pixels", clean), ("digits, inverted pixels", inverted)):
        plan.append((name, route, digits("turn"), ("A and nearly A", "turned")))
        plan += [(name, route, digits(kind), (kind,)) for kind in ("one class", "two classes")]
    rows = []
    for name, pipeline, draw, kinds in plan:
        for kind in kinds:
            turn = {"A and nearly A": NEAR, "turned": FAR}.get(kind, 0.0)
            label = f"turned by {FAR:g}" if kind == "turned" else kind
            row = {"space": name, "pairs of": label, **measured(pipeline, draw, turn, pairs)}
            rows.append(row)
            print(row, flush=True)
    save(RESULTS, {"origin": origin(), "pairs": pairs, "rows": rows})


if __name__ == "__main__":
    main()
