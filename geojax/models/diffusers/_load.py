"""Folders of diffusers for models of images without text, as a score or a pipeline."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ...scores import AbstractScore, NoiseRoute
from ._config import positive, positives
from ._files import read_json
from ._folders import not_a_folder, pipeline_class, unsupported_class
from ._scheduler import PREDICTIONS, read_scheduler
from ._unet import Timed
from ._unet2d import UNet2D
from ._vq import VQAutoencoder
from ._weights import fill

_OF_PIXELS = ("DDPMPipeline", "DDIMPipeline", "PNDMPipeline", "UNet2DModel")
_OF_LATENTS = ("LDMPipeline",)
_OF_TEXT = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")
_FROM_TORCH = "Or load it with diffusers and give the module to geojax.models.from_torch."


def load(
    folder: Path | str, *, dtype: Any = jnp.float32, remat: bool = False
) -> AbstractScore | NoiseRoute:
    """A model of images without text, from a folder in the layout of diffusers.

    Pixels are (channels, height, width) in [-1, 1], `args` is None, and timestep k is
    `t = (k + 1) / T`. Nothing is downloaded. Every tensor of the files must have a parameter, and
    every parameter a tensor. The noise schedule and the prediction type come from the scheduler's
    file. Settings of its own sampler (clipping, the position of its steps) are not used.

    **Arguments:**

    - `folder`: of a `DDPMPipeline`, `DDIMPipeline` or `PNDMPipeline` (a score of images), or of an
      `LDMPipeline` (a [`geojax.NoiseRoute`][] whose encoder and decoder are its
      [`geojax.models.diffusers.VQAutoencoder`][]). It has sub-folders `unet` and `scheduler`, or
      `config.json` and `scheduler_config.json` in the folder itself, as older ones do.
    - `dtype`: of the weights and the networks' arithmetic. Inputs and outputs are float32 or
      float64.
    - `remat`: of the U-Net, see [`geojax.models.diffusers.UNet2D`][].

    **Returns:**

    An [`geojax.AbstractScore`][] or a `NoiseRoute`.

    **Raises:**

    - `FileNotFoundError`: when a file is missing.
    - `ValueError`: when `folder` is not a folder or is of another class (the message names the
      right function), a file is damaged, the weights do not fit, or a configuration has an
      unsupported field.

    >>> from geojax.models import diffusers
    >>> diffusers.load("google/ddpm-cifar10-32")
    Traceback (most recent call last):
    ...
    ValueError: no folder 'google/ddpm-cifar10-32'. Nothing is downloaded automatically: for a model
    of that name on the hub, run `hf download google/ddpm-cifar10-32 --local-dir FOLDER` and give
    FOLDER.
    """
    if not Path(folder).is_dir():
        raise not_a_folder(str(folder), "unet and scheduler")
    if not jnp.issubdtype(jnp.dtype(dtype), jnp.floating):
        raise ValueError(f"dtype must be a floating one, such as jnp.bfloat16, got {dtype}.")
    folder = Path(folder)
    name = _checked_class(folder)
    place, unet = _empty_unet(folder, remat)
    process = read_scheduler(_scheduler_file(folder))
    vq = _empty_vq(folder, unet) if name in _OF_LATENTS else None
    network = Timed(fill(unet, place, dtype), process.num_steps)
    score = PREDICTIONS[process.prediction](network, process.schedule)
    if vq is None:
        return score
    vq = fill(vq, folder / "vqvae", dtype)
    return NoiseRoute(score, encoder=vq.encode, decoder=vq.decode)


def describe(folder: Path | str) -> dict[str, Any]:
    """The description of a folder of diffusers, Stable Diffusion included, without its weights.

    **Arguments:**

    - `folder`: as for [`geojax.models.diffusers.load`][].

    **Returns:**

    A dictionary: `["pipeline"]` is its class, `["shape"]` the shape of an image, `["unit"]` the
    number that must divide its sides, `["latent"]` whether its score is of latents, and
    `["network"]` the config of its U-Net.

    **Raises:**

    As `load`.

    >>> from pathlib import Path
    >>> from geojax.models import diffusers
    >>> config = '{"_class_name": "UNet2DModel", "sample_size": 32}'
    >>> _ = Path("config.json").write_text(config)
    >>> diffusers.describe(".")["shape"]
    [3, 32, 32]
    """
    folder = Path(folder)
    name = pipeline_class(folder)
    if name in _OF_TEXT:
        unet, vae = (read_json(folder / part / "config.json") for part in ("unet", "vae"))
        deep, finer = (
            2 ** (len(positives(where, field, config.get(field, default))) - 1)
            for where, field, config, default in (
                ("unet/config.json", "block_out_channels", unet, [320, 640, 1280, 1280]),
                ("vae/config.json", "block_out_channels", vae, [64]),
            )
        )
        side = finer * positive("unet/config.json", "sample_size", unet.get("sample_size", 64))
        return _description(name, [3, side, side], finer * deep, unet, latent=True)
    name = _checked_class(folder)
    place, unet = _empty_unet(folder, remat=False)
    if unet.sample_size is None:
        raise ValueError(
            f"{place / 'config.json'}: sample_size is missing, so the size of its images "
            "is unknown: add it to the file."
        )
    channels, finer, latent = unet.in_channels, 1, name in _OF_LATENTS
    if latent:
        vq = _empty_vq(folder, unet)
        channels, finer = vq.channels, vq.unit
    shape = [channels, *(finer * side for side in unet.sample_size)]
    config = read_json(place / "config.json")
    return _description(name, shape, finer * unet.unit, config, latent=latent)


def _description(name, shape, unit, network, *, latent: bool) -> dict[str, Any]:
    found = {
        "kind": "diffusers",
        "pipeline": name,
        "shape": shape,
        "unit": unit,
        "latent": latent,
    }
    # `num_classes` as for a network of geojax: there is no class to choose.
    return found | {"network": {**network, "num_classes": 0}}


def _checked_class(folder: Path) -> str:
    """The class of the folder; an error if it is not supported here."""
    name = pipeline_class(folder)
    if name is None:
        raise FileNotFoundError(
            f"no model_index.json, unet or config.json of UNet2DModel in {folder}: it is not a "
            "folder in the layout of diffusers."
        )
    index = folder / "model_index.json"
    if name in _OF_TEXT:
        raise ValueError(
            f"{folder} is of {name}, whose score needs a text: use "
            "geojax.models.stable_diffusion.load(FOLDER), and .route(prompt) of its result "
            "for a pipeline between photographs."
        )
    if name not in (*_OF_PIXELS, *_OF_LATENTS):
        raise unsupported_class(index if index.is_file() else folder / "config.json", name)
    return name


def _empty_unet(folder: Path, remat: bool) -> tuple[Path, UNet2D]:
    """The folder of the U-Net's files, and the network without weights."""
    place = folder / "unet" if (folder / "unet").is_dir() else folder
    where = "unet/config.json" if place != folder else "config.json"
    unet = _empty(place, lambda config: UNet2D(config, where=where, remat=remat))
    c_out = len(unet.conv_out.bias)
    if c_out != unet.in_channels:
        raise ValueError(
            f"{where}: out_channels = {c_out} is not supported, only the {unet.in_channels} of "
            "in_channels: a learned variance does not belong to the score."
        )
    return place, unet


def _empty_vq(folder: Path, unet: UNet2D) -> VQAutoencoder:
    vq = _empty(folder / "vqvae", VQAutoencoder)
    if vq.latent_channels != unet.in_channels:
        raise ValueError(
            f"unet/config.json: in_channels = {unet.in_channels} does not fit the "
            f"{vq.latent_channels} channels of the latents of vqvae/config.json."
        )
    return vq


def _empty(place: Path, make) -> Any:
    config = read_json(place / "config.json")
    try:
        return eqx.filter_eval_shape(lambda: make(config))
    except ValueError as error:
        raise ValueError(f"{error} {_FROM_TORCH}") from None


def _scheduler_file(folder: Path) -> Path:
    """The scheduler's config: in its own folder, beside the network, or beside its folder."""
    name = "scheduler_config.json"
    places = (folder / "scheduler", folder, folder.parent / "scheduler")
    if folder.name != "unet":
        places = places[:2]
    found = next((place / name for place in places if (place / name).is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f"no {name} in {folder} or {folder / 'scheduler'}: it defines the noise level "
            "of each timestep in training. Is the folder fully downloaded?"
        )
    return found
