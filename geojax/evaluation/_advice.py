"""Rules that recommend a noise level and a lambda from measured figures."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

INDISTINGUISHABLE = 0.05  # a path nearer to LERP, relative to |B - A|, counts as LERP
ASYMMETRIC = 0.5  # a score whose Jacobian is less symmetric is not a gradient
SUCCESSFUL = "successful"  # the message of a good solution
_NEARLY = 0.9  # this share of the best deviation is as good, with a smaller lambda


class Recommendation(NamedTuple):
    """A recommended noise level and lambda, with the reason.

    **Arguments:**

    - `t`, `lam`: the level and the lambda; both None when nothing can be recommended.
    - `reason`: in words.
    """

    t: float | None
    lam: float | None
    reason: str

    def __str__(self) -> str:
        if self.t is None or self.lam is None:
            return f"Nothing can be recommended: {self.reason}"
        return f"t = {self.t:g}, lambda = {self.lam:g}: {self.reason}"


def recommend(
    ts: Float[np.ndarray, " levels"],
    lams: Float[np.ndarray, "levels lams"],
    deviation: Float[np.ndarray, "levels lams pairs"],
    verdicts: np.ndarray,
    asymmetry: Float[np.ndarray, "levels images"],
    contrast: Float[np.ndarray, "levels pairs"],
    curvature: Float[np.ndarray, "levels lams pairs"],
) -> tuple[list[str], Recommendation]:
    """Recommend a noise level and a lambda, with a sentence about each level.

    A level is excluded if the score is not a gradient there, or does not detect that the middle of
    LERP has left the data. A lambda is excluded if a geodesic was not found, or is LERP. Of the
    rest, if possible with a curvature below pi^2, the choices within a tenth of the largest
    deviation from LERP remain. Of these the level with the greatest contrast is taken, and its
    smallest lambda. Medians are used over several pairs or images.

    **Arguments:**

    - `ts`, `lams`, `deviation`, `verdicts`, `asymmetry`, `contrast`, `curvature`: the figures of
      [`geojax.evaluation.Inspection`][], with their shapes.

    **Returns:**

    The sentences, one a level, and a [`geojax.evaluation.Recommendation`][].

    >>> import numpy as np
    >>> from geojax.evaluation import recommend
    >>> findings, best = recommend(
    ...     np.array([0.2, 0.6]), np.array([[1.0], [1.0]]), np.array([[[0.2]], [[0.01]]]),
    ...     np.array([[["successful"]], [["successful"]]]), np.array([[0.1], [0.1]]),
    ...     np.array([[1.5], [1.1]]), np.array([[[0.1]], [[0.0]]]),
    ... )
    >>> best.t, findings[1]
    (0.2, 't = 0.6: geodesics are LERP to within 1 % of |B - A|.')
    """
    figures = _Figures(
        ts,
        lams,
        np.median(deviation, axis=2),
        np.all(verdicts == SUCCESSFUL, axis=2),
        np.median(asymmetry, axis=1),
        np.median(contrast, axis=1),
        np.median(curvature, axis=2),
    )
    findings = [f"t = {t:g}: {_finding(figures, i, verdicts[i])}." for i, t in enumerate(ts)]
    return findings, _best(figures)


class _Figures(NamedTuple):
    """Medians: by level, and by level and lambda."""

    ts: np.ndarray
    lams: np.ndarray
    strays: np.ndarray
    found: np.ndarray
    uneven: np.ndarray
    contrast: np.ndarray
    bends: np.ndarray

    @property
    def levels(self) -> np.ndarray:
        """The levels whose score can be used; a figure that is not finite excludes a level."""
        return (self.uneven <= ASYMMETRIC) & (self.contrast > 1)

    @property
    def usable(self) -> np.ndarray:
        return self.levels[:, None] & self.found & (self.strays >= INDISTINGUISHABLE)


def _finding(figures: _Figures, i: int, verdicts: np.ndarray) -> str:
    if not figures.uneven[i] <= ASYMMETRIC:
        return f"the score is not a gradient (asymmetry {figures.uneven[i]:.2g})"
    if not figures.contrast[i] > 1:
        return (
            "the score does not detect that the middle of LERP has left the data (contrast "
            f"{figures.contrast[i]:.2g})"
        )
    found, strays = figures.found[i], figures.strays[i]
    if not found.any():
        return f"no lambda gave all geodesics ({_why(verdicts)})"
    furthest = np.max(strays[found])
    if furthest < INDISTINGUISHABLE:
        return f"geodesics are LERP to within {_percent(furthest)} of |B - A|"
    return (
        f"geodesics stray from LERP by {_percent(furthest)} of |B - A| (contrast "
        f"{figures.contrast[i]:.2g})"
    )


def _best(figures: _Figures) -> Recommendation:
    ts, lams, strays, found, uneven, contrast, bends = figures
    usable, levels = figures.usable, figures.levels
    if usable.any():
        calm = usable & (bends <= np.pi**2)
        choices = calm if calm.any() else usable
        furthest = np.max(strays[choices])
        good = choices & (strays >= _NEARLY * furthest)
        i = int(np.argmax(np.where(good.any(axis=1), contrast, -np.inf)))
        j = int(np.argmin(np.where(good[i], lams[i], np.inf)))
        reason = (
            f"At t = {ts[i]:g} and lambda = {lams[i, j]:.3g} all geodesics were found and stray "
            f"from LERP by {_percent(strays[i, j])} of |B - A|, about as far as at any other "
            "usable choice; the score detects that the middle of LERP has left the data "
            f"(contrast {contrast[i]:.2g}) and is nearly enough a gradient (asymmetry "
            f"{uneven[i]:.2g})."
        )
        if not calm.any():
            reason += (
                f" Caution: with a mean curvature of {bends[i, j]:.3g} / |B - A|^2, above pi^2, "
                "there may be shorter paths than these: start solves from several paths."
            )
        return Recommendation(float(ts[i]), float(lams[i, j]), reason)
    if not levels.any():
        reason = (
            "At no tested level is the score both nearly a gradient and able to detect that the "
            "middle of LERP has left the data. Train the model longer, or try lower levels."
        )
    elif not (found & levels[:, None]).any():
        reason = (
            "At the levels whose score can be used no tested lambda gave all geodesics. "
            "Take more segments or a smaller lambda."
        )
    else:
        furthest = np.max(np.where(found & levels[:, None], strays, -np.inf))
        reason = (
            "At the levels whose score can be used geodesics are LERP to within "
            f"{_percent(furthest)} of |B - A|. Take more segments with a larger lambda, or lower "
            "levels."
        )
    return Recommendation(None, None, "Nothing can be recommended. " + reason)


def _why(verdicts: np.ndarray) -> str:
    """The failures by kind: the messages up to their first full stop."""
    kinds = [text.split(":")[0].split(".")[0] for text in verdicts.ravel() if text != SUCCESSFUL]
    counted = sorted({kind: kinds.count(kind) for kind in kinds}.items(), key=lambda kind: -kind[1])
    return "; ".join(f"{n} of {verdicts.size}: {kind[0].lower() + kind[1:]}" for kind, n in counted)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
