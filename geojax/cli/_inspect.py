"""`geojax inspect`: the noise level and lambda that suit a model and some images."""

import itertools
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from . import _defaults as defaults
from ._console import input_checked, say, tell
from ._settings import DIFFUSION, GEOMETRY, MACHINE, OUT, PICTURES, Noising, option


def inspect(
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Image files, or a folder of them. Default: drawn from the model; for a latent "
            "model the two that are stored with it."
        ),
    ] = None,
    model: Annotated[
        str, option("A name from `geojax models`, or a folder of a model.")
    ] = defaults.MODEL,
    out: Annotated[str, OUT] = "geojax-inspect",
    t: Annotated[
        list[float] | None,
        option(
            "Noise level in (0, 1]; give it several times. Default: six levels.", panel=GEOMETRY
        ),
    ] = None,
    lam: Annotated[
        list[float] | None,
        option("Lambda; give it several times. Default: fitted to each level.", panel=GEOMETRY),
    ] = None,
    pairs: Annotated[
        int, option("Pairs of images between which geodesics are found.", panel=GEOMETRY)
    ] = defaults.INSPECT_PAIRS,
    segments: Annotated[
        int, option("Segments of a geodesic.", panel=GEOMETRY)
    ] = defaults.INSPECT_SEGMENTS,
    label: Annotated[
        int | None, option("Class to condition the score on. Default: none.", panel=GEOMETRY)
    ] = None,
    count: Annotated[
        int,
        option("Most images; drawn images are of one class after the other.", panel=PICTURES),
    ] = defaults.INSPECT_COUNT,
    noising: Annotated[
        Noising,
        option("How images come to a level: by inversion, or one noise for all.", panel=PICTURES),
    ] = Noising.INVERSION,
    invert: Annotated[
        bool, option("Turn light into dark in all images.", "--invert/--no-invert", panel=PICTURES)
    ] = False,
    guidance: Annotated[
        float, option("Guidance scale with which images are drawn.", panel=PICTURES)
    ] = defaults.GUIDANCE,
    prompt: Annotated[str | None, option("Text of what they show.", panel=DIFFUSION)] = None,
    seed: Annotated[int, option("Seed of everything random.", panel=MACHINE)] = defaults.SEED,
    x64: Annotated[bool, option("Compute in float64.", "--x64/--no-x64", panel=MACHINE)] = False,
) -> None:
    """How the geometry changes with the noise level, and which level and lambda
    to take.

    With a latent model, or a folder of diffusers of latents or of more than 64
    pixels a side: whether its score detects that the straight lines between
    these pictures leave the data, by level, before an expensive solve.

    Example: geojax inspect digits/ --t 0.1 --t 0.2
    """
    from ._environment import configure_jax
    from ._folders import removed_if_empty, reserve_folder
    from ._inspect_chords import inspect_pipeline, measured_by_chords
    from ._run import as_points, check_label, load_model

    began = time.perf_counter()
    levels = t or list(defaults.INSPECT_T)
    with input_checked():
        _check(levels, lam, count, pairs, segments, seed)
        configure_jax(x64=x64)
        given_options = {"label": label, "lam": lam, "noising": noising, "prompt": prompt}
        given_options |= {"count": count, "invert": invert, "seed": seed, "x64": x64}
        source = measured_by_chords(model, given_options)
        if source is not None:
            inspect_pipeline(model, source, images or [], levels, out, given_options)
            return
        score, config = load_model(model)
        check_label(label, config)
        arrays, notices = read_given(images or [], tuple(config["shape"]), count, invert)
        given = [as_points(array, x64=x64) for array in arrays]
        folder = reserve_folder(out)
    for notice in notices:
        tell("notice", notice)
    settings = {
        "model": model,
        "images": [str(path) for path in images or []],
        "t": levels,
        "lam": lam,
        "count": count,
        "pairs": pairs,
        "segments": segments,
        "noising": noising.value,
        "label": label,
        "invert": invert,
        "guidance": guidance,
        "seed": seed,
        "x64": x64,
    }
    with removed_if_empty(folder):
        found, chords, points, drawn = _measured(score, config, given, settings)
        with input_checked():
            _write(folder, found, chords, points, drawn, settings, time.perf_counter() - began)
    for text in (*found.findings, "", str(chords), "", found.recommendation.reason):
        say(text)
    seconds = time.perf_counter() - began
    say(f"\nWritten to {folder} in {seconds:.0f} s: inspect.png, inspect.json")


def _check(levels, lams, count, pairs, segments, seed) -> None:
    """`ValueError` for a number out of its range, with the name of the option."""
    rules: list[tuple[bool, str, str, Any]] = [
        *((0 < t <= 1, "--t", "in (0, 1]; step k of T is t = k / T", t) for t in levels),
        *((0 < lam < float("inf"), "--lam", "finite and above 0", lam) for lam in lams or []),
        (count >= 2, "--count", "at least 2", count),
        (pairs >= 1, "--pairs", "at least 1", pairs),
        (segments >= 2, "--segments", "at least 2", segments),
        (0 <= seed < 2**32, "--seed", "in 0 ... 2^32 - 1", seed),
    ]
    for good, name, wanted, value in rules:
        if not good:
            raise ValueError(f"{name} must be {wanted}, got {value}.")


