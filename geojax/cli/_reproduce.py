"""`geojax reproduce`: the experiments, resumable."""

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ._console import input_checked, say
from ._distributed import Distributed, join
from ._folders import removed_if_empty, reserve_folder
from ._rows import check_plan, is_run, rows_bar
from ._settings import option


class Experiment(StrEnum):
    """The names of the experiments."""

    SYNTHETIC = "synthetic"
    ROTATED_MNIST = "rotated-mnist"
    CHARACTERS = "characters"


def reproduce(
    experiment: Annotated[
        Experiment, typer.Argument(case_sensitive=False, help="Which experiment.")
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the results. A run of the same plan in it is resumed; if it has other "
            "files, the next number. Default: geojax-EXPERIMENT.",
        ),
    ] = None,
    quick: Annotated[bool, option("A plan of minutes on two cores.", "--quick/--full")] = False,
    pairs: Annotated[
        int | None,
        option(
            "Pairs of points or digits of each kind, every method on all of them. "
            "Default: the plan's, fewer for expensive methods."
        ),
    ] = None,
    chunk: Annotated[
        int | None,
        option("rotated-mnist: pairs computed at once. Default: 1; on a GPU 16."),
    ] = None,
    so_far: Annotated[
        bool,
        typer.Option("--so-far", help="Measure nothing; write the tables of a stopped run."),
    ] = False,
    distributed: Distributed = None,
) -> None:
    """Reproduce the tables of an experiment. You can interrupt it: measured rows
    are kept.

    Example: geojax reproduce synthetic --quick
    """
    from ._environment import configure_jax, machine, versions

    with input_checked():
        digits = experiment is Experiment.ROTATED_MNIST
        if chunk is not None and (not digits or chunk < 1):
            raise ValueError(f"--chunk must be at least 1, and is for rotated-mnist, got {chunk}.")
        if pairs is not None and pairs < 1:
            raise ValueError(f"--pairs must be at least 1, got {pairs}.")
        join(distributed, together=False)
        configure_jax(x64=experiment is Experiment.SYNTHETIC)
        plan = _plan(experiment, quick, pairs)
        command = f"geojax reproduce {experiment.value}{' --quick' if quick else ''}"
        command += "" if pairs is None else f" --pairs {pairs}"
        default = f"geojax-{experiment.value}"
        folder = reserve_folder(default if out is None else out, is_run)
        with removed_if_empty(folder):
            check_plan(folder, dataclasses.asdict(plan), command, keep=not so_far)
    about = {"command": command, "versions": versions(), "machine": machine()}
    with removed_if_empty(folder), rows_bar(folder) as show:
        if digits:
            lines = _rotated_mnist(plan, folder, about, show, chunk, not so_far)
        else:
            run = _synthetic if experiment is Experiment.SYNTHETIC else _characters
            lines = run(plan, folder, about, show, not so_far)
    for line in lines:
        say(line)
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    say(f"\nWritten to {folder}: {', '.join(files)}")


def _plan(experiment: Experiment, quick: bool, pairs: int | None) -> Any:
    from ..experiments import CharactersPlan, RotatedMnistPlan, SyntheticPlan

    if experiment is Experiment.SYNTHETIC:
        plan = SyntheticPlan.quick() if quick else SyntheticPlan.full()
    else:
        kind = RotatedMnistPlan if experiment is Experiment.ROTATED_MNIST else CharactersPlan
        plan = kind.quick() if quick else kind()
    return plan if pairs is None else plan.of_pairs(pairs)


def _synthetic(plan: Any, folder: Path, about: Mapping[str, Any], show, measure: bool) -> list[str]:
    from ..experiments import run_synthetic, with_error

    means = run_synthetic(plan, folder, about=about, callback=show, measure=measure)
    return [
        f"{row['case']:24} {row['kind']:7} {row['method']:26} rmse "
        f"{with_error(row['rmse'], row['rmse_se'])}"
        for row in means
    ]


def _characters(plan: Any, folder: Path, about: Mapping[str, Any], show, measure: bool):
    from ..experiments import run_characters, with_error

    means = run_characters(plan, folder, about=about, callback=show, measure=measure)
    return [
        f"{row['components']:3} {row['shaping']:10} {row['method']:32} γ-RMSE "
        f"{with_error(row['gamma_rmse'], row['gamma_rmse_se']):16} PSNR "
        f"{with_error(row['psnr'], row['psnr_se'])}"
        for row in means
        if row["kind"] == "path" and row["turn"] is None
    ]


def _rotated_mnist(
    plan: Any, folder: Path, about: Mapping[str, Any], show, chunk: int | None, measure: bool
) -> list[str]:
    from ..experiments import run_rotated_mnist, with_error

    tables = run_rotated_mnist(
        plan, folder, chunk=chunk, about=about, callback=show, measure=measure
    )
    lines = ["Digits turned by 60 degrees and more, against the true rotation:", ""]
    for row in tables.far:
        figures = [
            f"{name} {with_error(row[key], row[f'{key}_se']):<16}"
            for key, name in (("psnr", "PSNR"), ("ssim", "SSIM"), ("lpips", "LPIPS"))
        ]
        lines.append(f"{row['part']:8} {row['protocol']:20} {row['method']:24} {' '.join(figures)}")
    return lines
