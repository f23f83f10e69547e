"""The folders are a pipeline: a module imports only from folders to its left.

Everything here reads the source; nothing imports it.
"""

import ast
from functools import cache

from tests.source import MODULES, PACKAGE, ROOT, SUBPACKAGES, tree_of

PIPELINE = [
    "scores",
    "metrics",
    "geodesics",
    "curvature",
    "statistics",
    "interpolation",
    "evaluation",
]
ALLOWED = {folder: set(PIPELINE[:i]) for i, folder in enumerate(PIPELINE)}
ALLOWED["models"] = {"scores"}
ALLOWED["plotting"] = {*PIPELINE}
ALLOWED["experiments"] = {*PIPELINE, "models", "plotting"}
ALLOWED["cli"] = {*ALLOWED["experiments"], "experiments"}

FORBIDDEN = {
    "jax.core": "it changes between jax 0.10 and 0.11",
    "jax.interpreters": "it changes between jax 0.10 and 0.11",
    "jax._src": "it is private",
    "equinox.internal": "it is private",
    "pickle": "loading a pickle runs what it says",
    "cloudpickle": "loading a pickle runs what it says",
    "dill": "loading a pickle runs what it says",
    "joblib": "loading a pickle runs what it says",
}
LONGEST = 350
LONGER = {"benchmarks/gpu.py"}  # a list of measurements


@cache
def absolute_imports(name: str) -> list[str]:
    """Every module that a file imports, by absolute dotted name; relative ones resolved.

    `from ..scores import VPLinear` in `models/_x.py` is `geojax.scores.VPLinear`.
    """
    package = ["geojax", *name.split("/")[:-1]]
    found = []
    for node in ast.walk(tree_of(MODULES[name])):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            found += [f"{module}.{alias.name}" for alias in node.names]
    return found


def names_used(name: str) -> set[str]:
    """Every dotted name in a file, import aliases written out: `eqx.Module` is
    `equinox.Module`.
    """
    tree = tree_of(MODULES[name])
    aliases = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    used = set(absolute_imports(name))
    for node in ast.walk(tree):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if parts and isinstance(node, ast.Name):
            used.add(".".join([aliases.get(node.id, node.id), *parts]))
    return used


def test_imports_only_from_the_left():
    seen = 0
    for name in MODULES:
        here, _, inner = name.partition("/")
        if not inner:
            continue  # the root, checked below
        assert here in ALLOWED, f"geojax/{here} has no place in the pipeline: add it to ALLOWED."
        for imported in absolute_imports(name):
            if imported.split(".")[0] != "geojax":
                continue
            seen += 1
            _, there, *inside = [*imported.split("."), ""]
            if there == here:
                continue
            if there.startswith("_"):
                assert (PACKAGE / f"{there}.py").is_file(), f"{name} imports {imported}"
                continue
            assert there in SUBPACKAGES, f"{name} imports {imported}: import from a subpackage."
            assert there in ALLOWED[here], f"{name} imports {imported}, which is not to its left."
            assert not inside[0].startswith("_"), f"{name} imports the private {imported}."
    assert seen > len(MODULES)


def test_private_helpers_of_the_root_import_nothing_of_geojax():
    helpers = [name for name in MODULES if name.startswith("_") and not name.startswith("__")]
    assert helpers
    for name in helpers:
        own = [m for m in absolute_imports(name) if m.split(".")[0] == "geojax"]
        assert not own, f"{name} imports {own}."


# The one primitive of geojax: its rules have no other door, and these did not change.
EXCEPTED = {("models/pytorch/_callback.py", "jax.interpreters")}


def test_no_forbidden_module():
    for name in MODULES:
        for used in sorted(names_used(name)):
            for forbidden, reason in FORBIDDEN.items():
                if (name, forbidden) in EXCEPTED:
                    continue
                assert not f"{used}.".startswith(f"{forbidden}."), f"{name} uses {used}: {reason}."


def test_no_print_and_no_allow_pickle():
    calls = [
        (name, node)
        for name, path in MODULES.items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
    ]
    assert len(calls) > len(MODULES)
    for name, node in calls:
        where = f"{name}:{node.lineno}"
        prints = isinstance(node.func, ast.Name) and node.func.id == "print"
        assert not prints or name.startswith("cli/"), f"{where}: only the command line prints."
        for keyword in node.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            assert keyword.arg != "allow_pickle" or off, f"{where}: never allow_pickle."


def test_no_file_is_long():
    folders = ("geojax", "tests", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > len(MODULES)
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in files}
    assert not {name: n for name, n in lengths.items() if n > LONGEST and name not in LONGER}
