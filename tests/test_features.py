"""`docs/features.md`: every row leads to an example (`tests/docs` runs them), and back."""

import re

from tests.source import ROOT

TEXT = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^### (.*?)\n+```python\n", TEXT, flags=re.MULTILINE)


def anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def test_every_row_has_an_example_and_every_example_a_row():
    linked = re.findall(r"^\| \[.*?\]\(#(.*?)\)", TEXT, flags=re.MULTILINE)
    assert len(linked) > 30 and linked == [anchor(heading) for heading in EXAMPLES]
