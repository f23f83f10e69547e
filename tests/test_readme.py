"""The README keeps its word: its Python runs, its two commands are these, its links lead on."""

import re

import pytest

from tests.source import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The contents of the README's fenced blocks in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def links() -> list[str]:
    """What the README links to and shows: Markdown links and images, HTML `src` and `href`."""
    text = re.sub(r"^```.*?^```", "", README, flags=re.DOTALL | re.MULTILINE)
    markdown = re.findall(r"\]\(\s*<?([^)\s>]+)", text)
    return markdown + re.findall(r"(?:src|href)=[\"']([^\"']+)[\"']", text)


def test_commands():
    demo, test, *_ = blocks("bash")
    assert demo.strip() == "python -m pip install -e . && geojax demo"
    assert test.strip() == 'python -m pip install -e ".[test]" && pytest'


@pytest.mark.slow
def test_python_blocks_run():
    """In order and in one namespace, as a reader would paste them."""
    namespace = {"__name__": "__main__"}
    for number, block in enumerate(blocks("python"), start=1):
        exec(compile(block, f"README.md, Python block {number}", "exec"), namespace)


def test_links_lead_somewhere():
    """Those into the repository; on the web tests do not go."""
    local = [link.partition("#")[0] for link in links() if not re.match(r"[a-z]+:", link)]
    assert local
    assert not [path for path in local if not (ROOT / path).exists()]
