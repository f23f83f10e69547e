"""`geojax demo`: a geodesic between two pictures, without any file."""

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from . import _defaults as defaults
from ._console import input_checked
from ._settings import OUT, PromptSettings, Settings, option, with_settings

_GLYPHS, _DIGITS = "Model characters", "Models of digits"


class _Scene(NamedTuple):
    """Two pictures: a text, a function that makes them, and the true path where it is known."""

    lead: str
    ends: Callable[[], Any]
    inputs: dict[str, Any]
    truth: Callable[[float], Any] | None = None


@with_settings
def demo(
    settings: Settings,
    prompts: PromptSettings,
    out: Annotated[str, OUT] = "geojax-demo",
    glyph: Annotated[str, option("The character that turns.", panel=_GLYPHS)] = defaults.GLYPH,
    angle: Annotated[float, option("Its angle at A, in degrees.", panel=_GLYPHS)] = defaults.ANGLE,
    turn: Annotated[
        float, option("How far it is turned at B, in degrees, anticlockwise.", panel=_GLYPHS)
    ] = defaults.TURN,
    label_a: Annotated[
        int | None, option(f"Class of A. Default: {defaults.LABEL_A}.", panel=_DIGITS)
    ] = None,
    label_b: Annotated[
        int | None, option(f"Class of B. Default: {defaults.LABEL_B}.", panel=_DIGITS)
    ] = None,
    extent: Annotated[
        float, option("How far beyond B, as a share of the way from A to B; 0: not at all.")
    ] = defaults.EXTENT,
) -> None:
    """The geodesic between a character and itself turned, and on beyond the
    second one, beside a straight line and the truth.

    Other models: `--model cartoon_faces` turns a face that also looks the other
    way; `--model rotated_mnist` draws two digits; a folder that `geojax train
    --images` wrote takes two of its pictures; a folder of diffusers (DDPM,
    latent diffusion, Stable Diffusion with --prompt) draws two.

    ctrl-C keeps the path found so far.

    Example: geojax demo --glyph 7 --turn 90
    """
    from ..scores import AbstractPipeline
    from ._diffusers import between_drawn
    from ._environment import configure_jax
    from ._folder_models import is_folder_model
    from ._folders import reserve_folder
    from ._run import load_model, make_pipeline, make_rule, run

    settings = dataclasses.replace(settings, model=settings.model or defaults.DEMO_MODEL)
    with input_checked():
        settings.check()
        if not 0 <= extent <= 10:
            raise ValueError(f"--extent must be in [0, 10], got {extent}.")
        configure_jax(x64=settings.x64)
        in_folder = is_folder_model(settings.named_model)
    if in_folder:
        between_drawn(settings, prompts, out, extent)
        return
    with input_checked():
        model, config = load_model(settings.named_model)
        of_classes = not isinstance(model, AbstractPipeline)
        others = dataclasses.replace(prompts, guidance=None) if of_classes else prompts
        others.check(settings.named_model, folder=False, words=False)
        if of_classes:
            scene = _digits(settings, model, config, (label_a, label_b), prompts.guidance)
        elif config.get("data", {}).get("kind") == "turned characters":
            scene = _turned(settings, config, glyph, angle, turn)
        elif config.get("data", {}).get("kind") == "cartoon faces":
            scene = _drawn(settings, config, extent)
        else:
            scene = _examples(settings, config)
        pipeline = make_pipeline(settings, model)
        rule = make_rule(settings.rule, pipeline.score)
        folder = reserve_folder(out)
    run(
        "demo",
        settings,
        pipeline,
        scene.ends,
        rule=rule,
        folder=folder,
        extent=extent,
        inputs={**scene.inputs, "extent": extent},
        lead=scene.lead,
        methods=() if isinstance(model, AbstractPipeline) else ("SLERP",),
        truth=scene.truth,
    )


