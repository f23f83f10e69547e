"""Output of the commands: results on stdout, all else on stderr; errors as exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console

SOLVE_FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130  # exit codes
_quiet_as = ""  # the name of this process, if it shows only errors


def show_only_errors(name: str) -> None:
    """From now on show only errors, under this name; for all but one of many processes."""
    global _quiet_as
    _quiet_as = name


def console(*, stderr: bool = False) -> Console:
    """The console for stdout or stderr."""
    return Console(stderr=stderr, quiet=bool(_quiet_as))


def say(text: str) -> None:
    """Print a line on stdout."""
    console().print(text, markup=False, highlight=False, soft_wrap=True)


def tell(kind: str, text: str) -> None:
    """Print a line on stderr, as `kind: text`."""
    style = {"error": "bold red", "failed": "bold red", "notice": "yellow"}.get(kind, "cyan")
    out, name = console(stderr=True), kind
    if kind == "error" and _quiet_as:
        out, name = Console(stderr=True), f"{kind} of {_quiet_as}"
    out.print(f"{name}: ", style=style, end="", markup=False, highlight=False)
    out.print(" ".join(text.split()), markup=False, highlight=False, soft_wrap=True)


def fail(text: str) -> NoReturn:
    """End with exit code 2 and one line on stderr, because the input is wrong."""
    tell("error", text)
    raise typer.Exit(BAD_INPUT)


@contextmanager
def input_checked() -> Iterator[None]:
    """Turn the library's errors about its input into one line and exit code 2."""
    try:
        yield
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        fail(f"{error.filename}: {error.strerror}." if named else str(error))
    except (ValueError, ImportError) as error:
        fail(str(error))
