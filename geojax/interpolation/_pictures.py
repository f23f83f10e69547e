"""From points at the level of a pipeline to images, a block at a time."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from ..geodesics import AbstractRule
from ..scores import AbstractPipeline, NoiseRoute


def pictures(
    pipeline: AbstractPipeline,
    rule: AbstractRule,
    points: Float[Array, "points *shape"],
    shares: Float[np.ndarray, " points"],
    on_block: Callable[[int], None] = lambda count: None,
) -> tuple[Float[np.ndarray, "points *pixels"], int]:
    """Images of the points at the times `shares` of a path, and the score evaluations they took.

    `rule` sets how many points are computed at once and on which devices. `on_block` is called
    after each block with the number of finished points.
    """
    count = len(points)
    at_once = (rule.batch_size or count) * (1 if rule.devices is None else rule.devices.size)
    # The last block is padded, so that one compiled program serves all.
    index = np.minimum(np.arange(count + -count % at_once), count - 1).reshape(-1, at_once)
    host, images, evaluations = np.asarray(points), [], []
    for block in index:
        given = pipeline, rule, jnp.asarray(shares[block], points.dtype)
        clean, taken = denoised(given, jnp.array(host[block]))
        images.append(np.asarray(_decoded(pipeline, rule, clean)))
        evaluations.append(np.asarray(taken))
        on_block(min(count, len(images) * at_once))
    return np.concatenate(images)[:count], int(np.concatenate(evaluations)[:count].sum())


# The buffer of the points is reused for the result.
@eqx.filter_jit(donate="all-except-first")
def denoised(
    given: tuple[AbstractPipeline, AbstractRule, Array], points: Array
) -> tuple[Float[Array, "points *shape"], Integer[Array, " points"]]:
    """All points without their noise, and the score evaluations of each.

    Each is denoised under the conditions at its place on the path.
    """
    pipeline, rule, shares = given
    return rule.map(pipeline.denoised, points, shares)


@eqx.filter_jit(donate="all-except-first")
def moved(
    given: tuple[NoiseRoute, AbstractRule, Array, float, float], points: Array
) -> tuple[Float[Array, "points *shape"], Integer[Array, " points"]]:
    """All points moved from one noise level to another, and the score evaluations of each."""
    route, rule, shares, t_from, t_to = given
    return rule.map(lambda z, share: route.move(z, t_from, t_to, share), points, shares)


@eqx.filter_jit
def _decoded(pipeline: AbstractPipeline, rule: AbstractRule, clean: Array) -> Array:
    return rule.map(pipeline.decode, clean)
