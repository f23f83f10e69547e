"""``geojax evaluate``: the measures of a path of images, from files."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ._console import input_checked, say, tell
from ._folders import removed_if_empty, reserve_folder, write_json
from ._settings import OUT

_DIGIT = (1, 28, 28)
_OF_SETS, _OF_LPIPS = "Comparison of sets", "LPIPS"  # headings in the help


class Network(StrEnum):
    """The networks of LPIPS."""

    ALEX = "alex"
    SQUEEZE = "squeeze"
    VGG = "vgg"


def evaluate(
    frames: Annotated[
        Path,
        typer.Argument(
            help="A folder of image files in order, or of such folders, or a result of interpolate."
        ),
    ],
    truth: Annotated[
        Path | None, typer.Option(help="A folder of as many images: what the frames should be.")
    ] = None,
    out: Annotated[str, OUT] = "geojax-evaluate",
    lpips: Annotated[
        Network,
        typer.Option(case_sensitive=False, help="The network of LPIPS.", rich_help_panel=_OF_LPIPS),
    ] = Network.SQUEEZE,
    lpips_weights: Annotated[
        Path | None,
        typer.Option(
            "--lpips-weights",
            help="Folder of its files. Default: GEOJAX_DATA_DIR.",
            rich_help_panel=_OF_LPIPS,
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="A folder of images, to compare the frames with as sets.", rich_help_panel=_OF_SETS
        ),
    ] = None,
    inception: Annotated[
        Path | None,
        typer.Option(
            help="Inception's weight file: --reference then gives FID and KID.",
            rich_help_panel=_OF_SETS,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(help="Draws the subsets of the kernel distance.", rich_help_panel=_OF_SETS),
    ] = 0,
) -> None:
    """How good a path of images is: against the truth, from frame to frame, against a set.

    Of a result of interpolate every method is measured, side by side; frames/geodesic in it is one
    method. Figures beyond B have lines of their own.

    Example: geojax evaluate geojax-interpolate --truth turned-digits/
    """
    from ..evaluation import check_inception
    from ._environment import configure_jax, machine, versions
    from ._frames import image_files, read_alike, read_paths

    began = time.perf_counter()
    with input_checked():
        if inception is not None and reference is None:
            raise ValueError("--inception is for --reference: give a folder of images too.")
        configure_jax(x64=True)
        paths = read_paths(frames)
        path = next(iter(paths.values()))
        shape = path.images.shape[1:]
        true = None if truth is None else _true(read_alike(image_files(truth), shape), path, truth)
        others = None if reference is None else read_alike(image_files(reference), shape)
        if others is not None and len(others) < 2:
            raise ValueError(f"--reference {reference} holds 1 image: a set needs two.")
        if others is not None and inception is None and shape != _DIGIT:
            raise ValueError(
                "--reference compares digits of 28 x 28 pixels, by the features of the digit "
                f"classifier, and the frames are {shape[2]} x {shape[1]} with {shape[0]} channels. "
                "Give Inception's weights with --inception for FID and KID of any images."
            )
        if inception is not None:
            check_inception(inception)
        network, notes = _lpips(lpips, lpips_weights, shape)
        folder = reserve_folder(out)
    if true is not None and min(shape[1:]) < 11:
        notes.append("SSIM needs images of 11 pixels a side: it is left out.")
    with removed_if_empty(folder), input_checked():
        measured = {name: _measured(path, true, network) for name, path in paths.items()}
        if others is not None:
            sets = _sets({n: p.images for n, p in paths.items()}, others, inception, seed, notes)
            for name, found in sets.items():
                measured[name][0].update(found)
        inputs = {"frames": frames, "truth": truth, "reference": reference, "inception": inception}
        settings = {name: None if value is None else str(value) for name, value in inputs.items()}
        settings |= {"lpips": lpips.value, "seed": seed}
        content = {
            "command": "evaluate",
            "settings": settings,
            "paths": {
                name: {
                    "figures": figures,
                    "by_frame": {
                        "times": paths[name].times.tolist(),
                        "files": [file.name for file in paths[name].files],
                        **{measure: curve.tolist() for measure, curve in curves.items()},
                    },
                }
                for name, (figures, curves) in measured.items()
            },
            "notes": notes,
            "versions": versions(),
            "machine": machine(),
            "seconds": time.perf_counter() - began,
        }
        by_path = {name: curves for name, (_, curves) in measured.items()}
        _draw(folder / "evaluate.png", paths, by_path, true)
        write_json(folder / "evaluate.json", content)
    _print({name: figures for name, (figures, _) in measured.items()})
    for note in notes:
        tell("note", note)
    say(f"\nWritten to {folder}: evaluate.png, evaluate.json")


def _true(images, path, folder: Path):
    """**Raises:** `ValueError` when the truth is of another number of frames."""
    if len(images) != len(path.images):
        raise ValueError(
            f"--truth {folder} holds {len(images)} images, and there are {len(path.images)} "
            "frames: give one for each."
        )
    return images


def _lpips(network: Network, folder: Path | None, shape) -> tuple[Any, list[str]]:
    """LPIPS, or a note on why there is none. **Raises:** as `LPIPS.load` where it was asked for."""
    from ..evaluation import LPIPS

    if min(shape[1:]) < 17:
        return None, ["LPIPS, PPL and PDV need images of 17 pixels a side: they are left out."]
    try:
        return LPIPS.load(network.value, folder), []
    except (FileNotFoundError, ImportError) as error:
        if folder is not None or network is not Network.SQUEEZE:
            raise
        return None, [f"LPIPS, PPL and PDV are left out. {error}"]


def _measured(path, true, lpips) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures by name, and values by frame or step."""
    import jax.numpy as jnp
    import numpy as np

    from ..evaluation import frame_figures

    def points(array):
        return None if array is None else jnp.asarray(array)

    images = jnp.asarray(path.images)
    found = frame_figures(
        images,
        jnp.asarray(path.times),
        truth=points(true),
        given=points(path.given),
        lpips=lpips,
    )
    names = ("psnr", "ssim", "lpips", "perceptual_steps", "steps", "deviation")
    values = {name: getattr(found, name) for name in names}
    curves = {name: np.asarray(value) for name, value in values.items() if value is not None}
    figures: dict[str, Any] = {"frames": len(images)}
    inside = path.times <= 1 + 1e-6
    figures |= _summary(images, curves, inside)
    figures["deviation"] = float(np.max(curves["deviation"][inside]))
    if found.end_error is not None:
        figures["end_error"] = float(found.end_error)
    if not np.all(inside):
        # B, from where it goes on, is part of the way beyond.
        beyond = ~inside | np.append(~inside[1:], False)
        figures["frames_beyond"] = int(np.sum(~inside))
        figures |= {f"{k}_beyond": v for k, v in _summary(images, curves, beyond, ~inside).items()}
    return figures, curves