def _turned(settings: Settings, config, glyph: str, angle: float, turn: float) -> _Scene:
    from ..models import turned_characters
    from ._run import as_points

    known = config["data"]["glyphs"]
    if len(glyph) != 1 or glyph not in known:
        raise ValueError(f"--glyph must be one of {' '.join(known)}, got {glyph!r}.")
    if not (math.isfinite(angle) and math.isfinite(turn) and 0 < abs(turn) <= 180):
        raise ValueError(f"--turn must be at most 180 degrees and not 0, got {turn:g}.")
    side = config["shape"][-1]

    def at(time: float):
        picture = turned_characters(glyph, [angle + turn * time], side=side)[0]
        return as_points(picture / 127.5 - 1, x64=settings.x64)

    lead = (
        f"The character {glyph} and itself turned by {turn:g} degrees, pictures that the model "
        f"{settings.model} was not trained on. Its training data had the character at other "
        "angles, but no motion. The last row shows the truth: drawings of the turned character."
    )
    inputs = {"glyph": glyph, "angle": angle, "turn": turn}
    return _Scene(lead, lambda: (at(0.0), at(1.0)), inputs, at)


def _drawn(settings: Settings, config, extent: float) -> _Scene:
    from ..models import model_folder
    from ._drawings import nearest, read_drawings
    from ._run import as_points

    folder = model_folder(settings.named_model, ("latent",))
    times, pictures = read_drawings(folder, config)
    if 1 + extent > times[-1] + 1e-6:
        raise ValueError(
            f"--extent must be at most {times[-1] - 1:g}, got {extent:g}: the drawings that the "
            "path is compared with end there."
        )

    def at(time: float):
        return as_points(nearest(times, pictures, time) / 127.5 - 1, x64=settings.x64)

    lead = (
        "A cartoon face and itself turned and looking the other way, drawings that the model "
        f"{settings.model} was not trained on. Its training data had the face at other angles and "
        "looks, but no motion. The last row shows the truth: drawings."
    )
    return _Scene(lead, lambda: (at(0.0), at(1.0)), {}, at)


def _examples(settings: Settings, config) -> _Scene:
    from ..models import model_folder
    from ..models.latent import example_pictures
    from ._run import as_points

    pictures = example_pictures(model_folder(settings.named_model, ("latent",)), config)
    lead = (
        f"Two of the pictures that the model {settings.model} was trained on; a geodesic between "
        "them in its latent space, and its continuation beyond the second."
    )
    a, b = (as_points(picture, x64=settings.x64) for picture in pictures)
    return _Scene(lead, lambda: (a, b), {})


def _digits(settings: Settings, score, config, labels, guidance: float | None) -> _Scene:
    from ._run import as_points, check_label

    guidance = defaults.GUIDANCE if guidance is None else guidance
    if not math.isfinite(guidance):
        raise ValueError(f"--guidance must be a finite number, got {guidance}.")
    if config["network"].get("num_classes", 0) and labels != (None, None):
        usual = zip(labels, (defaults.LABEL_A, defaults.LABEL_B), strict=True)
        labels = tuple(other if label is None else label for label, other in usual)
    check_label(labels[0], config, "--label-a")
    check_label(labels[1], config, "--label-b")
    t = defaults.T if settings.t is None else settings.t

    def ends():
        from ._draw import draw

        images = draw(score, tuple(config["shape"]), labels, guidance, settings.seed)
        return as_points(images[0], x64=settings.x64), as_points(images[1], x64=settings.x64)

    what = (
        f"A digit {labels[0]} and a digit {labels[1]}, both"
        if None not in labels
        else "Two pictures"
    )
    lead = (
        f"{what} drawn from the model {settings.model}; a geodesic between them in its geometry at "
        f"noise level t = {t:g}, and its continuation beyond the second, beside LERP and SLERP."
    )
    inputs = {
        "label_a": labels[0],
        "label_b": labels[1],
        "guidance": guidance,
        "draw_steps": defaults.DRAW_STEPS,
    }
    return _Scene(lead, ends, inputs)
