"""The typer application with its commands."""

import functools
from collections.abc import Callable
from typing import Annotated

import typer

from ._console import INTERRUPTED, tell
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
    help="Riemannian geometry of diffusion models. Exit codes: 0 success, 1 a solve failed (its "
    "files are written all the same), 2 bad input, 130 interrupted.",
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


def _interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """The command; an interruption that it does not handle gives one line and exit code 130."""

    @functools.wraps(command)
    def run(*arguments, **options) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            tell("interrupted", "nothing was written.")
            raise typer.Exit(INTERRUPTED) from None

    return run


for _command in (demo, interpolate, extrapolate, evaluate, inspect, train, models, reproduce):
    app.command()(_interruptible(_command))


def main() -> None:
    """The entry point `geojax`."""
    app()
