"""`geojax inspect` of latents and large pictures: the contrast of the score along chords."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..evaluation import ChordInspection, inspect_chords
from ..models import describe, load, model_folder
from ..models.latent import example_pictures
from ..scores import AbstractPipeline
from . import _defaults as defaults
from ._console import input_checked, say, tell
from ._environment import machine, versions
from ._folder_models import is_folder_model, load_folder
from ._folders import removed_if_empty, reserve_folder, write_json
from ._progress import Stages
from ._settings import PromptSettings


class ChordModel(NamedTuple):
    """A pipeline whose chords are inspected, with what the command needs of it.

    These are the shape of its pictures, its config, and a function that draws pictures.
    """

    pipeline: AbstractPipeline
    shape: tuple[int, ...]
    config: dict[str, Any]
    own: Callable[[int], list[Any]]


def measured_by_chords(name: str, options: dict[str, Any]) -> ChordModel | None:
    """The model if it is one of latents or large pictures; None if it is one of small pictures.

    Of small pictures more can be measured.

    **Raises:**

    - `ValueError` or `OSError`: when it cannot be read, or an option does not fit it.
    """
    prompts, config = PromptSettings(prompt=options["prompt"]), describe(name)
    in_folder = is_folder_model(name)
    of_latents = config["latent"] if in_folder else config.get("kind") == "latent"
    if not (of_latents or (in_folder and max(config["shape"][1:]) > defaults.SMALL_SIDE)):
        prompts.check(name, folder=False, words=False)
        return None
    if in_folder:
        route = {"noising": options["noising"].value, "num_steps": defaults.DENOISE_STEPS}
        folder = load_folder(name, prompts, **route)
        seed, x64 = options["seed"], options["x64"]
        remedy = ": give --prompt" if folder.words else ""
        source = ChordModel(
            folder.pipeline, folder.shape, config, lambda n: folder.pictures(n, seed, x64=x64)
        )
    else:
        prompts.check(name, folder=False, words=False)
        place, remedy = model_folder(name, ("latent",)), ""
        source = ChordModel(
            load(name),
            tuple(config["shape"]),
            config,
            lambda n: list(example_pictures(place, config)),
        )
    if options["label"] is not None:
        raise ValueError(f"--label is for models of classes{remedy}.")
    if options["lam"]:
        raise ValueError(
            f"--lam is for models of images of at most {defaults.SMALL_SIDE} pixels a side: here "
            "each level's own is measured."
        )
    return source


def inspect_pipeline(
    name: str,
    source: ChordModel,
    images: list[Path],
    levels: list[float],
    out: str,
    options: dict[str, Any],
) -> None:
    """Measure, print and write.

    **Raises:**

    - `ValueError`: when the input is wrong.
    - `typer.Exit`: as the command.
    """
    from ._inspect import read_given
    from ._run import as_points

    began = time.perf_counter()
    arrays, notices = read_given(images, source.shape, options["count"], options["invert"])
    missing = 0 if len(arrays) > 1 else 2 - len(arrays)
    folder = reserve_folder(out)
    for notice in notices:
        tell("notice", notice)
    levels = sorted(set(levels))
    stages = [("own", "drawing pictures from the model", 4.0)] if missing else []
    stages += [(str(i), f"asking the score at t = {t:g}", 1.0) for i, t in enumerate(levels)]
    with removed_if_empty(folder), Stages(stages) as bar, input_checked():
        if missing:
            bar.begin("own")
            arrays += source.own(missing)[:missing]
        points = jnp.stack([as_points(array, x64=options["x64"]) for array in arrays])
        found = inspect_chords(
            source.pipeline,
            points,
            levels,
            key=jax.random.key(options["seed"]),
            on_level=lambda i: bar.begin(str(i)),
        )
        settings = {**options, "model": name, "images": [str(path) for path in images]}
        content = {"pictures_of_the_model": missing, **_content(found, settings, source.config)}
        write_json(folder / "inspect.json", content)
    say(str(found))
    if "figures" in source.config:
        detour = source.config["figures"]["detour"]
        say(f"Detour of the model's pictures: {detour:.3g} (path over chord).")
    say(f"\nWritten to {folder} in {time.perf_counter() - began:.0f} s: inspect.json")


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
