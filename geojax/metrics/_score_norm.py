"""The score norm metric `g(x) = (1 + lam |s(x)|^2)^power I`."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._functions import as_pytree, checked
from .._numbers import scalar
from ._checks import check_score
from ._conformal import AbstractConformalMetric


class ScoreNormMetric(AbstractConformalMetric):
    """The metric `g(x) = (1 + lam |s|^2)^power I`: paths away from the data are long.

    A rank-one metric leaves the directions orthogonal to s free. This one penalises the distance
    from the data itself, in every direction. |s| measures that distance: sigma^2 |s| is the
    distance of x from its denoised point. A path follows the data only if the factor exceeds the
    squared ratio of the detour to the chord; a larger `power` makes the factor steeper. `flat`
    costs one score, `acceleration` one score and one VJP.

    **Arguments:**

    - `score`: any callable `(x, args) -> s` of the shape of `x`; it need not be a gradient.
    - `lam`: a scalar >= 0, in units of squared length when the score is the true one.
    - `power`: a scalar > 0.

    **Raises:**

    - `ValueError`: when `lam` or `power` is out of range or not a scalar, or `score` is not
      callable.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.ScoreNormMetric(lambda x, args: -x, lam=2.0)
    >>> print(metric.norm(jnp.array([2.0, 0.0]), jnp.array([0.0, 1.0])))
    3.0
    """

    score: Callable[..., Any]
    lam: Float[Array, ""]
    power: Float[Array, ""]

    def __init__(self, score: Any, lam: Any = 1.0, power: Any = 1.0):
        check_score(score)
        self.score = as_pytree(score)
        self.lam = scalar("lam", lam)
        self.power = scalar("power", power, positive=True)

    def log_factor(self, x, args: Any = None):
        square = jnp.sum(checked(self.score)(x, args) ** 2)
        return self.power.astype(x.dtype) * jnp.log1p(self.lam.astype(x.dtype) * square)
