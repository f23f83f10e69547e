"""What the commands say: results on stdout, everything else on stderr; and how they fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console

SOLVE_FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130  # exit codes
_quiet_as = ""  # what this process is called, where it shows only errors


def show_only_errors(name: str) -> None:
    """From now on this process, one of many, shows nothing but errors, under its name."""
    global _quiet_as
    _quiet_as = name


def console(*, stderr: bool = False) -> Console:
    """Where a command writes, stdout or stderr."""
    return Console(stderr=stderr, quiet=bool(_quiet_as))


def say(text: str) -> None:
    """A line on stdout."""
    console().print(text, markup=False, highlight=False, soft_wrap=True)


def tell(kind: str, text: str) -> None:
    """A line on stderr, as ``kind: text``."""
    style = {"error": "bold red", "failed": "bold red", "notice": "yellow"}.get(kind, "cyan")
    out, name = console(stderr=True), kind
    if kind == "error" and _quiet_as:
        out, name = Console(stderr=True), f"{kind} of {_quiet_as}"
    out.print(f"{name}: ", style=style, end="", markup=False, highlight=False)
    out.print(" ".join(text.split()), markup=False, highlight=False, soft_wrap=True)


def fail(text: str) -> NoReturn:
    """End with one line on stderr: the input is at fault."""
    tell("error", text)
    raise typer.Exit(BAD_INPUT)


@contextmanager
def input_checked() -> Iterator[None]:
    """The library's complaints about what it was given become one line and exit code 2."""
    try:
        yield
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        fail(f"{error.filename}: {error.strerror}." if named else str(error))
    except (ValueError, ImportError) as error:
        fail(str(error))
