"""Newton with the whole Hessian: algebra, closed forms by mesh, saddles, domains, derivatives."""

import collections
import functools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS, DenseMetric, Newton
from geojax.geodesics import TwoPointProblem, _dense_model
from geojax.geodesics._basis import basis, gauss
from geojax.geodesics._bsplines import bsplines, intervals
from geojax.geodesics._dense_model import dense_model, dense_sample
from tests.geodesics.test_default import covariances, in_ball, upper

TRIANGLE = jnp.array([[[1.0, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1.0]]])


def half_plane(x, args):
    return jnp.eye(2, dtype=x.dtype) / x[1] ** 2


def positive_matrices(x, args):
    inverse = jnp.linalg.inv(jnp.tensordot(x, TRIANGLE, axes=1))
    moved = jnp.einsum("ij,ajk->aik", inverse, TRIANGLE)
    return jnp.einsum("aij,bji->ab", moved, moved)


def disk(x, args):
    return 4 / (1 - jnp.sum(x**2)) ** 2 * jnp.eye(2)


def ellipsoid(x, args):
    """Half-axes 2, 1 and 1.5, by two angles."""

    def embedded(x):
        u, v = x
        along = 2 * jnp.sin(u) * jnp.cos(v), jnp.sin(u) * jnp.sin(v), 1.5 * jnp.cos(u)
        return jnp.stack(along)

    jacobian = jax.jacfwd(embedded)(x)
    return jacobian.T @ jacobian


def bent(x, args):
    return (1 + x[0] ** 2) / x[1] ** 2 * jnp.eye(2) + 0.1 * jnp.outer(x, x)


PROBLEMS = {
    "half-plane": (half_plane, [0.0, 1.0], [2.0, 1.0], upper),
    "half-plane, far": (half_plane, [0.0, 0.05], [4.0, 0.05], upper),
    "positive matrices": (
        positive_matrices,
        [1.0, 0.0, 1.0],
        [np.exp(1.6), 0.0, np.exp(-1.2)],
        covariances,
    ),
    "disk": (disk, [0.99, 0.0], [-0.6, 0.79], in_ball),
    "ellipsoid": (ellipsoid, [1.0, 0.2], [1.6, 2.2], None),
}


@functools.cache
def found(name, num_segments):
    matrix, x, y, _ = PROBLEMS[name]
    options = {"num_segments": num_segments, "diagnostics": "price", "solver": Newton()}
    return geojax.geodesic(DenseMetric(matrix), jnp.array(x), jnp.array(y), **options)


