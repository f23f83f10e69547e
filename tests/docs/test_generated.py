"""What the site takes from code and result files: nothing is missing, and it is what they say."""

import functools
import json
import re
import sys

import pytest

from geojax.geodesics import RESULTS
from geojax.geodesics._results import VERDICTS
from geojax.statistics._results import FIT_VERDICTS
from tests.source import PACKAGE, ROOT, SUBPACKAGES
from tests.test_public_api import exported

DOCS = ROOT / "docs"
HOOKS = DOCS / "_hooks"


@pytest.fixture
def hook(monkeypatch):
    """A module of `docs/_hooks`, imported as mkdocs finds it."""
    for needed in ("mkdocs", "griffe", "latex2mathml"):
        pytest.importorskip(needed, reason="the extra docs is not installed")
    monkeypatch.syspath_prepend(HOOKS)

    def load(name):
        module = __import__(name)
        monkeypatch.delitem(sys.modules, name)
        return module

    return load


@functools.cache
def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


# ------------------------------------------------------------------------------ verdicts and API


@pytest.mark.parametrize("kind, verdicts", [("verdict", VERDICTS), ("fit verdict", FIT_VERDICTS)])
def test_every_verdict_has_a_section_with_its_text(kind, verdicts):
    asked = re.findall(rf"^<!-- {kind}: (\w+) -->$", text_of("when_to_trust.md"), re.M)
    assert sorted(asked) == sorted(verdicts.notices)
    for name in asked:
        section = rf"^### (?:{name}|Fit: {name} \{{ #fit-{name} \}})\n+<!-- {kind}: {name} -->$"
        assert re.search(section, text_of("when_to_trust.md"), re.M), name


def test_the_text_of_a_verdict_is_that_of_the_code(hook):
    text = hook("generated").filled("<!-- verdict: under_resolved -->")
    what, _, remedy = RESULTS[RESULTS.under_resolved].partition(": ")
    assert what in text and "- In Python: Raise num_segments" in text
    assert remedy.partition(".")[0] in text and "- On the command line: Raise --segments" in text
    assert "{" not in text and "[" not in text
    with pytest.raises(ValueError, match="asks for none of verdict"):
        hook("generated").filled("<!-- nosuch: 1 -->")


def test_every_public_name_is_on_one_page_of_the_api():
    pages = sorted((DOCS / "api").glob("*.md"))
    shown = [name for page in pages for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)]
    assert len(shown) > 250 and len(set(shown)) == len(shown)
    top = exported("")
    expected = {f"geojax.{name}" for name in top}
    for folder in SUBPACKAGES:
        names = exported(folder)
        inner = {name for name in names if (PACKAGE / folder / name / "__init__.py").is_file()}
        expected |= {f"geojax.{folder}.{n}" for n in names if n not in top} - {
            f"geojax.{folder}.{name}" for name in inner
        }
        for name in inner:
            expected |= {f"geojax.{folder}.{name}.{n}" for n in exported(f"{folder}/{name}")}
    expected -= {"geojax.evaluation", "geojax.models"}
    assert expected - set(shown) == set()
    assert set(shown) - expected == {"geojax.models.pytorch.load_torch"}  # the others are of models


def test_commands_are_those_of_the_command_line(hook):
    generated = hook("generated")
    asked = re.findall(r"^<!-- command: (\w+) -->$", text_of("command_line.md"), re.M)
    assert sorted(asked) == sorted(generated.commands())
    shown = generated.command("interpolate")
    assert "geojax interpolate [OPTIONS] [A] [B]" in shown
    assert "`--segments" in shown and "**Search for the geodesic**" in shown


# ------------------------------------------------------------------------------------- tables


