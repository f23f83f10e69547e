"""The conditions that the root's `conftest.py` promises are really in force."""

import ast
import doctest
import importlib
import os
import socket
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxtyping
import matplotlib
import pytest

from geojax.scores import VPLinear
from tests.source import MODULES, tree_of


def test_annotations_are_checked():
    with pytest.raises(jaxtyping.TypeCheckError):
        VPLinear().noise_to_signal(jnp.ones(3))  # a time is a scalar


def test_an_int_will_do_for_a_float():
    assert VPLinear().noise_to_signal(1) > 1


def test_arithmetic_is_strict_and_in_float64():
    assert jnp.ones(3).dtype == jnp.float64
    with pytest.raises(ValueError, match="rank_promotion"):
        _ = jnp.ones((3, 3)) + jnp.ones(3)
    with pytest.raises(jax.dtypes.TypePromotionError):
        _ = jnp.ones(3, jnp.float32) + jnp.ones(3, jnp.float64)


def test_no_network():
    with pytest.raises(RuntimeError, match="must not reach a network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(RuntimeError, match="must not reach a network"):
        socket.getaddrinfo("example.org", 80)


def test_figures_need_no_screen():
    assert matplotlib.get_backend().lower() == "agg"


def test_each_test_has_an_empty_folder_of_its_own():
    assert not os.listdir()
    assert Path.cwd() not in Path(__file__).parents


def documented(path: Path) -> set[str]:
    """The names of the functions, methods and classes of a file whose docstring has an example."""

    def walk(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef):
                name = f"{prefix}{child.name}"
                if ">>>" in (ast.get_docstring(child) or ""):
                    yield name
                if isinstance(child, ast.ClassDef):
                    yield from walk(child, f"{name}.")

    return set(walk(tree_of(path), ""))


def test_no_example_is_passed_over():
    """doctest finds each example in the source, decorated or not, so `pytest` runs it."""
    finder, checked = doctest.DocTestFinder(exclude_empty=True), 0
    for name, path in MODULES.items():
        names = documented(path)
        if not names:
            continue
        dotted = "geojax." + name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        found = {test.name for test in finder.find(importlib.import_module(dotted))}
        assert {f"{dotted}.{n}" for n in names} <= found, dotted
        checked += len(names)
    assert checked > 100
