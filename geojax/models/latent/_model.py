"""The latent model: images to a few numbers, the score of these, and back."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..._arrays import Numbers
from ..._numbers import number
from ...scores import SCHEDULES, AbstractPipeline, AbstractScore, DataPrediction
from .._checkpoint import load_arrays, read_config
from ._autoencoder import Autoencoder
from ._components import PrincipalComponents
from ._denoiser import Denoiser


class LatentModel(AbstractPipeline):
    """A pipeline whose points are principal components of an autoencoder's latent.

    Points carry no noise. The score of level `t` evaluates them directly: it points towards the
    data, from as far as the noise of that level reaches.

    **Arguments:**

    - `autoencoder`, `components`: map images to points and back.
    - `score`: of the points.
    - `t`: its level for the metric.

    >>> import jax.numpy as jnp, geojax
    >>> from geojax.models.latent import LATENT_CONFIG, build_latent_model
    >>> model = build_latent_model(LATENT_CONFIG)
    >>> point = model.encode(jnp.zeros(model.shape))
    >>> point.shape, model.decode(point).shape
    ((8,), (1, 32, 32))
    """

    autoencoder: Autoencoder
    components: PrincipalComponents
    score: AbstractScore
    t: Float[Array, ""]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image: (channels, side, side)."""
        return self.autoencoder.shape

    def encode(self, image: Numbers) -> Float[Array, " components"]:
        """The point of an image, shape `(components,)`.

        `image` has the shape `(channels, side, side)` and values in [-1, 1].
        """
        return self.components.project(self.autoencoder.encode(image))

    def decode(self, point: Numbers) -> Float[Array, "channels side side"]:
        """The image of a point, shape `(channels, side, side)`, in [-1, 1].

        For several points use `jax.vmap`.
        """
        return self.autoencoder.decode(self.components.lift(point))


def build_latent_model(config: dict[str, Any], *, seed: int = 0) -> LatentModel:
    """An untrained model of a config.

    **Arguments:**

    - `config`: as [`geojax.models.latent.LATENT_CONFIG`][].
    - `seed`: for the weights.

    **Returns:**

    A [`geojax.models.latent.LatentModel`][].

    **Raises:**

    - `KeyError`, `TypeError` or `ValueError`: when the config does not describe a model.
    """
    first, second = jax.random.split(jax.random.key(seed))
    autoencoder = Autoencoder(**config["autoencoder"], key=first)
    count, latent = config["components"], autoencoder.latent
    if not 1 <= count <= latent:
        raise ValueError(f"components must be in 1 ... {latent}, got {count}.")
    components = PrincipalComponents(
        jnp.zeros(latent, jnp.float32),
        jnp.eye(latent, dtype=jnp.float32)[:count],
        jnp.ones((), jnp.float32),
    )
    score = build_denoiser(config, key=second)
    return LatentModel(
        autoencoder=autoencoder, components=components, score=score, t=number("t", 0.4)
    )


def build_denoiser(config: dict[str, Any], *, key: Key[Array, ""]) -> DataPrediction:
    """The untrained score of a config."""
    options = dict(config["schedule"])
    schedule = SCHEDULES[options.pop("name")](**options)
    network = Denoiser(schedule, config["components"], **config["denoiser"], key=key)
    return DataPrediction(network=network, schedule=schedule)


def load_latent_model(folder: Path | str) -> LatentModel:
    """A trained latent model from its folder.

    **Arguments:**

    - `folder`: of [`geojax.models.latent.train_latent_model`][].

    **Raises:**

    - `FileNotFoundError`: without `config.json` or weights.
    - `ValueError`: when they are unreadable or do not fit each other.
    """
    config = read_config(folder)
    try:
        like = eqx.filter_eval_shape(build_latent_model, config)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{Path(folder) / 'config.json'} does not describe a latent model: {error!r}"
        ) from None
    return load_arrays(Path(folder) / "model.safetensors", like)
