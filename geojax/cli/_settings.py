"""The options that `demo`, `interpolate` and `extrapolate` share."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..interpolation import ENDING_AT_B, EXTRAPOLATORS, INTERPOLATORS, NAMED_METRICS
from . import _defaults as defaults


class Solver(StrEnum):
    """The two-point solvers by name."""

    GAUSS_NEWTON = "gauss-newton"
    ADAM = "adam"
    LBFGS = "lbfgs"
    COARSE_TO_FINE = "coarse-to-fine"
    LAMBDA_CONTINUATION = "lambda-continuation"


class Rule(StrEnum):
    """The rules for the energy of a segment."""

    SPLINE_GAUSS = "spline-gauss"
    MIDPOINT = "midpoint"
    LOG_DENSITY_CHORD = "log-density-chord"
    QUADRATURE = "quadrature"


class Noising(StrEnum):
    """How images come to the noise level."""

    SHARED = "shared"
    INVERSION = "inversion"


class Denoising(StrEnum):
    """How points at the noise level become images."""

    DDIM = "ddim"
    PROBABILITY_FLOW = "probability_flow"


GEOMETRY, SEARCH, PICTURES = "Geometry", "Search for the geodesic", "Pictures"  # in the help
MACHINE, FOLDERS, DIFFUSION = "Machine", "Folders of diffusers", "Stable Diffusion folders only"


def option(text: str, *names: str, panel: str | None = None) -> Any:
    """An option of a command, under a heading of its help; case does not matter.

    Two names, as in `--invert/--no-invert`, make a flag.
    """
    metavar = "" if any("/" in name for name in names) else None
    return typer.Option(
        *names, help=text, rich_help_panel=panel, case_sensitive=False, metavar=metavar
    )


OUT = typer.Option(
    metavar="FOLDER",
    help="Folder of the results; if it has other files, the next number: FOLDER-2, FOLDER-3.",
)
FORCE = option(
    "Compute also if the model does not know the pictures.",
    "--force/--no-force",
    panel=GEOMETRY,
)
INIT = option(
    "Start from the path in a folder of results, of the same pictures, level and seed.",
    panel=SEARCH,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run of the three commands, without its two images."""

    model: Annotated[
        str | None,
        option(
            "A name from `geojax models`, or a folder of a model. Default: "
            f"{defaults.MODEL}; demo: {defaults.DEMO_MODEL}.",
            panel=GEOMETRY,
        ),
    ] = None
    t: Annotated[
        float | None,
        option(
            f"Noise level of the geometry, in (0, 1]. Default: the model's own, or {defaults.T:g}.",
            panel=GEOMETRY,
        ),
    ] = None
    lam: Annotated[
        str,
        option(
            "Weight of the score in the metric I + lam s s^T, or auto: from |s|^2 at the middle "
            "of the chord; with a latent model the solve goes on to the geodesic of "
            "I + 10 sigma^4 J^T J.",
            panel=GEOMETRY,
        ),
    ] = defaults.LAM
    segments: Annotated[int, option("Segments of the path from A to B.", panel=SEARCH)] = (
        defaults.SEGMENTS
    )
    solver: Annotated[Solver, option("How the geodesic is found.", panel=SEARCH)] = (
        Solver.GAUSS_NEWTON
    )
    rule: Annotated[Rule, option("How the energy of a segment is computed.", panel=SEARCH)] = (
        Rule.SPLINE_GAUSS
    )
    max_steps: Annotated[
        int | None,
        option("Most iterations. Default: 200; adam 2000, lbfgs 500.", "--max-steps", panel=SEARCH),
    ] = None
    rtol: Annotated[
        float | None,
        option(
            "Tolerance of the energy, relative. Default: the solver's; for a "
            "photograph by --rule quadrature 1e-3.",
            panel=SEARCH,
        ),
    ] = None
    init: Annotated[Path | None, INIT] = None
    noising: Annotated[
        Noising,
        option(
            "How images come to the noise level: one noise for both, or the probability flow "
            "backwards.",
            panel=PICTURES,
        ),
    ] = Noising.INVERSION
    denoising: Annotated[Denoising, option("How the path becomes images.", panel=PICTURES)] = (
        Denoising.DDIM
    )
    denoise_steps: Annotated[int, option("Steps of DDIM.", panel=PICTURES)] = defaults.DENOISE_STEPS
    frames: Annotated[int, option("Pictures from A to B.", panel=PICTURES)] = defaults.FRAMES
    mp4: Annotated[
        bool,
        option(
            "Write path.mp4 beside path.gif; needs the extra `video`.",
            "--mp4/--no-mp4",
            panel=PICTURES,
        ),
    ] = False
    seed: Annotated[int, option("Seed of everything random.", panel=MACHINE)] = defaults.SEED
    x64: Annotated[bool, option("Compute in float64.", "--x64/--no-x64", panel=MACHINE)] = False

    def check(self) -> None:
        """`ValueError` for a number out of its range, with the name of the option."""
        rules: list[tuple[bool, str, str]] = [
            (self.t is None or 0 < self.t <= 1, "--t", "in (0, 1]; step k of T is t = k / T"),
            (_is_weight(self.lam), "--lam", "a finite number >= 0, or auto"),
            (self.segments >= 2, "--segments", "at least 2"),
            (self.steps >= 1, "--max-steps", "at least 1"),
            (self.rtol is None or 0 < self.rtol < 1, "--rtol", "between 0 and 1"),
            (self.denoise_steps >= 1, "--denoise-steps", "at least 1"),
            (self.frames >= 2, "--frames", "at least 2"),
            (0 <= self.seed < 2**32, "--seed", "in 0 ... 2^32 - 1"),
        ]
        for good, name, wanted in rules:
            if not good:
                value = getattr(self, name.removeprefix("--").replace("-", "_"))
                raise ValueError(f"{name} must be {wanted}, got {value}.")
        if self.mp4:
            from ..plotting import check_video

            check_video()

    @property
    def named_model(self) -> str:
        """`model`, or the default's name."""
        return defaults.MODEL if self.model is None else self.model

    @property
    def weight(self) -> float | str:
        """`lam` as a number, or "auto"."""
        return "auto" if self.lam.casefold() == "auto" else float(self.lam)

    @property
    def steps(self) -> int:
        """`max_steps`, or the solver's default."""
        return defaults.MAX_STEPS[self.solver] if self.max_steps is None else self.max_steps


