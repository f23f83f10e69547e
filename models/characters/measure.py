"""Measure the model of turned characters on unseen angles, and write its card.

    python models/characters/measure.py [--out DIR]

It needs only the weights and `config.json`. `train.py` runs it at its end.
"""

import sys
from pathlib import Path

import numpy as np

from geojax.models import GLYPHS, turned_characters
from geojax.models.latent import LatentModel, load_latent_model

sys.path.append(str(Path(__file__).resolve().parents[1]))
from latent_card import asked_folder, decibels, decoded_frames, mean_of, write_card

SIDE, ANGLES = 32, 240  # training angles: every 1.5 degrees
TURNS, PAIRS, FRAMES = (60.0, 90.0, 120.0, 180.0), 16, 13
HERE = Path(__file__).resolve().parent
CARD = (HERE / "card.template.md").read_text(encoding="utf-8")


def measure(folder: Path) -> None:
    """Write the card."""
    model = load_latent_model(folder)
    table = []
    for turn in TURNS:
        row = _measured(model, turn)
        table.append(
            f"| {turn:.0f}° | {row['LERP']:.1f} | **{row['geodesic']:.1f}** | "
            f"{row['decoder']:.1f} | {row['solved']:.0%} |"
        )
    write_card(folder, CARD, model, pairs=PAIRS, table="\n".join(table))


def _measured(model: LatentModel, turn: float) -> dict[str, float]:
    """Decibels of the decoded frames between a character and itself turned: means over `PAIRS`.

    The angles are between the training angles.
    """
    rng = np.random.default_rng(0)
    spacing = 360 / ANGLES
    times = np.linspace(0, 1, FRAMES)
    rows = []
    for _ in range(PAIRS):
        glyph = GLYPHS[rng.integers(len(GLYPHS))]
        start = spacing * (rng.integers(ANGLES) + 0.5)
        drawn = turned_characters(glyph, start + turn * times, side=SIDE)[0, :, None]
        truth = drawn / 127.5 - 1
        frames = decoded_frames(model, truth, times)
        solved = frames.pop("solved")
        row = {name: decibels(found, truth) for name, found in frames.items()}
        rows.append({**row, "solved": solved})
    return mean_of(rows)


if __name__ == "__main__":
    measure(asked_folder(__doc__, HERE))
