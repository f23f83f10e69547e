"""``geojax evaluate``: the measures of a path of images, from files."""

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ._console import input_checked, say, tell

_DIGIT = (1, 28, 28)


class Network(StrEnum):
    """The networks of LPIPS."""

    SQUEEZE = "squeeze"
    VGG = "vgg"


def evaluate(
    frames: Annotated[
        Path,
        typer.Argument(help="A folder of image files in order, or a result of interpolate."),
    ],
    truth: Annotated[
        Path | None, typer.Option(help="A folder of as many images: what the frames should be.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="A folder of images, to compare the frames with as sets."),
    ] = None,
    lpips: Annotated[Network, typer.Option(help="The network of LPIPS.")] = Network.SQUEEZE,
    lpips_weights: Annotated[
        Path | None,
        typer.Option("--lpips-weights", help="Folder of its files. Default: GEOJAX_DATA_DIR."),
    ] = None,
    inception: Annotated[
        Path | None,
        typer.Option(help="Inception's weight file: --reference then gives FID and KID."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("geojax-evaluate"),
    seed: Annotated[int, typer.Option(help="Draws the subsets of the kernel distance.")] = 0,
) -> None:
    """How good a path of images is: against the truth, from frame to frame, against a set.

    Of a result of extrapolate, figures between A and B and beyond B are told apart.
    """
    from ..evaluation import check_inception
    from ._environment import configure_jax
    from ._frames import image_files, read_alike, read_frames
    from ._outputs import writable_folder

    began = time.perf_counter()
    with input_checked():
        if inception is not None and reference is None:
            raise ValueError("--inception is for --reference: give a folder of images too.")
        configure_jax(x64=True)
        path = read_frames(frames)
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
        writable_folder(out)
        if inception is not None:
            check_inception(inception)
        network, notes = _lpips(lpips, lpips_weights, shape)
    if true is not None and min(shape[1:]) < 11:
        notes.append("SSIM needs images of 11 pixels a side: it is left out.")
    with input_checked():
        figures, curves = _measured(path, true, network)
        if others is not None:
            figures |= _sets(path.images, others, inception, seed, notes)
        inputs = {"frames": frames, "truth": truth, "reference": reference, "inception": inception}
        settings = {name: None if value is None else str(value) for name, value in inputs.items()}
        settings |= {"lpips": lpips.value, "seed": seed}
        by_frame = {"times": path.times.tolist(), "files": [file.name for file in path.files]}
        by_frame |= {name: curve.tolist() for name, curve in curves.items()}
        content = {"settings": settings, "figures": figures, "notes": notes, "by_frame": by_frame}
        files = _write(out, content, path, true, curves, time.perf_counter() - began)
    _print(figures)
    for note in notes:
        tell("note", note)
    say(f"\nWritten to {out}: {', '.join(file.name for file in files)}")


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


def _sets(images, others, inception: Path | None, seed: int, notes: list[str]) -> dict[str, Any]:
    """Fréchet and kernel distance of two sets of images."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from ..evaluation import frechet_distance, inception_features, kernel_distance
    from ..models import load_classifier, to_pixels

    if inception is None:
        features = jax.jit(jax.vmap(load_classifier().features))
        a, b = (features(jnp.asarray(x)) for x in (images, others))
        names = ("frechet_classifier", "kernel_classifier")
    else:
        three = (np.broadcast_to(x, (len(x), 3, *x.shape[2:])) for x in (images, others))
        a, b = (
            jnp.asarray(inception_features(to_pixels(jnp.asarray(x)), inception)) for x in three
        )
        names = ("fid", "kid")
    if min(len(a), len(b)) < 10 * a.shape[1]:
        notes.append(
            f"The Fréchet distance of {len(a)} frames and {len(b)} reference images is biased "
            f"upwards: it wants ten times as many as there are features, {a.shape[1]}."
        )
    found = {"reference": len(b), names[0]: float(frechet_distance(a, b))}
    if min(len(a), len(b)) < 4:
        notes.append("The kernel distance wants four images on either side: it is left out.")
    else:
        kernel = kernel_distance(a, b, key=jax.random.key(seed))
        found |= {names[1]: float(kernel.value), f"{names[1]}_se": float(kernel.standard_error)}
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


def _print(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..experiments import with_error

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column("")
    table.add_column("", justify="right")
    beyond = {f"{name}_beyond": f"{label} (beyond B)" for name, label in _LABELS.items()}
    for name, label in (_LABELS | beyond).items():
        if name in figures:
            value = figures[name]
            same = value == float("inf")
            text = "infinite: equal" if same else with_error(value, figures.get(f"{name}_se"))
            table.add_row(label, text)
    Console().print(table)


def _write(out: Path, content, path, true, curves, seconds: float) -> list[Path]:
    from .._files import written_whole
    from ..plotting import evaluation_figure, save_figure
    from ._environment import machine, versions
    from ._outputs import finite

    named = {label: curves[name] for name, label in _CURVES.items() if name in curves}
    figure = evaluation_figure(path.images, path.times, named, truth=true)
    save_figure(figure, out / "evaluate.png")
    content = {"command": "evaluate", **content, "versions": versions(), "machine": machine()}
    content["seconds"] = seconds
    with written_whole(out / "evaluate.json") as temporary:
        temporary.write_text(json.dumps(finite(content), indent=2, allow_nan=False) + "\n")
    return [out / "evaluate.png", out / "evaluate.json"]
