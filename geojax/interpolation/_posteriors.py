"""The posteriors p(x_0 | x_t) of a score as an exponential family over points and levels.

In units where alpha is 1 a point of spacetime is `(y, level)`, with `y = x / alpha` and
`level = sigma / alpha`. There `eta = (y / level^2, -1 / (2 level^2))`, the mean is the denoised
point D, and the covariance is `level^2` times the derivative of D by y.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import dot, norm
from ..geodesics import AbstractRule
from ..scores import AbstractSchedule, AbstractScore

_BASIS_BATCH = 8  # unit vectors at once, where the divergence is exact
_HALVINGS = 30


class Posteriors(eqx.Module):
    """Moments of the posteriors, and the energies of steps between them.

    `probes` are the vectors of Hutchinson's estimate; None takes the unit vectors.
    """

    score: AbstractScore
    args: Any
    probes: Float[Array, "probes *shape"] | None
    rule: AbstractRule

    def at(
        self, y: Float[Array, "*shape"], t: Float[Array, ""]
    ) -> tuple[Float[Array, "*shape"], Float[Array, ""]]:
        """The mean and the trace of the covariance."""
        alpha = self.score.schedule.alpha(t).astype(y.dtype)
        level = self.score.schedule.noise_to_signal(t).astype(y.dtype)
        mean, derivative = jax.linearize(lambda y: self.score.denoised(alpha * y, t, self.args), y)

        def along(direction):
            return dot(direction, derivative(direction))

        if self.probes is not None:
            return mean, level**2 * jnp.mean(jax.vmap(along)(self.probes.astype(y.dtype)))

        def axes(first):
            # Beyond the last dimension the vectors are zero and add nothing to the sum.
            units = first + jnp.arange(min(_BASIS_BATCH, y.size))
            vectors = jax.vmap(lambda i: jnp.zeros(y.size, y.dtype).at[i].set(1, mode="drop"))
            return jnp.sum(jax.vmap(along)(vectors(units).reshape(-1, *y.shape)))

        if y.size <= _BASIS_BATCH:
            return mean, level**2 * axes(0)
        return mean, level**2 * jnp.sum(jax.lax.map(axes, jnp.arange(0, y.size, _BASIS_BATCH)))

    def of_nodes(
        self, ys: Float[Array, "nodes *shape"], times: Float[Array, " nodes"]
    ) -> tuple[Float[Array, "nodes *shape"], Float[Array, " nodes"]]:
        """`at` for all nodes, batched by the rule."""
        return self.rule.map(self.at, ys, times)


def step_energies(
    ys: Float[Array, "nodes *shape"],
    levels: Float[Array, " nodes"],
    means: Float[Array, "nodes *shape"],
    spreads: Float[Array, " nodes"],
) -> Float[Array, " segments"]:
    """`<Delta eta, Delta mu>` of the steps from node to node.

    It does not depend on the origin of x_0. With the origin in the middle of the two means, the
    difference of the second moments is that of the spreads, and nothing large cancels.
    """

    def one(y0, y1, level0, level1, mean0, mean1, spread0, spread1):
        middle = (mean0 + mean1) / 2
        first = (y1 - middle) / level1**2 - (y0 - middle) / level0**2
        second = (1 / level0**2 - 1 / level1**2) / 2
        return dot(first, mean1 - mean0) + second * (spread1 - spread0)

    return jax.vmap(one)(*(a[k] for a in (ys, levels, means, spreads) for k in (_OLD, _NEW)))


_OLD, _NEW = slice(None, -1), slice(1, None)


def time_of(
    schedule: AbstractSchedule,
    log_level: Float[Array, ""],
    low: Float[Array, ""],
    high: Float[Array, ""],
) -> Float[Array, ""]:
    """The time in [low, high] at which `log(sigma / alpha)` is `log_level`, by bisection.

    Differentiable once in `log_level`, as the last step is Newton's.
    """

    def log_of(t):
        return jnp.log(schedule.noise_to_signal(t)).astype(log_level.dtype)

    wanted = jax.lax.stop_gradient(log_level)

    def halved(_, bounds):
        left, right = bounds
        middle = (left + right) / 2
        above = log_of(middle) > wanted
        return jnp.where(above, left, middle), jnp.where(above, middle, right)

    bounds = jax.lax.fori_loop(0, _HALVINGS, halved, (low, high))
    near = jax.lax.stop_gradient((bounds[0] + bounds[1]) / 2)
    value, slope = jax.jvp(log_of, (near,), (jnp.ones_like(near),))
    value, slope = jax.lax.stop_gradient((value, slope))
    return jnp.clip(near + (log_level - value) / slope, low, high)


def flat_geodesic(
    ends: Float[Array, "2 *shape"],
    bottom: Float[Array, ""],
    top: Float[Array, ""],
    num_segments: int,
) -> tuple[Float[Array, "nodes *shape"], Float[Array, " nodes"], Float[Array, ""]]:
    """The geodesic if all posteriors are Gaussians whose standard deviation is the level.

    That space is hyperbolic. Returns the points and log-levels of its nodes, and its energy.
    """
    size = ends[0].size
    half = norm(ends[1] - ends[0]) / (8 * size) ** 0.5 / jnp.exp(bottom)
    reach = jnp.arcsinh(half)
    s = jnp.linspace(-1, 1, num_segments + 1, dtype=ends.dtype)
    shares = jnp.where(half > 0, jnp.tanh(reach * s) / jnp.where(half > 0, jnp.tanh(reach), 1), s)
    logs = bottom + jnp.log(jnp.cosh(reach)) - jnp.log(jnp.cosh(reach * s))
    ys = jax.vmap(lambda share: (1 - share) / 2 * ends[0] + (1 + share) / 2 * ends[1])(shares)
    return ys, jnp.clip(logs, bottom, top), 4 * size * reach**2


def half_inverse_laplacian(num_segments: int, dtype: Any) -> Float[Array, "inner inner"]:
    """A square root of `(N L)^-1`, with L the second differences of nodes between fixed ends."""
    k = np.arange(1, num_segments)
    roots = 2 * np.sin(np.pi * k / (2 * num_segments)) * num_segments**0.5
    sines = np.sin(np.pi * np.outer(k, k) / num_segments) * (2 / num_segments) ** 0.5
    return jnp.asarray(sines / roots, dtype)


def squared_mean(draws: Float[Array, "draws ..."]) -> Float[Array, ""]:
    """`|E g|^2` from independent draws of g, without bias; from one draw its square."""
    count, total = len(draws), jnp.sum(jnp.sum(draws, axis=0) ** 2)
    if count == 1:
        return total
    return jnp.abs(total - jnp.sum(draws**2)) / (count * (count - 1))
