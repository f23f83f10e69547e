"""The options that `demo`, `interpolate` and `extrapolate` share."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from . import _defaults as defaults


class Solver(StrEnum):
    """The two-point solvers by name."""

    GAUSS_NEWTON = "gauss-newton"
    ADAM = "adam"
    LBFGS = "lbfgs"
    COARSE_TO_FINE = "coarse-to-fine"
    LAMBDA_CONTINUATION = "lambda-continuation"


class Rule(StrEnum):
    """The rules that price a segment."""

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


def _option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run of the three commands depends on, besides its two images."""

    model: Annotated[str, _option("A name from `geojax models`, or a checkpoint folder.")] = (
        defaults.MODEL
    )
    t: Annotated[float, _option("Noise level in (0, 1] at which the geometry is taken.")] = (
        defaults.T
    )
    lam: Annotated[float, _option("Weight of the score in the metric I + lam s s^T.")] = (
        defaults.LAM
    )
    segments: Annotated[int, _option("Segments of the path from A to B.")] = defaults.SEGMENTS
    solver: Annotated[Solver, _option("How the geodesic is found.")] = Solver.GAUSS_NEWTON
    rule: Annotated[Rule, _option("How a segment is priced.")] = Rule.MIDPOINT
    max_steps: Annotated[
        int | None,
        _option("Iterations at most. Default: 200; adam 2000, lbfgs 500.", "--max-steps"),
    ] = None
    rtol: Annotated[
        float | None,
        _option(
            "Relative energy that may still be to gain. Default: the solver's; for a photograph "
            "by --rule quadrature 1e-3."
        ),
    ] = None
    noising: Annotated[
        Noising, _option("One noise for both images, or the probability flow backwards.")
    ] = Noising.INVERSION
    denoising: Annotated[Denoising, _option("How the path becomes images.")] = Denoising.DDIM
    denoise_steps: Annotated[int, _option("Steps of DDIM.", "--denoise-steps")] = (
        defaults.DENOISE_STEPS
    )
    frames: Annotated[int, _option("Pictures from A to B.")] = defaults.FRAMES
    seed: Annotated[int, _option("Seed of everything random.")] = defaults.SEED
    mp4: Annotated[
        bool, _option("Write path.mp4 beside path.gif; needs the extra `video`.", "--mp4")
    ] = False
    x64: Annotated[bool, _option("Compute in float64.", "--x64")] = False

    def check(self) -> None:
        """**Raises:** `ValueError` on a number out of its range, with the option's name."""
        rules: list[tuple[bool, str, str]] = [
            (0 < self.t <= 1, "--t", "in (0, 1]; step k of T is t = k / T"),
            (0 <= self.lam < math.inf, "--lam", "a finite number >= 0"),
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
    def steps(self) -> int:
        """``max_steps``, or the solver's default."""
        return defaults.MAX_STEPS[self.solver] if self.max_steps is None else self.max_steps


class Metric(StrEnum):
    """The metrics of a score by name."""

    STEIN = "Stein"
    COMBINED = "combined"
    SMOOTHED = "smoothed"
    JACOBIAN = "Jacobian"
    NORM = "norm"
    DENSITY = "density"


class Attention(StrEnum):
    """What computes the attention of a network."""

    XLA = "xla"
    CUDNN = "cudnn"


class Precision(StrEnum):
    """What a network is computed in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """What a run with a Stable Diffusion folder depends on besides."""

    prompt: Annotated[
        str | None, _option("Stable Diffusion: what A (and B) shows. Default: no words.")
    ] = None
    prompt_b: Annotated[
        str | None, _option("What B shows, where that is not what A shows.", "--prompt-b")
    ] = None
    negative_prompt: Annotated[
        str | None, _option("With --guidance: what not to show.", "--negative-prompt")
    ] = None
    guidance: Annotated[
        float | None, _option("Guidance scale; other than 1 doubles the work. Default: 1.")
    ] = None
    size: Annotated[str | None, _option("HEIGHTxWIDTH of the pictures. Default: the model's.")] = (
        None
    )
    chunk: Annotated[
        int | None, _option("Points that the networks see at once: less memory. Default: 4.")
    ] = None
    dtype: Annotated[Precision | None, _option("Of the networks. Default: float32.")] = None
    metric: Annotated[
        Metric | None, _option("In which the geodesic is one. Default: stein, I + lam s s^T.")
    ] = None
    methods: Annotated[
        str | None,
        _option(
            "What to set beside LERP and the geodesic, with commas: SLERP, NAO, NoiseDiffusion, "
            "density, Jacobian, 'Stein as published', Stein, combined, smoothed, 'norm + Stein'; "
            "with extrapolate 'tangent step' and 'score-guided walk', and not the two that end at "
            "B, NAO and NoiseDiffusion. Default: SLERP."
        ),
    ] = None
    attention: Annotated[
        Attention | None,
        _option("cudnn: flash attention of NVIDIA cards, for --rule quadrature. Default: xla."),
    ] = None
    remat: Annotated[
        bool | None,
        _option("Derivatives compute the network's inside again: less memory.", "--remat"),
    ] = None

    def given(self) -> list[str]:
        """The options that were given, by name."""
        values = dataclasses.asdict(self).items()
        return [f"--{name.replace('_', '-')}" for name, value in values if value is not None]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for every field of `Settings` and `PromptSettings`, instead of
    parameters of these types.
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
