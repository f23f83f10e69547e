"""Scores with known geodesics, and the truth about them by one-dimensional quadrature."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.integrate import quad
from scipy.optimize import brentq

import geojax


def shell(radius, width, embedding=None):
    """A ring, or a Gaussian where `radius` is 0."""
    return geojax.Shell(radius, width, embedding=embedding)


def metric(radius, width, lam, embedding=None):
    return geojax.SteinScoreMetric(shell(radius, width, embedding), jnp.asarray(float(lam)))


def on_circle(radius, angle):
    return jnp.asarray([radius * np.cos(angle), radius * np.sin(angle)])


def angular_momentum(x, v):
    (x0, x1), (v0, v1) = np.moveaxis(np.asarray(x), -1, 0), np.moveaxis(np.asarray(v), -1, 0)
    return x0 * v1 - x1 * v0


class Blobs(eqx.Module):
    """The log-density `logsumexp_k -(|x - c_k| - R_k)^2 / (2 w_k^2)`: Gaussians and rings."""

    centres: Float[Array, "k *shape"]
    radii: Float[Array, " k"]
    widths: Float[Array, " k"]

    def _parts(self, x):
        rest = x[None] - self.centres
        axes = tuple(range(1, rest.ndim))
        r = jnp.sqrt(jnp.sum(rest**2, axis=axes) + 1e-30)
        logs = -((r - self.radii) ** 2) / (2 * self.widths**2)
        pulls = (self.radii / r - 1) / self.widths**2
        return logs, pulls, rest

    def __call__(self, x, args: Any = None):
        logs, pulls, rest = self._parts(x)
        return jnp.tensordot(jax.nn.softmax(logs) * pulls, rest, axes=1)

    def log_density(self, x, args: Any = None):
        return jax.nn.logsumexp(self._parts(x)[0])


class Matrix(eqx.Module):
    """The matrix of a metric, a function for `geojax.DenseMetric`."""

    metric: geojax.metrics.AbstractMetric

    def __call__(self, x, args: Any = None):
        return self.metric.as_matrix(x, args)


def clairaut_length(radius, width, lam, start, end, angle):
    """The length of the geodesic of `clairaut`."""
    return clairaut(radius, width, lam, start, end, angle)[0]


def clairaut_velocities(radius, width, lam, start, end, angle):
    """Its velocities over unit time, as (r', r theta') at both ends."""
    length, c, turns = clairaut(radius, width, lam, start, end, angle)
    found = []
    for r, inwards in ((start, turns or end < start), (end, end < start and not turns)):
        slope = np.sqrt(1 + lam * ((r - radius) / width**2) ** 2)
        radial = np.sqrt(max(1 - (c / r) ** 2, 0.0)) / slope
        found.append(length * np.array([-radial if inwards else radial, c / r]))
    return found


def clairaut(radius, width, lam, start, end, angle):
    """The length, c, and whether r falls and rises again, of the geodesic around a density that
    depends on r alone, between points at the radii `start` and `end` whose directions differ by
    `angle`.

    On the surface of revolution of height `sqrt(lam) f(r)` Clairaut's relation makes
    `c = r^2 theta'` constant (at unit speed). Either r changes all the way, or it falls to c and
    rises again. With `r^2 = c^2 + u^2` no integral is singular at c.
    """
    near, far = min(start, end), max(start, end)

    def rate(r):
        return np.sqrt(1 + lam * ((r - radius) / width**2) ** 2)

    def between(integrand, c, turns):
        low, high = (np.sqrt(max(r**2 - c**2, 0.0)) for r in (near, far))
        return _integral(lambda u: integrand(np.hypot(c, u)), -low if turns else low, high)

    def excess(c, turns):
        return between(lambda r: c / r**2 * rate(r), c, turns) - angle

    turns = excess(near, True) < 0
    c = brentq(excess, 1e-3, near, args=(turns,), xtol=1e-15, rtol=1e-15)
    return between(rate, c, turns), c, turns


def _integral(function, low, high):
    return quad(function, low, high, epsabs=1e-13, epsrel=1e-13, limit=200)[0]


def climb(radius, width, lam, start, end):
    """The length of a radial path: `integral sqrt(1 + lam f'(r)^2) dr`, in closed form."""
    k = np.sqrt(lam) / width**2

    def primitive(r):
        z = k * (r - radius)
        return (z * np.sqrt(1 + z**2) + np.arcsinh(z)) / (2 * k)

    return abs(primitive(end) - primitive(start))
