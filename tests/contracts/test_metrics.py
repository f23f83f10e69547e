"""What every metric promises. A new metric is one line in `METRICS`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from geojax.metrics import AbstractMetric, DenseMetric, Euclidean, SteinScoreMetric
from geojax.scores import GaussianMixture
from tests.metrics.fields import gradient, matrix, points, whirl


def mixture(x, args=None):
    means = jnp.stack([jnp.full(x.shape, -0.5), jnp.full(x.shape, 0.7)]).astype(x.dtype)
    return GaussianMixture(means, scales=0.8)(x, 0.1, args)


STEIN = SteinScoreMetric(gradient, 0.7, conservative=True)
METRICS = {
    "Euclidean": Euclidean(),
    "Stein of a gradient": STEIN,
    "Stein of any score": SteinScoreMetric(whirl, 1.3),
    "Stein of a mixture": SteinScoreMetric(mixture, 0.5, conservative=True),
    "Stein with lam 0": SteinScoreMetric(whirl, 0.0),
    "Dense": DenseMetric(matrix),
    "low-rank sum": STEIN + 0.2 * SteinScoreMetric(whirl, 2.0),
    "low-rank nested": 0.5 * (2.0 * (STEIN + Euclidean()) + 3 * STEIN),
    "nested with dense": 0.1 * (2.0 * DenseMetric(matrix) + 0.7 * STEIN),
}

each_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
each_place = pytest.mark.parametrize(
    "shape, dtype, tol",
    [((1, 4, 4), jnp.float64, 1e-8), ((3,), jnp.float32, 1e-4)],
    ids=["1x4x4-float64", "3-float32"],
)


def figures(metric, x, u, v):
    """Everything that a metric can do, by name."""
    flat, operator = metric.flat(x, v), metric.operator(x)
    xs = jnp.stack([x, u, v])
    middles, deltas = (xs[1:] + xs[:-1]) / 2, xs[1:] - xs[:-1]
    return {
        "matrix": metric.as_matrix(x),
        "flat": flat,
        "inner": metric.inner(x, u, v),
        "inner, exchanged": metric.inner(x, v, u),
        "norm": metric.norm(x, v),
        "sharp of flat": metric.sharp(x, flat),
        "flat of sharp": metric.flat(x, metric.sharp(x, v)),
        "log_det": metric.log_det(x),
        "matrix of the operator": operator.as_matrix(),
        "product of the operator": operator.mv(v),
        "product of its transpose": operator.T.mv(v),
        "its diagonal": lx.diagonal(operator),
        "solved with the operator": lx.linear_solve(operator, flat, throw=False).value,
        "acceleration": metric.acceleration(x, v),
        "acceleration in general": AbstractMetric.acceleration(metric, x, v),
        "acceleration of the matrix": DenseMetric(metric.as_matrix).acceleration(x, v),
        "christoffel": metric.christoffel_first(x, u, v),
        "christoffel in general": AbstractMetric.christoffel_first(metric, x, u, v),
        "christoffel, exchanged": metric.christoffel_first(x, v, u),
        "christoffel of one vector": -metric.christoffel(x, v, v),
        "segment energies": metric.segment_energies(xs),
        "squared norms": jax.vmap(lambda m, d: metric.inner(m, d, d))(middles, deltas),
    }


jitted = eqx.filter_jit(figures)


@each_place
@each_metric
def test_every_metric_is_one(metric, shape, dtype, tol):
    x, u, v = points(shape, dtype)
    got = jitted(metric, x, u, v)
    assert {value.dtype for value in got.values()} == {jnp.dtype(dtype)}
    dense = np.asarray(got["matrix"])
    assert dense.shape == (x.size, x.size)

    def close(name, desired, scale=1.0):
        np.testing.assert_allclose(got[name], desired, rtol=tol, atol=tol * scale, err_msg=name)

    size = np.abs(dense).max()
    close("matrix", dense.T, size)
    assert np.linalg.eigvalsh(dense).min() > 0
    close("flat", (dense @ np.ravel(v)).reshape(shape), size)
    close("inner", jnp.vdot(u, got["flat"]), size)
    close("inner, exchanged", got["inner"], size)
    close("norm", jnp.sqrt(jnp.vdot(v, got["flat"])), size)
    close("sharp of flat", v)
    close("flat of sharp", v)
    close("log_det", np.linalg.slogdet(dense)[1])
    close("segment energies", got["squared norms"], size)

    close("matrix of the operator", dense, size)
    close("product of the operator", got["flat"], size)
    close("product of its transpose", got["flat"], size)
    close("its diagonal", np.diagonal(dense), size)
    close("solved with the operator", v)
    operator = metric.operator(x)
    assert lx.is_symmetric(operator) and lx.is_positive_semidefinite(operator)
    assert operator.in_structure() == operator.out_structure() == jax.ShapeDtypeStruct(shape, dtype)

    # The metric's short form, Euler-Lagrange in general, Euler-Lagrange of the matrix.
    scale = 10 * np.abs(got["acceleration in general"]).max()
    close("acceleration", got["acceleration in general"], scale)
    close("acceleration of the matrix", got["acceleration in general"], scale)
    close("christoffel of one vector", got["acceleration in general"], scale)
    scale = 10 * np.abs(got["christoffel in general"]).max()
    close("christoffel", got["christoffel in general"], scale)
    close("christoffel, exchanged", got["christoffel in general"], scale)


@pytest.mark.parametrize("name", ["Stein of any score", "low-rank sum", "nested with dense"])
def test_a_batch_is_a_loop_and_jit_changes_nothing(name):
    metric = METRICS[name]
    batch = tuple(jnp.stack(points((3,), jnp.float64, 9)[i::3]) for i in range(3))
    batched = eqx.filter_jit(eqx.filter_vmap(figures, in_axes=(None, 0, 0, 0)))(metric, *batch)
    for lane in range(3):
        each = (figures if lane == 0 else jitted)(metric, *(part[lane] for part in batch))
        for key, value in each.items():
            np.testing.assert_allclose(batched[key][lane], value, 1e-9, 1e-11, err_msg=key)
