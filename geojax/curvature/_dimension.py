"""The dimension of the data around a point, from the Jacobian of the score."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from .._arrays import Numbers, as_floating, takes_arrays
from .._functions import explained_derivatives
from ..scores import AbstractScore
from ._spectrum import leading_singular_values


class DimensionEstimate(eqx.Module):
    """The spectrum of the denoiser by noise level, and the dimension that follows from it.

    **Arguments:**

    - `ts`: the noise levels, shape `(levels,)`.
    - `spectrum`: singular values of `I + sigma^2 J`, largest first, shape `(levels, values)`.
    - `dimension`: the number of values before the largest gap, shape `(levels,)`; NaN if no gap is
      clear.
    - `gap`: the largest drop between neighbours in the spectrum, shape `(levels,)`.
    - `clear`: whether it is at least `min_gap`.
    - `passed`: the trace of `I + sigma^2 J`, a dimension that counts each direction by the share
      that the denoiser keeps. It is defined without a gap.
    - `passed_error`: its standard error.
    """

    ts: Float[Array, " levels"]
    spectrum: Float[Array, "levels values"]
    dimension: Float[Array, " levels"]
    gap: Float[Array, " levels"]
    clear: Bool[Array, " levels"]
    passed: Float[Array, " levels"]
    passed_error: Float[Array, " levels"]


@explained_derivatives()
@takes_arrays("x0")
def intrinsic_dimension(
    score: AbstractScore,
    x0: Float[Array, "*shape"],
    ts: Numbers,
    args: Any = None,
    *,
    key: Key[Array, ""],
    num_values: int = 64,
    num_iterations: int = 1,
    num_probes: int = 8,
    min_gap: float = 0.5,
    batch_size: int | None = None,
) -> DimensionEstimate:
    """The number of directions of the data around a point, at several noise levels.

    Use it to see how many dimensions the data have locally. Let the noise sigma be small against
    the radius of curvature of the data and large against their thickness. Then the eigenvalues of
    the score's Jacobian J are -1 / sigma^2 in the directions normal to the data and O(1) in tangent
    ones. Those of `I + sigma^2 J`, which is alpha times the Jacobian of the denoiser, are then 0
    and 1: the denoiser keeps what lies along the data. The values before the largest gap are
    counted.

    The values fall from 1 to 0, so a gap above 1/2 is the only one of its size. With a smaller gap
    the dimension is NaN at that level. The noise then hides the data, is too large for their
    curvature or too small for their thickness, or the dimension is above `num_values`. The
    dimension is at least 1: isolated points have no gap either, and `passed` near 0.

    No matrix is formed: `2 (num_iterations + 1) (num_values + 8)` JVPs and VJPs a level, and memory
    O(num_values D).

    **Arguments:**

    - `score`: a score with noise levels.
    - `x0`: a clean point. The Jacobian is taken at `alpha x0 + sigma e`, where a network has been
      trained, with one noise e for all levels.
    - `ts`: noise levels in (0, 1], shape `(levels,)`.
    - `args`: passed to the score.
    - `key`: for the noise and the random vectors.
    - `num_values`: how many singular values are computed, at most D. A dimension of `num_values` or
      above is not found.
    - `num_iterations`: of the subspace iteration; more separate values that are closer together.
    - `num_probes`: for the rest of the trace, outside the subspace.
    - `min_gap`: the least size of a clear gap.
    - `batch_size`: products computed at once. Default: all of a level.

    **Returns:**

    A [`geojax.DimensionEstimate`][].

    **Raises:**

    - `ValueError`: when `ts` is not a row of levels or a count is too low.
    - a run-time error: when a level is outside (0, 1].

    Source: Stanczuk et al., arXiv 2212.12611.

    >>> import jax, jax.numpy as jnp, geojax
    >>> key = jax.random.key(0)
    >>> rows = geojax.scores.random_embedding(4, 30, key=key)
    >>> sphere = geojax.NoisedSphere(1.0, dim=4, embedding=rows)  # S^3 in R^30
    >>> found = geojax.intrinsic_dimension(sphere, rows[0], jnp.array([0.05, 0.9]), key=key)
    >>> found.dimension.tolist()
    [3.0, nan]
    """
    ts = as_floating("ts", ts, "levels")
    counts = (
        ("num_values", num_values, 2),
        ("num_probes", num_probes, 1),
        ("num_iterations", num_iterations, 0),
    )
    for name, count, least in counts:
        if count < least:
            raise ValueError(f"{name} must be at least {least}, got {count}.")
    ts = eqx.error_if(ts, ~((ts > 0) & (ts <= 1)), "ts must lie in (0, 1].")
    return _profile(
        score, x0, ts, args, key, num_values, num_iterations, num_probes, min_gap, batch_size
    )


@eqx.filter_jit
def _profile(
    score, x0, ts, args, key, num_values, num_iterations, num_probes, min_gap, batch_size
) -> DimensionEstimate:
    noise_key, subspace_key, probe_key = jax.random.split(key, 3)
    noise = jax.random.normal(noise_key, x0.shape, x0.dtype)
    signs = jax.random.rademacher(probe_key, (num_probes, x0.size), x0.dtype)

    def at_level(t):
        schedule = score.schedule
        x = schedule.add_noise(x0, noise, t)
        variance = schedule.sigma(t).astype(x.dtype) ** 2
        denoise = lambda y: y + variance * score(y, t, args)  # noqa: E731
        product = lambda v: jax.jvp(denoise, (x,), (v,))[1]  # noqa: E731
        transposed = lambda w: jax.vjp(denoise, x)[1](w)[0]  # noqa: E731
        spectrum, traces = leading_singular_values(
            product,
            transposed,
            x,
            min(num_values, x.size),
            signs,
            key=subspace_key,
            num_iterations=num_iterations,
            batch_size=batch_size,
        )
        error = jnp.std(traces, ddof=1) / num_probes**0.5 if num_probes > 1 else jnp.nan
        return spectrum, jnp.mean(traces), jnp.asarray(error, x.dtype)

    spectrum, passed, error = jax.lax.map(at_level, ts)
    dimension, gap = largest_gap(spectrum, complete=spectrum.shape[1] == x0.size)
    clear = gap >= min_gap
    dimension = jnp.where(clear, dimension, jnp.nan)
    return DimensionEstimate(ts, spectrum, dimension, gap, clear, passed, error)


def largest_gap(
    spectrum: Float[Array, "levels values"], *, complete: bool
) -> tuple[Float[Array, " levels"], Float[Array, " levels"]]:
    """The number of values before the largest drop, and that drop, by level.

    If the spectrum is `complete`, a value 0 follows it.
    """
    end = jnp.zeros((len(spectrum), int(complete)), spectrum.dtype)
    drops = -jnp.diff(jnp.concatenate([spectrum, end], axis=1), axis=1)
    return 1 + jnp.argmax(drops, axis=1).astype(spectrum.dtype), jnp.max(drops, axis=1)
