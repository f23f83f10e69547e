"""The common part of the cards of the latent models: the frames of both paths, and the fields.

The `measure.py` of a model puts this folder on the path of modules.
"""

import argparse
import hashlib
import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from revision import commit

import geojax
from geojax.models.latent import LatentModel


def asked_folder(about: str, default: Path) -> Path:
    """The `--out` of the command line of a `measure.py`, whose docstring is `about`."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--out", type=Path, default=default, help="default: this folder")
    return parser.parse_args().out


def decoded_frames(model: LatentModel, truth: np.ndarray, times: np.ndarray) -> dict:
    """Decoded frames of the straight line, the geodesic and the true pictures.

    They are under "LERP", "geodesic" and "decoder"; "solved" is 1 if the geodesic was found, else
    0. `truth` are the pictures at `times`, in [-1, 1], shape `(times, channels, side, side)`. The
    geodesic is that of I + λ s s^T with the λ of `score_contrast` for these two ends, from the
    straight line.
    """
    encoded = _encoded(model, jnp.asarray(truth, jnp.float32))
    a, b = encoded[0], encoded[-1]
    score = model.score.at(model.t)
    lam = geojax.score_contrast(score, a[None], b[None]).lam
    solution = geojax.geodesic(geojax.SteinScoreMetric(score, lam), a, b, throw=False)
    ts = jnp.asarray(times, a.dtype)
    paths = {
        "LERP": geojax.Lerp()(a, b, ts),
        "geodesic": solution.curve.evaluate(ts),
        "decoder": encoded,
    }
    frames = {name: np.asarray(_decoded(model, path), float) for name, path in paths.items()}
    return {**frames, "solved": float(solution.successful)}


@eqx.filter_jit
def _encoded(model, images):
    return jax.vmap(model.encode)(images)


@eqx.filter_jit
def _decoded(model, points):
    return jax.vmap(model.decode)(points)


def decibels(frames: np.ndarray, truth: np.ndarray) -> float:
    """PSNR, the mean over the frames between the ends."""
    errors = np.mean((frames - truth)[1:-1] ** 2, axis=(1, 2, 3))
    return float(np.mean(10 * np.log10(4 / errors)))


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each column."""
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def write_card(folder: Path, template: str, model: LatentModel, **own) -> None:
    """Write `README.md` in `folder`, and print it.

    It is the template with fields from config and weights, the current commit, and the model's
    `own` fields.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    training = config["training"]
    weights = (folder / "model.safetensors").read_bytes()
    text = template.format(
        **config["figures"],
        **{name: training[name] for name in ("autoencoder_steps", "denoiser_steps")},
        text=config["data"]["text"],
        side=config["shape"][1],
        components=config["components"],
        parameters=sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))),
        kilobytes=len(weights) // 1000,
        sha=hashlib.sha256(weights).hexdigest()[:16],
        commit=commit(),
        **own,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    print(text)
