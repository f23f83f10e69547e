"""`geojax train`: a score of Rotated MNIST, or a latent model of any pictures; resumable."""

import copy
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..models.latent import LATENT_CONFIG
from . import _defaults as defaults
from ._console import console, input_checked, say, tell
from ._distributed import Distributed, all_devices, join, writes
from ._folders import removed_if_empty, reserve_folder
from ._gpu_recipe import DIGITS, DIGITS_STEPS, with_recipe
from ._interrupt import GOES_ON, resumable
from ._settings import option

_SAMPLES = 8  # images of each class in the sheet
_CHANGES, _PICTURES = "Changes of the config", "Your own pictures"
_LATENT = LATENT_CONFIG["training"]


class Data(StrEnum):
    """The data sets that have a name."""

    ROTATED_MNIST = "rotated-mnist"


class Dtype(StrEnum):
    """The floating type of the network during training."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


def train(
    data: Annotated[
        Data | None, typer.Argument(help="A data set by name; or give --images.")
    ] = None,
    images: Annotated[
        Path | None,
        option("Your pictures: a folder of image files, or an .npz file with `images`."),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the checkpoint. A run in it is resumed; else as for other commands.",
        ),
    ] = defaults.TRAIN_OUT,
    steps: Annotated[
        int | None,
        option(
            f"Training steps of the score. Default: {defaults.TRAIN_STEPS}; with --images "
            f"{_LATENT['denoiser_steps']}."
        ),
    ] = None,
    autoencoder_steps: Annotated[
        int | None,
        option(f"Its training steps. Default: {_LATENT['autoencoder_steps']}.", panel=_PICTURES),
    ] = None,
    components: Annotated[
        int | None,
        option(
            "Numbers of a picture in the latent space; few, as the score must learn all. "
            f"Default: {LATENT_CONFIG['components']}.",
            panel=_PICTURES,
        ),
    ] = None,
    side: Annotated[
        int | None, option("Side of a picture in pixels. Default: its own.", panel=_PICTURES)
    ] = None,
    colour: Annotated[
        bool | None,
        option("Colour or grey. Default: as the pictures.", "--colour/--grey", panel=_PICTURES),
    ] = None,
    config: Annotated[
        Path | None,
        option("A config.json of network and training. Default: the bundled model's."),
    ] = None,
    batch_size: Annotated[int | None, option("Digits in a step.", panel=_CHANGES)] = None,
    learning_rate: Annotated[
        float | None, option("The rate of Adam after the warm-up.", panel=_CHANGES)
    ] = None,
    seed: Annotated[int | None, option("Seed of everything random.", panel=_CHANGES)] = None,
    dtype: Annotated[
        Dtype | None,
        option(
            "Precision of the convolutions; weights and sums are float32. bfloat16 is for "
            "GPUs and TPUs. Default: float32.",
            panel=_CHANGES,
        ),
    ] = None,
    gpu: Annotated[
        bool,
        option(
            "Settings for about ten minutes on a GPU: a larger network, larger batches, more "
            "steps, bfloat16.",
            "--gpu",
            panel=_CHANGES,
        ),
    ] = False,
    save_every: Annotated[int, option("Steps between saves.")] = defaults.SAVE_EVERY,
    distributed: Distributed = None,
) -> None:
    """Train a model for geodesics between your own pictures; or the score of
    Rotated MNIST.

    With --images: an autoencoder, and a score in its latent space. `geojax
    interpolate` and `geojax demo` take the folder as --model. With
    rotated-mnist: a diffusion model of digits, from GEOJAX_DATA_DIR/mnist or
    downloaded.

    You can interrupt it: the same command goes on from the last save. At the end
    pictures of the loss and of samples are written, and README.md reports how
    good the model is.

    Example: geojax train --images my-pictures/ --out my-model
    """
    from .. import models
    from ._environment import configure_jax

    with input_checked():
        if (images is None) == (data is None):
            raise ValueError("give --images FOLDER or FILE.npz, or the data set rotated-mnist.")
        if save_every < 1:
            raise ValueError(f"--save-every must be at least 1, got {save_every}.")
        join(distributed, together=True)
    if images is not None:
        from ._train_images import train_images

        with input_checked():
            if config is not None or batch_size is not None:
                raise ValueError("--config and --batch-size are for rotated-mnist: leave them out.")
            configure_jax()
        changes = {"denoiser_steps": steps, "autoencoder_steps": autoencoder_steps}
        changes |= {"components": components, "learning_rate": learning_rate, "seed": seed}
        changes |= {"dtype": None if dtype is None else dtype.value}
        train_images(images, out, changes, side, colour, save_every, gpu=gpu)
        return
    with input_checked():
        if gpu and config is not None:
            raise ValueError("--gpu replaces the config: leave --config out, or --gpu.")
        if steps is None:
            steps = DIGITS_STEPS if gpu else defaults.TRAIN_STEPS
        if steps < 1:
            raise ValueError("--steps must be at least 1.")
        chosen = _config(models.ROTATED_MNIST_CONFIG, config)
        if gpu:
            chosen = with_recipe(chosen, DIGITS)
        changes = {"batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
        changes |= {"dtype": None if dtype is None else dtype.value}
        changes = {name: value for name, value in changes.items() if value is not None}
        if changes.get("batch_size", 1) < 1 or not changes.get("learning_rate", 1) > 0:
            raise ValueError("--batch-size must be at least 1 and --learning-rate above 0.")
        chosen["training"] |= changes
        configure_jax()
        tell("data", "reading MNIST")
        digits, labels = models.load_mnist("train")
        test_images, test_labels = models.load_mnist("test")
        held_out = (test_images[: defaults.HELD_OUT], test_labels[: defaults.HELD_OUT])
        folder = reserve_folder(out, _is_run)
    with removed_if_empty(folder), _bar() as progress:
        task = progress.add_task("", total=steps)

        def show(step: int, loss: float) -> None:
            progress.update(task, completed=step, description=f"loss {loss:.4f}")

        with resumable(progress.stop, GOES_ON.format(folder)):
            score = models.train(
                chosen,
                digits,
                labels,
                folder,
                num_steps=steps,
                held_out=held_out,
                save_every=save_every,
                callback=show,
                devices=all_devices(),
            )
    if not writes():
        return
    with input_checked():
        files = _pictures(folder, score, chosen, digits, labels)
    say(f"Written: {', '.join(str(path) for path in [folder / 'model.safetensors', *files])}")
    say(f"Try it: geojax demo --model {folder}")


def _is_run(folder: Path) -> bool:
    """Whether the folder has a saved training run."""
    return (folder / "training.safetensors").is_file()


def _config(default: dict[str, Any], path: Path | None) -> dict[str, Any]:
    if path is None:
        return copy.deepcopy(default)
    if not path.is_file():
        raise ValueError(f"no config file {path}.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    missing = [part for part in default if part not in config and part != "data"]
    missing += [f"training.{key}" for key in default["training"] if not _has(config, key)]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}.")
    return config


def _has(config: dict[str, Any], key: str) -> bool:
    return isinstance(config.get("training"), dict) and key in config["training"]


def _bar() -> Progress:
    return Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console(stderr=True),
    )


def _pictures(out: Path, score, config: dict[str, Any], images, labels) -> list[Path]:
    """The loss curve, and samples of every class beside training digits."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import numpy as np

    from ..models import loss_history, rotated_batch
    from ..plotting import loss_curve, sample_sheet, save_figure
    from ..scores import sample

    save_figure(loss_curve(loss_history(out)), out / "loss.png")
    classes = config["network"]["num_classes"]
    shape = tuple(config["shape"])

    @eqx.filter_jit
    def draw(score, keys, labels):
        return jax.vmap(lambda k, c: sample(score, shape, key=k, args=c))(keys, labels)

    tell("samples", "drawing a sheet from the trained model")
    number = max(classes, 1) * _SAMPLES
    wanted = jnp.arange(number) // _SAMPLES if classes else jnp.zeros(number, jnp.int32)
    drawn = np.asarray(draw(score, jax.random.split(jax.random.key(0), number), wanted))
    shown = [np.flatnonzero(labels == c)[:_SAMPLES] for c in range(max(classes, 1))]
    if any(len(index) < _SAMPLES for index in shown):
        shown = []
    blocks = {"drawn from the model": drawn[:, 0].reshape(-1, _SAMPLES, *shape[1:])}
    if shown:
        index = np.concatenate(shown)
        angles = jax.random.uniform(jax.random.key(1), (number,), maxval=2 * jnp.pi)
        turned = np.asarray(rotated_batch(jnp.asarray(images[index]), angles))
        blocks["training digits"] = turned[:, 0].reshape(-1, _SAMPLES, *turned.shape[2:])
    rows = [str(c) for c in range(classes)]
    save_figure(sample_sheet(blocks, row_labels=rows), out / "samples.png")
    return [out / "loss.png", out / "samples.png"]
