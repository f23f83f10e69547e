"""What every figure shares. Figures are drawn without pyplot: no global state, no screen."""

from pathlib import Path

from matplotlib.figure import Figure

from .._files import written_whole


def save_figure(figure: Figure, path: Path | str, *, dpi: float = 150) -> None:
    """Write a figure whole or not at all; the format is the suffix of ``path``.

    **Raises:** `ValueError` on a suffix that matplotlib does not know.

    >>> from matplotlib.figure import Figure
    >>> from geojax.plotting import save_figure
    >>> save_figure(Figure(), "empty.png")
    """
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
