"""Spherical linear interpolation."""

import jax
import jax.numpy as jnp

from .._linalg import norm
from ._base import AbstractInterpolator, closed_form_path


class Slerp(AbstractInterpolator):
    """Spherical linear interpolation, and its continuation for t > 1 (Shoemake 1985).

    The path is `sin((1 - t) w) / sin(w) x0 + sin(t w) / sin(w) x1`, with w the angle between the
    points. It is the usual path between Gaussian noises because it keeps their norm. Its ends are
    x0 and x1 exactly. Between points of one direction, or where one is 0, it is `Lerp`. Between
    opposite points every way round is equally short: the path is NaN inside and the result is
    `no_path`.

    >>> import jax.numpy as jnp, geojax
    >>> middle = geojax.Slerp()(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), jnp.array([0.5]))
    >>> print(jnp.round(jnp.linalg.norm(middle), 6))
    1.0
    """

    def run(self, x0, x1, ts, *, key=None):
        return closed_form_path(jax.vmap(lambda t: _at_time(x0, x1, t))(ts))


def _at_time(x0, x1, t):
    """The point at time t, accurate at every angle.

    It is computed in the orthogonal frame of the sum and the difference of the unit vectors. With
    half the angle h, `f = (2 t - 1) h`, `q = sin(f) / sin(h)`, r the mean of the norms and e half
    of their difference, SLERP is `(r cos(f) + e q cos(h)) m + (r q + e cos(f) / cos(h)) d`, with m
    the unit vector between the directions and d half of their difference.
    """
    norms = norm(x0), norm(x1)
    some = (norms[0] > 0) & (norms[1] > 0)
    u0, u1 = (
        x / jnp.where(n > 0, n, jnp.ones_like(n)) for x, n in zip((x0, x1), norms, strict=True)
    )
    mean, excess = (norms[0] + norms[1]) / 2, (norms[1] - norms[0]) / 2
    sum_, half_difference = u0 + u1, (u1 - u0) / 2
    eps = jnp.finfo(x0.dtype).eps
    together = norm(sum_) / 2  # cos(h)
    opposite = some & (together <= 4 * eps)
    together = jnp.where(some & ~opposite, together, jnp.ones_like(together))
    square = jnp.sum(half_difference**2)
    cosine, ratio = _cosine_and_ratio(2 * t - 1, square / together**2)
    along = (mean * cosine + excess * ratio * together) / (2 * together)
    across = mean * ratio + excess * cosine / together
    point = along * sum_ + across * half_difference
    # Opposite points have no unique path, but the ends are still defined.
    point = jnp.where(opposite, jnp.full_like(point, jnp.nan), point)
    point = jnp.where(some, point, (1 - t) * x0 + t * x1)
    for time, end in ((0, x0), (1, x1)):
        # The exact value of the end, with the derivatives of the path.
        exactly = jax.lax.stop_gradient(end) + (point - jax.lax.stop_gradient(point))
        exactly = jnp.where(opposite, end, exactly)
        point = jnp.where(t == time, exactly, point)
    return point


def _cosine_and_ratio(place, square_tangent):
    """`cos(p h)` and `sin(p h) / sin(h)` as functions of tan(h)^2, which are smooth at 0."""
    eps = jnp.finfo(square_tangent.dtype).eps
    small = square_tangent < eps**0.5
    half = jnp.arctan(jnp.sqrt(jnp.where(small, jnp.ones_like(square_tangent), square_tangent)))
    turn, square = place * half, jnp.where(small, square_tangent, jnp.zeros_like(square_tangent))
    cosine = jnp.where(small, 1 - place**2 * square / 2, jnp.cos(turn))
    near = place * (1 + (1 - place**2) * square / 6)
    return cosine, jnp.where(small, near, jnp.sin(turn) / jnp.sin(half))
