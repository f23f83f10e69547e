"""Drawing clean points from a score."""

from typing import Any

import jax
from jaxtyping import Array, Float, Key

from ._base import AbstractScore, check_timed
from ._flow import ddim, probability_flow

SAMPLERS = ("ddim", "probability_flow")


def sample(
    score: AbstractScore,
    shape: tuple[int, ...],
    args: Any = None,
    *,
    key: Key[Array, ""],
    num_steps: int = 50,
    sampler: str = "ddim",
) -> Float[Array, "..."]:
    """Draw one clean point: move noise at level 1 to level 0.

    **Arguments:**

    - `score`: any [`geojax.AbstractScore`][].
    - `shape`: the shape of a point.
    - `args`: passed to the score.
    - `key`: draws the noise.
    - `num_steps`: of DDIM; the other sampler adapts its steps.
    - `sampler`: "ddim" or "probability_flow".

    **Returns:**

    A point of that shape, in JAX's default dtype.

    **Raises:**

    - `ValueError`: on an unknown sampler.

    >>> import jax, jax.numpy as jnp
    >>> from geojax.scores import DataPrediction, VPLinear, sample
    >>> score = DataPrediction(lambda x, t, args: jnp.ones(2), VPLinear())
    >>> sample(score, (2,), key=jax.random.key(0), num_steps=5)
    Array([1., 1.], dtype=...)
    """
    check_timed(score)
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}.")
    noise = jax.random.normal(key, shape)
    x = score.schedule.sigma(1.0).astype(noise.dtype) * noise
    if sampler == "probability_flow":
        return probability_flow(score, x, 1.0, 0.0, args=args)
    return ddim(score, x, 1.0, 0.0, num_steps=num_steps, args=args)
