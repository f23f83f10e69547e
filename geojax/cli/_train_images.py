"""`geojax train --images`: a latent model of a user's pictures, resumable."""

import json
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._files import written_whole
from ..models.latent import LATENT_CONFIG, latent_losses, train_latent_model
from ..plotting import loss_curve, sample_sheet, save_figure
from ..scores import LEAST_CONTRAST, sample
from ._console import input_checked, say, tell
from ._distributed import all_devices, writes
from ._folders import removed_if_empty, reserve_folder
from ._gpu_recipe import PICTURES, with_recipe
from ._interrupt import GOES_ON, resumable
from ._pictures import Pictures, read_pictures
from ._progress import Stages

_ROWS, _COLUMNS = 6, 8


def train_images(
    images: Path,
    out: str,
    changes: dict[str, Any],
    side: int | None,
    colour: bool | None,
    save_every: int,
    *,
    gpu: bool = False,
) -> None:
    """Train, draw loss and sheets, write the card; `typer.Exit` as the command."""
    with input_checked():
        tell("data", f"reading {images}")
        pictures = read_pictures(images, side, colour)
        config = latent_config(pictures, images.name, changes, gpu=gpu)
        folder = reserve_folder(out, _is_run)
    settings = config["training"]
    steps = {phase: settings[f"{phase}_steps"] for phase in ("autoencoder", "denoiser")}
    stages = [
        ("prepare", "finding the neighbours of the pictures", 5.0),
        ("autoencoder", "training the autoencoder", 60.0),
        ("denoiser", "training the score", 30.0),
        ("figures", "drawing and writing", 5.0),
    ]
    began = time.perf_counter()
    with removed_if_empty(folder), Stages(stages) as bar:
        bar.begin("prepare")
        running = ["prepare"]

        def show(phase: str, step: int, loss: float) -> None:
            if running[0] != phase:
                running[0] = phase
                bar.begin(phase)
            share = step / steps[phase]
            bar.detail(f"{phase}: step {step} of {steps[phase]}, loss {loss:.4f}", share)

        with resumable(bar.stop, GOES_ON.format(folder)):
            model = train_latent_model(
                config,
                pictures.pixels,
                folder,
                labels=pictures.labels,
                groups=pictures.groups,
                save_every=save_every,
                callback=show,
                devices=all_devices(),
            )
        if not writes():
            return
        bar.begin("figures")
        with input_checked():
            files = draw_training(folder, model, pictures.pixels)
            card = folder / "README.md"
            text = card_text(folder)
            with written_whole(card) as temporary:
                temporary.write_text(text, encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("- "):
            say(line.removeprefix("- "))
    names = ", ".join(path.name for path in [folder / "model.safetensors", card, *files])
    say(f"\nWritten to {folder} in {time.perf_counter() - began:.0f} s: {names}")
    say(f"Try it: geojax demo --model {folder}")


def latent_config(
    pictures: Pictures, name: str, changes: dict[str, Any], *, gpu: bool = False
) -> dict[str, Any]:
    """The default config, adapted to the pictures and changed by the options."""
    config = with_recipe(LATENT_CONFIG, PICTURES if gpu else {})
    count, side, _, channels = pictures.pixels.shape
    config["autoencoder"] |= {"channels": channels, "side": side}
    config["data"] = {"kind": "pictures", "text": f"{count} pictures of {name}"}
    for key, value in changes.items():
        if value is None:
            continue
        part = config if key in config else config["training"]
        part[key] = value
    config["autoencoder"]["latent"] = config["components"]
    for key in ("components", "autoencoder_steps", "denoiser_steps"):
        value = config.get(key, config["training"].get(key))
        if value < 1:
            raise ValueError(f"--{key.replace('_', '-')} must be at least 1, got {value}.")
    return config


def _is_run(folder: Path) -> bool:
    """Whether the folder has a training run, even one that ended before its first save."""
    if (folder / "training-autoencoder.safetensors").is_file():
        return True
    return {path.name for path in folder.iterdir()} == {"config.json"}


def draw_training(folder: Path, model, pixels: np.ndarray) -> list[Path]:
    """Write `loss.png` and `samples.png`: pictures, their decoded versions, and drawn pictures."""
    files = []
    for phase, rows in latent_losses(folder).items():
        files.append(folder / f"loss-{phase}.png")
        save_figure(loss_curve(rows), files[-1])
    number = _ROWS * _COLUMNS
    index = np.random.default_rng(0).permutation(len(pixels))
    index = np.resize(index, number)
    shown = jnp.asarray(pixels[index].transpose(0, 3, 1, 2) / 127.5 - 1, jnp.float32)

    @eqx.filter_jit
    def sheets(model, shown, keys):
        decoded = jax.vmap(lambda x: model.decode(model.encode(x)))(shown)
        dimension = len(model.components.directions)
        points = jax.vmap(lambda k: sample(model.score, (dimension,), key=k, num_steps=50))(keys)
        return decoded, jax.vmap(model.decode)(points)

    decoded, drawn = sheets(model, shown, jax.random.split(jax.random.key(0), number))
    blocks = {"pictures": shown, "encoded and decoded": decoded, "drawn from the model": drawn}
    arranged = {
        name: np.asarray(block).reshape(_ROWS, _COLUMNS, *block.shape[1:])
        for name, block in blocks.items()
    }
    files.append(folder / "samples.png")
    save_figure(sample_sheet(arranged), files[-1])
    return files


def card_text(folder: Path) -> str:
    """The card of a model, from its config."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    figures, channels = config["figures"], config["shape"][0]
    knows = figures["contrast"] >= LEAST_CONTRAST
    verdict = (
        "the score detects that chords leave the data: geodesics can follow it."
        if knows
        else "below 10 a geodesic cannot follow the data. Either chords stay among the pictures, "
        "and a straight line is as good; or the score is not accurate enough: take more pictures, "
        "more steps or fewer components."
    )
    start = (
        "a straight line is a good start."
        if figures["detour"] <= 2
        else "above 2 a straight line is a poor start: use robust_geodesic, or more shaping."
    )
    side = f"{config['shape'][1]} x {config['shape'][2]}"
    return f"""# A latent model of {config["data"]["text"]}

{"Grey" if channels == 1 else "Colour"} pictures of {side} pixels in {config["components"]} numbers.

- PSNR of decoded pictures: {figures["psnr"]:.1f} dB.
- Contrast: {figures["contrast"]:.3g}, |s|^2 at the middles of chords over |s|^2 on data, at the \
level t = {figures["t"]:g} (noise {figures["sigma"]:.3g}); {verdict}
- Detour: {figures["detour"]:.3g}, path over chord along the neighbour graph; {start}
- Suitable lambda: {figures["lam"]:.3g}.

`loss.csv` and its pictures show the training, `samples.png` decoded and drawn pictures.

```bash
geojax interpolate A.png B.png --model {folder.name}
```
"""
