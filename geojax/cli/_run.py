"""One run: two images, the paths between them, the files and the verdict."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import optimistix as optx
import typer
from jaxtyping import Array

from ..geodesics import (
    AbstractRule,
    AbstractSolver,
    CoarseToFine,
    Diagnostics,
    GaussNewton,
    LambdaContinuation,
    LogDensityChord,
    Midpoint,
    PathEnergy,
    Quadrature,
    SplineGauss,
)
from ..interpolation import Comparison, compare, has_start_metric
from ..models import describe, load
from ..models.latent import LatentModel
from ..scores import AbstractPipeline, AbstractScore, NoiseRoute
from . import _defaults as defaults
from ._console import INTERRUPTED, SOLVE_FAILED, console, input_checked, say, tell
from ._environment import compile_quickly
from ._figures import figure_rows, picture_rows, terminal_table, texts
from ._labels import BetweenLabels
from ._outputs import PageHead, write_outputs
from ._session import Session, session
from ._settings import Rule, Settings, Solver

# The stages: key, text of the progress bar, and approximate share of the time.
STAGES = [
    ("ends", "drawing the end-points", 15.0),
    ("check", "checking whether the model knows these pictures", 8.0),
    ("noise", "taking both images to the noise level", 3.0),
    ("start", "compiling the solver of the path to start from", 20.0),
    ("geodesic", "compiling the solver", 35.0),
    ("extension", "extrapolating beyond B", 20.0),
    ("methods", "finding the other paths", 2.0),
    ("figures", "computing the figures", 10.0),
    ("images", "making the pictures", 12.0),
    ("files", "drawing and writing", 5.0),
]


def load_model(name: str) -> tuple[AbstractScore | AbstractPipeline, dict[str, Any]]:
    """The model and its config; `ValueError` or `OSError`, as `geojax.models.load`."""
    return load(name), describe(name)


def check_label(label: int | None, config: Mapping[str, Any], option: str = "--label") -> None:
    """`ValueError` when the model has no such class."""
    classes = config.get("network", {}).get("num_classes", 0)
    if label is not None and not 0 <= label < classes:
        wanted = f"0 ... {classes - 1}" if classes else "left out: the model has no classes"
        raise ValueError(f"{option} must be {wanted}, got {label}.")


def make_solver(name: Solver, rtol: float | None) -> AbstractSolver:
    """The solver of that name."""
    if name is Solver.ADAM:
        return PathEnergy(optimiser=optax.adam(1e-2), rtol=rtol)
    if name is Solver.LBFGS:
        minimiser = optx.LBFGS(rtol=1e-6, atol=1e-6)
        return PathEnergy(optimiser=minimiser, rtol=rtol)
    solver = GaussNewton(rtol=rtol)
    wrappers = {Solver.COARSE_TO_FINE: CoarseToFine, Solver.LAMBDA_CONTINUATION: LambdaContinuation}
    return wrappers[name](solver) if name in wrappers else solver


def make_rule(name: Rule, score: AbstractScore, **options: Any) -> AbstractRule:
    """The rule of that name; `ValueError` when it needs a log-density and the score has none."""
    if name is Rule.LOG_DENSITY_CHORD and not hasattr(score, "log_density"):
        raise ValueError(
            "--rule log-density-chord needs a model whose log-density is known; a network's is "
            "not. Use spline-gauss or quadrature."
        )
    return {
        Rule.SPLINE_GAUSS: SplineGauss,
        Rule.MIDPOINT: Midpoint,
        Rule.LOG_DENSITY_CHORD: LogDensityChord,
        Rule.QUADRATURE: Quadrature,
    }[name](**options)


def make_pipeline(
    settings: Settings,
    model: AbstractScore | AbstractPipeline,
    label: int | Array | tuple[int, int] | None = None,
) -> AbstractPipeline:
    """The pipeline to the noise level and back; `label` is a class, or those of A and B."""
    if isinstance(model, AbstractPipeline):
        if settings.t is None:
            return model
        return eqx.tree_at(lambda m: m.t, model, jnp.asarray(settings.t, jnp.float32))
    score, args, between = model, label, None
    if isinstance(label, tuple):
        score = BetweenLabels(model, label)  # pyright: ignore[reportCallIssue]
        dtype = jnp.float64 if settings.x64 else jnp.float32
        args, between = None, (jnp.zeros((), dtype), jnp.ones((), dtype))
    return NoiseRoute(
        score,
        args=args,
        between=between,
        **route_options(settings),
    )


def route_options(settings: Settings) -> dict[str, Any]:
    """The options of a `NoiseRoute` from the settings."""
    return {
        "t": defaults.T if settings.t is None else settings.t,
        "noising": settings.noising.value,
        "denoising": settings.denoising.value,
        "num_steps": settings.denoise_steps,
        "throw": False,
    }


def run(
    command: str,
    settings: Settings,
    pipeline: AbstractPipeline,
    ends: Callable[[], tuple[Array, Array]],
    *,
    rule: AbstractRule,
    folder: Path,
    extent: float,
    inputs: Mapping[str, Any],
    lead: str,
    known: Callable[[tuple[Array, Array]], list[str]] | None = None,
    notices: Sequence[str] = (),
    methods: Sequence[str] = ("SLERP",),
    truth: Callable[[float], Any] | None = None,
    metric: str | None = None,
    solver: AbstractSolver | None = None,
    diagnostics: Diagnostics = "full",
    stages: Sequence[tuple[str, str, float]] | None = None,
) -> None:
    """Find the paths, compute their figures, write the files, print the table and the verdict.

    **Arguments:**

    - `ends`: makes the two images.
    - `known`: checks whether the model knows the images, and returns notices.
    - `solver`: by default that of the settings.
    - `stages`: of the progress, by default those of a small model.

    **Raises:**

    - `typer.Exit`: code 1 when a solve failed; 2 when the model does not know the pictures, or the
      files cannot be written; 130 after ctrl-C.
    """
    began = time.perf_counter()
    if isinstance(pipeline, LatentModel):
        compile_quickly()
    key = jax.random.key(settings.seed)
    left_out = {"ends"} if known else {"check"}
    if not extent:
        left_out.add("extension")
    led = metric is None and has_start_metric(pipeline, settings.weight, rule)
    if settings.init is not None or not led:
        left_out.add("start")  # there is no start from another metric
    shown = [stage for stage in STAGES if stage[0] not in left_out]
    notices = list(notices)
    with session(folder, shown if stages is None else stages, settings.init) as this:
        this.begin("ends")
        images = jax.block_until_ready(ends())
        if known:
            this.begin("check")
            with input_checked():
                seen = known(images)
            for text in seen:
                this.bar.note(text)
            notices += seen
        drawn = time.perf_counter()
        result = compare(
            pipeline,
            *images,
            key=jax.random.fold_in(key, 0),
            metric=metric,
            lam=settings.weight,
            solver=solver or make_solver(settings.solver, settings.rtol),
            diagnostics=diagnostics,
            num_segments=settings.segments,
            rule=rule,
            max_steps=settings.steps,
            methods=methods,
            until=1 + extent,
            frames=settings.frames,
            truth=truth,
            on_stage=this.begin,
            on_share=this.bar.share,
            find=this.search,
            start=this.start,
        )
        this.begin("files")
        found = time.perf_counter()
        head = PageHead(command, lead, float(pipeline.t), noised=isinstance(pipeline, NoiseRoute))
        with input_checked():
            seconds = {"end_points": drawn - began, "paths": found - drawn}
            files = write_outputs(folder, head, settings, inputs, result, seconds, notices)
    report(result, files, time.perf_counter() - began, this)


def report(result: Comparison, files: list[Path], seconds: float, this: Session) -> None:
    """Print the table and the verdict; `typer.Exit` when a solve failed or was interrupted."""
    console().print(terminal_table(figure_rows(result), list(picture_rows(result))))
    say(f"\nmetric: {result.metric}\n{result.contrast}")
    for note in texts(result.notes):
        tell("note", note)
    names = ", ".join(path.name for path in files)
    say(f"\nWritten to {files[0].parent} in {seconds:.0f} s: {names}")
    if this.interrupted:
        this.tell_interrupted()
        raise typer.Exit(INTERRUPTED)
    for problem in texts(result.problems):
        tell("failed", problem)
    if result.problems:
        raise typer.Exit(SOLVE_FAILED)


def as_points(array: Any, *, x64: bool) -> Array:
    """An image in the precision of the run."""
    return jnp.asarray(array, dtype=jnp.float64 if x64 else jnp.float32)
