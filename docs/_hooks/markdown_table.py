"""A table in Markdown."""

import re
from collections.abc import Iterable, Sequence
from typing import Any


def markdown(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Head and rows; every row has one cell for each column.

    `ValueError` without a row, or with a row of another length.
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
    """The text of a cell: a bar does not end it, and a negative exponent is not separated from its
    number.
    """
    return re.sub(r"(?<=\de)-(?=\d)", "\N{NON-BREAKING HYPHEN}", str(value)).replace("|", r"\|")
