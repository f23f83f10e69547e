"""The problems and notes that a reader of a comparison should know."""

import numpy as np

from .._verdicts import Notice
from ..geodesics import RESULTS
from ..scores import LEAST_CONTRAST, ScoreContrast

INDISTINGUISHABLE = 0.05  # a path or its pictures this close to LERP's, relative to |B - A|
PATH_DEPENDENT = 0.2  # a score whose line integrals differ by this much is far from a gradient


def deviation(path: np.ndarray, reference: np.ndarray, times: np.ndarray) -> float:
    """The largest distance at the same time from A to B, relative to the reference's chord."""
    path, reference = path[times <= 1], reference[times <= 1]
    with np.errstate(invalid="ignore", over="ignore"):
        chord = np.linalg.norm(reference[-1] - reference[0])
        apart = np.linalg.norm((path - reference).reshape(len(path), -1), axis=1)
        return float(np.max(apart) / chord) if chord else 0.0


def _finite(rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.isfinite(rows.reshape(len(rows), -1)).all(axis=1))


def verdict(
    records, solution, extension, contrast: ScoreContrast
) -> tuple[list[Notice], list[Notice]]:
    """The problems and the notes of a comparison."""
    problems, notes = [], []
    if bool(solution.result != RESULTS.successful):
        problems.append(solution.notice().of("The geodesic"))
    if extension is not None and bool(extension.result != RESULTS.successful):
        problems.append(extension.notice().of("The extrapolation"))
    for name, record in records.items():
        missing = int(np.sum(_finite(record.points) & ~_finite(record.images)))
        if missing:
            problems.append(
                Notice(
                    f"{missing} of {len(record.images)} pictures of {name} are not finite.",
                    "Use denoising='ddim', or a coarser rtol.",
                    "Use --denoising ddim.",
                )
            )
    geodesic, lerp = records["geodesic"].figures, records["LERP"].figures
    if geodesic["energy_fine"] > (1 + INDISTINGUISHABLE) * lerp["energy_fine"]:
        notes.append(
            Notice(
                "The straight line has less energy than the path that the solver found "
                f"({lerp['energy_fine']:.4g} against {geodesic['energy_fine']:.4g}), which is "
                "therefore not the geodesic.",
                "Raise num_segments, lower lam, or call robust_geodesic.",
                "Raise --segments or lower --lam.",
            )
        )
    if max(geodesic["deviation"], geodesic["picture_deviation"]) < INDISTINGUISHABLE:
        notes.append(
            Notice(
                "The geodesic is indistinguishable from LERP here: it deviates by "
                f"{geodesic['deviation']:.1%} of |B - A| and its pictures by "
                f"{geodesic['picture_deviation']:.1%}.",
                "Raise lam, or lower t.",
                "Raise --lam, or lower --t.",
            )
        )
    if not bool(contrast.knows_the_chord):
        notes.append(
            Notice(
                f"A geodesic cannot follow the data here: |s|^2 is {float(contrast.ratio):.3g} "
                f"times as large at the middle of the chord as at A and B; {LEAST_CONTRAST:g} are "
                "needed.",
                "Take another t or a better score, or reduce the pictures (geojax.models.latent).",
                "Take another --t or a better model; `geojax inspect` recommends a t.",
            )
        )
    dependence = float(solution.stats["path_dependence"])
    if dependence > PATH_DEPENDENT:
        notes.append(
            Notice(
                "This score is not exactly a gradient: the change of log-density from A to B "
                f"depends on the path by {dependence:.0%} of the total variation, so that "
                "log-densities and the lower bound are indications only."
            )
        )
    return problems, notes
