"""One sample for all fits, so that a solver is compiled once for them all; and its truth."""

import jax
import jax.numpy as jnp

import geojax

SETTINGS = {"num_segments": 4, "discretisation_tolerance": 0.1}
POINTS = 0.2 * jax.random.normal(jax.random.key(3), (7, 3)) + jnp.asarray([[0.1, -0.2, 0.0]])
WEIGHTS = jnp.asarray([1.0, 2.0, 1.0, 0.5, 3.0, 1.0, 1.5])
SHARES = WEIGHTS / jnp.sum(WEIGHTS)


def ball(radius):
    """Hyperbolic space; with a huge radius flat space, its metric 4 times the identity."""
    return geojax.metrics.PoincareBall(jnp.asarray(float(radius)))


FLAT = ball(1e8)


def closed_form_mean(space, points, shares):
    """By the Karcher flow with closed-form maps."""

    @jax.jit
    def step(mean):
        logs = jax.vmap(lambda x: space.log_map(mean, x))(points)
        return space.exponential_map(mean, jnp.tensordot(shares, logs, axes=1))

    mean = points[0]
    for _ in range(60):
        mean = step(mean)
    return mean
