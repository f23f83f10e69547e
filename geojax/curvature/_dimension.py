"""The dimension of the data around a point, from the score's Jacobian."""

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
    """The spectrum of the denoiser by noise level, and what it says of the dimension.

    - ``ts``: the noise levels, shape (levels,).
    - ``spectrum``: singular values of ``I + sigma^2 J``, largest first, (levels, values).
    - ``dimension``: how many stand before the largest gap; NaN where no gap is clear.
    - ``gap``: the largest drop between neighbours in the spectrum, shape (levels,).
    - ``clear``: whether it is at least ``min_gap``.
    - ``passed``: the trace of ``I + sigma^2 J``, a dimension that counts directions by the share
      that the denoiser lets pass; defined without a gap. ``passed_error``: its standard error.
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
    """How many directions the data have around a point, at several noise levels.

    At noise sigma, small against the bends of the data but larger than their thickness, the
    eigenvalues of the score's Jacobian J are -1 / sigma^2 in the directions normal to the data
    and O(1) in tangent ones (Stanczuk et al., arXiv 2212.12611). Those of ``I + sigma^2 J``, which
    is alpha times the Jacobian of the denoiser, are then 0 and 1: the denoiser lets pass what is
    along the data. The values before the largest gap are counted. As the values fall from 1 to 0,
    a gap of more than 1/2 is the only one; with less there is no clear dimension at that level,
    and none is given: the noise drowns the data or is too large for their bends, or too small for
    their thickness, or the dimension is above ``num_values``. It is at least 1: isolated points
    have no gap either, and ``passed`` near 0.

    - ``x0``: a clean point; the Jacobian is taken at ``alpha x0 + sigma e``, with one noise e for
      all levels, where a network has been trained.
    - ``ts``: noise levels in (0, 1].
    - ``args``: handed to the score.
    - ``key``: for the noise and the random vectors.
    - ``num_values``: how many values are looked at; those of all directions where there are no
      more. A dimension of ``num_values`` or above is not found.
    - ``num_iterations``: of the subspace; more separate values closer together.
    - ``num_probes``: for the rest of the trace, outside the subspace.
    - ``min_gap``: what is a clear gap.
    - ``batch_size``: products made at once. Default: all of a level's.

    Matrix-free: ``2 (num_iterations + 1) (num_values + 8)`` JVPs and VJPs a level, memory
    O(num_values D).

    **Returns:** a `DimensionEstimate`.
    **Raises:** `ValueError` when ``ts`` is not a row of levels or a count is too low.

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
    """How many values stand before the largest drop, and that drop, by level.

    A value 0 stands after all where the spectrum is ``complete``.
    """
    end = jnp.zeros((len(spectrum), int(complete)), spectrum.dtype)
    drops = -jnp.diff(jnp.concatenate([spectrum, end], axis=1), axis=1)
    return 1 + jnp.argmax(drops, axis=1).astype(spectrum.dtype), jnp.max(drops, axis=1)
