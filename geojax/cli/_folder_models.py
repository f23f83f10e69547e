"""A folder of diffusers as the commands use it: Stable Diffusion, or a model without text."""

import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..models import available, describe, diffusers, stable_diffusion
from ..scores import AbstractScore, NoiseRoute, sample
from . import _defaults as defaults
from ._settings import Attention, Precision, PromptSettings


class FolderModel(NamedTuple):
    """A model of a folder of diffusers, with what the commands need of it.

    - `pipeline`: from pictures to a noise level and back.
    - `shape`: of a picture.
    - `words`: whether its score takes a text.
    - `draw`: called as `draw(count, seed)`; noiseless points that the model draws.
    - `inputs`: what it was loaded with, for the files.
    - `notices`: about the texts.
    """

    pipeline: NoiseRoute
    shape: tuple[int, int, int]
    words: bool
    draw: Callable[[int, int], list[Array]]
    inputs: dict[str, Any]
    notices: list[str]

    def pictures(self, count: int, seed: int, *, x64: bool) -> list[Array]:
        """Pictures that the model draws."""
        drawn = [self.pipeline.decode(point) for point in self.draw(count, seed)]
        dtype = jnp.float64 if x64 else jnp.float32
        return [jnp.clip(picture, -1, 1).astype(dtype) for picture in drawn]


def is_folder_model(model: str) -> bool:
    """Whether this is a folder in the layout of diffusers, and not a name of the zoo."""
    folder = model not in available() and Path(model).is_dir()
    return folder and diffusers.pipeline_class(model) is not None


def load_folder(name: str, prompts: PromptSettings, **route: Any) -> FolderModel:
    """Load the model; `route` has the options of a `NoiseRoute`.

    **Raises:**

    - `ValueError` or `OSError`: when it cannot be read, or an option does not fit it.
    """
    words = str(diffusers.pipeline_class(name)).startswith("StableDiffusion")
    prompts.check(name, folder=True, words=words)
    return (_with_words if words else _without_words)(name, prompts, route)


def _without_words(name: str, prompts: PromptSettings, route: dict[str, Any]) -> FolderModel:
    options = _loaded_as(prompts)
    model = diffusers.load(name, **options)
    described = describe(name)
    channels, *sides = described["shape"]
    shape = (channels, *_size(prompts.size, sides, described["unit"]))
    pipeline = NoiseRoute(
        model.score if isinstance(model, NoiseRoute) else model,
        encoder=getattr(model, "encoder", None),
        decoder=getattr(model, "decoder", None),
        **route,
    )
    point = jax.eval_shape(pipeline.encode, jax.ShapeDtypeStruct(shape, jnp.float32))

    def draw(count, seed):
        return _drawn(pipeline.score, point.shape, [None] * count, seed)

    return FolderModel(pipeline, shape, False, draw, _recorded(options, shape), [])


def _with_words(name: str, prompts: PromptSettings, route: dict[str, Any]) -> FolderModel:
    options, attention = _loaded_as(prompts), (prompts.attention or Attention.XLA).value
    model = stable_diffusion.load(name, attention=attention, **options)
    shape = (3, *_size(prompts.size, [model.side] * 2, model.unit))
    guidance = 1.0 if prompts.guidance is None else prompts.guidance
    if not math.isfinite(guidance):
        raise ValueError(f"--guidance must be a finite number, got {guidance}.")
    if prompts.negative_prompt and guidance == 1:
        raise ValueError("--negative-prompt needs guidance: give --guidance too, for example 5.")
    notices: list[str] = []
    with _warnings_noted(notices):  # of texts that are too long
        pipeline = model.route(
            prompts.prompt or "",
            prompts.prompt_b,
            guidance=guidance,
            negative_prompt=prompts.negative_prompt or "",
            **route,
        )
    latent = (model.vae.latent_channels, *(side // model.vae.unit for side in shape[1:]))

    guided = prompts.guidance is None and bool(prompts.prompt or prompts.prompt_b)
    strong = model.guided(defaults.PROMPT_GUIDANCE) if guided else pipeline.score

    def draw(count, seed):
        given = [pipeline.conditions[i % 2] for i in range(count)]
        return _drawn(strong, latent, given, seed)

    inputs = {part: getattr(prompts, part) for part in ("prompt", "prompt_b", "negative_prompt")}
    inputs |= {"guidance": guidance, "attention": attention, **_recorded(options, shape)}
    return FolderModel(pipeline, shape, True, draw, inputs, notices)


def _loaded_as(prompts: PromptSettings) -> dict[str, Any]:
    dtype = jnp.dtype((prompts.dtype or Precision.FLOAT32).value)
    return {"dtype": dtype, "remat": bool(prompts.remat)}


def _recorded(options: dict[str, Any], shape: tuple[int, int, int]) -> dict[str, Any]:
    return {**options, "dtype": str(options["dtype"]), "size": f"{shape[1]}x{shape[2]}"}


def _drawn(score: AbstractScore, shape: tuple[int, ...], given: list[Any], seed: int):
    """A point under each condition, one after the other to save memory."""
    root = jax.random.key(seed)

    @eqx.filter_jit
    def one(score, key, args):
        return sample(score, shape, args, key=key, num_steps=defaults.DRAW_STEPS)

    return [one(score, jax.random.fold_in(root, i + 1), args) for i, args in enumerate(given)]


@contextmanager
def _warnings_noted(notices: list[str]) -> Iterator[None]:
    """Turn Python's warnings into notices."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        notices.append(str(warning.message))


def _size(text: str | None, sides: list[int], unit: int) -> tuple[int, int]:
    """Height and width, by default `sides`; `ValueError` when the model cannot take them."""
    if text is None:
        return sides[0], sides[1]
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    height, width = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not height or not width or height % unit or width % unit:
        raise ValueError(f"--size must be HEIGHTxWIDTH, both divisible by {unit}, got {text!r}.")
    return height, width
