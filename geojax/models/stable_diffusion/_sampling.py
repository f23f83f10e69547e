"""From a prompt to an image: a check that all parts of a checkpoint fit."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Key

from ...scores import SAMPLERS, counted_probability_flow, ddim_path
from ._model import StableDiffusion


def ddim_levels(num_steps: int, num_train_steps: int = 1000) -> Float[Array, " levels"]:
    """The noise levels of diffusers' DDIM for Stable Diffusion, from high to low.

    Its timesteps are `i (T // num_steps) + 1`, and its last step goes to timestep 0. Timestep k is
    `t = (k + 1) / T`.

    **Arguments:**

    - `num_steps`: in 1 ... T - 1. With T steps the first level would lie above 1.
    - `num_train_steps`: T.

    **Returns:**

    The levels, shape `(num_steps + 1,)`.

    **Raises:**

    - `ValueError`: when `num_steps` is out of range.

    >>> from geojax.models.stable_diffusion import ddim_levels
    >>> ddim_levels(4)
    Array([0.752, 0.502, 0.252, 0.002, 0.001], dtype=...)
    """
    if not 1 <= num_steps < num_train_steps:
        raise ValueError(f"num_steps must be in 1 ... {num_train_steps - 1}, got {num_steps}.")
    timesteps = jnp.arange(num_steps)[::-1] * (num_train_steps // num_steps) + 1
    timesteps = jnp.append(timesteps, 0).astype(jnp.result_type(float))
    return (timesteps + 1) / num_train_steps


class Picture(NamedTuple):
    """The result of `text_to_image`.

    **Arguments:**

    - `pixels`: shape `(3, height, width)`, about in [-1, 1].
    - `unet_evaluations`: the cost.
    """

    pixels: Float[Array, "c height width"]
    unet_evaluations: Integer[Array, ""]


def text_to_image(
    model: StableDiffusion,
    prompt: str,
    *,
    key: Key[Array, ""],
    height: int | None = None,
    width: int | None = None,
    num_steps: int = 50,
    guidance: float = 7.5,
    negative_prompt: str = "",
    eta: float = 0.0,
    sampler: Literal["ddim", "probability_flow"] = "ddim",
    rtol: float = 1e-3,
) -> Picture:
    """An image of a prompt, by DDIM at diffusers' levels or by the probability-flow ODE.

    Without `eta` both samplers follow one curve, so the images become the same as `num_steps` grows
    and `rtol` falls.

    **Arguments:**

    - `model`: a [`geojax.models.stable_diffusion.StableDiffusion`][].
    - `prompt`, `negative_prompt`: texts.
    - `key`: draws the noise.
    - `height`, `width`: in pixels, divisible by `model.unit`; by default `model.side`.
    - `num_steps`, `eta`: of DDIM, as for [`geojax.ddim_path`][].
    - `guidance`: 1 is none, at half the U-Net evaluations.
    - `sampler`: "ddim" or "probability_flow".
    - `rtol`: of the ODE, which diffrax solves adaptively from the first of DDIM's levels to level
      0.

    **Returns:**

    A [`geojax.models.stable_diffusion.Picture`][].

    **Raises:**

    - `ValueError`: on unsupported sizes or `num_steps`, an unknown `sampler`, or an `eta` with the
      ODE.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}.")
    if sampler != "ddim" and eta:
        raise ValueError(f"eta must be 0 with sampler={sampler!r}, which draws nothing, got {eta}.")
    sides = (height or model.side, width or model.side)
    if any(side % model.unit for side in sides):
        raise ValueError(
            f"height and width must be divisible by {model.unit}, got {sides[0]} and {sides[1]}."
        )
    start, noise = jax.random.split(key)
    shape = (model.vae.latent_channels, *(side // model.vae.unit for side in sides))
    x = jax.random.normal(start, shape)
    text = model.encode_prompt(prompt)
    score = model.score if guidance == 1 else model.guided(guidance, negative_prompt)
    levels = ddim_levels(num_steps, model.schedule.num_steps)
    if sampler == "probability_flow":
        start_level = float(levels[0])
        clean, evaluations = counted_probability_flow(
            score, x, start_level, 0.0, args=text, rtol=rtol, atol=rtol
        )
    else:
        clean = ddim_path(score, x, levels, args=text, eta=eta, key=noise)[-1]
        evaluations = len(levels) - 1
    each = 1 if guidance == 1 else 2
    return Picture(model.decode_latents(clean), jnp.asarray(each * evaluations))
