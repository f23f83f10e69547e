"""``geojax reproduce``: the experiments, resumable."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ._console import input_checked, say, tell

INTERRUPTED = 130  # exit code: the same command goes on


class Experiment(StrEnum):
    """The experiments by name."""

    SYNTHETIC = "synthetic"
    ROTATED_MNIST = "rotated-mnist"


def reproduce(
    experiment: Annotated[Experiment, typer.Argument(help="Which experiment.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results; a run in it is taken up again."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Minutes on two cores.")] = False,
    chunk: Annotated[
        int | None,
        typer.Option(help="rotated-mnist: pairs computed at once. Default: 1; on a GPU 16."),
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            help="Pairs of points or digits of each kind, every method on all of them. "
            "Default: the plan's, fewer for costly methods."
        ),
    ] = None,
    so_far: Annotated[
        bool,
        typer.Option("--so-far", help="Measure nothing; the tables of a run that was stopped."),
    ] = False,
) -> None:
    """Reproduce the tables of an experiment. Interrupt it at will: what is measured is kept."""
    from ._environment import configure_jax, machine, versions
    from ._outputs import writable_folder

    synthetic = experiment is Experiment.SYNTHETIC
    with input_checked():
        if chunk is not None and (synthetic or chunk < 1):
            raise ValueError(f"--chunk must be at least 1, and is for rotated-mnist, got {chunk}.")
        if pairs is not None and pairs < 1:
            raise ValueError(f"--pairs must be at least 1, got {pairs}.")
        folder = writable_folder(out or Path(f"geojax-{experiment.value}"))
        configure_jax(x64=synthetic)
        plan = _plan(synthetic, quick, pairs)
    command = f"geojax reproduce {experiment.value}{' --quick' if quick else ''}"
    command += "" if pairs is None else f" --pairs {pairs}"
    about = {"command": command, "versions": versions(), "machine": machine()}
    with _bar(folder) as show, input_checked():
        if synthetic:
            lines = _synthetic(plan, folder, about, show, not so_far)
        else:
            lines = _rotated_mnist(plan, folder, about, show, chunk, not so_far)
    for line in lines:
        say(line)
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    say(f"\nWritten to {folder}: {', '.join(files)}")


@contextmanager
def _bar(folder: Path) -> Iterator[Callable[[int, int], None]]:
    """A bar over rows, with the time left; an interruption says how to go on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    words = (TextColumn("left"), Left())
    # Rows cost very different times: the time left is judged by all of them so far.
    period = 7 * 24 * 3600.0
    progress = Progress(
        *columns,
        *words,
        console=Console(stderr=True),
        transient=True,
        speed_estimate_period=period,
    )
    tasks = []

    def show(done: int, total: int) -> None:
        if not tasks:  # rows of an earlier run took no time of this one
            tasks.append(progress.add_task("", total=total, completed=done))
        progress.update(tasks[0], completed=done)

    with progress:
        try:
            yield show
        except KeyboardInterrupt:
            progress.stop()
            tell("interrupted", f"what is measured is kept; the same command goes on in {folder}.")
            raise typer.Exit(INTERRUPTED) from None


def _plan(synthetic: bool, quick: bool, pairs: int | None) -> Any:
    from ..experiments import RotatedMnistPlan, SyntheticPlan

    if synthetic:
        plan = SyntheticPlan.quick() if quick else SyntheticPlan.full()
    else:
        plan = RotatedMnistPlan.quick() if quick else RotatedMnistPlan()
    return plan if pairs is None else plan.of_pairs(pairs)


def _synthetic(plan: Any, folder: Path, about: Mapping[str, Any], show, measure: bool) -> list[str]:
    from ..experiments import run_synthetic, with_error

    means = run_synthetic(plan, folder, about=about, callback=show, measure=measure)
    return [
        f"{row['case']:24} {row['kind']:7} {row['method']:26} rmse "
        f"{with_error(row['rmse'], row['rmse_se'])}"
        for row in means
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
