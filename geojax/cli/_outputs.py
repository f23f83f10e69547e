"""The files of a run: pictures, animation, report, figures. Each is written whole or not at all."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from .._files import read_arrays, written_whole
from ..geodesics import GeodesicSolution
from ..interpolation import Comparison, against_truth
from ..plotting import (
    ReportPicture,
    animation_frames,
    energy_figure,
    html_report,
    paths_figure,
    pixels,
    save_animation,
    save_figure,
    save_report,
    save_video,
)
from ._environment import machine, versions
from ._figures import TRUTH, figure_rows, number, picture_rows, summary, texts
from ._folders import write_json
from ._frames import GIVEN
from ._settings import Settings

PATH_FILE = "path.npz"


class PageHead(NamedTuple):
    """The head of the page: the command, a first sentence, and the level `t`.

    `noised`: whether images are noised to that level.
    """

    command: str
    lead: str
    t: float
    noised: bool


class StartRefused(ValueError):
    """There is no path at --init, or its end-points are not these pictures."""


def write_path(folder: Path, solution: GeodesicSolution) -> None:
    """Write the nodes of the geodesic at the noise level and their parameters, for --init."""
    nodes = {"xs": np.asarray(solution.curve.xs), "ts": np.asarray(solution.curve.ts)}
    with written_whole(folder / PATH_FILE) as temporary:
        np.savez(temporary, allow_pickle=False, **nodes)


def read_path(folder: Path) -> np.ndarray:
    """The nodes that `write_path` wrote; `StartRefused` when there are none."""
    file = folder / PATH_FILE if folder.is_dir() else folder
    if not file.is_file():
        raise StartRefused(f"--init {folder}: there is no {PATH_FILE}. Give a folder of results.")
    try:
        return read_arrays(file, "xs")["xs"]
    except ValueError as error:
        raise StartRefused(f"--init: {error}") from None


def write_outputs(
    out: Path,
    head: PageHead,
    settings: Settings,
    inputs: Mapping[str, Any],
    result: Comparison,
    seconds: Mapping[str, float],
    notices: Sequence[str],
) -> list[Path]:
    """Write all files of a run into `out`; returns them, pictures first.

    `notices` are about the pictures and their conversion.
    """
    images = picture_rows(result)
    captions = _captions(result, images)
    inputs = {**inputs, "t": head.t, "lam": result.lam}
    paths = paths_figure(images, result.frame_times, given=result.given, captions=captions)
    energy = energy_figure(
        result.node_times,
        {name: record.energy_density for name, record in result.records.items()},
        {name: record.log_density for name, record in result.records.items()},
    )
    save_figure(paths, out / "paths.png")
    frames = animation_frames(images, result.frame_times)
    save_animation(frames, out / "path.gif")
    if settings.mp4:
        save_video(frames, out / "path.mp4")
    save_figure(energy, out / "energy.png")
    page = html_report(
        title=f"geojax {head.command}",
        lead=head.lead,
        summary=summary(result, head.t, noised=head.noised),
        images=images,
        times=result.frame_times,
        given=result.given,
        rows=figure_rows(result),
        settings=_setting_texts(settings, inputs),
        pictures={
            "Frames of the paths": ReportPicture(paths, _paths_alt(result)),
            "Energy and log-density": ReportPicture(energy, _energies_alt(result)),
        },
        problems=texts(result.problems),
        notes=[*notices, *texts(result.notes)],
        success="The geodesic and its continuation were found."
        if result.extension is not None
        else "The geodesic was found.",
    )
    save_report(page, out / "report.html")
    write_json(
        out / "metrics.json", metrics(head.command, settings, inputs, result, seconds, notices)
    )
    _write_frames(out / "frames", result)
    names = [
        "paths.png",
        "path.gif",
        *["path.mp4"][: settings.mp4],
        "energy.png",
        "report.html",
        "metrics.json",
        "frames",
        PATH_FILE,
    ]
    return [out / name for name in names]


def _captions(result: Comparison, images: Mapping[str, Any]) -> dict[str, list[str]]:
    """The text under the name of each row: decibels to the truth, otherwise energies."""
    if result.truth is None:
        return {
            name: [f"energy {number(record.figures['energy'])}"]
            for name, record in result.records.items()
        }
    captions = {}
    for name in set(images) - {TRUTH}:
        found = against_truth(result.truth, images[name], result.frame_times)
        captions[name] = [f"{found['psnr']:.1f} dB from A to B"] if "psnr" in found else []
        captions[name] += (
            [f"{found['psnr_beyond']:.1f} dB beyond"] if "psnr_beyond" in found else []
        )
    return captions


def _paths_alt(result: Comparison) -> str:
    last = float(result.frame_times[-1])
    beyond = f" and on to time {last:.4g}" if last > 1 + 1e-6 else ""
    return (
        f"Rows of pictures from A, time 0, to B, time 1{beyond}, a row a method: "
        f"{', '.join(picture_rows(result))}. Above them the given pictures A and B."
    )


def _energies_alt(result: Comparison) -> str:
    energies = ", ".join(
        f"{name} {number(record.figures['energy_fine'])}" for name, record in result.records.items()
    )
    changes = ", ".join(
        f"{name} {record.figures['log_density_change']:+.3g}"
        for name, record in result.records.items()
    )
    return (
        f"Two charts over the time along the paths. Left the energy of each segment, whose mean "
        f"from A to B is: {energies}. Right the change of log-density since A, at B: {changes}."
    )


def metrics(
    command: str,
    settings: Settings,
    inputs: Mapping[str, Any],
    result: Comparison,
    seconds: Mapping[str, float],
    notices: Sequence[str],
) -> dict[str, Any]:
    """The content of `metrics.json`."""
    methods: dict[str, Any] = {
        name: {**record.figures, "result": record.message}
        for name, record in result.records.items()
    }
    methods["geodesic"] |= {
        name: float(result.solution.stats[name])
        for name in ("decrement", "speed_defect", "path_dependence")
    }
    methods["geodesic"]["result"] = result.solution.notice().text("command line")
    extension = None
    if result.extension is not None:
        extension = {
            **result.extension_figures,
            "result": result.extension.notice().text("command line"),
        }
    leading = result.leading
    if leading is not None:
        leading = {
            **{name: int(leading.stats[name]) for name in ("num_steps", "score_evaluations")},
            "result": leading.notice().text("command line"),
        }
    return {
        "command": command,
        "settings": {**_setting_values(settings), **inputs},
        "metric": {"text": result.metric, "leading": leading},
        "contrast": {
            "middle": float(result.contrast.middle),
            "data": float(result.contrast.data),
            "ratio": float(result.contrast.ratio),
            "knows_the_chord": bool(result.contrast.knows_the_chord),
        },
        "versions": versions(),
        "machine": machine(),
        "methods": methods,
        "extension": extension,
        "successful": not result.problems,
        "problems": texts(result.problems),
        "notices": list(notices),
        "notes": texts(result.notes),
        "seconds": dict(seconds),
    }


def _setting_values(settings: Settings) -> dict[str, Any]:
    init = None if settings.init is None else str(settings.init)
    return {**dataclasses.asdict(settings), "max_steps": settings.steps, "init": init}


def _setting_texts(settings: Settings, inputs: Mapping[str, Any]) -> dict[str, str]:
    values = {**_setting_values(settings), **inputs}
    rows = {
        name.replace("_", " "): "default" if value is None else str(value)
        for name, value in values.items()
    }
    return rows | {f"version of {name}": value for name, value in versions().items()}


def _write_frames(folder: Path, result: Comparison) -> None:
    """Write the pictures of every row as PNG files named by their times, and the given ones."""
    frames = {f"{GIVEN}/a.png": result.given[0], f"{GIVEN}/b.png": result.given[1]}
    for method, images in picture_rows(result).items():
        for time, image in zip(result.frame_times, images, strict=True):
            frames[f"{method}/frame_{time:.4f}.png"] = image
    for name, image in frames.items():
        with written_whole(folder / name) as temporary:
            Image.fromarray(pixels(image)).save(temporary)
