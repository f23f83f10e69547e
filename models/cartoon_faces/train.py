"""Train the model of cartoon faces, measure it on unseen parameters and write its card.

    python models/cartoon_faces/train.py [--autoencoder-steps N] [--steps N] [--out DIR]

It draws its pictures (README.md lists the requirements), and takes some twenty minutes on two CPU
cores. A second call resumes from the last save.
"""

import argparse
import copy
import json
from pathlib import Path

import numpy as np
from faces import FACES, NAMES, SIDE, draw, training_parameters
from measure import measure

from geojax.cli._train_images import draw_training
from geojax.models.latent import LATENT_CONFIG, train_latent_model

NUMBER = 512  # pictures of each face
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--autoencoder-steps",
        type=int,
        nargs="+",
        default=[2500, 4500],
        help="where each round ends; the learning rate falls as far as if it were the last one",
    )
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--out", type=Path, default=HERE, help="default: this folder")
    options = parser.parse_args()
    config = copy.deepcopy(LATENT_CONFIG)
    config["autoencoder"] |= {
        "channels": 3,
        "side": SIDE,
        "widths": [12, 24, 48, 64],
        "hidden": 384,
        "latent": 8,
    }
    config["components"] = 8
    config["denoiser"] = {"width": 288, "depth": 4}
    config["training"] |= {
        "autoencoder_batch": 32,
        "learning_rate": 1.5e-3,
        "denoiser_steps": options.steps,
    }
    config["data"] = {
        "kind": "cartoon faces",
        "text": f"{FACES} cartoon faces, {NUMBER} pictures each",
        "parameters": list(NAMES),
    }
    parameters = training_parameters(FACES * NUMBER)
    pictures = draw(np.arange(len(parameters)) % FACES, parameters)

    def show(phase: str, step: int, loss: float) -> None:
        if step % 250 == 0:
            print(f"{phase}: step {step}, loss {loss:.4f}", flush=True)

    for steps in sorted(options.autoencoder_steps):
        config["training"]["autoencoder_steps"] = steps
        if not begin_round(options.out, steps):
            continue
        model = train_latent_model(config, pictures, options.out, callback=show)
    draw_training(options.out, model, pictures)
    measure(options.out)


def begin_round(folder: Path, steps: int) -> bool:
    """Whether this round has steps left in the folder.

    A round continues from the autoencoder of earlier rounds and its optimiser. The denoiser starts
    again, because the latents differ.
    """
    path = folder / "config.json"
    if not path.is_file():
        return True
    training = json.loads(path.read_text(encoding="utf-8"))["training"]
    if training["autoencoder_steps"] < steps:
        path.unlink()
        (folder / "training-denoiser.safetensors").unlink(missing_ok=True)
    return training["autoencoder_steps"] <= steps


if __name__ == "__main__":
    main()
