"""`geojax interpolate` and `geojax extrapolate`: between two image files, and beyond."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from . import _defaults as defaults
from ._console import fail, input_checked, tell
from ._distributed import Distributed, join
from ._settings import FORCE, OUT, PICTURES, PromptSettings, Settings, option, with_settings

ImageFile = Annotated[Path, typer.Argument(help="An image file; it is converted if necessary.")]
Label = Annotated[int | None, option("Class of both images. Default: none.")]
LabelA = Annotated[int | None, option("Class of A, with --label-b: the class changes on the way.")]
LabelB = Annotated[int | None, option("Class of B.")]
_LABELS = "--label", "--label-a", "--label-b"
Invert = Annotated[
    bool, option("Turn light into dark in both images.", "--invert/--no-invert", panel=PICTURES)
]
Force = Annotated[bool, FORCE]
OptionalA = Annotated[Path | None, typer.Argument(help="An image file.", metavar="A")]
OptionalB = Annotated[Path | None, typer.Argument(help="Another image file.", metavar="B")]
Pairs = Annotated[
    Path | None,
    option(
        "Many pairs instead of A and B: a CSV file with columns a and b (files, relative to it), "
        "and optionally label_a, label_b and name. --out gets a folder for each pair and the table "
        "pairs.csv. The same command resumes.",
    ),
]


@with_settings
def interpolate(
    settings: Settings,
    prompts: PromptSettings,
    a: OptionalA = None,
    b: OptionalB = None,
    pairs: Pairs = None,
    out: Annotated[str, OUT] = "geojax-interpolate",
    label: Label = None,
    label_a: LabelA = None,
    label_b: LabelB = None,
    invert: Invert = False,
    force: Force = False,
    distributed: Distributed = None,
) -> None:
    """The geodesic between two images, beside LERP and SLERP; or between those
    of many pairs.

    With a folder of diffusers as --model: between two photographs, under prompts
    with Stable Diffusion; between two pictures with DDPM or latent diffusion.

    ctrl-C keeps the path found so far.

    Example: geojax interpolate two.png seven.png --invert --out between
    """
    labels = label, label_a, label_b
    if pairs is not None:
        _between_pairs(pairs, (a, b), settings, prompts, out, labels, invert, force, distributed)
        return
    if a is None or b is None:
        fail("give two image files A and B, or many pairs as --pairs FILE.csv.")
    if distributed is not None:
        fail("--distributed is for --pairs: the path between two pictures is not shared.")
    _between_files("interpolate", a, b, settings, prompts, out, labels, invert, force, 0.0)


@with_settings
def extrapolate(
    a: ImageFile,
    b: ImageFile,
    settings: Settings,
    prompts: PromptSettings,
    out: Annotated[str, OUT] = "geojax-extrapolate",
    label: Label = None,
    label_a: LabelA = None,
    label_b: LabelB = None,
    invert: Invert = False,
    force: Force = False,
    extent: Annotated[
        float, option("How far beyond B, as a share of the way from A to B.")
    ] = defaults.EXTENT,
) -> None:
    """The geodesic from one image to another and on beyond it, beside LERP and
    SLERP.

    As `geojax interpolate`, and beyond B by the exponential map.

    Example: geojax extrapolate two.png seven.png --extent 0.25
    """
    _between_files(
        "extrapolate",
        a,
        b,
        settings,
        prompts,
        out,
        (label, label_a, label_b),
        invert,
        force,
        extent,
    )


def _between_pairs(
    pairs: Path,
    two: tuple[Path | None, Path | None],
    settings: Settings,
    prompts: PromptSettings,
    out: str,
    labels: tuple[int | None, int | None, int | None],
    invert: bool,
    force: bool,
    distributed: str | None,
) -> None:
    from ._diffusers import folder_pairs
    from ._environment import configure_jax
    from ._folder_models import is_folder_model
    from ._labels import chosen_labels
    from ._pairs import interpolate_pairs

    with input_checked():
        if two != (None, None):
            raise ValueError("give two image files A and B, or --pairs, not both.")
        settings.check()
        settings = dataclasses.replace(settings, model=settings.named_model)
        join(distributed, together=False)
        configure_jax(x64=settings.x64)
        label = chosen_labels(*labels)
        if is_folder_model(settings.named_model):
            model = folder_pairs(settings, prompts)
        else:
            model = _zoo_pairs(settings, prompts, force)
        for value, name in zip(labels, _LABELS, strict=True):
            model.check_label(value, name)
        run = interpolate_pairs(pairs, model, settings, prompts, out, label, invert, force)
    run()


def _zoo_pairs(settings: Settings, prompts: PromptSettings, force: bool):
    """What all pairs share, for a model of the zoo or a folder that `geojax train` wrote."""
    import jax.numpy as jnp

    from ._pairs import PairModel
    from ._run import check_label, load_model, make_pipeline, make_rule, make_solver

    model, config = load_model(settings.named_model)
    prompts.check(settings.named_model, folder=False, words=False)

    def pipeline(label):
        # An array, so that all classes share a compiled program.
        return make_pipeline(
            settings, model, jnp.asarray(label) if isinstance(label, int) else label
        )

    return PairModel(
        tuple(config["shape"]),
        pipeline,
        lambda label, name: check_label(label, config, name),
        lambda pipeline, names: _knower(settings, model, config, pipeline, names, force),
        f"in the geometry of the model {settings.model}",
        {"force": force},
        make_rule(settings.rule, make_pipeline(settings, model).score),
        make_solver(settings.solver, settings.rtol),
    )


def _between_files(
    command: str,
    a: Path,
    b: Path,
    settings: Settings,
    prompts: PromptSettings,
    out: str,
    labels: tuple[int | None, int | None, int | None],
    invert: bool,
    force: bool,
    extent: float,
) -> None:
    from ._diffusers import between_files
    from ._environment import configure_jax
    from ._folder_models import is_folder_model
    from ._folders import reserve_folder
    from ._images import check_different, read_images, short_names
    from ._labels import chosen_labels
    from ._run import as_points, check_label, load_model, make_pipeline, make_rule, run

    settings = dataclasses.replace(settings, model=settings.named_model)

    with input_checked():
        settings.check()
        if command == "extrapolate" and not 0 < extent <= 10:
            raise ValueError(f"--extent must be in (0, 10], got {extent}.")
        configure_jax(x64=settings.x64)
        in_folder = is_folder_model(settings.named_model)
    if in_folder:
        given = next((label for label in labels if label is not None), None)
        between_files(command, a, b, settings, prompts, out, given, invert, extent)
        return
    with input_checked():
        model, config = load_model(settings.named_model)
        prompts.check(settings.named_model, folder=False, words=False)
        for value, name in zip(labels, _LABELS, strict=True):
            check_label(value, config, name)
        label = chosen_labels(*labels)
        arrays, notices = read_images((a, b), tuple(config["shape"]), invert=invert)
        names = short_names((a, b))
        check_different(arrays, names)
        pipeline = make_pipeline(settings, model, label)
        known = _knower(settings, model, config, pipeline, names, force)
        rule = make_rule(settings.rule, pipeline.score)
        folder = reserve_folder(out)
    for notice in notices:
        tell("notice", notice)
    image_a, image_b = (as_points(array, x64=settings.x64) for array in arrays)
    inputs: dict[str, Any] = {"a": str(a), "b": str(b), "invert": invert}
    inputs |= dict(zip(("label", "label_a", "label_b"), labels, strict=True))
    inputs |= {"force": force, **({"extent": extent} if extent else {})}
    lead = (
        f"From {names[0]} to {names[1]}{' and beyond' if extent else ''}: a geodesic in the "
        f"geometry of the model {settings.model} at noise level t = {float(pipeline.t):g}, beside "
        "LERP and SLERP."
    )
    run(
        command,
        settings,
        pipeline,
        lambda: (image_a, image_b),
        rule=rule,
        folder=folder,
        extent=extent,
        inputs=inputs,
        lead=lead,
        known=known,
        notices=notices,
    )


def _knower(settings: Settings, model, config, pipeline, names, force: bool):
    """A function that checks whether the model knows two pictures, and returns notices."""
    from ..scores import AbstractPipeline
    from ._draw import draw
    from ._known import acquaintance, check_known, typical_surprise
    from ._known_latent import check_decoded

    name = settings.named_model
    if isinstance(model, AbstractPipeline):
        return lambda images: check_decoded(model, config, images, names, name=name, force=force)
    score, label, t = pipeline.score, pipeline.conditions[0], float(pipeline.t)

    def known(images):
        def typical() -> float:
            shape, seed = images[0].shape, settings.seed
            drawn = None if pipeline.between else label
            return typical_surprise(
                score, lambda count: draw(model, shape, [drawn] * count, 1.0, seed), label
            )

        found = acquaintance(score, images, t, label)
        return check_known(names, found, typical, model=name, t=t, force=force)

    return known
