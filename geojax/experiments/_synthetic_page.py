"""The page of the synthetic experiment."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..plotting import ResultPicture
from ._page import means_table, write_page

_LEAD = (
    "Every method between two points of a manifold whose nearest points and geodesics are known, "
    "beyond the second point, and as the metric of a descent."
)
_NAMES = {"case": "manifold", "method": "method", "sigma": "sigma", "lam": "lam"}
_NAMES |= {"segments": "segments", "count": "pairs"}
_PATHS = {
    "rmse": "RMSE to the geodesic",
    "distance_mean": "mean distance",
    "distance_max": "largest distance",
    "length_error": "length error",
    "energy_ratio": "energy ratio",
    "score_evaluations": "score evaluations",
    "seconds": "seconds",
    "successful": "successful",
}
_DESCENTS = {"distance_mean": "mean distance", "distance_max": "largest distance"}
_DESCENTS |= {"missed": "missed by", "successful": "successful"}
_TABLES = {
    "path": ("Between two points", "Distances are from the manifold.", _PATHS),
    "beyond": ("Beyond the second point", "Against the geodesic's continuation.", _PATHS),
    "descent": (
        "Descents",
        "Of |x - c|^2 / 2, c off the manifold, until it is as low as anywhere on the manifold.",
        _DESCENTS,
    ),
}


def write_synthetic_page(
    path: Path,
    means: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, ResultPicture],
    content: Mapping[str, Any],
) -> None:
    """Tables of all means, and the pictures."""
    tables = [
        means_table(rows, _NAMES, figures, title=title, meaning=f"{meaning} Means over pairs.")
        for kind, (title, meaning, figures) in _TABLES.items()
        if (rows := [row for row in means if row["kind"] == kind])
    ]
    write_page(
        path,
        title="Synthetic manifolds",
        lead=_LEAD,
        tables=tables,
        pictures=list(pictures.values()),
        plan=content["plan"],
        about=content["about"],
        notes=content["notes"],
    )
