"""Train the model of turned characters, measure it on unseen angles and write its card.

    python models/characters/train.py [--autoencoder-steps N] [--steps N] [--out DIR]

It needs no data, because it draws the characters, and takes some twenty minutes on two CPU cores. A
second call resumes from the last save. The weights are bundled in float16.
"""

import argparse
import copy
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from measure import ANGLES, SIDE, measure

from geojax.cli._train_images import draw_training
from geojax.models import GLYPHS, turned_characters
from geojax.models._checkpoint import save_arrays
from geojax.models.latent import LATENT_CONFIG, load_latent_model, train_latent_model

HERE = Path(__file__).resolve().parent


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
    measure(options.out)


def halved(model):
    """The weights in float16, as bundled and measured."""
    floats, rest = eqx.partition(model, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(lambda a: a.astype(jnp.float16), floats), rest)


if __name__ == "__main__":
    main()
