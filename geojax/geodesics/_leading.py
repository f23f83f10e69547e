"""An easier metric whose geodesic is a start for that of a harder one."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..metrics import AbstractMetric, JacobianMetric, SteinScoreMetric
from ..scores import score_contrast


def leading_metric(
    metric: AbstractMetric, x0: Array, x1: Array, args: Any
) -> AbstractMetric | None:
    """The metric `I + lam s s^T` of the score of a `JacobianMetric`, or None.

    The Jacobian metric may stand alone or in a sum or multiple. `lam` is that of `score_contrast`
    for this chord. None where there is no such part or no such lam.

    From the straight line its solver finds a way along the data where that of J^T J may not: J^T J
    is steep in many directions and flat far from the data.
    """
    part = _jacobian(metric)
    if part is None:
        return None
    lam = score_contrast(part.score, x0[None], x1[None], args).lam
    return SteinScoreMetric(part.score, lam) if bool(jnp.isfinite(lam)) else None


def _jacobian(metric: AbstractMetric) -> JacobianMetric | None:
    """The first Jacobian metric in a sum or multiple."""
    wanted = lambda node: isinstance(node, JacobianMetric)  # noqa: E731
    return next(filter(wanted, jax.tree.leaves(metric, is_leaf=wanted)), None)
