"""The package as source text, for the tests that read it without importing it."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "geojax"

MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
SUBPACKAGES = sorted(
    path.parent.name
    for path in PACKAGE.glob("*/__init__.py")
    if not path.parent.name.startswith("_")
)


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
