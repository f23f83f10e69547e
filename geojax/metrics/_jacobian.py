"""The score Jacobian metric `g(x) = mu I + lam J(x)^T J(x)`."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float

from .._functions import as_pytree, checked
from .._numbers import scalar
from ._checks import check_score
from ._pullback import AbstractPullbackMetric


class JacobianMetric(AbstractPullbackMetric):
    """The metric `g(x) = mu I + lam J^T J`, with J the Jacobian of a score.

    It penalises motion in every direction in which the score changes, hence in all directions
    normal to the data; [`geojax.SteinScoreMetric`][] penalises one. The change of the score between
    its ends gives the length of a segment, so path energies take only forward evaluations, one per
    node. `flat` costs one JVP and one VJP; `sharp` and `acceleration` solve with such products by
    conjugate gradients.

    **Arguments:**

    - `score`: any callable `(x, args) -> s` of the shape of `x`; it need not be a gradient.
    - `lam`: a scalar >= 0, in units of length^4 when the score is the true one.
    - `mu`: a scalar > 0.

    **Raises:**

    - `ValueError`: when `lam` or `mu` is out of range or not a scalar, or `score` is not callable.

    Source: Saito & Matsubara 2025.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.JacobianMetric(lambda x, args: -2 * x, lam=0.5)
    >>> print(metric.flat(jnp.zeros(2), jnp.array([1.0, 2.0])))
    [3. 6.]
    """

    score: Callable[..., Any]
    lam: Float[Array, ""]
    mu: Float[Array, ""]

    def __init__(self, score: Any, lam: Any = 1.0, mu: Any = 1.0):
        check_score(score)
        self.score = as_pytree(score)
        self.lam = scalar("lam", lam)
        self.mu = scalar("mu", mu, positive=True)

    def parts(self):
        return self.mu, self.lam, checked(self.score)
