"""Denoising score matching: training a network as a score (Vincent 2011; Ho et al. 2020)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Key, PyTree, Real, Scalar

from .._arrays import takes_arrays
from ._base import AbstractScore, check_timed


@takes_arrays("x0", "eps")
def denoising_score_matching_loss(
    score: AbstractScore,
    x0: Float[Array, "*shape"],
    t: Real[ArrayLike, ""],
    eps: Float[Array, "*shape"],
    args: Any = None,
    *,
    weighting: str = "noise",
) -> Scalar:
    """The denoising score matching loss at one clean point, one time and one noise.

    It is `mean |eps + sigma s(alpha x0 + sigma eps, t)|^2`, the squared error of the predicted
    noise (`weighting="noise"`), or that over alpha^2 (`weighting="velocity"`), which gives high
    noise levels more weight. The latter is the squared error of the predicted velocity, both of a
    variance-preserving schedule and of flow matching. For [`geojax.FlowPrediction`][] on
    [`geojax.RectifiedFlow`][] it is the loss of flow matching, `mean |v - (eps - x0)|^2`, at every
    t in (0, 1].

    **Arguments:**

    - `score`: any [`geojax.AbstractScore`][].
    - `x0`, `eps`: the clean point and the noise, of one shape.
    - `t`: the time in [0, 1].
    - `args`: passed to the score.
    - `weighting`: "noise" or "velocity".

    **Returns:**

    A scalar.

    **Raises:**

    - `ValueError`: on an unknown weighting.

    >>> import jax.numpy as jnp, geojax
    >>> from geojax.scores import denoising_score_matching_loss
    >>> score = geojax.Empirical(jnp.zeros((1, 2)))  # one datum: its noise is known
    >>> loss = denoising_score_matching_loss(score, jnp.zeros(2), 0.5, jnp.array([1.0, -2.0]))
    >>> print(f"{loss:.3f}")
    0.000
    """
    if weighting not in ("noise", "velocity"):
        raise ValueError(f"weighting must be 'noise' or 'velocity', got {weighting!r}.")
    check_timed(score)
    x = score.schedule.add_noise(x0, eps, t)
    if weighting == "velocity":  # (eps - noise) / alpha, without a division by alpha = 0
        residual = (score.denoised(x, t, args) - x0) / score.schedule.sigma(t).astype(x.dtype)
    else:
        residual = eps - score.predicted_noise(x, t, args)
    return jnp.mean(residual**2)


@takes_arrays("x0")
def batch_loss(
    score: AbstractScore,
    x0: Float[Array, "batch *shape"],
    args: PyTree,
    *,
    key: Key[Array, ""],
    weighting: str = "noise",
    time_power: float = 1.0,
    time_min: float = 1e-3,
) -> Scalar:
    """The mean loss of a batch, with times `t = time_min + (1 - time_min) u^time_power`.

    The `u` are stratified over the batch (one uniform draw in each of `batch` equal cells), which
    lowers the variance of the loss.

    **Arguments:**

    - `score`: any [`geojax.AbstractScore`][].
    - `x0`: clean points, shape `(batch, *shape)`.
    - `args`: with a leading batch axis, or None.
    - `key`: draws times and noise.
    - `weighting`: as for [`geojax.denoising_score_matching_loss`][].
    - `time_power`, `time_min`: as above.

    **Returns:**

    A scalar.

    >>> import jax, jax.numpy as jnp, geojax
    >>> from geojax.scores import batch_loss
    >>> score = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=1.0)
    >>> loss = batch_loss(score, jnp.ones((8, 2)), None, key=jax.random.key(0))
    >>> loss.shape
    ()
    """
    time_key, noise_key = jax.random.split(key)
    n = x0.shape[0]
    u = (jnp.arange(n, dtype=x0.dtype) + jax.random.uniform(time_key, (n,), dtype=x0.dtype)) / n
    t = time_min + (1 - time_min) * u**time_power
    eps = jax.random.normal(noise_key, x0.shape, dtype=x0.dtype)

    def one(x0, t, eps, args):
        return denoising_score_matching_loss(score, x0, t, eps, args, weighting=weighting)

    return jnp.mean(jax.vmap(one)(x0, t, eps, args))


@takes_arrays("x0")
@eqx.filter_jit
def training_step(
    score: AbstractScore,
    optimiser: optax.GradientTransformation,
    state: PyTree,
    x0: Float[Array, "batch *shape"],
    args: PyTree,
    *,
    key: Key[Array, ""],
    weighting: str = "noise",
    time_power: float = 1.0,
) -> tuple[AbstractScore, PyTree, Scalar]:
    """Take one step of an optax optimiser on `batch_loss`.

    **Arguments:**

    - `optimiser`: an `optax.GradientTransformation`.
    - `state`: its state; start with `optimiser.init(eqx.filter(score, eqx.is_inexact_array))`.
    - the others are those of [`geojax.scores.batch_loss`][].

    **Returns:**

    The new score, the new optimiser state, and the loss before the step.

    >>> import equinox as eqx, jax, jax.numpy as jnp, optax, geojax
    >>> from geojax.scores import batch_loss, training_step
    >>> score, optimiser = geojax.GaussianMixture(jnp.ones((1, 2))), optax.adam(0.1)
    >>> state = optimiser.init(eqx.filter(score, eqx.is_inexact_array))
    >>> x0, key = jnp.zeros((64, 2)), jax.random.key(0)
    >>> before = batch_loss(score, x0, None, key=key)
    >>> for _ in range(3):
    ...     score, state, _ = training_step(score, optimiser, state, x0, None, key=key)
    >>> bool(batch_loss(score, x0, None, key=key) < before)
    True
    """
    loss, grads = eqx.filter_value_and_grad(batch_loss)(
        score, x0, args, key=key, weighting=weighting, time_power=time_power
    )
    with jax.numpy_dtype_promotion("standard"):  # optax multiplies its integer step by floats
        updates, state = optimiser.update(grads, state, eqx.filter(score, eqx.is_inexact_array))
    return eqx.apply_updates(score, updates), state, loss
