"""Saving of figures, which are drawn without pyplot: no global state and no screen."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from .._files import written_whole


class NotebookFigure(Figure):
    """A figure that a notebook shows by itself, without `%matplotlib inline`."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=80, bbox_inches="tight")
        return content.getvalue()


def save_figure(figure: Figure, path: Path | str, *, dpi: float = 150) -> None:
    """Write a figure to a file, whole or not at all.

    **Arguments:**

    - `figure`: a matplotlib figure.
    - `path`: of the file; its suffix is the format.
    - `dpi`: dots per inch.

    **Raises:**

    - `ValueError`: on a suffix that matplotlib does not know.

    >>> from matplotlib.figure import Figure
    >>> from geojax.plotting import save_figure
    >>> save_figure(Figure(), "empty.png")
    """
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
