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


@pytest.mark.parametrize("heading", EXAMPLES)
@pytest.mark.filterwarnings("default")
def test_examples_run(heading):
    exec(compile(SETUP + EXAMPLES[heading], f"features.md, {heading}", "exec"), {})
