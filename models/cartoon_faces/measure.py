"""Measure a model of cartoon faces on unseen parameters, and write its card.

    python models/cartoon_faces/measure.py [--out DIR]

It needs the weights, `config.json` and the programs that draw faces (README.md). `train.py` runs it
at its end. It also writes `demo.npz`, the drawings that the demo shows.
"""

import sys
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from faces import FACES, HIGH, LOW, draw
from jaxtyping import Array, Float

import geojax
from geojax.models.latent import load_latent_model

sys.path.append(str(Path(__file__).resolve().parents[1]))
from latent_card import asked_folder, decibels, decoded_frames, mean_of, write_card

TURNS, PAIRS, FRAMES = (60.0, 90.0, 120.0, 180.0), 12, 13
UNIT = np.array([60.0, 1.0])  # units of turn and look for the drawing's metric
STEP = np.array([2.0, 0.05])  # of finite differences: about a pixel
HERE = Path(__file__).resolve().parent
CARD = (HERE / "card.template.md").read_text(encoding="utf-8")
# The demo: a face, (turn, look) at A and at B, and the steps and range of the drawings beyond B.
# The look stays in the range of training there.
DEMO = 0, (20.75, -0.8), (140.75, 0.4)
TIMES = np.arange(49) / 32


def measure(folder: Path) -> None:
    """Write the card and the drawings of the demo."""
    model = load_latent_model(folder)
    write_demo(folder)
    rng = np.random.default_rng(0)
    metrics = [_Drawing.of(face) for face in range(FACES)]
    table = []
    for turn in TURNS:
        row = _measured(model, metrics, turn, rng)
        table.append(
            f"| {turn:.0f}° | {row['detour']:.1f} | {row['fade']:.1f} | {row['LERP']:.1f} | "
            f"**{row['geodesic']:.1f}** | {row['decoder']:.1f} | {row['solved']:.0%} | "
            f"{row['LERP shortest']:.1f} | **{row['geodesic shortest']:.1f}** | {row['own']:.0%} |"
        )
    own = {"faces": FACES, "pairs": PAIRS, "frames": FRAMES, "table": "\n".join(table)}
    write_card(folder, CARD, model, **own)


def write_demo(folder: Path) -> None:
    """Write `demo.npz`: times, and the drawings there; A is at time 0, B at time 1."""
    face, a, b = DEMO
    pictures = draw(face, _between(np.array(a), np.array(b), TIMES))
    with (folder / "demo.npz").open("wb") as file:
        np.savez_compressed(file, times=TIMES, pictures=pictures.transpose(0, 3, 1, 2))


class _Drawing(eqx.Module):
    """The metric of pictures, pulled back to (turn, look).

    It is J^T J as polynomials of the look, up to a factor. To turn a head changes no length, so J^T
    J is the mean over some turns.
    """

    coefficients: Float[Array, "degree 2 2"]

    @classmethod
    def of(cls, face: int) -> "_Drawing":
        looks = np.linspace(LOW[1], HIGH[1], 9)
        points = np.stack(np.meshgrid(np.arange(8) * 47.0, looks, indexing="ij"), -1)
        ends = [points + sign * np.diag(STEP)[:, None, None] for sign in (1, -1)]
        plus, minus = (draw(face, p).reshape(2, 8, 9, -1) / 127.5 - 1 for p in ends)
        columns = (plus - minus) * (UNIT / (2 * STEP))[:, None, None, None]
        found = np.einsum("iabp,jabp->bij", columns, columns)
        fitted = np.polyfit(looks, found.reshape(9, 4) / np.mean(found[:, 0, 0]), 4)
        return cls(jnp.asarray(fitted.reshape(5, 2, 2), jnp.float32))

    def __call__(self, x, args=None):
        return jnp.polyval(self.coefficients, x[1])


def _measured(model, metrics, turn: float, rng) -> dict[str, float]:
    """The figures between a face and itself turned, with any looks: means over `PAIRS`."""
    times = np.linspace(0, 1, FRAMES)
    rows = []
    for number in range(PAIRS):
        face = number % FACES
        a = np.array([rng.uniform(0, 360), rng.uniform(LOW[1], HIGH[1])])
        b = np.array([a[0] + turn, rng.uniform(LOW[1], HIGH[1])])
        own = geojax.geodesic(
            geojax.DenseMetric(metrics[face]),
            jnp.asarray(a / UNIT, jnp.float32),
            jnp.asarray(b / UNIT, jnp.float32),
            throw=False,
        )
        shortest = np.asarray(own.curve.evaluate(jnp.asarray(times, jnp.float32)), float) * UNIT
        drawn = draw(face, np.stack([_between(a, b, times), shortest])) / 127.5 - 1
        truth, drawn_shortest = drawn.transpose(0, 1, 4, 2, 3)
        images = decoded_frames(model, truth, times)
        fade = truth[0] + times[:, None, None, None] * (truth[-1] - truth[0])
        row = {"fade": decibels(fade, truth), "own": float(own.successful)}
        row["detour"] = _detour(truth)
        row["solved"] = images.pop("solved")
        for name, frames in images.items():
            row[name] = decibels(frames, truth)
            row[f"{name} shortest"] = decibels(frames, drawn_shortest)
        rows.append(row)
    return mean_of(rows)


def _between(a: np.ndarray, b: np.ndarray, times: np.ndarray) -> np.ndarray:
    return a + times[:, None] * (b - a)


def _detour(frames: np.ndarray) -> float:
    """Arc over chord in pixels; with few frames it is a lower bound."""
    flat = frames.reshape(len(frames), -1)
    arc = np.sum(np.linalg.norm(np.diff(flat, axis=0), axis=1))
    return float(arc / np.linalg.norm(flat[-1] - flat[0]))


if __name__ == "__main__":
    measure(asked_folder(__doc__, HERE))
