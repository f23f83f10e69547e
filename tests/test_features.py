"""`docs/features.md` keeps its word: every row leads to an example, and every example runs."""

import re

import pytest

from tests.source import ROOT

TEXT = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
(SETUP,) = re.findall(r"^```python setup\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
EXAMPLES = dict(
    re.findall(r"^### (.*?)\n+```python\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
)


def anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def test_every_row_has_an_example_and_every_example_a_row():
    linked = re.findall(r"^\| \[.*?\]\(#(.*?)\)", TEXT, flags=re.MULTILINE)
    assert linked == [anchor(heading) for heading in EXAMPLES]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_examples_run():
    """In order and in one namespace, as a reader would paste them."""
    namespace = {"__name__": "__main__"}
    assert len(EXAMPLES) > 30
    for heading, example in {"setup": SETUP, **EXAMPLES}.items():
        exec(compile(example, f"features.md, {heading}", "exec"), namespace)
