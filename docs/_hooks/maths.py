r"""Formulas as MathML, made when the site is built.

Browsers render it themselves: a formula needs no script, font or server, in the dark scheme and on
a phone too. `$$ ... \label{energy} $$` numbers a formula; its anchor is `eq-energy`, and
`[(3)](#eq-energy)` or, from a docstring, `[(3)][eq-energy]` is a link to it.
"""

import html
import re
from typing import Any

from latex2mathml.converter import convert

_SPAN = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', flags=re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', flags=re.DOTALL)
_BAR = re.compile(r"<mo[^>]*>&#x0007C;</mo>")
_LABEL = re.compile(r"\\label\{([\w-]+)\}")


_LABELLED = re.compile(
    r"^\$\$(?:(?!\$\$).)*?\\label\{([\w-]+)\}\s*\$\$", flags=re.DOTALL | re.MULTILINE
)


def with_anchors(markdown: str) -> str:
    """The text of a page with an anchor before every formula that has a label."""
    return _LABELLED.sub(lambda match: f"[](){{ #eq-{match[1]} }}\n\n{match[0]}", markdown)


def with_mathml(content: str) -> str:
    """The HTML of a page with its formulas as MathML; those with labels are numbered in order."""
    number = 0

    def block(match: re.Match[str]) -> str:
        nonlocal number
        source = html.unescape(match[1])
        label = _LABEL.search(source)
        formula = _mathml(_LABEL.sub("", source), "block")
        if label is None:
            return f'<div class="formula">{formula}</div>'
        number += 1
        tag = f'<a class="number" href="#eq-{label[1]}">({number})</a>'
        return f'<div class="formula">{formula}{tag}</div>'

    content = _BLOCK.sub(block, content)
    return _SPAN.sub(lambda match: _mathml(html.unescape(match[1])), content)


def _mathml(formula: str, display: str = "inline") -> str:
    """One formula, with no space inside bars and some space after log."""
    formula = re.sub(r"\\log (?=[a-z\\])", r"\\log\\, ", formula.strip())
    formula = convert(formula, display=display)
    return _BAR.sub('<mo stretchy="false" lspace="0" rspace="0">|</mo>', formula)


def on_page_markdown(markdown: str, **_: Any) -> str:
    return with_anchors(markdown)


def on_page_content(content: str, **_: Any) -> str:
    return with_mathml(content)
