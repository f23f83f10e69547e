"""What the commands say: results on stdout, everything else on stderr; and how they fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console

SOLVE_FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130  # exit codes


def say(text: str) -> None:
    """A line on stdout."""
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def tell(kind: str, text: str) -> None:
    """A line on stderr, as ``kind: text``."""
    style = {"error": "bold red", "failed": "bold red", "notice": "yellow"}.get(kind, "cyan")
    console = Console(stderr=True)
    console.print(f"{kind}: ", style=style, end="", markup=False, highlight=False)
    console.print(" ".join(text.split()), markup=False, highlight=False, soft_wrap=True)


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