def _summary(images, curves, along, against=None) -> dict[str, Any]:
    """Figures of the frames where ``along`` is true, which follow each other; against the truth of
    those where ``against`` is, by default the same.
    """
    import numpy as np

    from ..evaluation import path_figures

    against = along if against is None else against
    figures = {}
    for name in ("psnr", "ssim", "lpips"):
        if name in curves:
            values = curves[name][against]
            finite = values[np.isfinite(values)]  # the PSNR of equal images is not
            figures[name] = float(np.mean(finite)) if len(finite) else float("inf")
            figures[f"{name}_worst"] = float((np.max if name == "lpips" else np.min)(values))
    if np.sum(along) < 2:
        return figures
    if "perceptual_steps" in curves:
        steps = curves["perceptual_steps"][along[1:] & along[:-1]]
        figures |= {"ppl": float(np.sum(steps)), "pdv": float(np.std(steps))}
    fine = path_figures(images[along])
    return figures | {"length": float(fine.length), "speed_defect": float(fine.speed_defect)}


def _sets(
    paths: dict[str, Any], others, inception: Path | None, seed: int, notes: list[str]
) -> dict[str, dict[str, Any]]:
    """By path, the Fréchet and kernel distance of its frames from the reference images."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from ..evaluation import frechet_distance, inception_features, kernel_distance
    from ..models import load_classifier, to_pixels

    if inception is None:
        classified = jax.jit(jax.vmap(load_classifier().features))
        features = lambda images: classified(jnp.asarray(images))  # noqa: E731
        names = ("frechet_classifier", "kernel_classifier")
    else:

        def features(images):
            three = np.broadcast_to(images, (len(images), 3, *images.shape[2:]))
            return jnp.asarray(inception_features(to_pixels(jnp.asarray(three)), inception))

        names = ("fid", "kid")
    b = features(others)
    found: dict[str, dict[str, Any]] = {}
    count = min(len(next(iter(paths.values()))), len(b))
    if count < 10 * b.shape[1]:
        notes.append(
            f"The Fréchet distance of {len(next(iter(paths.values())))} frames and {len(b)} "
            "reference images is biased upwards: it wants ten times as many as there are features, "
            f"{b.shape[1]}."
        )
    if count < 4:
        notes.append("The kernel distance wants four images on either side: it is left out.")
    for name, images in paths.items():
        a = features(images)
        found[name] = {"reference": len(b), names[0]: float(frechet_distance(a, b))}
        if count >= 4:
            kernel = kernel_distance(a, b, key=jax.random.key(seed))
            found[name] |= {
                names[1]: float(kernel.value),
                f"{names[1]}_se": float(kernel.standard_error),
            }
    return found


_LABELS = {
    "frames": "Frames",
    "psnr": "PSNR to the truth, mean over frames that differ, dB",
    "psnr_worst": "PSNR to the truth, least, dB",
    "ssim": "SSIM to the truth, mean",
    "ssim_worst": "SSIM to the truth, least",
    "lpips": "LPIPS to the truth, mean",
    "lpips_worst": "LPIPS to the truth, largest",
    "ppl": "PPL: sum of the LPIPS from frame to frame",
    "pdv": "PDV: their standard deviation",
    "length": "Length in pixel space",
    "speed_defect": "Speed defect: deviation of a step from the mean",
    "deviation": "Distance from the cross-fade, over that of the ends",
    "end_error": "End-point error, per pixel",
    "reference": "Reference images",
    "frechet_classifier": "Fréchet distance (classifier features)",
    "kernel_classifier": "Kernel distance (classifier features)",
    "fid": "FID",
    "kid": "KID",
}
_CURVES = {
    "psnr": "PSNR to the truth, dB",
    "ssim": "SSIM to the truth",
    "lpips": "LPIPS to the truth",
    "perceptual_steps": "LPIPS from frame to frame",
    "steps": "difference from frame to frame, per pixel",
    "deviation": "distance from the cross-fade",
}


def _print(paths: dict[str, dict[str, Any]]) -> None:
    """A column a path."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=len(paths) > 1, header_style="bold", pad_edge=False)
    table.add_column("")
    for name in paths:
        table.add_column(name, justify="right")
    beyond = {f"{name}_beyond": f"{label} (beyond B)" for name, label in _LABELS.items()}
    for name, label in (_LABELS | beyond).items():
        if any(name in figures for figures in paths.values()):
            table.add_row(label, *(_text(figures, name) for figures in paths.values()))
    Console().print(table)


def _text(figures: dict[str, Any], name: str) -> str:
    from ..experiments import with_error

    if name not in figures:
        return "–"
    if figures[name] == float("inf"):
        return "infinite: equal"
    return with_error(figures[name], figures.get(f"{name}_se"))


def _draw(path: Path, paths, curves: dict[str, dict[str, Any]], true) -> None:
    from ..plotting import evaluation_figure, save_figure

    measures = {
        label: {name: of_path[measure] for name, of_path in curves.items() if measure in of_path}
        for measure, label in _CURVES.items()
    }
    figure = evaluation_figure(
        {name: of_path.images for name, of_path in paths.items()},
        next(iter(paths.values())).times,
        {label: of_paths for label, of_paths in measures.items() if of_paths},
        truth=true,
    )
    save_figure(figure, path)
