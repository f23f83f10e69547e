"""Train the model of turned characters, measure it on unseen angles and write its card.

    python models/characters/train.py [--autoencoder-steps N] [--steps N] [--out DIR]

Needs no data: the characters are drawn. Some twenty minutes on two CPU cores; run again, it goes on
from the last save. The weights are bundled in float16.
"""

import argparse
import copy
import hashlib
import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import geojax
from geojax.cli._train_images import draw_training
from geojax.models import GLYPHS, turned_characters
from geojax.models._checkpoint import save_arrays
from geojax.models.latent import LATENT_CONFIG, load_latent_model, train_latent_model

SIDE, ANGLES = 32, 240  # training angles: every 1.5 degrees
TURNS, PAIRS, FRAMES = (60.0, 90.0, 120.0, 180.0), 16, 13
HERE = Path(__file__).resolve().parent
CARD = (HERE / "card.template.md").read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    training = LATENT_CONFIG["training"]
    parser.add_argument("--autoencoder-steps", type=int, default=training["autoencoder_steps"])
    parser.add_argument("--steps", type=int, default=training["denoiser_steps"])
    parser.add_argument("--out", type=Path, default=HERE, help="default: this folder")
    options = parser.parse_args()
    config = copy.deepcopy(LATENT_CONFIG)
    config["training"]["autoencoder_steps"] = options.autoencoder_steps
    config["training"]["denoiser_steps"] = options.steps
    config["data"] = {
        "kind": "turned characters",
        "text": f"the characters {' '.join(GLYPHS)} at {ANGLES} angles",
        "glyphs": GLYPHS,
        "angles": ANGLES,
    }
    angles = np.arange(ANGLES) * 360 / ANGLES
    pictures = turned_characters(GLYPHS, angles, side=SIDE).reshape(-1, SIDE, SIDE)

    def show(phase: str, step: int, loss: float) -> None:
        if step % 500 == 0:
            print(f"{phase}: step {step}, loss {loss:.4f}", flush=True)

    model = train_latent_model(config, pictures, options.out, callback=show)
    model = halved(model)
    save_arrays(options.out / "model.safetensors", model)
    model = load_latent_model(options.out)
    draw_training(options.out, model, pictures[..., None])
    rows = [measured(model, turn) for turn in TURNS]
    text = card(options.out, model, rows)
    (options.out / "README.md").write_text(text, encoding="utf-8")
    print(text)


def halved(model):
    """The weights in float16, which is what is bundled and measured."""
    floats, rest = eqx.partition(model, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(lambda a: a.astype(jnp.float16), floats), rest)


def measured(model, turn: float) -> dict[str, float]:
    """Between a character and itself turned, at angles between those of training: decibels of the
    decoded frames of LERP and of the geodesic, and of the decoder's own frames.
    """
    rng = np.random.default_rng(0)
    spacing = 360 / ANGLES
    times = np.linspace(0, 1, FRAMES)
    score = model.score.at(model.t)

    @eqx.filter_jit
    def frames(model, points):
        return jax.vmap(model.decode)(points)

    found = []
    for _ in range(PAIRS):
        glyph = GLYPHS[rng.integers(len(GLYPHS))]
        start = spacing * (rng.integers(ANGLES) + 0.5)
        drawn = turned_characters(glyph, start + turn * times, side=SIDE)[0, :, None]
        truth = jnp.asarray(drawn / 127.5 - 1, jnp.float32)
        encoded = jax.vmap(model.encode)(truth)
        a, b = encoded[0], encoded[-1]
        lam = geojax.score_contrast(score, a[None], b[None]).lam
        metric = geojax.SteinScoreMetric(score, lam)
        solution = geojax.geodesic(metric, a, b, throw=False)
        ts = jnp.asarray(times, a.dtype)
        paths = geojax.Lerp()(a, b, ts), solution.curve.evaluate(ts), encoded
        inner = slice(1, -1)
        decibels = [
            np.mean(10 * np.log10(4 / np.mean((frames(model, p) - truth)[inner] ** 2, (1, 2, 3))))
            for p in paths
        ]
        found.append((*decibels, float(solution.successful)))
    lerp, path, decoder, solved = np.mean(found, axis=0)
    return {"turn": turn, "LERP": lerp, "geodesic": path, "decoder": decoder, "solved": solved}


def card(folder: Path, model, rows) -> str:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    figures, settings = config["figures"], config["training"]
    weights = (folder / "model.safetensors").read_bytes()
    parameters = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
    table = "\n".join(
        f"| {row['turn']:.0f}° | {row['LERP']:.1f} | **{row['geodesic']:.1f}** | "
        f"{row['decoder']:.1f} | {row['solved']:.0%} |"
        for row in rows
    )
    return CARD.format(
        **figures,
        **{name: settings[name] for name in ("autoencoder_steps", "denoiser_steps")},
        text=config["data"]["text"],
        side=SIDE,
        components=config["components"],
        parameters=parameters,
        kilobytes=len(weights) // 1000,
        sha=hashlib.sha256(weights).hexdigest()[:16],
        pairs=PAIRS,
        table=table,
    )


if __name__ == "__main__":
    main()
