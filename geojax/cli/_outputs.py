"""The files of a run: pictures, animation, report, figures. Each is written whole or not at all."""

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from .._files import written_whole
from ..interpolation import Comparison
from ..plotting import (
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
from ._figures import figure_rows, number, summary
from ._settings import Settings


def writable_folder(path: Path) -> Path:
    """The folder, made if it is not there. **Raises:** `OSError` when nothing can be written."""
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"--out {path} is a file, not a folder.")
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
        return path


def write_outputs(
    out: Path,
    command: str,
    settings: Settings,
    inputs: Mapping[str, Any],
    result: Comparison,
    seconds: Mapping[str, float],
    lead: str,
) -> list[Path]:
    """Write everything about a run into ``out``. **Returns:** the files, pictures first."""
    images = {name: record.images for name, record in result.records.items()}
    captions = {
        name: [f"energy {number(record.figures['energy'])}"]
        for name, record in result.records.items()
    }
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
        title=f"geojax {command}",
        lead=lead,
        summary=summary(result, settings.t),
        images=images,
        times=result.frame_times,
        given=result.given,
        rows=figure_rows(result),
        settings=_setting_texts(settings, inputs),
        pictures={"Frames of the paths": paths, "Energy and log-density": energy},
        problems=result.problems,
        notes=result.notes,
        success="The geodesic and its continuation were found."
        if result.extension is not None
        else "The geodesic was found.",
    )
    save_report(page, out / "report.html")
    figures = metrics(command, settings, inputs, result, seconds)
    with written_whole(out / "metrics.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n")
    _write_frames(out / "frames", result)
    names = [
        "paths.png",
        "path.gif",
        *["path.mp4"][: settings.mp4],
        "energy.png",
        "report.html",
        "metrics.json",
        "frames",
    ]
    return [out / name for name in names]


def metrics(
    command: str,
    settings: Settings,
    inputs: Mapping[str, Any],
    result: Comparison,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """What ``metrics.json`` holds. Figures that are not finite are null."""
    methods: dict[str, Any] = {
        name: {**record.figures, "result": record.message}
        for name, record in result.records.items()
    }
    methods["geodesic"] |= {
        name: float(result.solution.stats[name])
        for name in ("decrement", "speed_defect", "path_dependence")
    }
    extension = None
    if result.extension is not None:
        extension = {**result.extension_figures, "result": result.extension.message}
    content = {
        "command": command,
        "settings": {**_setting_values(settings), **inputs},
        "versions": versions(),
        "machine": machine(),
        "methods": methods,
        "extension": extension,
        "successful": not result.problems,
        "problems": result.problems,
        "notes": result.notes,
        "seconds": dict(seconds),
    }
    return finite(content)


def _setting_values(settings: Settings) -> dict[str, Any]:
    return {**dataclasses.asdict(settings), "max_steps": settings.steps}


def _setting_texts(settings: Settings, inputs: Mapping[str, Any]) -> dict[str, str]:
    values = {**inputs, **_setting_values(settings)}
    texts = {
        name.replace("_", " "): "default" if value is None else str(value)
        for name, value in values.items()
    }
    return texts | {f"version of {name}": value for name, value in versions().items()}


def finite(value: Any) -> Any:
    """The same with None for every number that is not finite, which JSON has not."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_frames(folder: Path, result: Comparison) -> None:
    """The given images and the geodesic's, as PNG files named by their times."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("geodesic_*.png"):
        os.unlink(old)
    frames = {"a.png": result.given[0], "b.png": result.given[1]}
    images = result.records["geodesic"].images
    for time, image in zip(result.frame_times, images, strict=True):
        frames[f"geodesic_{time:.4f}.png"] = image
    for name, image in frames.items():
        with written_whole(folder / name) as temporary:
            Image.fromarray(pixels(image)).save(temporary)
