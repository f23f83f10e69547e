"""The density metric `g(x) = p(x)^(-2 beta) I`."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from .._arrays import as_floating, takes_arrays
from .._functions import as_pytree, checked
from .._linalg import dot
from .._numbers import scalar
from .._quadrature import gauss_points
from ._checks import check_score
from ._conformal import AbstractConformalMetric


class DensityMetric(AbstractConformalMetric):
    """The metric `g(x) = p(x)^(-2 beta) I`: paths through low density are long.

    Use it when geodesics should stay where the density is high. Steep factors attract a geodesic to
    the modes of p, which for images are smooth and faint. The terms of
    [`geojax.SteinScoreMetric`][], which penalise changes of log-density, are the counterweight.

    Where the density is unknown, `log p(x) - log p(reference)` is the integral of s along the
    straight line from the reference: `order` scores per factor. For a score that is not exactly a
    gradient it depends on the reference, and the geodesic equation differentiates the integral
    (`order` scores and VJPs). With `conservative=True`, as with a known density, the geodesic
    equation takes one score and no derivative.

    **Arguments:**

    - `score`: a callable `(x, args) -> s`. A method `log_density(x, args)` gives the density
      itself: `score.at(t)` of an exact density, or `from_log_density(f)`.
    - `beta`: a scalar >= 0.
    - `reference`: a point, of the shape of x, where the factor is 1. Without it the density must be
      known, and log-densities of many dimensions may overflow the factor.
    - `conservative`: whether s is exactly a gradient; only used where the density is unknown.
    - `order`: number of Gauss-Legendre points of a line integral.

    **Raises:**

    - `ValueError`: when `beta` is out of range or not a scalar, `score` is not callable, there is
      neither a log-density nor a reference, the reference has another shape than x, or `order` is
      below 1.

    Source: Yu et al., CVPR 2025.

    >>> import jax.numpy as jnp, geojax
    >>> density = geojax.from_log_density(lambda x, args: -jnp.sum(x**2) / 2)
    >>> metric = geojax.DensityMetric(density, beta=0.5, reference=jnp.zeros(2))
    >>> x, v = jnp.array([2.0, 0.0]), jnp.array([0.0, 1.0])
    >>> print(f"{metric.norm(x, v):.3f}")  # e^1
    2.718
    >>> same = geojax.DensityMetric(lambda x, args: -x, beta=0.5, reference=jnp.zeros(2))
    >>> print(f"{same.norm(x, v):.3f}")
    2.718
    """

    score: Any  # (x, args) -> s, possibly with log_density
    beta: Float[Array, ""]
    reference: Float[Array, "*shape"] | None
    conservative: bool = eqx.field(static=True)
    order: int = eqx.field(static=True)

    def __init__(
        self,
        score: Any,
        beta: Any = 1.0,
        reference: Any = None,
        *,
        conservative: bool = False,
        order: int = 8,
    ):
        check_score(score)
        if reference is None and not hasattr(score, "log_density"):
            raise ValueError(
                "reference must be a point, got None: log p is known up to a constant only from a "
                "score without a method log_density(x, args). Give one, or wrap a log-density: "
                "from_log_density(...)."
            )
        if order < 1:
            raise ValueError(f"order must be at least 1, got {order}.")
        self.score = as_pytree(score)
        self.beta = scalar("beta", beta)
        self.reference = None if reference is None else as_floating("reference", reference)
        self.conservative = conservative
        self.order = order

    @property
    def _knows_density(self) -> bool:
        return hasattr(self.score, "log_density")

    @takes_arrays("x")
    def log_density(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, ""]:
        """log p at `x`, relative to its value at the reference where there is one."""
        if self.reference is None:
            return checked(self.score).log_density(x, args)
        if self.reference.shape != x.shape:
            raise ValueError(
                f"reference must have the shape of the point, {x.shape}, got "
                f"{self.reference.shape}."
            )
        reference = self.reference.astype(x.dtype)
        if self._knows_density:
            log_density = checked(self.score).log_density
            return log_density(x, args) - log_density(reference, args)
        places, weights = gauss_points(self.order, x.dtype)
        delta, score = x - reference, checked(self.score)
        rates = jax.vmap(lambda u: dot(score(reference + u * delta, args), delta))(places)
        return dot(weights, rates)

    def log_factor(self, x, args: Any = None):
        return -2 * self.beta.astype(x.dtype) * self.log_density(x, args)

    def log_factor_gradient(self, x, args: Any = None):
        if not (self._knows_density or self.conservative):
            return super().log_factor_gradient(x, args)
        return -2 * self.beta.astype(x.dtype) * checked(self.score)(x, args)