def _is_weight(text: str) -> bool:
    try:
        return text.casefold() == "auto" or 0 <= float(text) < math.inf
    except ValueError:
        return False


# The metrics that need only a score, by name.
Metric = StrEnum("Metric", {name.upper(): name for name in NAMED_METRICS})


class Attention(StrEnum):
    """The implementation of the network's attention."""

    XLA = "xla"
    CUDNN = "cudnn"


class Precision(StrEnum):
    """The floating type of a network."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


_WORDS = ("prompt", "prompt_b", "negative_prompt", "guidance", "attention")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """Further settings of a run with a folder of diffusers."""

    prompt: Annotated[
        str | None, option("Text of what A (and B) shows. Default: none.", panel=DIFFUSION)
    ] = None
    prompt_b: Annotated[
        str | None, option("Text of what B shows, if it differs.", panel=DIFFUSION)
    ] = None
    negative_prompt: Annotated[
        str | None, option("Text of what not to show; needs --guidance.", panel=DIFFUSION)
    ] = None
    guidance: Annotated[
        float | None,
        option(
            "Guidance scale; other than 1 doubles the work. Default: 1. demo also draws the "
            f"pictures with it; default with a prompt {defaults.PROMPT_GUIDANCE:g}, with digits "
            f"{defaults.GUIDANCE:g}.",
            panel=DIFFUSION,
        ),
    ] = None
    size: Annotated[
        str | None,
        option("HEIGHTxWIDTH of the pictures. Default: the model's.", panel=FOLDERS),
    ] = None
    metric: Annotated[
        Metric | None,  # pyright: ignore[reportInvalidTypeForm]
        option("Metric of the geodesic. Default: Stein, I + lam s s^T.", panel=FOLDERS),
    ] = None
    methods: Annotated[
        str | None,
        option(
            "Methods beside LERP and the geodesic, with commas: "
            f"{', '.join(name for name in INTERPOLATORS if name != 'LERP')}; with extrapolate "
            f"{', '.join(name for name in EXTRAPOLATORS if name not in INTERPOLATORS)}, and not "
            f"those that end at B, {', '.join(ENDING_AT_B)}. Default: SLERP.",
            panel=FOLDERS,
        ),
    ] = None
    chunk: Annotated[
        int | None,
        option("Points in a network at once; fewer save memory. Default: 4.", panel=FOLDERS),
    ] = None
    dtype: Annotated[
        Precision | None, option("Precision of the networks. Default: float32.", panel=FOLDERS)
    ] = None
    attention: Annotated[
        Attention | None,
        option(
            "cudnn: flash attention of NVIDIA GPUs, for --rule quadrature. Default: xla.",
            panel=DIFFUSION,
        ),
    ] = None
    remat: Annotated[
        bool | None,
        option(
            "Derivatives compute the inside of the network again, which saves memory.",
            "--remat/--no-remat",
            panel=FOLDERS,
        ),
    ] = None

    def check(self, model: str, *, folder: bool, words: bool) -> None:
        """`ValueError` for an option that does not suit the model.

        It depends on whether the model is a folder of diffusers, and whether its score takes a
        text.
        """
        for field in dataclasses.fields(self):
            if getattr(self, field.name) is None or (words if field.name in _WORDS else folder):
                continue
            kind = "Stable Diffusion folders" if field.name in _WORDS else "folders of diffusers"
            raise ValueError(
                f"--{field.name.replace('_', '-')} is for {kind}, and {model} is none: leave it "
                "out, or give such a folder as --model."
            )


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for every field of `Settings` and `PromptSettings`.

    They replace the parameters of these types.
    """
    signature = inspect.signature(command, eval_str=True)
    parameters = list(signature.parameters.values())
    groups: dict[str, Any] = {
        p.name: p.annotation for p in parameters if dataclasses.is_dataclass(p.annotation)
    }
    own = [p for p in parameters if p.name not in groups]
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
        )
        for group in groups.values()
        for field in dataclasses.fields(group)
    ]

    @functools.wraps(command)
    def wrapper(**options: Any) -> None:
        chosen = {
            name: group(
                **{field.name: options.pop(field.name) for field in dataclasses.fields(group)}
            )
            for name, group in groups.items()
        }
        command(**chosen, **options)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
    wrapper.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper
