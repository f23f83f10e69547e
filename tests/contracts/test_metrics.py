"""What every metric promises. A new metric is one line in `NAMED_METRICS`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

import geojax
from geojax import (
    DenseMetric,
    DensityMetric,
    Euclidean,
    JacobianMetric,
    OperatorMetric,
    PullbackMetric,
    ScoreNormMetric,
    SmoothedSteinScoreMetric,
    SteinScoreMetric,
)
from geojax.metrics import (
    AbstractMetric,
    AbstractSumOfSquaresMetric,
    PoincareBall,
    SampledPath,
    StereographicSphere,
)
from tests.metrics.fields import (
    banded,
    decoder,
    gradient,
    matrix,
    points,
    potential,
    sampled,
    swirl,
    whirl,
)
from tests.programs import largest_array


def centre(shape):
    return jnp.full(shape, 0.1)


def smoothed(shape):
    key = jax.random.key(0)
    return SmoothedSteinScoreMetric.draw(swirl, shape, 3, delta=0.3, lam=0.5, key=key)


STEIN = SteinScoreMetric(gradient, 0.7, conservative=True)
DENSITY = geojax.from_log_density(potential)

# Each from the shape of a point: some hold points.
NAMED_METRICS = {
    "Euclidean": lambda _: Euclidean(),
    "Stein of a gradient": lambda _: STEIN,
    "Stein of any score": lambda _: SteinScoreMetric(whirl, 1.3),
    "Stein with lam 0": lambda _: SteinScoreMetric(whirl, 0.0),
    "smoothed Stein": smoothed,
    "Jacobian": lambda _: JacobianMetric(swirl, 0.4, mu=0.8),
    "pullback": lambda _: PullbackMetric(decoder, eps=0.1),
    "score norm": lambda _: ScoreNormMetric(whirl, 0.02, power=1.5),
    "density": lambda shape: DensityMetric(DENSITY, 0.05, centre(shape)),
    "density by line integrals": lambda shape: DensityMetric(swirl, 0.05, centre(shape), order=4),
    "sphere": lambda _: StereographicSphere(3.0),
    "hyperbolic space": lambda _: PoincareBall(15.0),
    "operator": lambda _: OperatorMetric(banded),
    "diagonal operator": lambda _: OperatorMetric(lambda x, _: lx.DiagonalLinearOperator(1 + x**2)),
    "dense": lambda _: DenseMetric(matrix),
    "low-rank, nested": lambda _: 0.5 * (2.0 * (STEIN + Euclidean()) + 3 * STEIN),
    "conformal and low-rank": lambda _: ScoreNormMetric(swirl, 0.1) + 0.5 * STEIN,
    "Jacobian and Stein": lambda _: 2.0 * (JacobianMetric(swirl, 0.2) + SteinScoreMetric(swirl)),
    "dense and low-rank": lambda _: 0.1 * (2.0 * DenseMetric(matrix) + 0.7 * STEIN),
}
# Sums, whose products the quick tier has too, in float32.
SUMS = {"low-rank, nested", "conformal and low-rank", "Jacobian and Stein", "dense and low-rank"}


def tiers(names):
    """Sums for the slow tier."""
    return [pytest.param(n, marks=pytest.mark.slow if n in SUMS else ()) for n in names]


each_metric = pytest.mark.parametrize("make", NAMED_METRICS.values(), ids=NAMED_METRICS.keys())
each_kind = pytest.mark.parametrize(
    "shape, dtype, tol",
    [
        pytest.param((1, 4, 4), "float64", 1e-8, marks=pytest.mark.slow),
        ((3,), "float32", 3e-4),
    ],
)


def products(metric, x, u, v):
    """What solvers ask of a metric, by name."""
    flat = metric.flat(x, v)
    return {
        "flat": flat,
        "flat, exchanged": metric.flat(x, u),
        "inner": metric.inner(x, u, v),
        "sharp of flat": metric.sharp(x, flat),
    }


def squares(metric, path):
    """What the squared speeds at two points are made of."""
    if isinstance(metric, AbstractSumOfSquaresMetric):
        return sum(jnp.sum(part.reshape(2, -1) ** 2, axis=1) for part in metric.roots(path))
    return jax.vmap(lambda m, d: metric.inner(m, d, d))(path.points, path.velocities)


def geometry(metric, x, u, v):
    """The rest, at a small point."""
    operator, path = metric.operator(x), sampled(jnp.stack([x, u, v]))
    short = SampledPath.straight(x - 5e-4 * v, x + 5e-4 * v)
    return {
        "matrix": metric.as_matrix(x),
        "matrix of the operator": operator.as_matrix(),
        "product of the operator": operator.mv(v),
        "product of its transpose": operator.T.mv(v),
        "its diagonal": lx.diagonal(operator),
        "norm": metric.norm(x, v),
        "log_det": metric.log_det(x),
        "acceleration": metric.acceleration(x, v),
        "christoffel": -metric.christoffel(x, v, v),
        "acceleration in general": AbstractMetric.acceleration(metric, x, v),
        "christoffel_first": metric.christoffel_first(x, u, v),
        "christoffel_first in general": AbstractMetric.christoffel_first(metric, x, u, v),
        "squared speeds": metric.squared_speeds(path),
        "squares": squares(metric, path),
        "short segment": metric.squared_speeds(short),
    }


jitted_products, jitted_geometry = eqx.filter_jit(products), eqx.filter_jit(geometry)


@each_kind
@each_metric
def test_every_metric_has_consistent_products(make, shape, dtype, tol):
    x, u, v = points(shape, dtype)
    got = jitted_products(make(shape), x, u, v)
    assert {value.dtype for value in got.values()} == {jnp.dtype(dtype)}
    priced = jax.eval_shape(make(shape).squared_speeds, sampled(jnp.stack([x, u, v])))
    assert priced == jax.ShapeDtypeStruct((2,), dtype)

    def close(name, desired, scale):
        np.testing.assert_allclose(got[name], desired, rtol=tol, atol=tol * scale, err_msg=name)

    u, v = np.asarray(u), np.asarray(v)
    size = float(np.linalg.norm(u) * np.linalg.norm(got["flat"]))
    close("sharp of flat", v, 1)
    close("inner", np.vdot(u, got["flat"]), size)
    close("inner", np.vdot(v, got["flat, exchanged"]), size)


@pytest.mark.slow
@pytest.mark.parametrize("name", tiers(NAMED_METRICS))
def test_every_metric_is_one(name):
    make = NAMED_METRICS[name]
    metric, (x, u, v) = make((3,)), points((3,), jnp.float64)
    got = jitted_geometry(metric, x, u, v)
    dense, u, v = np.asarray(got["matrix"]), np.asarray(u), np.asarray(v)

    def close(name, desired, rtol=1e-8):
        scale = np.abs(desired).max()
        np.testing.assert_allclose(got[name], desired, rtol, rtol * scale, err_msg=name)

    assert dense.shape == (3, 3)
    close("matrix", dense.T)
    assert np.linalg.eigvalsh(dense).min() > 0
    close("norm", np.sqrt(v @ dense @ v))
    close("log_det", np.linalg.slogdet(dense)[1])
    close("matrix of the operator", dense)
    for name in ("product of the operator", "product of its transpose"):
        close(name, dense @ v)
    close("its diagonal", np.diagonal(dense))
    operator = metric.operator(x)
    assert lx.is_symmetric(operator) and lx.is_positive_semidefinite(operator)
    assert operator.in_structure() == operator.out_structure()
    assert operator.in_structure() == jax.ShapeDtypeStruct((3,), jnp.float64)

    # The short forms against Euler-Lagrange.
    close("acceleration", got["acceleration in general"])
    close("christoffel", got["acceleration in general"])
    close("christoffel_first", got["christoffel_first in general"])
    close("squared speeds", got["squares"])
    close("short segment", np.atleast_1d(1e-6 * v @ dense @ v), rtol=1e-5)


def test_a_batch_is_a_loop_and_jit_changes_nothing():
    """Also where conjugate gradients take a different number of steps in every lane."""
    metric = NAMED_METRICS["Jacobian and Stein"]((3,))
    batch = tuple(jnp.stack(points((3,), jnp.float64, 9)[i::3]) for i in range(3))
    batched = eqx.filter_jit(eqx.filter_vmap(products, in_axes=(None, 0, 0, 0)))(metric, *batch)
    for lane in range(3):
        each = (products if lane == 0 else jitted_products)(metric, *(part[lane] for part in batch))
        for key, value in each.items():
            np.testing.assert_allclose(batched[key][lane], value, 1e-9, 1e-11, err_msg=key)


@pytest.mark.parametrize("name", [name for name in NAMED_METRICS if "dense" not in name])
def test_nothing_of_size_d_squared_is_made(name):
    shape = (1, 64, 64)
    metric, size = NAMED_METRICS[name](shape), 64**2

    def everything(x, u, v):
        return products(metric, x, u, v), metric.acceleration(x, v), metric.christoffel(x, u, v)

    point = jax.ShapeDtypeStruct(shape, jnp.float64)
    program = jax.make_jaxpr(everything)(point, point, point)
    assert size <= largest_array(program.jaxpr) < 100 * size


def test_a_dense_metric_is_seen_to_make_a_matrix():
    """So that the test above can fail."""
    point = jax.ShapeDtypeStruct((64,), jnp.float64)
    program = jax.make_jaxpr(NAMED_METRICS["dense"]((64,)).sharp)(point, point)
    assert largest_array(program.jaxpr) >= 64**2
