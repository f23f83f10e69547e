"""`geojax evaluate`: the measures of a path of images, from files."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ._console import input_checked, say, tell
from ._folders import removed_if_empty, reserve_folder, write_json
from ._settings import OUT

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
        Path | None, typer.Option(help="A folder with the true image of each frame.")
    ] = None,
    out: Annotated[str, OUT] = "geojax-evaluate",
    lpips: Annotated[
        Network,
        typer.Option(
            case_sensitive=False,
            help="The network of LPIPS to the truth. PPL and PDV always use alex.",
            rich_help_panel=_OF_LPIPS,
        ),
    ] = Network.ALEX,
    lpips_weights: Annotated[
        Path | None,
        typer.Option(
            "--lpips-weights",
            help="Folder of its weights. Default: bundled (alex) or GEOJAX_DATA_DIR.",
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
            help="Inception's weight file, for FID and KID by --reference.",
            rich_help_panel=_OF_SETS,
        ),
    ] = None,
    efficientnet: Annotated[
        Path | None,
        typer.Option(
            help="EfficientNet-Lite0's weight file. Default: that of the installed package.",
            rich_help_panel=_OF_SETS,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(help="Seed of the subsets of the kernel distance.", rich_help_panel=_OF_SETS),
    ] = 0,
) -> None:
    """How good a path of images is: against the truth, from frame to frame,
    against a set.

    Of a result of interpolate every method is measured, side by side;
    frames/geodesic in it is one method. Figures beyond B have lines of their
    own.

    Example: geojax evaluate geojax-interpolate --truth turned-digits/
    """
    from ._environment import configure_jax, machine, versions
    from ._frames import image_files, read_alike, read_paths
    from ._measures import compared_sets, load_features, load_lpips, measured

    began = time.perf_counter()
    with input_checked():
        for option, file in (("--inception", inception), ("--efficientnet", efficientnet)):
            if file is not None and reference is None:
                raise ValueError(f"{option} is for --reference: give a folder of images too.")
        if inception is not None and efficientnet is not None:
            raise ValueError("--inception and --efficientnet exclude each other: give one of them.")
        configure_jax(x64=True)
        paths = read_paths(frames)
        path = next(iter(paths.values()))
        shape = path.images.shape[1:]
        true = None if truth is None else _true(read_alike(image_files(truth), shape), path, truth)
        others = None if reference is None else read_alike(image_files(reference), shape)
        if others is not None and len(others) < 2:
            raise ValueError(f"--reference {reference} holds 1 image: a set needs two.")
        features = None if others is None else load_features(shape, inception, efficientnet)
        network, notes = load_lpips(lpips.value, lpips_weights, shape, true is not None)
        folder = reserve_folder(out)
    if true is not None and min(shape[1:]) < 11:
        notes.append("SSIM needs images of 11 pixels a side: it is left out.")
    with removed_if_empty(folder), input_checked():
        found = {name: measured(path, true, network) for name, path in paths.items()}
        if features is not None:
            images = {name: path.images for name, path in paths.items()}
            for name, of_sets in compared_sets(images, others, features, seed, notes).items():
                found[name][0].update(of_sets)
        inputs = {"frames": frames, "truth": truth, "reference": reference}
        inputs |= {"inception": inception, "efficientnet": efficientnet}
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
                for name, (figures, curves) in found.items()
            },
            "notes": notes,
            "versions": versions(),
            "machine": machine(),
            "seconds": time.perf_counter() - began,
        }
        by_path = {name: curves for name, (_, curves) in found.items()}
        _draw(folder / "evaluate.png", paths, by_path, true)
        write_json(folder / "evaluate.json", content)
    _print({name: figures for name, (figures, _) in found.items()})
    for note in notes:
        tell("note", note)
    say(f"\nWritten to {folder}: evaluate.png, evaluate.json")


def _true(images, path, folder: Path):
    """The true images; `ValueError` when they are not as many as the frames."""
    if len(images) != len(path.images):
        raise ValueError(
            f"--truth {folder} holds {len(images)} images, and there are {len(path.images)} "
            "frames: give one for each."
        )
    return images


_LABELS = {
    "frames": "Frames",
    "psnr": "PSNR to the truth, mean over frames that differ, dB",
    "psnr_worst": "PSNR to the truth, least, dB",
    "ssim": "SSIM to the truth, mean",
    "ssim_worst": "SSIM to the truth, least",
    "lpips": "LPIPS to the truth, mean",
    "lpips_worst": "LPIPS to the truth, largest",
    "gamma_rmse": "γ-RMSE: from the truth at equal arc length",
    "data_rmse": "D-RMSE: from the nearest picture of the truth",
    "ppl": "PPL: sum of LPIPS(alex) from frame to frame, at 512 pixels",
    "pdv": "PDV: their standard deviation",
    "motion_share": "Motion share: 0 is a cross-fade, 1 is motion",
    "length": "Length in pixel space",
    "speed_defect": "Speed defect: deviation of a step from the mean",
    "deviation": "Distance from the cross-fade, over that of the ends",
    "end_error": "End-point error, per pixel",
    "reference": "Reference images",
    "frechet_classifier": "Fréchet distance (classifier features)",
    "kernel_classifier": "Kernel distance (classifier features)",
    "frechet_efficientnet_lite0": "Fréchet distance (EfficientNet-Lite0 features)",
    "kernel_efficientnet_lite0": "Kernel distance (EfficientNet-Lite0 features)",
    "fid": "FID",
    "kid": "KID",
}
_CURVES = {
    "psnr": "PSNR to the truth, dB",
    "ssim": "SSIM to the truth",
    "lpips": "LPIPS to the truth",
    "perceptual_steps": "LPIPS(alex) from frame to frame",
    "steps": "difference from frame to frame, per pixel",
    "deviation": "distance from the cross-fade",
}


def _print(paths: dict[str, dict[str, Any]]) -> None:
    """Print the table, with a column for each path."""
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
