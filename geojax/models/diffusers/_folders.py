"""The kind of a folder in the layout of diffusers, and errors with remedies."""

import re
from pathlib import Path
from typing import Any

from ._files import read_json

_SINGLE_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".msgpack", ".gguf")
_OF_TEXT = ("text_encoder", "vae", "tokenizer")


def pipeline_class(folder: Path | str) -> str | None:
    """The class of diffusers that a folder belongs to, from its files; None if there is none.

    For a pipeline it is `_class_name` in its `model_index.json`, for a single network that in its
    `config.json`. Without the index of a pipeline its sub-folders decide.

    **Arguments:**

    - `folder`: its path.

    **Raises:**

    - `ValueError`: when a file is not valid JSON.

    >>> from pathlib import Path
    >>> from geojax.models.diffusers import pipeline_class
    >>> _ = Path("model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
    >>> pipeline_class(".")
    'DDPMPipeline'
    """
    folder = Path(folder)
    index, config = folder / "model_index.json", folder / "config.json"
    for path in (index, config):
        found = read_json(path).get("_class_name") if path.is_file() else None
        if isinstance(found, str):
            return found.removeprefix("Flax")
    if config.is_file() and not index.is_file():
        return None  # a checkpoint of geojax, or of others
    if (folder / "vqvae").is_dir():
        return "LDMPipeline"
    unet = folder / "unet" / "config.json"
    if unet.is_file() and read_json(unet).get("_class_name") == "UNet2DModel":
        return "DDPMPipeline"
    if any((folder / part).is_dir() for part in (*_OF_TEXT, "unet", "scheduler")):
        return "StableDiffusionPipeline"
    return None


def unsupported_class(where: Any, name: Any) -> ValueError:
    """The error for a class of diffusers that is not supported, with the remedy."""
    return ValueError(
        f"{where}: _class_name = {name!r} is not supported: of pipelines only DDPMPipeline, "
        "DDIMPipeline, PNDMPipeline, LDMPipeline (geojax.models.load) and StableDiffusionPipeline "
        "(geojax.models.stable_diffusion.load) are. Load it with diffusers and give its network to "
        "geojax.models.from_torch."
    )


def not_a_folder(given: str, holds: str) -> ValueError:
    """The error for a name that is not a folder, with the remedy.

    `holds` names the expected content of the folder.

    >>> print(not_a_folder("model.ckpt", "unet and scheduler"))
    'model.ckpt' names a single file, which does not exist. A model of diffusers is read from a
    folder. Convert the file to one, once, with diffusers:
    StableDiffusionPipeline.from_single_file(FILE).save_pretrained(FOLDER).
    """
    path = Path(given)
    if path.name == "model_index.json":
        return ValueError(f"{given!r} is not a folder: give the one that it is in.")
    if path.is_file() or is_single_file(given):
        missing = "" if path.is_file() else ", which does not exist"
        return ValueError(
            f"{given!r} names a single file{missing}. A model of diffusers is read from a folder. "
            "Convert the file to one, once, with diffusers: "
            "StableDiffusionPipeline.from_single_file(FILE).save_pretrained(FOLDER)."
        )
    name = hub_name(given)
    if name is None:
        return ValueError(
            f"no folder {given!r}. Give a folder with {holds}. Nothing is downloaded: run "
            "`hf download OWNER/NAME --local-dir FOLDER` for a model of the hub."
        )
    return ValueError(
        f"no folder {given!r}. Nothing is downloaded automatically: for a model of that name on "
        f"the hub, run `hf download {name} --local-dir FOLDER` and give FOLDER."
    )


def is_single_file(given: str) -> bool:
    """Whether the name is that of a file of weights."""
    return Path(given).suffix.lower() in _SINGLE_FILES


def hub_name(given: str) -> str | None:
    """The name of a model on the hub, from that name or the address of its page.

    >>> hub_name("google/ddpm-cat-256"), hub_name("./models/cat")
    ('google/ddpm-cat-256', None)
    """
    address = re.fullmatch(r"(?:https?://[^/]+/)?([\w.-]+/[\w.-]+)(?:/tree/[^/]+)?/?", given)
    return None if address is None or given.startswith((".", "~")) else address.group(1)