def test_every_table_is_on_a_page_and_every_table_of_a_page_exists(hook):
    pages = [path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")]
    asked = re.findall(r"^<!-- table: ([\w. ]+) -->$", "\n".join(pages), re.M)
    assert sorted(asked) == sorted(hook("tables").TABLES)


def test_a_table_has_the_figures_and_the_origin_of_its_file(hook):
    tables = hook("tables")
    for name, (file, _) in tables.TABLES.items():
        text = tables.table(name)
        head, rule, *rows, last, style = text.strip().splitlines()
        rows = [row for row in rows if row]
        assert set(rule) == {"|", "-", " "} and len(rows) > 0
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {head.count("|")}, name
        content = json.loads((tables.RESULTS / file).read_text())
        about = content.get("about") or content.get("origin") or content["network"]["origin"]
        assert about["versions"]["jax"] in last and about["date"] in last and file in last
        assert about["machine"]["processor"] in last and style == "{ .origin }"


def test_medians_and_sums(hook):
    tables = hook("tables")
    row = {"solver": "Adam 1e-2, 2,000 steps", "verdict": "successful", "steps": 7}
    row |= {"score_evaluations": 100, "score_products": 0, "energy": 1.0, "energy_fine": 2.0}
    others = [
        {**row, "energy": energy, "verdict": "no", "solver": solver}
        for energy in (3.0, 1234.5)
        for solver in ("GaussNewton()", "Adam 1e-3, cosine, 500 steps", row["solver"])
    ]
    text = tables.solvers({"network": {"rows": [row, *others]}})
    assert "| 1 of 3 | 7 | 100 | 0 | 3 (1 to 1,234) | 2 |" in text
    rows = [
        {"solver": "a", "problems": n, "called_good": 1, "wrong_but_called_good": n - 3}
        for n in (3, 4)
    ]
    assert tables.fails_safely({"rows": rows}).splitlines()[-1] == "| a | 2 | 7 | 2 | 1 |"


def test_a_table_needs_rows_of_one_length(hook):
    markdown = hook("markdown_table").markdown
    assert markdown(["a"], [["x|y"], [1e-5]]).splitlines()[2:] == [r"| x\|y |", "| 1e‑05 |"]
    for rows in ([], [[1, 2]]):
        with pytest.raises(ValueError, match="row"):
            markdown(["a"], rows)


# ------------------------------------------------------------------ formulas, notebooks, docstrings


def test_formulas_are_numbered_in_order(hook):
    maths = hook("maths")
    text = maths.with_anchors("$$ a \\label{one} $$\n\n$$ b $$\n\n$$ c\n\\label{two} $$\n")
    assert re.findall(r"\[\]\(\)\{ #eq-(\w+) \}", text) == ["one", "two"]
    block = '<div class="arithmatex">\\[ {} \\]</div>'
    content = block.format("a &lt; b \\label{one}") + block.format("b \\label{two}")
    shown = maths.with_mathml(content)
    assert re.findall(r'href="#eq-(\w+)">\((\d)\)', shown) == [("one", "1"), ("two", "2")]
    assert shown.count("<math") == 2 and "label" not in shown and "&#x0003C;" in shown
    assert "<math" in maths.with_mathml('<span class="arithmatex">\\(x\\)</span>')


def test_numbers_of_formulas_in_the_text_are_right():
    labels = re.findall(r"\\label\{([\w-]+)\}", text_of("theory.md"))
    assert len(labels) > 10 and len(set(labels)) == len(labels)
    files = [*DOCS.rglob("*.md"), *PACKAGE.rglob("*.py")]
    cited = [
        (path.name, *found)
        for path in files
        for found in re.findall(
            r"\[[^\]]*\((\d+)\)\][\[(][\w./]*?#?eq-([\w-]+)[\])]", path.read_text(encoding="utf-8")
        )
    ]
    assert len(cited) > 5
    assert not [c for c in cited if labels.index(c[2]) + 1 != int(c[1])]
    assert {"_stein.py", "_rules.py"} <= {name for name, _, _ in cited}


def test_a_notebook_is_a_page_with_its_outputs(hook):
    cells = [
        {"cell_type": "markdown", "source": ["# T\n", "[a](../docs/x.md) [b](01_y.ipynb)\n"]},
        {"cell_type": "markdown", "source": ["[![Colab](https://c/b.svg)](https://c/01_y.ipynb)"]},
        {"cell_type": "code", "source": ["%pip"], "metadata": {"tags": ["install"]}},
        {
            "cell_type": "code",
            "source": ["print('```')"],
            "outputs": [
                {"output_type": "stream", "text": ["\x1b[31mred\x1b[0m\n"]},
                {"output_type": "display_data", "data": {"image/png": "aGk="}},
            ],
        },
    ]
    text, pictures = hook("notebooks").as_markdown({"cells": cells}, "00_x")
    assert "[Colab](https://c/01_y.ipynb)" in text and "%pip" not in text
    assert "[a](../x.md) [b](01_y.md)" in text and "````python\nprint('```')\n````" in text
    assert "```text\nred\n```" in text and "](00_x_3_1.png)" in text
    assert pictures == {"00_x_3_1.png": b"hi"}


def test_docstrings_become_markdown(hook):
    written = "Of <u, v>:\n\n**Returns:**\n- ``x < y``: a\n  b.\n\n>>> f(1)\n  2\n\nEnd."
    shown = hook("docstrings").as_markdown(written)
    assert "Of &lt;u, v>:" in shown and "**Returns:**\n\n- ``x < y``: a\n    b." in shown
    assert "```pycon\n>>> f(1)\n  2\n```\n" in shown and shown.endswith("End.")