@pytest.mark.parametrize("num_segments", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("spline", [True, False])
def test_the_b_splines_are_the_curves_through_the_nodes(spline, num_segments):
    scheme = gauss(2, spline=spline)
    functions = bsplines(scheme, num_segments, jnp.float64)
    through = basis(scheme, num_segments, jnp.float64)
    first = np.repeat(intervals(functions.degree, num_segments), len(scheme.places))
    columns = first[:, None] + np.arange(functions.degree + 1)
    for local, matrix in (
        (functions.values, through.inner_points),
        (functions.slopes, through.inner_derivative),
    ):
        spread = np.zeros((len(first), num_segments + 1))
        np.put_along_axis(spread, columns, np.asarray(local), axis=1)
        of_nodes = np.asarray(matrix) @ np.asarray(functions.nodes)
        np.testing.assert_allclose(of_nodes, spread[:, 1:-1], atol=1e-12)


@pytest.mark.parametrize(
    "rule, num_segments",
    [
        pytest.param(geojax.SplineGauss(), 9, marks=pytest.mark.slow),
        pytest.param(geojax.SplineGauss(order=3), 3, marks=pytest.mark.slow),
        pytest.param(geojax.SplineGauss(), 2, marks=pytest.mark.slow),
        pytest.param(geojax.SplineGauss(), 24, marks=pytest.mark.slow),
        pytest.param(geojax.Midpoint(), 9, marks=pytest.mark.slow),
    ],
)
def test_the_band_is_the_hessian(rule, num_segments, monkeypatch):
    """On unequal steps, against one dense Hessian of the energy and one dense inverse; once by
    columns one after the other.
    """
    monkeypatch.setattr(_dense_model, "_AT_ONCE", 2 if num_segments == 3 else 256)
    metric, mu = DenseMetric(bent), 3.0
    ends = jnp.array([0.0, 1.0]), jnp.array([2.0, 1.3])
    inner = (num_segments - 1, 2)
    bump = 0.05 * np.random.default_rng(0).normal(size=inner)
    ts = jnp.linspace(0, 1, num_segments + 1) ** 1.3

    @jax.jit
    def matrices(ts, bump):
        problem = TwoPointProblem(metric, rule, None, *ends, ts)
        offsets = jnp.zeros((num_segments + 1, 2)).at[1:-1].set(bump)
        sample = dense_sample(problem, offsets)
        model = dense_model(problem, offsets, sample.parts, jnp.asarray(mu))
        energy = lambda d: problem.energy(offsets.at[1:-1].add(d))  # noqa: E731
        zero = jnp.zeros(inner)
        units = jnp.eye(zero.size).reshape(-1, *inner)
        hessian = jax.jacfwd(jax.grad(energy))(zero).reshape(zero.size, zero.size)
        products = model.hessian(), model.stiffness, model.preconditioner
        columns = (jax.vmap(product)(units) for product in products)
        gram = problem.basis(offsets), problem.path(offsets).points
        return hessian, jax.grad(energy)(zero), model.gradient, gram, *columns

    hessian, expected, gradient, (mesh, points), exact, stiffness, inverse = matrices(ts, bump)
    exact, stiffness, inverse = (a.reshape(hessian.shape) for a in (exact, stiffness, inverse))
    np.testing.assert_allclose(gradient, expected, atol=1e-10)
    np.testing.assert_allclose(exact, hessian, atol=1e-10 * np.abs(hessian).max())
    at_points = np.stack([np.asarray(bent(x, None)) for x in points])
    v = np.asarray(mesh.inner_derivative)
    gram = np.einsum("q,qk,ql,qij->kilj", mesh.weights, v, v, at_points).reshape(hessian.shape)
    np.testing.assert_allclose(stiffness, gram, atol=1e-10 * np.abs(gram).max())
    np.testing.assert_allclose(inverse @ (hessian + mu * gram), np.eye(len(gram)), atol=1e-9)


SLOW = pytest.mark.slow
QUICK = "half-plane", "half-plane, far"


@pytest.mark.parametrize(
    "name, num_segments",
    [
        pytest.param(name, n, marks=() if name in QUICK and n == 32 else SLOW)
        for name in PROBLEMS
        for n in (32, 64, 128)
    ],
)
def test_at_most_thirty_steps_on_any_mesh(name, num_segments):
    _, x, y, closed_form = PROBLEMS[name]
    solution = found(name, num_segments)
    assert solution.result == RESULTS.successful and solution.stats["num_steps"] <= 30
    if closed_form is not None:
        np.testing.assert_allclose(solution.length, closed_form(x, y), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_distances_are_of_the_fourth_order(name):
    _, x, y, closed_form = PROBLEMS[name]
    lengths = np.array([float(found(name, n).length) for n in (32, 64, 128)])
    exact = lengths[-1] if closed_form is None else closed_form(x, y)
    errors = np.abs(lengths / exact - 1)[:2]
    assert errors[1] < 1e-6 and (errors[1] < 1e-11 or np.log2(errors[0] / errors[1]) > 3.9)


class Through(DenseMetric):
    """`I + s s^T` with s the score of a ring of radius 1."""

    def __init__(self):
        super().__init__(self._matrix)

    @staticmethod
    def _matrix(x, args):
        radius = jnp.sqrt(jnp.sum(x**2) + 0.01)
        s = 8 * (1 - radius) * x / radius
        return jnp.eye(2) + 4 * jnp.outer(s, s)


@pytest.mark.slow
def test_it_leaves_the_straight_line_between_opposite_points_of_a_ring():
    """Which is stationary by symmetry. Gauss-Newton on the same metric knows the answer."""
    ends = jnp.array([1.0, 0.0]), jnp.array([-1.0, 0.0])
    solution = geojax.geodesic(Through(), *ends, solver=Newton(), num_segments=32)
    score = lambda x, args: 8 * (1 / jnp.sqrt(jnp.sum(x**2) + 0.01) - 1) * x  # noqa: E731
    known = geojax.geodesic(geojax.SteinScoreMetric(score, 4.0), *ends, num_segments=32)
    np.testing.assert_allclose(solution.energy, known.energy, rtol=1e-8)
    straight = geojax.geodesic(
        Through(), *ends, solver=Newton(), num_segments=32, max_steps=0, throw=False
    )
    assert straight.result != RESULTS.successful and solution.energy < 0.9 * straight.energy
    assert jnp.abs(solution.curve.xs[16, 1]) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "second",
    [lambda y: jnp.exp(-2 * jnp.log(y)), lambda y: y],
    ids=["not a number", "indefinite"],
)
def test_a_step_out_of_the_domain_is_refused(second):
    metric = DenseMetric(lambda x, args: jnp.diag(jnp.stack([1.0 + 0 * x[0], second(x[1])])))
    ends = jnp.array([0.0, 1.0]), jnp.array([1.0, 1.5])
    problem, solver = TwoPointProblem(metric, geojax.SplineGauss(), None, *ends), Newton()
    step = eqx.filter_jit(solver.step)
    state = step(problem, solver.init(problem, jnp.zeros((7, 2))))
    out = state.step.at[:, 1].set(-3.0)
    refused = step(problem, state._replace(step=out, predicted=jnp.asarray(1.0)))
    assert refused.damping == 4 * state.damping
    np.testing.assert_array_equal(refused.offsets, state.offsets)
    np.testing.assert_array_equal(refused.sample.energy, state.sample.energy)
    assert jnp.all(jnp.isfinite(refused.step)) and jnp.isfinite(refused.decrement)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["half-plane", "half-plane, far"])
