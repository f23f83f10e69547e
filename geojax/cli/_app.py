"""The commands. Each imports what it needs when it runs, so that ``--help`` is quick."""

from typing import Annotated

import typer

from ._demo import demo
from ._environment import version
from ._evaluate import evaluate
from ._inspect import inspect
from ._interpolate import extrapolate, interpolate
from ._models import models
from ._reproduce import reproduce
from ._train import train

app = typer.Typer(
    name="geojax",
    help="Riemannian geometry of diffusion models. Exit codes: 0 good, 1 a solve did not succeed "
    "(what there is was written), 2 bad input.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"geojax {version()}")
        raise typer.Exit
    return wanted


@app.callback()
def _common(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="The version."),
    ] = False,
) -> None:
    pass


for _command in (demo, interpolate, extrapolate, evaluate, inspect, train, models, reproduce):
    app.command()(_command)


def main() -> None:
    """The entry point ``geojax``."""
    app()
