"""``geojax inspect`` of a latent model or of Stable Diffusion: does the score know the chords?"""

import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ..evaluation import ChordInspection, inspect_chords
from ..models import model_folder, stable_diffusion
from ..models.latent import example_pictures
from ..scores import AbstractPipeline
from . import _defaults as defaults
from ._console import input_checked, say, tell
from ._environment import machine, versions
from ._folders import removed_if_empty, reserve_folder, write_json
from ._progress import Stages


def inspect_pipeline(
    name: str,
    model: AbstractPipeline | None,
    config: dict[str, Any],
    images: list[Path],
    levels: list[float],
    out: str,
    options: dict[str, Any],
) -> None:
    """Measure, print and write; ``model`` is None for a Stable Diffusion folder.

    **Raises:** `ValueError` on input at fault; `typer.Exit` as the command.
    """
    from ._inspect import read_given
    from ._run import as_points

    began = time.perf_counter()
    if options["lam"]:
        raise ValueError("--lam is for models of images: here each level's own is measured.")
    pipeline, shape = (model, config["shape"]) if model else _photographs(name, options)
    if images:
        given = read_given(images, tuple(shape), options["count"], options["invert"])
        arrays, notices = given
    elif model is None:
        raise ValueError("give two photographs or more.")
    else:
        arrays, notices = list(example_pictures(model_folder(name, ("latent",)), config)), []
    if len(arrays) < 2:
        raise ValueError("give at least two pictures.")
    points = jnp.stack([as_points(array, x64=options["x64"]) for array in arrays])
    folder = reserve_folder(out)
    for notice in notices:
        tell("notice", notice)
    levels = sorted(set(levels))
    stages = [(str(i), f"asking the score at t = {t:g}", 1.0) for i, t in enumerate(levels)]
    with removed_if_empty(folder), Stages(stages) as bar, input_checked():
        found = inspect_chords(
            pipeline,
            points,
            levels,
            key=jax.random.key(options["seed"]),
            on_level=lambda i: bar.begin(str(i)),
        )
        settings = {**options, "model": name, "images": [str(path) for path in images]}
        write_json(folder / "inspect.json", _content(found, settings, config))
    say(str(found))
    if "figures" in config:
        say(f"Detour of the model's pictures: {config['figures']['detour']:.3g} (path over chord).")
    say(f"\nWritten to {folder} in {time.perf_counter() - began:.0f} s: inspect.json")


def _photographs(name: str, options: dict[str, Any]) -> tuple[AbstractPipeline, tuple[int, ...]]:
    if options["label"] is not None:
        raise ValueError("--label is for models of classes: give --prompt.")
    model = stable_diffusion.load(name)
    noising = options["noising"].value
    route = model.route(options["prompt"] or "", noising=noising, num_steps=defaults.DENOISE_STEPS)
    return route, (3, model.side, model.side)


def _content(found: ChordInspection, settings: dict[str, Any], config) -> dict[str, Any]:
    return {
        "command": "inspect",
        "settings": {k: getattr(v, "value", v) for k, v in settings.items()},
        "versions": versions(),
        "machine": machine(),
        "ts": found.ts.tolist(),
        "score_contrast": found.contrast.tolist(),
        "lam": found.lam.tolist(),
        "t": found.t,
        "knows_the_chords": found.knows_the_chords,
        "detour": config.get("figures", {}).get("detour"),
    }
