"""The model zoo: trained scores, latent models and classifiers by name."""

import tomllib
from pathlib import Path
from typing import Any

from .._bundled import bundled_folder
from ._checkpoint import load_checkpoint, read_config
from ._digit_classifier import DigitClassifier, read_classifier
from .diffusers import describe as describe_diffusers
from .diffusers import load as load_diffusers
from .diffusers import pipeline_class
from .diffusers._folders import hub_name, is_single_file, not_a_folder
from .latent import load_latent_model
from .pytorch import load_torch

KINDS = ("score", "latent", "classifier")


def zoo_folder() -> Path:
    """The folder of the bundled models, one sub-folder each, with `registry.toml`.

    An installed wheel contains it inside the package. An editable install and the repository itself
    use the `models/` of the repository.

    **Raises:**

    - `FileNotFoundError`: when neither exists.

    >>> from geojax.models import zoo_folder
    >>> (zoo_folder() / "registry.toml").is_file()
    True
    """
    return bundled_folder()


def available(*kinds: str) -> dict[str, str]:
    """The names of the bundled models, each with its one-line description.

    **Arguments:**

    - `kinds`: any of "score" (of images), "latent" (`geojax.models.latent`) and "classifier".
      Default: what [`geojax.models.load`][] reads, "score" and "latent".

    **Raises:**

    - `ValueError`: on any other kind.

    >>> from geojax.models import available
    >>> list(available("score")), list(available("classifier"))
    (['rotated_mnist'], ['digit_classifier'])
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}.")
    wanted = kinds or ("score", "latent")
    return {n: m["description"] for n, m in _registry().items() if m["kind"] in wanted}


def load(name_or_folder: str | Path) -> Any:
    """A trained model, by its name in the zoo or from a folder.

    Folders are those of a training, of [`geojax.models.save_torch`][], or in the layout of
    diffusers for models of images without text (`geojax.models.diffusers`).

    **Arguments:**

    - `name_or_folder`: a name of [`geojax.models.available`][], or a folder.

    **Returns:**

    A score of images, an [`geojax.AbstractScore`][]; or an [`geojax.AbstractPipeline`][], of a
    latent model (`geojax.models.latent`) or of an `LDMPipeline` of diffusers.
    [`geojax.interpolate`][] takes both. The `args` of a score are its conditions: for
    `rotated_mnist` a digit 0 to 9, or None for the unconditional score.
    [`geojax.models.describe`][] gives the shape of an image.

    **Raises:**

    - `ValueError`: when it is neither a known name nor a folder, or when the checkpoint is damaged
      or of a kind that is read elsewhere (the message says where).
    - `FileNotFoundError`: when the folder contains no checkpoint.

    >>> import jax.numpy as jnp
    >>> from geojax.models import load
    >>> score = load("rotated_mnist")
    >>> score(jnp.zeros((1, 28, 28)), 0.4, 3).shape  # t = 0.4, the digit 3
    (1, 28, 28)
    """
    folder = model_folder(name_or_folder, ("score", "latent"))
    if pipeline_class(folder) is not None:
        return load_diffusers(folder)
    kind = read_config(folder).get("kind")
    if kind == "latent":
        return load_latent_model(folder)
    if kind == "torch":
        return load_torch(folder)
    score, _ = load_checkpoint(folder)
    return score


def load_classifier(name_or_folder: str | Path = "digit_classifier") -> DigitClassifier:
    """A trained classifier, by its name in the zoo or from a folder.

    **Arguments:**

    - `name_or_folder`: a name, or a folder of [`geojax.models.save_classifier`][].

    **Raises:**

    As [`geojax.models.load`][].

    >>> import jax.numpy as jnp
    >>> from geojax.models import load_classifier
    >>> load_classifier().features(jnp.zeros((1, 28, 28))).shape
    (64,)
    """
    return read_classifier(model_folder(name_or_folder, ("classifier",)))


def describe(name_or_folder: str | Path) -> dict[str, Any]:
    """The config of a model, as in its `config.json`.

    **Arguments:**

    - `name_or_folder`: as for [`geojax.models.load`][], and classifiers too.

    **Returns:**

    A dictionary. `["shape"]` is the shape of an image and `["data"]` the training data. For a score
    `["network"]["num_classes"]` is the number of classes (0 without). For a latent model
    `["figures"]` are its level, contrast and detour. For a folder in the layout of diffusers,
    Stable Diffusion included, see [`geojax.models.diffusers.describe`][].

    **Raises:**

    As `load`.
    """
    folder = model_folder(name_or_folder, KINDS)
    return read_config(folder) if pipeline_class(folder) is None else describe_diffusers(folder)


def _registry() -> dict[str, dict[str, str]]:
    return tomllib.loads((zoo_folder() / "registry.toml").read_text(encoding="utf-8"))


def model_folder(name_or_folder: str | Path, kinds: tuple[str, ...]) -> Path:
    """The folder of a model of one of the `kinds`, from its name or the folder itself.

    **Raises:**

    As [`geojax.models.load`][].

    >>> from geojax.models import model_folder
    >>> model_folder("characters", ("latent",)).name
    'characters'
    """
    # A name takes precedence over a folder of that name here; write ./name for the folder.
    registry = available(*kinds)
    if str(name_or_folder) in registry:
        return zoo_folder() / str(name_or_folder)
    if Path(name_or_folder).is_dir():
        return Path(name_or_folder)
    given = str(name_or_folder)
    if Path(given).is_file() and (Path(given).parent / "config.json").is_file():
        raise ValueError(f"{given!r} is a file. Give the folder that it is in.")
    if Path(given).is_file() or is_single_file(given) or hub_name(given):
        raise not_a_folder(given, "config.json and weights")
    raise ValueError(
        f"unknown model {given!r}. Known models: {', '.join(registry)}. Or give a folder that "
        "holds config.json and model.safetensors, or a pipeline of diffusers."
    )
