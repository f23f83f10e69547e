"""DDIM through given levels, with or without new noise, and its inversion with the error."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key, Real

from .._arrays import Numbers, as_floating, takes_arrays
from .._numbers import scalar
from ._base import AbstractScore, check_timed
from ._flow import _level, _predict, ddim


@takes_arrays("x")
def ddim_path(
    score: AbstractScore,
    x: Float[Array, "*shape"],
    ts: Numbers,
    args: Any = None,
    *,
    eta: Real[ArrayLike, ""] = 0.0,
    key: Key[Array, ""] | None = None,
) -> Float[Array, "steps *shape"]:
    """Move `x` through the noise levels `ts` by DDIM, and return every state after the first.

    Use it instead of [`geojax.ddim`][] for levels that are not equally spaced, or for `eta` > 0. A
    step to a lower level then keeps only part of the noise that `eta = 0` would keep, and draws the
    rest again. An `eta` of 1 is DDPM's ancestral sampling.

    **Arguments:**

    - `score`: any [`geojax.AbstractScore`][].
    - `x`: a point of any one shape at level `ts[0]`.
    - `ts`: at least two levels in [0, 1].
    - `args`: passed to the score.
    - `eta`: the share of new noise, in [0, 1].
    - `key`: needed for `eta` > 0.

    **Returns:**

    `len(ts) - 1` points, of the shape and dtype of `x`.

    **Raises:**

    - `ValueError`: when there are fewer than two levels or one is outside [0, 1], or when `eta`
      needs a `key` that is missing.

    Source: Song, Meng & Ermon 2021, "Denoising diffusion implicit models", equation 16.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import DataPrediction, VPLinear, ddim_path
    >>> score = DataPrediction(lambda x, t, args: jnp.ones(2), VPLinear())
    >>> ddim_path(score, jnp.asarray([3.0, -1.0]), jnp.asarray([0.8, 0.5, 0.0]))[-1]
    Array([1., 1.], dtype=...)
    """
    check_timed(score)
    ts = as_floating("ts", ts, "levels")
    _check_levels(ts)
    if len(ts) < 2:
        raise ValueError(f"ts must be at least two levels, got {len(ts)}.")
    drawn = not (isinstance(eta, (int, float)) and eta == 0)
    if drawn and key is None:
        raise ValueError(f"eta = {eta} draws noise: pass key=jax.random.key(seed), or eta=0.0.")
    return _ddim_path(score, x, ts, args, scalar("eta", eta), key if drawn else None)


@eqx.filter_jit
def _ddim_path(score, x, ts, args, eta, key):
    eta = eta.astype(x.dtype)

    def step(x, now):
        i, t, t_next = now
        clean, noise = _predict(score, x, t, args)
        alpha, sigma = _level(score.schedule, t, x.dtype)
        alpha_next, sigma_next = _level(score.schedule, t_next, x.dtype)
        if key is None:
            x = alpha_next * clean + sigma_next * noise
        else:
            # The share of the earlier noise that the later one can contain; none is drawn upwards.
            kept = alpha * sigma_next / (alpha_next * sigma)
            fresh = eta * sigma_next * jnp.sqrt(jnp.maximum(1 - kept**2, 0))
            draw = jax.random.normal(jax.random.fold_in(key, i), x.shape, x.dtype)
            stays = jnp.sqrt(jnp.maximum(sigma_next**2 - fresh**2, 0))
            x = alpha_next * clean + stays * noise + fresh * draw
        return x, x

    steps = jnp.arange(len(ts) - 1)
    return jax.lax.scan(step, x, (steps, ts[:-1], ts[1:]))[1]


def _check_levels(ts) -> None:
    try:
        levels = np.asarray(ts)
    except jax.errors.TracerArrayConversionError:
        return
    outside = levels[~((levels >= 0) & (levels <= 1))]
    if outside.size:
        raise ValueError(
            f"ts must lie in [0, 1], got {outside[0]:g}. Step k of T is t = k / T: step 400 of "
            "1000 is t = 0.4."
        )


class Inversion(NamedTuple):
    """The result of `ddim_inversion`.

    **Arguments:**

    - `point`: the point at the noise level, of the shape of the clean one.
    - `reconstruction`: the clean point that DDIM returns from it.
    - `error`: `|reconstruction - x0| / |x0|`, a scalar.
    """

    point: Float[Array, "*shape"]
    reconstruction: Float[Array, "*shape"]
    error: Float[Array, ""]


@takes_arrays("x0")
def ddim_inversion(
    score: AbstractScore,
    x0: Float[Array, "*shape"],
    t: Real[ArrayLike, ""],
    args: Any = None,
    *,
    num_steps: int = 50,
) -> Inversion:
    """Move a clean point to level `t` by DDIM inversion, and back, to measure the error.

    Each way takes `num_steps` score evaluations. The error is of first order in the step. Where it
    is large, raise `num_steps` or lower the guidance, which increases it.

    **Arguments:**

    - as for [`geojax.ddim`][]: `score`, `args`, `num_steps`.
    - `x0`: a clean point.
    - `t`: the noise level in [0, 1].

    **Returns:**

    An [`geojax.Inversion`][].

    **Raises:**

    - `ValueError`: as `ddim` does.

    >>> import jax.numpy as jnp, geojax
    >>> from geojax.scores import ddim_inversion
    >>> score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=1.0)
    >>> bool(ddim_inversion(score, jnp.ones(2), 0.6).error < 0.05)
    True
    """
    point = ddim(score, x0, 0.0, t, num_steps=num_steps, args=args)
    back = ddim(score, point, t, 0.0, num_steps=num_steps, args=args)
    norms = [jnp.linalg.norm(a.reshape(-1)) for a in (back - x0, x0)]
    return Inversion(point, back, norms[0] / norms[1])
