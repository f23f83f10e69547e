"""Nothing of size D^2 is made: read off the programs, at D = 4096."""

import jax
import jax.numpy as jnp
import pytest

import geojax
from geojax import PoleLadder, SteinScoreMetric
from geojax.curvature import estimate_log_volume_element
from geojax.geodesics import Polyline
from tests.metrics.fields import gradient, whirl

SHAPE, SIZE = (1, 64, 64), 4096
ANY = SteinScoreMetric(whirl, 1.0) + SteinScoreMetric(gradient, 0.5)
GRADIENT = SteinScoreMetric(gradient, 1.0, conservative=True)
CURVE = Polyline(jnp.linspace(0, 1, 3), jnp.ones((3, *SHAPE)))
PROGRAMS = {
    "riemann": lambda x, v: geojax.riemann_curvature(ANY, x, x, v, v),
    "riemann of a gradient": lambda x, v: geojax.riemann_curvature(GRADIENT, x, x, v, v),
    "sectional": lambda x, v: geojax.sectional_curvature(ANY, x, x, v),
    "ricci": lambda x, v: geojax.ricci_curvature(ANY, x, v).value,
    "ricci by probes": lambda x, v: geojax.ricci_curvature(ANY, x, v, probes=v[None]).value,
    "scalar": lambda x, v: geojax.scalar_curvature(GRADIENT, x).value,
    "transport": lambda x, v: geojax.parallel_transport(ANY, CURVE, v).vectors,
    "ladder": lambda x, v: geojax.parallel_transport(ANY, CURVE, v, method=PoleLadder()).vectors,
    "jacobi": lambda x, v: geojax.exponential_derivative(ANY, x, v, v),
    "volume": lambda x, v: estimate_log_volume_element(ANY, x, v[None], num_steps=8).value,
    "descent": lambda x, v: (
        geojax.riemannian_gradient_descent(
            ANY, lambda y: jnp.sum(y**2), x, learning_rate=0.1, num_steps=4
        ).xs
    ),
    "dimension": lambda x, v: (
        geojax.intrinsic_dimension(
            geojax.NoisedSphere(1.0), x, jnp.array([0.1]), key=jax.random.key(0), num_values=8
        ).spectrum
    ),
}


def largest(jaxpr):
    """The size of the largest array in a program, sub-programs included."""
    sizes = [0]
    for equation in jaxpr.eqns:
        sizes += [getattr(out.aval, "size", 0) for out in equation.outvars]
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else [value]:
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    sizes.append(largest(inner))
    return max(sizes)


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_of_size_d_squared_is_made(name):
    points = jnp.ones(SHAPE), jnp.zeros(SHAPE)
    found = largest(jax.make_jaxpr(PROGRAMS[name])(*points).jaxpr)
    # 33 nodes of a curve, 16 + 8 vectors of a subspace, 15 of a step, and what they come with.
    assert SIZE <= found <= 64 * SIZE
