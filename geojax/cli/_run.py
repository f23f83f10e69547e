"""One run: two images, three paths, the files and the verdict."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
from ._console import INTERRUPTED, SOLVE_FAILED, input_checked, say, tell
from ._demo import draw
from ._figures import figure_rows, terminal_table, texts
from ._known import acquaintance, check_known, typical_surprise
from ._labels import compare_labels
from ._outputs import write_outputs
from ._session import Session, session
from ._settings import Rule, Settings, Solver

# By stage: what the progress says, and the share of the time that it roughly takes.
STAGES = [
    ("ends", "drawing the end-points from the model", 15.0),
    ("check", "asking the model whether it knows these pictures", 8.0),
    ("noise", "taking both images to the noise level", 3.0),
    ("geodesic", "compiling the solver", 35.0),
    ("extension", "extrapolating beyond B", 20.0),
    ("figures", "computing the figures", 10.0),
    ("images", "denoising the paths", 12.0),
    ("files", "drawing and writing", 5.0),
]


class Prepared(NamedTuple):
    """What a run solves with."""

    score: AbstractScore
    route: NoiseRoute
    geodesic: GeodesicInterpolator
    labels: tuple[int, int] | None  # of A and B, where they are not the same


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


def setup(
    settings: Settings, score: AbstractScore, label: int | tuple[int, int] | None
) -> Prepared:
    """The route to the noise level and the metric there; ``label`` is a class, or those of A and B.

    **Raises:** `ValueError` when the settings do not fit the model.
    """
    labels = label if isinstance(label, tuple) else None
    label = None if isinstance(label, tuple) else label
    route = NoiseRoute(
        score,
        t=settings.t,
        noising=settings.noising.value,
        denoising=settings.denoising.value,
        num_steps=settings.denoise_steps,
        args=label,
    )
    geodesic = GeodesicInterpolator(
        SteinScoreMetric(score.at(settings.t), settings.lam),
        label,
        solver=make_solver(settings.solver, settings.rtol),
        num_segments=settings.segments,
        rule=make_rule(settings.rule, score),
        max_steps=settings.steps,
    )
    return Prepared(score, route, geodesic, labels)


def run(
    command: str,
    settings: Settings,
    prepared: Prepared,
    ends: Callable[[], tuple[Array, Array]],
    *,
    folder: Path,
    extent: float,
    inputs: Mapping[str, Any],
    lead: str,
    names: Sequence[str] = (),
    notices: Sequence[str] = (),
    force: bool = False,
) -> None:
    """Find and price the paths, write the files, print the table, give the verdict.

    ``ends`` makes the two images; ``names`` are those of their files, without which the model has
    drawn them itself. **Raises:** `typer.Exit` with code 1 when a solve failed, with code 2 when
    the model does not know the pictures or the files cannot be written, with code 130 after ctrl-C.
    """
    began = time.perf_counter()
    score, route, geodesic, labels = prepared
    key = jax.random.key(settings.seed)
    left_out = "check" if command == "demo" else "ends"
    stages = [s for s in STAGES if s[0] != left_out and (s[0] != "extension" or extent > 0)]
    notices = list(notices)
    with session(folder, stages, settings.init) as this:
        this.begin("ends")
        image_a, image_b = jax.block_until_ready(ends())
        if names:
            this.begin("check")
            seen = _ask(prepared, (image_a, image_b), names, settings, force)
            for text in seen:
                this.bar.note(text)
            notices += seen
        drawn = time.perf_counter()
        options = {
            "key": jax.random.fold_in(key, 0),
            "until": 1 + extent,
            "on_stage": this.begin,
            "find": this.search,
        }
        if labels is None:
            result = compare(route, geodesic, image_a, image_b, frames=settings.frames, **options)
        else:
            options |= {"solver": geodesic.solver, "rule": make_rule(settings.rule, score)}
            result = compare_labels(score, labels, (image_a, image_b), settings, **options)
        this.begin("files")
        found = time.perf_counter()
        seconds = {"end_points": drawn - began, "paths": found - drawn}
        with input_checked():
            files = write_outputs(folder, command, settings, inputs, result, seconds, lead, notices)
    report(result, files, time.perf_counter() - began, this)


def _ask(prepared: Prepared, images, names, settings: Settings, force: bool) -> list[str]:
    """What the model says to the pictures. **Raises:** `typer.Exit` where it does not know one."""
    score, label = prepared.score, prepared.route.args

    def typical() -> float:
        shape, seed = images[0].shape, settings.seed
        return typical_surprise(
            score, lambda count: draw(score, shape, [label] * count, 1.0, seed), label
        )

    found = acquaintance(score, images, settings.t, label)
    with input_checked():
        return check_known(names, found, typical, model=settings.model, t=settings.t, force=force)


def report(result: Comparison, files: list[Path], seconds: float, this: Session) -> None:
    """Print the table and the verdict.

    **Raises:** `typer.Exit` when a solve failed or was interrupted.
    """
    Console().print(terminal_table(figure_rows(result), list(result.records)))
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
