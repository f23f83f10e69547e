"""Paths with a folder of diffusers, between two image files or two pictures of the model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxtyping import Array

from ..geodesics import AbstractSolver, Diagnostics, GaussNewton, device_mesh
from ..interpolation import ENDING_AT_B, EXTRAPOLATORS, INTERPOLATORS
from . import _defaults as defaults
from ._console import input_checked, tell
from ._folder_models import FolderModel, load_folder
from ._folders import reserve_folder
from ._images import check_different, read_images, short_names
from ._known import acquaintance, check_known, typical_surprise
from ._pairs import PairModel
from ._run import as_points, make_rule, make_solver, route_options, run
from ._settings import Attention, Noising, PromptSettings, Rule, Settings, Solver

_FORWARD_ONLY_RTOL = 1e-3
_CHUNK = 4


class _Search(NamedTuple):
    """How the paths are found: metric, other methods, points at once, solver."""

    metric: str
    methods: list[str]
    chunk: int
    solver: AbstractSolver
    diagnostics: Diagnostics


class _Ends(NamedTuple):
    """A function that makes the two pictures, their names, and notices about them."""

    make: Callable[[], tuple[Array, Array]]
    names: list[str]
    inputs: dict[str, Any]
    lead: str
    notices: list[str]


def between_files(
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
    """Find the paths between two image files; raises the errors of `run`."""

    def given(model: FolderModel) -> _Ends:
        if label is not None:
            wanted = ": give --prompt" if model.words else ""
            raise ValueError(f"--label, --label-a and --label-b are for models of classes{wanted}.")
        arrays, notices = read_images((a, b), model.shape, invert=invert)
        names = short_names((a, b))
        check_different(arrays, names)
        pictures = [as_points(array, x64=settings.x64) for array in arrays]
        lead = f"From {names[0]} to {names[1]}{' and beyond' if extent else ''}: a geodesic"
        inputs = {"a": str(a), "b": str(b)}
        return _Ends(lambda: (pictures[0], pictures[1]), names, inputs, lead, notices)

    _between(command, given, settings, prompts, out, extent)


def between_drawn(settings: Settings, prompts: PromptSettings, out: str, extent: float) -> None:
    """Find the paths between two pictures that the model draws; raises the errors of `run`."""

    def drawn(model: FolderModel) -> _Ends:
        def make():
            first, second = model.pictures(2, settings.seed, x64=settings.x64)
            return first, second

        words = " under the prompts" if model.words else ""
        lead = (
            f"Two pictures that the model drew itself{words} (another --seed draws others): a "
            f"geodesic between them{' and on beyond the second' if extent else ''}"
        )
        inputs = {"draw_steps": defaults.DRAW_STEPS}
        return _Ends(make, ["A", "B"], inputs, lead, [])

    _between("demo", drawn, settings, prompts, out, extent)


def folder_pairs(settings: Settings, prompts: PromptSettings) -> PairModel:
    """What all pairs of a list share; `ValueError` when the options do not fit the model."""
    search = _search(settings, prompts, 0.0)
    model = load_folder(settings.named_model, prompts, **route_options(settings))
    for notice in model.notices:
        tell("notice", notice)

    def check_label(label: int | None, name: str) -> None:
        if label is not None:
            raise ValueError(f"{name} is for models of classes.")

    # Processes share the pairs. The devices of a process share a pair.
    devices = device_mesh(jax.local_devices())
    checked = max(model.shape[1:]) <= defaults.SMALL_SIDE and not model.words
    return PairModel(
        model.shape,
        lambda label: model.pipeline,
        check_label,
        lambda pipeline, names: _knower(model, settings, names) if checked else None,
        _place(model, settings),
        {**model.inputs, "chunk": search.chunk, "metric": search.metric},
        make_rule(settings.rule, model.pipeline.score, batch_size=search.chunk, devices=devices),
        search.solver,
        search.methods,
        search.metric,
        search.diagnostics,
    )


def _place(model: FolderModel, settings: Settings) -> str:
    where = "among the latents" if model.pipeline.encoder is not None else "in the geometry"
    return f"{where} of {Path(settings.named_model).name}"


def _between(
    command: str,
    find_ends: Callable[[FolderModel], _Ends],
    settings: Settings,
    prompts: PromptSettings,
    out: str,
    extent: float,
) -> None:
    with input_checked():
        search = _search(settings, prompts, extent)
        name = settings.named_model
        model = load_folder(name, prompts, **route_options(settings))
        ends, pipeline = find_ends(model), model.pipeline
        rule = make_rule(
            settings.rule, pipeline.score, batch_size=search.chunk, devices=device_mesh()
        )
        folder = reserve_folder(out)
    notices = [*model.notices, *ends.notices]
    for notice in notices:
        tell("notice", notice)
    drawn, small = command == "demo", max(model.shape[1:]) <= defaults.SMALL_SIDE
    checked = small and not model.words and not drawn
    inputs = {**ends.inputs, **model.inputs, "chunk": search.chunk, "metric": search.metric}
    inputs |= {"methods": ", ".join(search.methods), "devices": jax.device_count()}
    run(
        command,
        settings,
        pipeline,
        ends.make,
        rule=rule,
        folder=folder,
        extent=extent,
        inputs={**inputs, "extent": extent},
        lead=f"{ends.lead} {_place(model, settings)} at noise level t = {float(pipeline.t):g}.",
        known=_knower(model, settings, ends.names) if checked else None,
        notices=notices,
        methods=search.methods,
        metric=search.metric,
        solver=search.solver,
        diagnostics=search.diagnostics,
        stages=_stages(settings, search.methods, extent, drawn=drawn, checked=checked),
    )


def _search(settings: Settings, prompts: PromptSettings, extent: float) -> _Search:
    """The metric, methods and solver; `ValueError` when the options cannot be combined."""
    methods = _methods(prompts.methods, extent)
    metric = "Stein" if prompts.metric is None else prompts.metric.value
    forward_only = settings.rule is Rule.QUADRATURE
    if forward_only and metric not in ("Stein", "smoothed"):
        raise ValueError(
            f"--rule quadrature needs --metric Stein or smoothed, got {metric}: use midpoint."
        )
    chunk = _CHUNK if prompts.chunk is None else prompts.chunk
    if chunk < 1:
        raise ValueError(f"--chunk must be at least 1, got {chunk}.")
    if prompts.attention is Attention.CUDNN and (not forward_only or extent):
        raise ValueError(
            "--attention cudnn has no forward derivative: it is for interpolate with --rule "
            "quadrature."
        )
    if prompts.attention is Attention.CUDNN and jax.default_backend() != "gpu":
        raise ValueError(
            f"--attention cudnn needs an NVIDIA GPU, and jax computes on "
            f"{jax.default_backend()}: leave it out."
        )
    if not forward_only or settings.solver is not Solver.GAUSS_NEWTON:
        solver = make_solver(settings.solver, settings.rtol)
        return _Search(metric, methods, chunk, solver, "full")
    # Forward evaluations only: no VJP or JVP of the U-Net, and hence no saddle check. The looser
    # tolerance saves evaluations and changes no picture visibly.
    rtol = _FORWARD_ONLY_RTOL if settings.rtol is None else settings.rtol
    return _Search(metric, methods, chunk, GaussNewton(rtol=rtol, curvature_steps=0), "price")


def _knower(model: FolderModel, settings: Settings, names: list[str]):
    """A function that checks whether the model knows two pictures, and returns notices.

    The check takes 72 derivatives of the network. For large pictures this costs as much as a path.
    It refuses no picture, because the thresholds were measured on the models of the zoo.
    """
    score, t = model.pipeline.score, float(model.pipeline.t)

    def known(images):
        def typical() -> float:
            return typical_surprise(score, lambda count: model.draw(count, settings.seed), None)

        found = acquaintance(score, [model.pipeline.encode(image) for image in images], t, None)
        name = Path(settings.named_model).name
        return check_known(names, found, typical, model=name, t=t, force=True)

    return known


def _methods(text: str | None, extent: float) -> list[str]:
    """The names of methods in a list with commas.

    Without an extent, methods that only go on beyond B are an error, as are unknown names:
    `ValueError`.
    """
    known = {n.casefold(): n for n in (INTERPOLATORS | EXTRAPOLATORS if extent else INTERPOLATORS)}
    later = {name.casefold() for name in EXTRAPOLATORS} - set(known)
    parts = [part.strip() for part in ("SLERP" if text is None else text).split(",")]
    names = []
    while parts:
        # A name may contain a comma: the longest known name is taken.
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


def _stages(
    settings: Settings, methods: list[str], extent: float, *, drawn: bool, checked: bool
) -> list[tuple[str, str, float]]:
    """The stages of the progress bar, each with the approximate number of points in the network."""
    segments, paths = settings.segments, len({"LERP", *methods}) + 1
    solved = [name for name in methods if name not in ("LERP", "SLERP", "NAO", "NoiseDiffusion")]
    length, sampled = 1 + extent, settings.denoise_steps
    inverted = settings.noising is Noising.INVERSION
    stages = [
        ("ends", "drawing the end-points", 2.0 * defaults.DRAW_STEPS * drawn),
        ("check", "checking whether the model knows these pictures", 150.0 * checked),
        ("noise", "taking both pictures to the noise level", 4.0 * sampled if inverted else 5.0),
        ("geodesic", "compiling the solver and finding the geodesic", 20.0 * segments),
        ("extension", "extrapolating beyond B", 20.0 * segments * extent),
        ("methods", "finding the other paths", 100.0 * segments * len(solved)),
        ("figures", "pricing the paths", 4.0 * segments * paths * length),
        ("images", "denoising and decoding", 1.2 * paths * settings.frames * length * sampled),
        ("files", "drawing and writing", 10.0),
    ]
    return [stage for stage in stages if stage[2]]
