"""Whether a score distinguishes straight lines between data from data, before any solve."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._arrays import Numbers, as_alike
from .._functions import check_function, checked

# Below this contrast a geodesic cannot follow the data, as measured between turned characters.
LEAST_CONTRAST = 10.0
# lambda |s_mid|^2: the additional cost of a step along the score off the data, relative to one
# across it. At the least value paths begin to follow the data. A larger value keeps them nearer. It
# is used where the contrast allows it, which is up to lambda |s|^2 = 2 on the data.
_LEAST_STEEPNESS, _MOST_STEEPNESS, _ON_DATA = 100.0, 1000.0, 2.0


class ScoreContrast(eqx.Module):
    """The contrast of a score between chords and data, as `score_contrast` returns it.

    **Arguments:**

    - `middle`: the mean of |s|^2 at the middles of the chords, in units of 1 / length^2.
    - `data`: the mean of |s|^2 at their ends.
    """

    middle: Float[Array, "..."]
    data: Float[Array, "..."]

    @property
    def ratio(self) -> Float[Array, "..."]:
        """`middle / data`: 1 for a score that does not distinguish the chord from the data."""
        return self.middle / self.data

    @property
    def lam(self) -> Float[Array, "..."]:
        """The recommended weight of `s s^T`, in units of length^2.

        It is `100 / middle`: a step off the data then costs a hundred times more energy along the
        score than across it. Where the ratio is above 50 it is `2 / data`, at most `1000 / middle`.
        Below the ratio of 10, where no weight makes a path follow the data, it falls to `1 / data`:
        a steep metric would need more segments without benefit.
        """
        known = jnp.clip(_ON_DATA * self.ratio, _LEAST_STEEPNESS, _MOST_STEEPNESS)
        unknown = jnp.maximum(LEAST_CONTRAST * self.ratio, 1.0)
        steepness = jnp.where(self.ratio < LEAST_CONTRAST, unknown, known)
        return steepness / jnp.maximum(self.middle, self.data)

    @property
    def knows_the_chord(self) -> Bool[Array, "..."]:
        """Whether `ratio` is at least 10; below, a geodesic cannot follow the data."""
        return self.ratio >= LEAST_CONTRAST

    def __str__(self) -> str:
        ratio = float(self.ratio)
        figure = f"|s|^2 is {ratio:.3g} times as large at the middles of chords as on data"
        if bool(self.knows_the_chord):
            return f"{figure}: the score knows that chords leave the data."
        return (
            f"{figure}, but at least {LEAST_CONTRAST:g} are needed: this score does not know that "
            "chords leave the data, and a geodesic cannot follow the data here."
        )


def suited_level(contrasts: np.ndarray) -> int:
    """Choose the noise level to use, from contrasts in order of rising noise.

    It is the noisiest level, the last one, whose contrast is at least a quarter of the largest and
    at least 10: its score reaches farther from the data. Where none has 10, it is the level of the
    largest. Contrasts that are not finite do not count.

    **Arguments:**

    - `contrasts`: the ratios of [`geojax.ScoreContrast`][], shape (levels,).

    **Returns:**

    The index of the level.

    >>> import numpy as np
    >>> from geojax.scores import suited_level
    >>> suited_level(np.array([90.0, 100.0, 30.0, 20.0])), suited_level(np.array([3.5, 3.0, 0.9]))
    (2, 0)
    """
    ratios = np.where(np.isfinite(contrasts), contrasts, -np.inf)
    largest = np.max(ratios)
    return int(np.flatnonzero(ratios >= max(largest / 4, min(largest, LEAST_CONTRAST)))[-1])


def score_contrast(
    score: Any,
    x0: Numbers,
    x1: Numbers,
    args: Any = None,
    *,
    batch_size: int | None = None,
) -> ScoreContrast:
    """Compare |s|^2 at the middles of chords with |s|^2 on data.

    Use it before any solve. The metric `I + lam s s^T` can keep a path on the data only where the
    score is large off the data and small on it. This tells whether it is, and which `lam` to use.

    **Arguments:**

    - `score`: `(x, args) -> s` at one noise level, as `AbstractScore.at` returns it.
    - `x0`, `x1`: the ends of chords, points at that level, shape `(chords, *shape)`.
    - `args`: passed to the score.
    - `batch_size`: how many chords are evaluated at once; None: all.

    **Returns:**

    A [`geojax.ScoreContrast`][].

    **Raises:**

    - `ValueError`: when `score` is no score, shapes differ, or there is no chord.

    >>> import jax.numpy as jnp, geojax
    >>> ring = geojax.Shell(radius=2.0, width=0.2)
    >>> contrast = geojax.score_contrast(ring, [[2.1, 0.0]], [[0.0, 1.9]])
    >>> print(contrast)
    |s|^2 is 34.1 times as large at the middles of chords as on data: the score knows ...
    """
    check_function("score", score, "(x, args) -> s")
    x0, x1 = as_alike("chords *shape", x0=x0, x1=x1)
    return _contrast(score, x0, x1, args, batch_size)


@eqx.filter_jit
def _contrast(score, x0, x1, args, batch_size) -> ScoreContrast:
    def squares(pair):
        a, b = pair
        norms = [jnp.sum(checked(score)(x, args) ** 2) for x in (a, (a + b) / 2, b)]
        return norms[1], (norms[0] + norms[2]) / 2

    middle, data = jax.lax.map(squares, (x0, x1), batch_size=batch_size or len(x0))
    return ScoreContrast(jnp.mean(middle), jnp.mean(data))
