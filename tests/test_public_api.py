"""The public surface: explicit, documented, exported in one place and listed in one table."""

import ast
import importlib
import inspect
import re

import pytest

import geojax
from tests.source import PACKAGE, SUBPACKAGES, tree_of

# Others rely on these from the first day.
PROMISED = [
    "DenseMetric",
    "Euclidean",
    "GaussNewton",
    "GeodesicSolution",
    "PathEnergy",
    "RESULTS",
    "SteinScoreMetric",
    "distance",
    "exponential_map",
    "geodesic",
    "log_map",
]


def exported(folder: str) -> dict[str, str]:
    """The names that a package's ``__init__.py`` re-exports, with the module each comes from."""
    tree = tree_of(PACKAGE / folder / "__init__.py")
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name: node.module or ""
        for node in imports
        for alias in node.names
        if not (alias.asname or alias.name).startswith("_")
    }


TOP_LEVEL = sorted(exported(""))
IN_SUBPACKAGES = [(folder, name) for folder in SUBPACKAGES for name in sorted(exported(folder))]


def own_docstring(thing) -> str:
    """The docstring as written: a dataclass without one gets its signature from Python."""
    doc = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    return "" if doc.startswith(f"{getattr(thing, '__name__', '')}(") else doc


@pytest.mark.parametrize("folder", ["", *SUBPACKAGES])
def test_exports_are_explicit(folder):
    """`from .x import A as A`, so that a reader and a type checker see what is public."""
    where = f"geojax/{folder}/__init__.py"
    for node in tree_of(PACKAGE / folder / "__init__.py").body:
        if not isinstance(node, ast.ImportFrom):
            continue
        for alias in node.names:
            assert node.level == 1, f"{where}: {alias.name} is not a relative import."
            assert alias.name == alias.asname or (alias.asname or "").startswith("_"), (
                f"{where}: write `{alias.name} as {alias.name}`."
            )
    module = importlib.import_module(f"geojax.{folder}".rstrip("."))
    public = {n for n, v in vars(module).items() if n[0] != "_" and not inspect.ismodule(v)}
    assert public <= set(exported(folder)), f"{where}: {public} are not all re-exports."


@pytest.mark.parametrize("name", PROMISED)
def test_promised_names_exist(name):
    assert name in TOP_LEVEL
    assert hasattr(geojax, name)


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_top_level_names_come_from_a_public_subpackage(name):
    module = exported("")[name]
    assert module in ["", *SUBPACKAGES], f"geojax.{name} comes from {module}."


def test_each_name_is_exported_by_one_subpackage():
    names = [name for _, name in IN_SUBPACKAGES]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("folder, name", IN_SUBPACKAGES)
def test_every_public_class_and_function_says_what_it_is(folder, name):
    thing = getattr(importlib.import_module(f"geojax.{folder}"), name)
    if inspect.isclass(thing) or inspect.isroutine(inspect.unwrap(thing)):
        assert own_docstring(thing), f"geojax.{folder}.{name} has no docstring."


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_every_top_level_class_and_function_shows_an_example(name):
    """Abstract classes are exempt: their subclasses show them at work."""
    thing = getattr(geojax, name)
    if inspect.isabstract(thing) or name.startswith("Abstract"):
        return
    if inspect.isclass(thing) or inspect.isroutine(inspect.unwrap(thing)):
        assert ">>>" in own_docstring(thing), f"geojax.{name}: its docstring has no example."


@pytest.mark.parametrize("folder", SUBPACKAGES)
def test_every_public_name_is_in_the_table_of_its_readme(folder):
    readme = PACKAGE / folder / "README.md"
    assert readme.is_file(), f"geojax/{folder} has no README.md."
    rows = [line for line in readme.read_text().splitlines() if line.startswith("|")]
    listed = {
        word
        for code in re.findall(r"`([^`]+)`", "\n".join(rows))
        for word in re.findall(r"\w+", code)
    }
    missing = sorted(set(exported(folder)) - listed)
    assert not missing, f"geojax/{folder}/README.md does not list {missing}."
