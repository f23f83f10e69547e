"""One run: two images, three paths, the files and the verdict."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optimistix as optx
import typer
from jaxtyping import Array
from rich.console import Console

from ..geodesics import (
    AbstractRule,
    AbstractSolver,
    CoarseToFine,
    GaussNewton,
    LambdaContinuation,
    LogDensityChord,
    Midpoint,
    PathEnergy,
    Quadrature,
)
from ..interpolation import Comparison, GeodesicInterpolator, NoiseRoute, compare
from ..metrics import SteinScoreMetric
from ..models import describe, load
from ..scores import AbstractScore
from ._console import SOLVE_FAILED, Stages, input_checked, say, tell
from ._figures import figure_rows, in_options, terminal_table
from ._outputs import write_outputs
from ._settings import Rule, Settings, Solver

# By stage: what the progress bar says, and the share of the time that it roughly takes.
STAGES = [
    ("ends", "drawing the end-points from the model", 15.0),
    ("noise", "taking both images to the noise level", 3.0),
    ("geodesic", "compiling the solver and finding the geodesic", 35.0),
    ("extension", "extrapolating beyond B", 20.0),
    ("figures", "pricing the paths", 10.0),
    ("images", "denoising the paths", 12.0),
    ("files", "drawing and writing", 5.0),
]


def load_model(name: str) -> tuple[AbstractScore, dict[str, Any]]:
    """The score and its config. **Raises:** `ValueError` or `OSError`, as `geojax.models.load`."""
    return load(name), describe(name)


def check_label(label: int | None, config: Mapping[str, Any], option: str = "--label") -> None:
    """**Raises:** `ValueError` when the model has no such class."""
    classes = config["network"].get("num_classes", 0)
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
    """The rule of that name. **Raises:** `ValueError` when the score has no log-density for it."""
    if name is Rule.LOG_DENSITY_CHORD and not hasattr(score, "log_density"):
        raise ValueError(
            "--rule log-density-chord needs a model whose log-density is known; a network's is "
            "not. Use midpoint or quadrature."
        )
    return {
        Rule.MIDPOINT: Midpoint,
        Rule.LOG_DENSITY_CHORD: LogDensityChord,
        Rule.QUADRATURE: Quadrature,
    }[name](**options)


def run(
    command: str,
    settings: Settings,
    score: AbstractScore,
    ends: Callable[[], tuple[Array, Array]],
    *,
    out: Path,
    label: int | None,
    extent: float,
    inputs: Mapping[str, Any],
    lead: str,
) -> None:
    """Find and price the paths, write the files, print the table, give the verdict.

    ``ends`` makes the two images. **Raises:** `typer.Exit` with code 1 when a solve failed, with
    code 2 when the settings do not fit the model or the files cannot be written.
    """
    began = time.perf_counter()
    with input_checked():
        route = NoiseRoute(
            score,
            t=settings.t,
            noising=settings.noising.value,
            denoising=settings.denoising.value,
            num_steps=settings.denoise_steps,
            args=label,
        )
        metric = SteinScoreMetric(score.at(settings.t), settings.lam)
        geodesic = GeodesicInterpolator(
            metric,
            label,
            solver=make_solver(settings.solver, settings.rtol),
            num_segments=settings.segments,
            rule=make_rule(settings.rule, score),
            max_steps=settings.steps,
        )
    noise_key = jax.random.fold_in(jax.random.key(settings.seed), 0)
    stages = [s for s in STAGES if s[0] != "extension" or extent > 0]
    stages = [s for s in stages if s[0] != "ends" or command == "demo"]
    with Stages(stages) as bar:
        if command == "demo":
            bar.begin("ends")
        image_a, image_b = jax.block_until_ready(ends())
        drawn = time.perf_counter()
        result = compare(
            route,
            geodesic,
            image_a,
            image_b,
            key=noise_key,
            until=1 + extent,
            frames=settings.frames,
            on_stage=bar.begin,
        )
        result = told_in_options(result)
        bar.begin("files")
        found = time.perf_counter()
        seconds = {"end_points": drawn - began, "paths": found - drawn}
        with input_checked():
            files = write_outputs(out, command, settings, inputs, result, seconds, lead)
    report(result, files, time.perf_counter() - began)


def told_in_options(result: Comparison) -> Comparison:
    """With problems and notes in the words of the command line."""
    return result._replace(
        problems=[in_options(text) for text in result.problems],
        notes=[in_options(text) for text in result.notes],
    )


def report(result: Comparison, files: list[Path], seconds: float) -> None:
    """Print the table and the verdict. **Raises:** `typer.Exit` when a solve failed."""
    Console().print(terminal_table(figure_rows(result), list(result.records)))
    for note in result.notes:
        tell("note", note)
    names = ", ".join(path.name for path in files)
    say(f"\nWritten to {files[0].parent} in {seconds:.0f} s: {names}")
    for problem in result.problems:
        tell("failed", problem)
    if result.problems:
        raise typer.Exit(SOLVE_FAILED)


def as_points(array: Any, *, x64: bool) -> Array:
    """An image in the precision of the run."""
    return jnp.asarray(array, dtype=jnp.float64 if x64 else jnp.float32)
