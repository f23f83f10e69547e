"""The contrast of scores along chords between pictures: can geodesics follow the data?

    python benchmarks/contrast.py              # some minutes on two cores; needs MNIST

Pairs of pictures are of these kinds:

- `A and nearly A`: a picture and itself turned by 2 degrees. This is the control: a chord that
  stays on the data has a contrast of about 1 for any score.
- `turned by 90`: a picture and itself turned by 90 degrees.
- `one class`, `two classes`: two digits, or one character at two angles and two characters.

For each kind the result has the median contrast (|s|^2 at the middles of chords over |s|^2 on data)
by noise level. Scores are those of the latent model `characters`, and of the pixels of
`rotated_mnist`: for points without noise, with one noise for both pictures, and with inversion. The
result also has the detour, arc over chord of the true turn without noise, in steps of one degree.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from record import ROOT, origin, save

import geojax
from geojax.evaluation import inspect_chords
from geojax.models import GLYPHS, load, load_mnist, rotated_batch, turned_characters

RESULTS = ROOT / "benchmarks" / "results" / "contrast.json"
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6)
TURNS = {"A and nearly A": 2, "turned by 90": 90}  # degrees
OTHERS = ("one class", "two classes")


def characters(kind: str) -> Callable[[np.random.Generator], np.ndarray]:
    """A character turned from a random angle, with one picture per degree; other kinds: two
    pictures.
    """

    def draw(rng: np.random.Generator) -> np.ndarray:
        first, second = rng.choice(len(GLYPHS), 2, replace=False)
        start, other = rng.uniform(0, 360, 2)
        if kind in TURNS:
            drawn = turned_characters(GLYPHS[first], start + np.arange(TURNS[kind] + 1))[0]
        else:
            one = turned_characters(GLYPHS[first], [start, other])[0]
            two = turned_characters(GLYPHS[second], [other])[0]
            drawn = one if kind == "one class" else np.concatenate([one[:1], two])
        return (drawn[:, None] / 127.5 - 1).astype(np.float32)

    return draw


def digits(kind: str) -> Callable[[np.random.Generator], np.ndarray]:
    """The same for test digits without 6 and 9, because a turned 6 is a 9."""
    images, labels = load_mnist("test")
    kept = np.flatnonzero(~np.isin(labels, (6, 9)))

    def draw(rng: np.random.Generator) -> np.ndarray:
        first = rng.choice(kept)
        start = rng.uniform(0, 360)
        if kind in TURNS:
            angles = np.radians(start + np.arange(TURNS[kind] + 1))
            return np.asarray(rotated_batch(np.repeat(images[first][None], len(angles), 0), angles))
        alike = labels[kept] == labels[first]
        others = kept[(alike if kind == "one class" else ~alike) & (kept != first)]
        pair = images[[first, rng.choice(others)]]
        return np.asarray(rotated_batch(pair, np.radians([start, rng.uniform(0, 360)])))

    return draw


def measured(pipeline, draw, count: int) -> dict[str, Any]:
    """The contrast by level, each pair on its own, and the median detour."""
    rng = np.random.default_rng(0)
    contrasts, detours = [], []
    for i in range(count):
        way = draw(rng)
        found = inspect_chords(pipeline, way[[0, -1]], LEVELS, key=jax.random.key(i))
        contrasts.append(found.contrast)
        points = np.stack([np.asarray(pipeline.encode(x)).ravel() for x in way])
        arc = np.sum(np.linalg.norm(np.diff(points, axis=0), axis=1))
        detours.append(arc / np.linalg.norm(points[-1] - points[0]))
    medians = np.median(contrasts, axis=0)
    contrast = {f"{t:g}": float(f"{c:.4g}") for t, c in zip(LEVELS, medians, strict=True)}
    detour = float(f"{np.median(detours):.4g}") if len(way) > 2 else None
    return {"contrast": contrast, "detour": detour}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=16, help="of each kind")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    network = load("rotated_mnist")
    clean = geojax.NoiseRoute(network, noising="none", denoising="none")
    plan = (
        ("characters, latent", load("characters"), characters),
        ("digits, clean pixels", clean, digits),
        ("digits, one noise for both", geojax.NoiseRoute(network, noising="shared"), digits),
        ("digits, inversion", geojax.NoiseRoute(network), digits),
    )
    rows, began = [], origin()
    for space, pipeline, draw in plan:
        for kind in (*TURNS, *OTHERS):
            row = {"space": space, "pairs of": kind}
            row |= measured(pipeline, draw(kind), options.pairs)
            rows.append(row)
            print(row, flush=True)
    save(options.out, {"origin": began, "pairs": options.pairs, "rows": rows})
    print(table(rows))


if __name__ == "__main__":
    main()
