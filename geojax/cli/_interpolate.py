"""``geojax interpolate`` and ``geojax extrapolate``: between two image files, and beyond."""

from pathlib import Path
from typing import Annotated

import typer

from . import _defaults as defaults
from ._console import input_checked
from ._settings import PromptSettings, Settings, with_settings

ImageFile = Annotated[Path, typer.Argument(help="An image file; converted if need be.")]
Label = Annotated[int | None, typer.Option(help="Class to condition on. Default: none.")]
Invert = Annotated[bool, typer.Option("--invert", help="Turn light into dark in both images.")]


@with_settings
def interpolate(
    a: ImageFile,
    b: ImageFile,
    settings: Settings,
    prompts: PromptSettings,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("geojax-interpolate"),
    label: Label = None,
    invert: Invert = False,
) -> None:
    """The geodesic between two images, beside LERP and SLERP.

    --model may be a Stable Diffusion folder: then between two photographs, under prompts.
    """
    _between_files("interpolate", a, b, settings, prompts, out, label, invert, 0.0)


@with_settings
def extrapolate(
    a: ImageFile,
    b: ImageFile,
    settings: Settings,
    prompts: PromptSettings,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("geojax-extrapolate"),
    label: Label = None,
    invert: Invert = False,
    extent: Annotated[
        float, typer.Option(help="How far beyond B, as a share of the way from A to B.")
    ] = defaults.EXTENT,
) -> None:
    """The geodesic from A to B and on beyond B, beside LERP and SLERP."""
    _between_files("extrapolate", a, b, settings, prompts, out, label, invert, extent)


def _between_files(
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
    from ._environment import configure_jax
    from ._images import read_images
    from ._outputs import writable_folder
    from ._photographs import between_photographs, is_stable_diffusion
    from ._run import as_points, check_label, load_model, run

    with input_checked():
        settings.check()
        if command == "extrapolate" and not 0 < extent <= 10:
            raise ValueError(f"--extent must be in (0, 10], got {extent}.")
        configure_jax(x64=settings.x64)
        if is_stable_diffusion(settings.model):
            between_photographs(command, a, b, settings, prompts, out, label, invert, extent)
            return
        score, config = load_model(settings.model)
        if prompts.given():
            raise ValueError(
                f"{prompts.given()[0]} is for Stable Diffusion folders, and {settings.model} is "
                "none: leave it out, or give such a folder as --model."
            )
        check_label(label, config)
        arrays = read_images((a, b), tuple(config["shape"]), invert=invert)
        writable_folder(out)
    image_a, image_b = (as_points(array, x64=settings.x64) for array in arrays)
    inputs = {"a": str(a), "b": str(b), "label": label, "invert": invert}
    inputs |= {"extent": extent} if extent else {}
    lead = (
        f"From {a.name} to {b.name}{' and beyond' if extent else ''}: a geodesic in the geometry "
        f"of the model {settings.model} at noise level t = {settings.t:g}, beside LERP and SLERP."
    )
    run(
        command,
        settings,
        score,
        lambda: (image_a, image_b),
        out=out,
        label=label,
        extent=extent,
        inputs=inputs,
        lead=lead,
    )
