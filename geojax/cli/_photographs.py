"""Between two photographs with a Stable Diffusion folder."""

import re
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ..geodesics import GaussNewton, device_mesh
from ..interpolation import compare_latents
from ..metrics import SteinScoreMetric
from ..models import stable_diffusion
from ..models.stable_diffusion import StableDiffusion
from ._console import Stages, input_checked
from ._images import read_images
from ._outputs import writable_folder, write_outputs
from ._run import as_points, make_rule, make_solver, report, told_in_options
from ._settings import Precision, PromptSettings, Rule, Settings, Solver

_STAGES = [
    ("encode", "encoding the photographs", 5.0),
    ("noise", "taking both photographs to the noise level", 5.0),
    ("geodesic", "compiling the solver and finding the geodesic", 40.0),
    ("extension", "extrapolating beyond B", 15.0),
    ("figures", "pricing the paths", 10.0),
    ("images", "denoising and decoding the paths", 20.0),
    ("files", "drawing and writing", 5.0),
]
_PARTS = ("unet", "vae", "text_encoder", "scheduler")


def is_stable_diffusion(model: str) -> bool:
    """Whether that is a folder in the layout of diffusers, or a name as the hub has them."""
    folder = Path(model)
    if folder.is_dir():
        return (folder / "model_index.json").is_file() or any(
            (folder / part).is_dir() for part in _PARTS
        )
    return not folder.exists() and re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model) is not None


def between_photographs(
    command: str,
    a: Path,
    b: Path,
    settings: Settings,
    prompts: PromptSettings,
    out: Path,
    label: int | None,
    invert: bool,
    extent: float,
) -> None:
    """Find the paths, write the files, give the verdict. **Raises:** as `run`."""
    began = time.perf_counter()
    stages = [s for s in _STAGES if s[0] != "extension" or extent > 0]
    with input_checked():
        if label is not None:
            raise ValueError("--label is for models of classes: give --prompt.")
        chunk = 4 if prompts.chunk is None else prompts.chunk
        if chunk < 1:
            raise ValueError(f"--chunk must be at least 1, got {chunk}.")
        model = stable_diffusion.load(
            settings.model, dtype=jnp.dtype((prompts.dtype or Precision.FLOAT32).value)
        )
        shape = (3, *_size(prompts.size, model))
        arrays = read_images((a, b), shape, invert=invert)
        photographs = [as_points(array, x64=settings.x64) for array in arrays]
        first = model.encode_prompt(prompts.prompt or "")
        conditions = first, first
        if prompts.prompt_b is not None and prompts.prompt_b != prompts.prompt:
            conditions = first, model.encode_prompt(prompts.prompt_b)
        guidance = 1.0 if prompts.guidance is None else prompts.guidance
        guided = guidance != 1
        score = model.guided(guidance, prompts.negative_prompt or "") if guided else model.score
        devices = device_mesh()
        rule = make_rule(settings.rule, score, batch_size=chunk, devices=devices)
        writable_folder(out)
    with Stages(stages) as bar:
        bar.begin("encode")
        given = jnp.stack(photographs)
        latents = jnp.stack([model.encode_image(pixels) for pixels in photographs])
        solver = make_solver(settings.solver, settings.rtol)
        options: dict[str, Any] = {
            "num_segments": settings.segments,
            "rule": rule,
            "max_steps": settings.steps,
        }
        if settings.rule is Rule.QUADRATURE and settings.solver is Solver.GAUSS_NEWTON:
            # Forward evaluations alone: no VJP or JVP of the U-Net, hence no certificate either.
            solver = GaussNewton(rtol=settings.rtol, curvature_steps=0)
            options["certify"] = False
        result = compare_latents(
            score,
            latents,
            given,
            metric=lambda s: SteinScoreMetric(s, settings.lam),
            decode=model.decode_latents,
            conditions=conditions,
            t=settings.t,
            key=jax.random.fold_in(jax.random.key(settings.seed), 0),
            noising=settings.noising.value,
            num_steps=settings.denoise_steps,
            chunk=chunk,
            until=1 + extent,
            frames=settings.frames,
            options=options | {"solver": solver},
            evaluations=2 if guided else 1,
            on_stage=bar.begin,
        )
        result = told_in_options(result)
        bar.begin("files")
        found = time.perf_counter()
        inputs = {
            "a": str(a),
            "b": str(b),
            **{name: getattr(prompts, name) for name in ("prompt", "prompt_b", "negative_prompt")},
            "guidance": guidance,
            "size": f"{shape[1]}x{shape[2]}",
            "chunk": chunk,
            "dtype": (prompts.dtype or Precision.FLOAT32).value,
            "extent": extent,
        }
        lead = (
            f"From {a.name} to {b.name}{' and beyond' if extent else ''}: a geodesic among the "
            f"latents of {Path(settings.model).name} at noise level t = {settings.t:g}."
        )
        with input_checked():
            files = write_outputs(
                out, command, settings, inputs, result, {"paths": found - began}, lead
            )
    report(result, files, time.perf_counter() - began)


def _size(text: str | None, model: StableDiffusion) -> tuple[int, int]:
    """Height and width. **Raises:** `ValueError` when the model takes no such pictures."""
    if text is None:
        return model.side, model.side
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    height, width = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not height or not width or height % model.unit or width % model.unit:
        raise ValueError(
            f"--size must be HEIGHTxWIDTH, both divisible by {model.unit}, got {text!r}."
        )
    return height, width
