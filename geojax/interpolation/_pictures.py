"""From points at a noise level to pictures, a block at a time; and from pictures there."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key

from ..geodesics import AbstractRule
from ..scores import AbstractScore, counted_probability_flow, ddim

Sampler = Literal["ddim", "probability_flow"]
SAMPLERS = ("ddim", "probability_flow")


class Pictures(eqx.Module):
    """Denoises and decodes points of a path, under the condition of their places on it.

    - ``sampler``: "ddim", by ``num_steps`` steps, or "probability_flow", to the tolerance ``rtol``.
    - ``rule``: how many points are seen at once, and on which devices.
    """

    score: AbstractScore
    decode: Callable[[Array], Array]
    conditions: tuple[Any, Any]
    rule: AbstractRule
    t: float = eqx.field(static=True)
    sampler: Sampler = eqx.field(static=True)
    num_steps: int = eqx.field(static=True)
    rtol: float = eqx.field(static=True)

    def of(
        self,
        points: Float[Array, "points *shape"],
        shares: Float[np.ndarray, " points"],
        on_block: Callable[[int], None] = lambda count: None,
    ) -> tuple[Float[np.ndarray, "points *pixels"], int]:
        """Pictures of the points at the parameters ``shares``, and the score evaluations it took.

        ``on_block`` hears after each block how many points are done.
        """
        count = len(points)
        at_once = (self.rule.batch_size or count) * (
            1 if self.rule.devices is None else self.rule.devices.size
        )
        # The last block is filled up, so that one program serves all.
        index = np.minimum(np.arange(count + -count % at_once), count - 1).reshape(-1, at_once)
        host, images, evaluations = np.asarray(points), [], []
        for block in index:
            given = self, jnp.asarray(shares[block], points.dtype), self.t, 0.0
            clean, taken = moved(given, jnp.array(host[block]))
            images.append(np.asarray(_decoded(self, clean)))
            evaluations.append(np.asarray(taken))
            on_block(min(count, len(images) * at_once))
        return np.concatenate(images)[:count], int(np.concatenate(evaluations)[:count].sum())

    def to_level(
        self, clean: Float[Array, "2 *shape"]
    ) -> tuple[Float[Array, "2 *shape"], Float[Array, " 2"], int]:
        """A and B without noise taken to level t, each under its condition, by the sampler
        backwards; by how much that and back changes them, relatively; the evaluations of all of it.
        """
        points, errors, total = [], [], 0
        for x, args in zip(clean, self.conditions, strict=True):
            point, there = move(self, x, 0.0, self.t, args)
            back, and_back = move(self, point, self.t, 0.0, args)
            points.append(point)
            errors.append(jnp.linalg.norm((back - x).ravel()) / jnp.linalg.norm(x.ravel()))
            total += int(there) + int(and_back)
        return jnp.stack(points), jnp.stack(errors), total


def move(pictures: Pictures, x, t_from: float, t_to: float, args) -> tuple[Array, Array]:
    """From one noise level to another, and the score evaluations."""
    if pictures.sampler == "ddim":
        steps = pictures.num_steps
        moved = ddim(pictures.score, x, t_from, t_to, num_steps=steps, args=args)
        return moved, jnp.asarray(steps)
    rtol = pictures.rtol
    return counted_probability_flow(
        pictures.score, x, t_from, t_to, args=args, rtol=rtol, atol=rtol, throw=False
    )


# The points make room for what they become.
@eqx.filter_jit(donate="all-except-first")
def moved(
    given: tuple[Pictures, Array, float, float], points: Array
) -> tuple[Float[Array, "points *shape"], Integer[Array, " points"]]:
    """All of them from one noise level to another, under the conditions of their places on the
    path, and the score evaluations of each.
    """
    pictures, shares, t_from, t_to = given

    def one(z, share):
        def mix(a, b):
            return (1 - share).astype(a.dtype) * a + share.astype(a.dtype) * b

        return move(pictures, z, t_from, t_to, jax.tree.map(mix, *pictures.conditions))

    return pictures.rule.map(one, points, shares)


@eqx.filter_jit
def _decoded(pictures: Pictures, clean: Array) -> Array:
    return pictures.rule.map(pictures.decode, clean)


def shared_noise(
    schedule: Any, clean: Float[Array, "2 *shape"], t: float, key: Key[Array, ""]
) -> tuple[Float[Array, "2 *shape"], Float[Array, "2 *shape"]]:
    """A and B at level t with one noise for both, and that noise, twice."""
    eps = jax.random.normal(key, clean.shape[1:], clean.dtype)
    noise = jnp.stack([eps, eps])
    return schedule.add_noise(clean, noise, t), noise
