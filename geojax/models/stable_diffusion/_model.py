"""A Stable Diffusion checkpoint as one object, and its loading."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from ..._arrays import Numbers
from ...scores import AbstractScore, ClassifierFreeGuidance, NoiseRoute, ScaledLinear, VPLinear
from ..diffusers._attention import Implementation
from ..diffusers._files import read_json
from ..diffusers._folders import not_a_folder, pipeline_class, unsupported_class
from ..diffusers._scheduler import PREDICTIONS, read_scheduler
from ..diffusers._unet import Timed
from ..diffusers._weights import fill
from ._clip import TextEncoder
from ._tokenizer import Tokenizer
from ._unet import UNet
from ._vae import Autoencoder

_PIPELINES = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")


class _Prompted(Timed):
    """The U-Net as a function of t in [0, 1] and a text condition."""

    def __call__(self, x, t, args):
        if args is None:
            raise ValueError(
                "args must be the text condition, (tokens, width): model.encode_prompt(prompt)."
            )
        return super().__call__(x, t, args)


class StableDiffusion(eqx.Module):
    """A checkpoint of Stable Diffusion 1.x or 2.x, as `load` returns it.

    **Arguments:**

    - `unet`: called as `unet(latents, timestep, text)`, gives the raw prediction at the
      checkpoint's own timestep (0 ... 999).
    - `vae`, `text_encoder`, `tokenizer`: the other parts, each callable alone.
    - `schedule`: of the noise, with t in [0, 1]; timestep k is `t = (k + 1) / 1000`.
    - `prediction`: "epsilon" or "v_prediction", what the U-Net predicts.
    """

    unet: UNet
    vae: Autoencoder
    text_encoder: TextEncoder
    schedule: ScaledLinear | VPLinear
    tokenizer: Tokenizer = eqx.field(static=True)
    prediction: str = eqx.field(static=True)

    @property
    def side(self) -> int:
        """The side of the training images, in pixels: 512 or 768."""
        return self.unet.sample_size * self.vae.unit

    @property
    def unit(self) -> int:
        """The number that must divide the sides of an image: 64."""
        return self.unet.unit * self.vae.unit

    def encode_prompt(self, text: str) -> Float[Array, "tokens width"]:
        """The text condition of a prompt, shape `(77, width)`, float32.

        **Raises:**

        - `ValueError`: as [`geojax.models.stable_diffusion.Tokenizer`][].
        """
        return self.text_encoder(jnp.asarray(self.tokenizer(text)))

    def encode_image(self, pixels: Numbers) -> Float[Array, "c_latent h w"]:
        """The scaled latents of an image: the mean of the encoder's distribution.

        **Arguments:**

        - `pixels`: shape `(3, height, width)`, in [-1, 1].

        **Returns:**

        Latents, shape `(4, height / 8, width / 8)`.

        **Raises:**

        - `ValueError`: when a side is not divisible by 8.
        """
        return self.vae.encode(pixels)

    def decode_latents(self, latents: Numbers) -> Float[Array, "c height width"]:
        """The pixels of scaled latents, about in [-1, 1]."""
        return self.vae.decode(latents)

    @property
    def score(self) -> AbstractScore:
        """The score of scaled latents, at one U-Net evaluation; `args` are a text condition."""
        network = _Prompted(self.unet, self.schedule.num_steps)
        return PREDICTIONS[self.prediction](network, self.schedule)

    def guided(
        self, scale: Real[Array, ""] | float = 7.5, negative_prompt: str = ""
    ) -> ClassifierFreeGuidance:
        """The score with guidance, at two U-Net evaluations; `args` are a text condition.

        **Arguments:**

        - `scale`: of the guidance, a field of the result.
        - `negative_prompt`: its condition is the field `null_args` of the result. With `args=None`
          the result is the score of the negative prompt, at one evaluation.
        """
        condition = self.encode_prompt(negative_prompt)
        return ClassifierFreeGuidance(self.score, scale, condition)  # pyright: ignore

    def route(
        self,
        prompt: str = "",
        prompt_b: str | None = None,
        *,
        guidance: float = 1.0,
        negative_prompt: str = "",
        **options: Any,
    ) -> NoiseRoute:
        """The pipeline between two photographs: pixels -> latents -> noise level, and back.

        **Arguments:**

        - `prompt`: the text condition.
        - `prompt_b`: another one at B.
        - `guidance`: its scale. With 1 there is none, and `negative_prompt` is not used.
        - `options`: `t`, `noising`, `denoising`, `num_steps`, `rtol` and `throw` of
          [`geojax.NoiseRoute`][]. `rtol` is 1e-4 by default, and 1e-2 for a U-Net of half
          precision, because the probability flow cannot be solved more finely than its digits.

        **Raises:**

        - `ValueError`: as [`geojax.models.stable_diffusion.Tokenizer`][] and `NoiseRoute`.
        """
        condition, between = self.encode_prompt(prompt), None
        if prompt_b is not None and prompt_b != prompt:
            between = condition, self.encode_prompt(prompt_b)
        options.setdefault("rtol", 1e-4 if self.unet.conv_out.bias.dtype.itemsize >= 4 else 1e-2)
        return NoiseRoute(
            self.score if guidance == 1 else self.guided(guidance, negative_prompt),
            args=condition,
            between=between,
            encoder=self.encode_image,
            decoder=self.decode_latents,
            **options,
        )


def load(
    folder: Path | str,
    *,
    dtype: Any = jnp.float32,
    attention: Implementation = "xla",
    remat: bool = False,
) -> StableDiffusion:
    """A Stable Diffusion checkpoint from a folder in the layout of diffusers.

    Nothing is downloaded. Every tensor of the files must have a parameter, and every parameter a
    tensor. The noise schedule and the prediction type come from the scheduler's file. Settings that
    only position the steps of its own sampler are not used.

    **Arguments:**

    - `folder`: with `unet`, `vae`, `text_encoder`, `tokenizer` and `scheduler`. Weights are in
      safetensors (whole or in shards) or Flax's msgpack, configurations in JSON.
    - `dtype`: of the weights and the networks' arithmetic. Inputs and outputs are float32 or
      float64. bfloat16 halves memory and suits GPUs. In float16 the autoencoder may overflow, so it
      stays in float32 unless its config has `"force_upcast": false` (the default is true).
    - `attention`, `remat`: of the U-Net, see [`geojax.models.stable_diffusion.UNet`][].

    **Returns:**

    A [`geojax.models.stable_diffusion.StableDiffusion`][].

    **Raises:**

    - `FileNotFoundError`: when a file is missing.
    - `ValueError`: when `folder` is not a folder (for a name on the hub the message has the command
      that downloads it), a file is damaged, the weights do not fit, or a configuration has an
      unsupported field.

    >>> from geojax.models import stable_diffusion
    >>> stable_diffusion.load("owner/name")
    Traceback (most recent call last):
    ...
    ValueError: no folder 'owner/name'. Nothing is downloaded automatically: for a model of that
    name on the hub, run `hf download owner/name --local-dir FOLDER` and give FOLDER.
    """
    _check_folder(str(folder))
    if not jnp.issubdtype(jnp.dtype(dtype), jnp.floating):
        raise ValueError(f"dtype must be a floating one, such as jnp.bfloat16, got {dtype}.")
    folder = Path(folder)
    configs = {name: read_json(folder / name / "config.json") for name in _NETWORKS}
    process = read_scheduler(folder / "scheduler" / "scheduler_config.json", with_text=True)
    makers = {
        "unet": lambda: UNet(configs["unet"], attention=attention, remat=remat),
        "vae": lambda: Autoencoder(configs["vae"]),
        "text_encoder": lambda: TextEncoder(configs["text_encoder"]),
    }
    empty: dict[str, Any] = {name: eqx.filter_eval_shape(make) for name, make in makers.items()}
    _check_widths(**empty)
    upcast = jnp.dtype(dtype) == jnp.float16 and empty["vae"].force_upcast
    dtypes = dict.fromkeys(empty, dtype) | ({"vae": jnp.float32} if upcast else {})
    networks: dict[str, Any] = {
        name: fill(network, folder / name, dtypes[name]) for name, network in empty.items()
    }
    length = len(networks["text_encoder"].embeddings.position_embedding.weight)
    tokenizer = Tokenizer(folder / "tokenizer", length)
    return StableDiffusion(
        **networks,
        schedule=process.schedule,  # pyright: ignore[reportArgumentType]
        prediction=process.prediction,
        tokenizer=tokenizer,
    )


_NETWORKS = ("unet", "vae", "text_encoder")


def _check_folder(given: str) -> None:
    """Raise `ValueError` with the remedy unless the folder is one of Stable Diffusion."""
    folder = Path(given)
    if not folder.is_dir():
        raise not_a_folder(given, "unet, vae, text_encoder, tokenizer and scheduler")
    if (folder / "config.json").is_file() and not (folder / "unet").exists():
        raise ValueError(
            f"{given!r} is the folder of one network, not of Stable Diffusion: it has no "
            "unet in it. A checkpoint of geojax is read by geojax.models.load."
        )
    index = folder / "model_index.json"
    name = pipeline_class(folder)
    if index.is_file() and name not in (None, *_PIPELINES):
        raise unsupported_class(index, name)


def _check_widths(unet: UNet, vae: Autoencoder, text_encoder: TextEncoder) -> None:
    latent = vae.latent_channels
    out_channels = len(unet.conv_out.bias)
    for field, value in (("in_channels", unet.in_channels), ("out_channels", out_channels)):
        if value != latent:
            raise ValueError(
                f"unet/config.json: {field} = {value} is not supported, only the {latent} of "
                "vae/config.json: inpainting and depth models condition on more than text."
            )
    if unet.text_width != text_encoder.width:
        raise ValueError(
            f"unet/config.json: cross_attention_dim = {unet.text_width} does not fit hidden_size "
            f"= {text_encoder.width} of text_encoder/config.json."
        )
