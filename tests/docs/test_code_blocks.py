"""Every Python block of every page runs, and every command is one that there is."""

import re
import shlex
import tomllib
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import pytest

from geojax.cli import app
from tests.source import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
# Its scripts stand each for itself: see test_own_model.
WITH_A_TEST_OF_ITS_OWN = {"bring_your_own_model.md"}


def blocks(page: Path, language: str) -> list[str]:
    """The contents of the fenced blocks of a page in a language, in order."""
    pattern = rf"^```{language}\b[^\n]*\n(.*?)^```"
    return re.findall(pattern, page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


WITH_PYTHON = [
    page for page in PAGES if blocks(page, "python") and page.name not in WITH_A_TEST_OF_ITS_OWN
]
WITH_COMMANDS = [page for page in [*PAGES, ROOT / "CONTRIBUTING.md"] if blocks(page, "bash")]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_blocks_run(page):
    """In order and in one namespace, with JAX's own settings, as a reader would paste them."""
    namespace = {"__name__": "__main__"}
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.enable_x64(False),
    ):
        for number, block in enumerate(blocks(page, "python"), start=1):
            for module in re.findall(r"^\s*(?:import|from) (torch|diffusers|flax)\b", block, re.M):
                pytest.importorskip(module)
            exec(compile(block, f"{name_of(page)}, Python block {number}", "exec"), namespace)
    plt.close("all")


def test_there_are_blocks_on_most_pages():
    assert len(WITH_PYTHON) > 8 and len(WITH_COMMANDS) > 5


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_commands_exist_with_their_options(page):
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for command in line.split("&&"):
                check_command(shlex.split(command, comments=True))


def check_command(words: list[str]) -> None:
    """**Raises:** where the command, its file, its extra or one of its options is not there."""
    while words and re.fullmatch(r"[A-Z_0-9]+=.*", words[0]):  # variables of the environment
        words = words[1:]
    match words:
        case []:
            pass
        case ["geojax", name, *arguments]:
            parse(name, arguments)
        case ["python", "-m", "pip", "install", *packages]:
            check_extras(packages)
        case ["python", script, *_] if script.endswith(".py"):
            assert (ROOT / script).is_file(), script
        case [program, *_]:
            known = {"mkdocs", "pytest", "hf", "git", "cd", "ruff", "pyright", ".ci/run"}
            assert program in known, f"{program} is no command that the documentation may use."


def parse(name: str, arguments: list[str]) -> None:
    """**Raises:** what the command line says of arguments that it does not take."""
    import typer

    commands = typer.main.get_command(app).commands  # pyright: ignore
    assert name in commands, f"geojax has no command {name}."
    with commands[name].make_context(name, list(arguments)):
        pass


def check_extras(packages: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for package in packages:
        for extras in re.findall(r"\[(.*?)\]", package):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), package


@pytest.mark.parametrize(
    "command", ["geojax nosuch", "geojax demo --nosuch 1", "python nosuch.py", "nosuch"]
)
def test_the_check_finds_commands_that_do_not_exist(command):
    with pytest.raises(BaseException, match=r"(?i)nosuch"):
        check_command(shlex.split(command))


def test_the_check_finds_extras_that_do_not_exist():
    with pytest.raises(AssertionError):
        check_command(shlex.split('python -m pip install "geojax-diffusion[nosuch]"'))
