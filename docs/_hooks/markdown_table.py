"""A table in Markdown."""

import re
from collections.abc import Iterable, Sequence
from typing import Any


def markdown(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Head and rows; every row has a cell a column.

    **Raises:** `ValueError` where there is no row, or one of another length.
    """
    lines = [list(head), ["---"] * len(head)]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"a row of {len(row)} cells under {len(head)} columns: {row}.")
        lines.append([_cell(cell) for cell in row])
    if len(lines) == 2:
        raise ValueError(f"there is no row under {', '.join(head)}.")
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    """A bar does not end the cell, and a negative exponent is not broken off its number."""
    return re.sub(r"(?<=\de)-(?=\d)", "\N{NON-BREAKING HYPHEN}", str(value)).replace("|", r"\|")
