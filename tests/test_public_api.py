"""The public surface: explicit, documented, exported in one place and listed in one table."""

import ast
import functools
import importlib
import inspect
import itertools
import re

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
    """The names that a package's `__init__.py` re-exports, with the module each comes from."""
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


def is_documented(thing) -> bool:
    """Whether a public name is a class or a function, and not a constant."""
    return inspect.isclass(thing) or inspect.isroutine(inspect.unwrap(thing))


@functools.cache
def returned() -> set[str]:
    """The names in the return annotations of the package's functions and methods."""
    nodes = [node for path in PACKAGE.rglob("*.py") for node in ast.walk(tree_of(path))]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.returns]
    return {word for f in functions for word in re.findall(r"\w+", ast.unparse(f.returns))}


def test_no_two_public_names_differ_by_case_only():
    folders = ["", *SUBPACKAGES]
    modules = [importlib.import_module(f"geojax.{folder}".rstrip(".")) for folder in folders]
    names = {name for module in modules for name in vars(module) if name[0] != "_"}
    assert len(names) > 150
    spellings = sorted(names, key=str.lower)
    twice = [pair for pair in itertools.pairwise(spellings) if pair[0].lower() == pair[1].lower()]
    assert not twice


def test_exports_are_explicit():
    """`from .x import A as A`, so that a reader and a type checker see what is public."""
    for folder in ["", *SUBPACKAGES]:
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
        assert public and public <= set(exported(folder)), f"{where}: are all {public} re-exports?"


def test_promised_names_exist():
    assert set(PROMISED) <= set(TOP_LEVEL)
    assert all(hasattr(geojax, name) for name in PROMISED)


def test_top_level_names_come_from_a_public_subpackage():
    assert TOP_LEVEL
    strangers = {n: m for n, m in exported("").items() if m not in ["", *SUBPACKAGES]}
    assert not strangers


def test_each_name_is_exported_by_one_subpackage():
    names = [name for _, name in IN_SUBPACKAGES]
    assert sorted(names) == sorted(set(names))


def test_every_public_class_and_function_has_a_docstring():
    things = {
        f"geojax.{folder}.{name}": getattr(importlib.import_module(f"geojax.{folder}"), name)
        for folder, name in IN_SUBPACKAGES
    }
    documented = {where: thing for where, thing in things.items() if is_documented(thing)}
    assert len(documented) > len(things) / 2
    assert not [where for where, thing in documented.items() if not own_docstring(thing)]


def test_every_top_level_class_and_function_shows_an_example():
    """But for abstract classes, whose subclasses show them at work, and results, which the
    functions that return them show.
    """
    things = {name: getattr(geojax, name) for name in TOP_LEVEL}
    concrete = [
        name
        for name, thing in things.items()
        if is_documented(thing)
        and not (inspect.isabstract(thing) or name.startswith("Abstract") or name in returned())
    ]
    assert len(concrete) > len(things) / 2
    assert not [name for name in concrete if ">>>" not in own_docstring(things[name])]


def test_every_public_name_is_in_the_table_of_its_readme():
    for folder in SUBPACKAGES:
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
