"""`docs/bring_your_own_model.md`: every script runs by itself, and is short."""

import re

import jax
import pytest

from tests.source import ROOT

TEXT = (ROOT / "docs" / "bring_your_own_model.md").read_text(encoding="utf-8")
HEADING = r"^## ([^\n{]*?)(?: \{[^\n]*\})?\n"
SECTIONS = dict(re.findall(rf"{HEADING}(.*?)(?=^## |\Z)", TEXT, flags=re.DOTALL | re.MULTILINE))
SCRIPTS = {
    title: re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    for title, text in SECTIONS.items()
}
SCRIPTS = {title: blocks for title, blocks in SCRIPTS.items() if blocks}
MOST_LINES = 20


def statements(script: str) -> list[str]:
    """Its lines but for imports and empty ones."""
    lines = [line for line in script.splitlines() if line.strip()]
    return [line for line in lines if not re.match(r"(import|from) ", line)]


def test_there_is_a_script_a_section_and_it_is_short():
    titles = {"Equinox", "Flax NNX", "Flow matching", "A torch model", "DDPM folder"}
    assert titles <= set(SCRIPTS)
    for title, (script, *_) in SCRIPTS.items():
        assert len(statements(script)) <= MOST_LINES, title


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("title", SCRIPTS)
def test_scripts_run(title):
    """With JAX's own settings, where what they import is installed."""
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.enable_x64(False),
    ):
        for script in SCRIPTS[title]:
            for module in re.findall(r"^\s*(?:import|from) (torch|diffusers|flax)\b", script, re.M):
                pytest.importorskip(module)
            exec(compile(script, f"bring_your_own_model.md, {title}", "exec"), {"__name__": "doc"})
