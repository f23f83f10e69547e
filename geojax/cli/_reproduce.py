"""``geojax reproduce``: the experiments, resumable."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ._console import input_checked, say


class Experiment(StrEnum):
    """The experiments by name."""

    SYNTHETIC = "synthetic"


def reproduce(
    experiment: Annotated[Experiment, typer.Argument(help="Which experiment.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results; a run in it is taken up again."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Minutes on two cores.")] = False,
) -> None:
    """Reproduce the tables of an experiment. Interrupt it at will: what is measured is kept."""
    from ._environment import configure_jax, machine, versions
    from ._outputs import writable_folder

    with input_checked():
        folder = writable_folder(out or Path(f"geojax-{experiment.value}"))
        configure_jax(x64=True)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from ..experiments import SyntheticPlan, run_synthetic

    plan = SyntheticPlan.quick() if quick else SyntheticPlan()
    command = f"geojax reproduce {experiment.value}{' --quick' if quick else ''}"
    about = {"command": command, "versions": versions(), "machine": machine()}
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        means = run_synthetic(
            plan,
            folder,
            about=about,
            callback=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for row in means:
        error = "" if row["rmse_se"] is None else f" ± {row['rmse_se']:.2g}"
        shown = "–" if row["rmse"] is None else f"{row['rmse']:.3g}{error}"
        say(f"{row['case']:24} {row['kind']:7} {row['method']:26} rmse {shown}")
    say(f"\nWritten to {folder}: synthetic.csv, synthetic.json, synthetic.png")
