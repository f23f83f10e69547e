"""Nothing of size D^2 is made, and no product is imprecise: read off the programs, at D = 4096."""

import jax
import jax.numpy as jnp
import optax
import optimistix as optx
import pytest

import geojax
from geojax import JacobianMetric, PoleLadder, ScoreNormMetric, SteinScoreMetric
from geojax.curvature import estimate_log_volume_element
from geojax.geodesics import CubicSpline
from tests.metrics.fields import gradient, swirl, whirl
from tests.programs import imprecise_products, largest_array

SHAPE, SIZE = (1, 64, 64), 4096
ANY = SteinScoreMetric(whirl, 1.0) + SteinScoreMetric(gradient, 0.5)
GRADIENT = SteinScoreMetric(gradient, 1.0, conservative=True)
SQUARES = JacobianMetric(swirl, 0.1) + ScoreNormMetric(whirl, 0.1) + ANY
OPTIONS = {"num_segments": 4, "max_steps": 5, "throw": False}
THREE = jnp.linspace(0, 1, 3).reshape(3, 1, 1, 1)
CURVE = CubicSpline(jnp.linspace(0, 1, 3), jnp.ones((3, *SHAPE)))


def solved(metric, solver=None, **options):
    return lambda x, v: geojax.geodesic(metric, x, v, solver=solver, **OPTIONS | options).energy


def of_three(fit, *arguments):
    """A fit to three points."""
    return lambda x, v: fit(ANY, x[None] + THREE * (v - x)[None], *arguments, **OPTIONS)


PROGRAMS = {
    "Gauss-Newton": solved(ANY),
    "Gauss-Newton by scores": solved(ANY, rule=geojax.Quadrature()),
    "sums of squares": solved(SQUARES),
    "GEORCE": solved(ANY, geojax.Georce()),
    "shooting": solved(ANY, geojax.Shooting()),
    "L-BFGS": solved(ANY, geojax.PathEnergy(optx.LBFGS(1e-6, 1e-6))),
    "Adam": solved(ANY, geojax.PathEnergy(optax.adam(0.1))),
    "continuation": solved(ANY, geojax.LambdaContinuation(geojax.GaussNewton())),
    "gradient of a distance": jax.grad(
        lambda x, v: geojax.distance(SQUARES, x, v, **OPTIONS), argnums=(0, 1)
    ),
    "derivative of a path": jax.grad(
        lambda x, v: jnp.sum(geojax.geodesic(ANY, x, v, **OPTIONS).curve.xs ** 3)
    ),
    "batch": lambda x, v: (
        geojax.geodesic_batch(ANY, jnp.stack([x, v]), jnp.stack([v, x]), **OPTIONS).energy
    ),
    "exponential map": lambda x, v: geojax.exponential_map(ANY, x, v, throw=False).final_velocity,
    "logarithm": lambda x, v: geojax.log_map(ANY, x, v, **OPTIONS),
    "Frechet mean": lambda x, v: of_three(geojax.frechet_mean)(x, v).point,
    "principal geodesics": lambda x, v: of_three(geojax.principal_geodesics, 1)(x, v).components,
    "regression": lambda x, v: (
        geojax.geodesic_regression(
            ANY, jnp.arange(3.0), x[None] + THREE * (v - x)[None], **OPTIONS
        ).velocity
    ),
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
            ANY, lambda y: jnp.sum(y**2), x, learning_rate=0.1, max_steps=4
        ).xs
    ),
    "dimension": lambda x, v: (
        geojax.intrinsic_dimension(
            geojax.NoisedSphere(1.0), x, jnp.array([0.1]), key=jax.random.key(0), num_values=8
        ).spectrum
    ),
}


QUICK = ("Gauss-Newton", "sums of squares", "batch", "exponential map", "riemann", "transport")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in PROGRAMS]
)
def test_nothing_of_size_d_squared_is_made(name):
    points = jnp.ones(SHAPE), jnp.zeros(SHAPE)
    program = jax.make_jaxpr(PROGRAMS[name])(*points).jaxpr
    assert not imprecise_products(program)
    found = largest_array(program)
    # 33 nodes a shot, 16 + 8 vectors of a subspace, 10 pairs of paths that L-BFGS keeps, ...
    assert SIZE <= found <= SIZE**2 / 16


def test_a_dense_metric_on_request_does():
    """So the tests above can fail."""
    program = jax.make_jaxpr(ANY.as_matrix)(jnp.ones(SHAPE))
    assert largest_array(program.jaxpr) >= SIZE**2
