"""What is compared with torch, and how nearly it must agree: relative, float32."""

import functools
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from geojax.models.stable_diffusion import StableDiffusion, ddim_levels, load
from geojax.scores import ClassifierFreeGuidance, ddim_path

from .checkpoints import write_checkpoint
from .torch_reference import DDIM_STEPS, TIMESTEP, inputs

LIMITS = {
    "unet": 2e-5,
    "jvp": 1e-4,
    "vjp": 1e-4,
    "encode": 2e-5,
    "decode": 2e-5,
    "text": 2e-5,
    "ddim": 1e-4,
}


@functools.cache
def tiny_model(style: str) -> StableDiffusion:
    """The tiny model, loaded once a process."""
    with tempfile.TemporaryDirectory() as folder:
        return load(write_checkpoint(Path(folder), style))


@functools.cache
def outputs(style: str) -> dict[str, np.ndarray]:
    """What the Equinox networks make of `inputs`, by the names of `LIMITS`."""
    model = tiny_model(style)
    given = {name: jnp.asarray(value) for name, value in inputs(style).items()}
    x, text = given["latents"], given["text"]
    guided = ClassifierFreeGuidance(model.score, 3.0, given["null_text"])

    @jax.jit
    def derivatives(x, v):
        forward = lambda y: model.unet(y, TIMESTEP, text)  # noqa: E731
        return jax.jvp(forward, (x,), (v,))[1], jax.vjp(forward, x)[1](v)[0]

    jvp, vjp = derivatives(x, given["direction"])
    found = {
        "unet": model.unet(x, TIMESTEP, text),
        "jvp": jvp,
        "vjp": vjp,
        "encode": model.encode_image(given["pixels"]),
        "decode": model.decode_latents(x),
        "text": model.text_encoder(given["tokens"]),
        "ddim": ddim_path(guided, x, ddim_levels(DDIM_STEPS), args=text),
    }
    return {name: np.asarray(value) for name, value in found.items()}


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The relative difference, in the Euclidean norm and in the largest entry: the worse."""
    assert ours.shape == theirs.shape and ours.dtype == np.float32
    apart = ours - theirs
    norms = np.linalg.norm(apart) / np.linalg.norm(theirs)
    return float(max(norms, np.abs(apart).max() / np.abs(theirs).max()))