def read_given(
    paths: list[Path], shape: tuple[int, ...], count: int, invert: bool
) -> tuple[list[Any], list[str]]:
    """At most `count` images of the files and folders, and notices about their conversion."""
    from ._frames import image_files
    from ._images import check_different, read_images, short_names

    files = []
    for path in paths:
        if path.is_dir():
            files += image_files(path)
        else:
            files.append(path)
    files, total = files[:count], len(files)
    arrays, notices = read_images(files, shape, invert=invert)
    names = short_names(files)
    for i, j in itertools.combinations(range(len(files)), 2):
        check_different((arrays[i], arrays[j]), (names[i], names[j]))
    if total > count:
        notices.append(f"the first {count} of {total} images are taken; --count takes more.")
    return arrays, notices


def _measured(score, config, given, settings):
    """The inspection, its points, and how many of these were drawn."""
    import jax
    import jax.numpy as jnp

    from ..evaluation import inspect_chords, inspect_score
    from ..scores import NoiseRoute
    from ._draw import draw
    from ._progress import Stages
    from ._run import as_points

    missing = settings["count"] if not given else max(0, 2 - len(given))
    classes = config["network"].get("num_classes", 0)
    stages = [("draw", "drawing images from the model", 8.0)] if missing else []
    levels = sorted(set(settings["t"]))
    for i, level in enumerate(levels):
        work, share = ("compiling, then measuring", 40.0) if i == 0 else ("measuring", 8.0)
        stages.append((str(i), f"{work} at t = {level:g} ({i + 1} of {len(levels)})", share))
    key = jax.random.key(settings["seed"])
    with Stages(stages) as bar, input_checked():
        if missing:
            bar.begin("draw")
            labels = [i % classes if classes else None for i in range(missing)]
            shape = tuple(config["shape"])
            images = draw(score, shape, labels, settings["guidance"], settings["seed"])
            given = [*given, *(as_points(image, x64=settings["x64"]) for image in images)]
        points = jnp.stack(given)
        found = inspect_score(
            score,
            points,
            levels,
            key=jax.random.fold_in(key, 0),
            lams=settings["lam"],
            num_pairs=settings["pairs"],
            noising=settings["noising"],
            args=settings["label"],
            num_segments=settings["segments"],
            on_level=lambda i: bar.begin(str(i)),
        )
        route = NoiseRoute(score, noising=settings["noising"], args=settings["label"])
        chords = inspect_chords(route, points, levels, key=jax.random.fold_in(key, 0))
    return found, chords, points, missing


def _write(out, found, chords, points, drawn, settings, seconds) -> None:
    from ..plotting import inspection_figure, save_figure
    from ._environment import machine, versions
    from ._folders import write_json

    images = points.ndim == 4 and points.shape[1] in (1, 3)
    pictures = found.seen if images else None
    origin = f"{len(points)} images"
    if drawn:
        origin += " drawn from it" if drawn == len(points) else f", {drawn} drawn from it"
    title = f"geojax inspect: the geometry of {settings['model']} around {origin}"
    save_figure(inspection_figure(found, pictures=pictures, title=title), out / "inspect.png")
    content = {
        "command": "inspect",
        "settings": settings,
        "versions": versions(),
        "machine": machine(),
        "images_drawn": drawn,
        **_figures(found),
        "score_contrast": chords.contrast.tolist(),
        "seconds": seconds,
    }
    write_json(out / "inspect.json", content)


def _figures(found) -> dict[str, Any]:
    """All figures as nested lists: by level, then lambda, image or pair."""
    import numpy as np

    content: dict[str, Any] = {
        "axes": "by level; then by lambda and pair, by image, or by pair",
        **{
            name: np.asarray(getattr(found, name), np.float64).tolist()
            for name in ("ts", "noise_ratios", "score_norms", "asymmetry", "lams", "contrast")
        },
        **{
            name: np.asarray(getattr(found, name), np.float64).tolist()
            for name in ("deviation", "curvature")
        },
        "pairs": found.pairs.tolist(),
        "lam_names": found.lam_names,
        "successful": found.successful.tolist(),
        "verdicts": found.verdicts.tolist(),
        "cosines": {n: np.asarray(v, np.float64).tolist() for n, v in found.cosines.items()},
    }
    estimate = found.dimension
    content["dimension"] = {
        name: np.asarray(getattr(estimate, name)).tolist()
        for name in ("dimension", "gap", "clear", "passed", "passed_error", "spectrum")
    }
    content["findings"] = found.findings
    content["recommendation"] = found.recommendation._asdict()
    return content
