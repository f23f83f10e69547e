"""Between two photographs with a Stable Diffusion folder."""

import math
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp

from ..geodesics import Diagnostics, GaussNewton, device_mesh
from ..interpolation import ENDING_AT_B, EXTRAPOLATORS, INTERPOLATORS, compare
from ..models import stable_diffusion
from ..models.stable_diffusion import StableDiffusion
from . import _defaults as defaults
from ._console import input_checked, tell
from ._folders import reserve_folder
from ._images import check_different, read_images, short_names
from ._outputs import Told, write_outputs
from ._run import as_points, make_rule, make_solver, report
from ._session import session
from ._settings import (
    Attention,
    Noising,
    Precision,
    PromptSettings,
    Rule,
    Settings,
    Solver,
)

_PARTS = ("unet", "vae", "text_encoder", "scheduler")
_FORWARD_ONLY_RTOL = 1e-3


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
    out: str,
    label: int | None,
    invert: bool,
    extent: float,
) -> None:
    """Find the paths, write the files, give the verdict. **Raises:** as `run`."""
    began = time.perf_counter()
    with input_checked():
        if label is not None:
            raise ValueError(
                "--label, --label-a and --label-b are for models of classes: give --prompt."
            )
        methods = _methods(prompts.methods, extent)
        metric = "Stein" if prompts.metric is None else prompts.metric.value
        forward_only = settings.rule is Rule.QUADRATURE
        if forward_only and metric not in ("Stein", "smoothed"):
            raise ValueError(
                f"--rule quadrature needs --metric Stein or smoothed, got {metric}: use midpoint."
            )
        chunk = 4 if prompts.chunk is None else prompts.chunk
        if chunk < 1:
            raise ValueError(f"--chunk must be at least 1, got {chunk}.")
        attention = prompts.attention or Attention.XLA
        if attention is Attention.CUDNN and (not forward_only or extent):
            raise ValueError(
                "--attention cudnn has no forward derivative: it is for interpolate with --rule "
                "quadrature."
            )
        if attention is Attention.CUDNN and jax.default_backend() != "gpu":
            raise ValueError(
                f"--attention cudnn needs an NVIDIA GPU, and jax computes on "
                f"{jax.default_backend()}: leave it out."
            )
        dtype = (prompts.dtype or Precision.FLOAT32).value
        model = stable_diffusion.load(
            settings.named_model,
            dtype=jnp.dtype(dtype),
            attention=attention.value,
            remat=bool(prompts.remat),
        )
        shape = (3, *_size(prompts.size, model))
        arrays, notices = read_images((a, b), shape, invert=invert)
        names = short_names((a, b))
        check_different(arrays, names)
        photographs = [as_points(array, x64=settings.x64) for array in arrays]
        guidance = 1.0 if prompts.guidance is None else prompts.guidance
        if not math.isfinite(guidance):
            raise ValueError(f"--guidance must be a finite number, got {guidance}.")
        if prompts.negative_prompt and guidance == 1:
            raise ValueError(
                "--negative-prompt is what guidance leads away from: give --guidance, say 5, too."
            )
        with _warnings_noted(notices):  # of texts that are too long
            pipeline = model.route(
                prompts.prompt or "",
                prompts.prompt_b,
                guidance=guidance,
                negative_prompt=prompts.negative_prompt or "",
                t=defaults.T if settings.t is None else settings.t,
                noising=settings.noising.value,
                denoising=settings.denoising.value,
                num_steps=settings.denoise_steps,
                throw=False,
            )
        rule = make_rule(settings.rule, pipeline.score, batch_size=chunk, devices=device_mesh())
        folder = reserve_folder(out)
    for notice in notices:
        tell("notice", notice)
    solver = make_solver(settings.solver, settings.rtol)
    diagnostics: Diagnostics = "full"
    if forward_only and settings.solver is Solver.GAUSS_NEWTON:
        # Forward evaluations alone: no VJP or JVP of the U-Net, hence no certificate either. Who
        # counts evaluations wants no digits that no eye sees.
        rtol = _FORWARD_ONLY_RTOL if settings.rtol is None else settings.rtol
        solver = GaussNewton(rtol=rtol, curvature_steps=0)
        diagnostics = "price"
    with session(folder, _stages(settings, methods, extent), settings.init) as this:
        result = compare(
            pipeline,
            *photographs,
            key=jax.random.fold_in(jax.random.key(settings.seed), 0),
            metric=metric,
            lam=settings.weight,
            rule=rule,
            solver=solver,
            num_segments=settings.segments,
            max_steps=settings.steps,
            diagnostics=diagnostics,
            methods=methods,
            until=1 + extent,
            frames=settings.frames,
            on_stage=this.begin,
            on_share=this.bar.share,
            find=this.search,
            start=this.start,
        )
        this.begin("files")
        found = time.perf_counter()
        inputs = {
            "a": str(a),
            "b": str(b),
            **{name: getattr(prompts, name) for name in ("prompt", "prompt_b", "negative_prompt")},
            "guidance": guidance,
            "size": f"{shape[1]}x{shape[2]}",
            "chunk": chunk,
            "dtype": dtype,
            "metric": metric,
            "methods": ", ".join(methods),
            "attention": attention.value,
            "remat": bool(prompts.remat),
            "devices": jax.device_count(),
            "extent": extent,
        }
        lead = (
            f"From {names[0]} to {names[1]}{' and beyond' if extent else ''}: a geodesic among the "
            f"latents of {Path(settings.named_model).name} at noise level t = "
            f"{float(pipeline.t):g}."
        )
        with input_checked():
            seconds = {"paths": found - began}
            told = Told(command, lead, float(pipeline.t), noised=True)
            files = write_outputs(folder, told, settings, inputs, result, seconds, notices)
    report(result, files, time.perf_counter() - began, this)