def test_derivatives_are_those_of_the_closed_form(name):
    matrix, x, y, _ = PROBLEMS[name]
    metric = DenseMetric(lambda x, args: args * matrix(x, None))

    def closed(x, y, scale):
        moved = 1 + jnp.sum((x - y) ** 2) / (2 * x[1] * y[1])
        return jnp.sqrt(scale) * jnp.arccosh(moved)

    def length(x, y, scale):
        options = {"num_segments": 64, "diagnostics": "none", "solver": Newton()}
        return geojax.geodesic(metric, x, y, scale, throw=False, **options).length

    at = jnp.array(x), jnp.array(y), jnp.asarray(1.7)
    got, expected = (jax.jit(jax.grad(f, argnums=(0, 1, 2)))(*at) for f in (length, closed))
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


@pytest.mark.slow
def test_the_evaluations_counted_are_those_made():
    calls = collections.Counter()

    def matrix(x, args):
        jax.debug.callback(lambda _: calls.update(["evaluations"]), x[0])
        return jnp.eye(2, dtype=x.dtype) / x[1] ** 2

    ends = jnp.array([0.0, 1.0]), jnp.array([2.0, 1.0])
    problem = TwoPointProblem(DenseMetric(matrix), geojax.SplineGauss(), None, *ends)
    run = eqx.filter_jit(Newton().solve)
    output = run(problem, jnp.zeros((4, 2)), 20, diffrax.NoProgressMeter())
    jax.effects_barrier()
    assert calls["evaluations"] == output.score_evaluations
    # The gradient twice, the matrix along the path, two directions, each forward over reverse.
    assert output.score_products == (output.num_steps + 1) * 6 * (2 + 1 + 2 * 2)


@pytest.mark.slow
def test_single_precision_converges_to_its_own():
    matrix, x, y, closed_form = PROBLEMS["half-plane, far"]
    ends = jnp.array(x, jnp.float32), jnp.array(y, jnp.float32)
    solution = geojax.geodesic(DenseMetric(matrix), *ends, num_segments=32, diagnostics="price")
    assert solution.length.dtype == jnp.float32
    np.testing.assert_allclose(solution.length, closed_form(x, y), rtol=1e-5)


def test_unsuitable_options_are_refused():
    ends = jnp.array([0.0, 1.0]), jnp.array([2.0, 1.0])
    options = {"solver": Newton(), "rule": geojax.Quadrature()}
    with pytest.raises(ValueError, match=r"Newton needs a rule .* got rule=Quadrature"):
        geojax.geodesic(DenseMetric(half_plane), *ends, **options)
    with pytest.raises(ValueError, match="damping must be a finite number >= 0, got -1"):
        Newton(damping=-1.0)
    with pytest.raises(ValueError, match="rtol must lie between 0 and 1"):
        Newton(rtol=2.0)