@contextmanager
def _warnings_noted(notices: list[str]) -> Iterator[None]:
    """What Python would warn of becomes a notice."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        notices.append(str(warning.message))


def _methods(text: str | None, extent: float) -> list[str]:
    """The names of methods in a list with commas; those that only go on beyond B where there is an
    extent. **Raises:** `ValueError` on others.
    """
    known = {n.casefold(): n for n in (INTERPOLATORS | EXTRAPOLATORS if extent else INTERPOLATORS)}
    later = {name.casefold() for name in EXTRAPOLATORS} - set(known)
    parts = [part.strip() for part in ("SLERP" if text is None else text).split(",")]
    names = []
    while parts:
        # A name may hold a comma itself: the longest one that is known is meant.
        sizes = range(len(parts), 1, -1)
        size = next((k for k in sizes if ", ".join(parts[:k]).casefold() in {*known, *later}), 1)
        names.append(", ".join(parts[:size]))
        parts = parts[size:]
    names = [name for name in names if name]
    for name in names:
        if name.casefold() in later:
            raise ValueError(f"--methods has {name!r}, which is for extrapolate.")
        if name.casefold() not in known:
            raise ValueError(f"--methods has {name!r}; known: {', '.join(known.values())}.")
        if extent and known[name.casefold()] in ENDING_AT_B:
            raise ValueError(f"--methods has {name}, which ends at B: leave it out of extrapolate.")
    return [known[name.casefold()] for name in names]


def _stages(settings: Settings, methods: list[str], extent: float) -> list[tuple[str, str, float]]:
    """What the progress bar says, and about how many points the network sees in each stage."""
    segments, paths = settings.segments, len({"LERP", *methods}) + 1
    solved = [name for name in methods if name not in ("LERP", "SLERP", "NAO", "NoiseDiffusion")]
    length, sampled = 1 + extent, settings.denoise_steps
    stages = [
        ("noise", "taking both photographs to the noise level", 5.0),
        ("geodesic", "compiling the solver and finding the geodesic", 20.0 * segments),
        ("extension", "extrapolating beyond B", 20.0 * segments * extent),
        ("methods", "finding the other paths", 100.0 * segments * len(solved)),
        ("figures", "pricing the paths", 4.0 * segments * paths * length),
        ("images", "denoising and decoding", 1.2 * paths * settings.frames * length * sampled),
        ("files", "drawing and writing", 10.0),
    ]
    if settings.noising is Noising.INVERSION:
        stages[0] = (*stages[0][:2], 4.0 * sampled)
    return [stage for stage in stages if stage[2]]


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
