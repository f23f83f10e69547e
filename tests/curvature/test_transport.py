"""Parallel transport: what it keeps, holonomy, the ladder's order, failures."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import RESULTS, PoleLadder, SteinScoreMetric, parallel_transport
from geojax.curvature import TransportODE
from geojax.geodesics import Polyline
from tests.curvature.charts import constant, relative
from tests.metrics.fields import points, whirl

TIMES = jnp.linspace(0, 1, 9)
METHODS = {
    "ODE": TransportODE(),
    "ladder": PoleLadder(rungs=4),
}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


class Circle(diffrax.AbstractPath):
    """Once around the origin of the plane, counter-clockwise."""

    radius: jax.Array
    t0 = 0.0
    t1 = 1.0

    def evaluate(self, t0, t1=None, left=True):
        angle = 2 * jnp.pi * t0
        return self.radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])


STEIN = SteinScoreMetric(whirl, 1.0)


@pytest.fixture(scope="module")
def curved():
    """A metric that is no symmetric space, and an integrated geodesic of it."""
    metric = STEIN
    x0, v0, w = points((1, 2, 2), jnp.float64, 3)
    solution = geojax.exponential_map(metric, x0, 2 * v0, num_segments=8, rtol=1e-10, atol=1e-10)
    return metric, solution, w


@pytest.mark.slow
@each_method
def test_it_keeps_inner_products_and_a_geodesics_velocity(curved, method):
    metric, solution, w = curved
    v = solution.initial_velocity
    carry = lambda u: parallel_transport(metric, solution, u, method=method)  # noqa: E731
    velocity, across = carry(v), carry(w)
    tol = 1e-7 if isinstance(method, TransportODE) else 2e-3
    assert velocity.result == RESULTS.successful
    assert relative(velocity.vectors, solution.curve.vs) < tol
    before, after = (
        [metric.inner(x, *pair) for pair in ((a, b), (b, b))]
        for x, a, b in ((velocity.xs[0], v, w), (velocity.xs[-1], velocity.vector, across.vector))
    )
    np.testing.assert_allclose(after, before, rtol=2 * tol)
    assert across.stats["norm_drift"] < tol
    assert relative(across.vector, w) > 0.05  # it did turn
    np.testing.assert_array_equal(across.vectors[0], w)


@pytest.mark.slow
def test_it_is_linear_and_undone_backwards(curved):
    metric, solution, w = curved
    v, ts = solution.initial_velocity, solution.curve.ts
    carry = lambda u: parallel_transport(metric, solution, u).vector  # noqa: E731
    both = eqx.filter_vmap(carry)(jnp.stack([w, 1e6 * (2 * w - v)]))
    np.testing.assert_allclose(both[0], carry(w), rtol=1e-7)
    np.testing.assert_allclose(both[1] / 1e6, 2 * both[0] - carry(v), rtol=1e-6)
    back = parallel_transport(metric, solution, both[0], ts=ts[::-1])
    np.testing.assert_allclose(back.vector, w, rtol=1e-6)
    still = parallel_transport(metric, solution, 0 * w)
    assert still.result == RESULTS.successful and not still.vectors.any()


@pytest.mark.slow
@pytest.mark.parametrize("curvature", [1.0, -1.0])
@each_method
def test_around_a_loop_a_vector_turns_by_the_area_times_the_curvature(curvature, method):
    """The circle of radius r in the chart encloses `4 pi r^2 / (1 + K r^2)`."""
    radius, v = 0.5, jnp.array([1.0, 0.3])
    ladder = isinstance(method, PoleLadder)
    ts = jnp.linspace(0, 1, 17) if ladder else None
    carried = parallel_transport(
        constant(curvature), Circle(jnp.asarray(radius)), v, method=method, ts=ts
    )
    area = 4 * np.pi * radius**2 / (1 + curvature * radius**2)
    turn = np.exp(1j * curvature * area)
    start, end = (complex(*a) for a in (v, carried.vector))
    # The ladder's rungs are geodesics: an inscribed polygon, smaller by O(1 / rungs^2).
    assert abs(end / start - turn) < (2e-2 if ladder else 1e-7)


@pytest.mark.slow
def test_along_a_polyline_it_is_exact_and_of_second_order_in_the_segments():
    metric, v = constant(1.0), jnp.array([1.0, 0.3])
    circle = Circle(jnp.asarray(0.5))
    turn = np.exp(1j * 4 * np.pi * 0.25 / 1.25)
    errors = []
    for n in (8, 32):
        ts = jnp.linspace(0, 1, n + 1)
        loop = Polyline(ts, jax.vmap(circle.evaluate)(ts))
        carried = parallel_transport(metric, loop, v)
        assert carried.stats["norm_drift"] < 1e-7
        errors.append(abs(complex(*carried.vector) / complex(*v) - turn))
    np.testing.assert_allclose(np.diff(np.log2(errors)) / 2, -2, atol=0.1)


@pytest.mark.slow
def test_the_velocity_of_a_two_point_solution_arrives():
    a, b = points((1, 2, 2), jnp.float64, 2)
    solution = geojax.geodesic(STEIN, 2 * a, 2 * b, num_segments=32, diagnostics="price")
    v = solution.initial_velocity
    carried = parallel_transport(STEIN, solution, v)
    assert relative(carried.vector, solution.final_velocity) < 0.01
    # The verdict on a curve is one on what is carried along it.
    failed = eqx.tree_at(lambda s: s.result, solution, RESULTS.max_steps_reached)
    carried = parallel_transport(STEIN, failed, v, throw=False)
    assert carried.result == RESULTS.max_steps_reached
    with pytest.raises(RuntimeError, match="used up its steps"):
        parallel_transport(STEIN, failed, v)


@pytest.mark.slow
def test_the_ladder_is_of_second_order(curved):
    metric, solution, w = curved
    exact = parallel_transport(metric, solution, w, method=TransportODE(rtol=1e-11, atol=1e-11))
    ends = [0, 4, 8]
    errors = []
    for rungs in (1, 4):
        ladder = PoleLadder(rungs=rungs)
        carried = parallel_transport(metric, solution, w, method=ladder)
        errors.append(relative(carried.vectors[jnp.array(ends)], exact.vectors[jnp.array(ends)]))
    assert np.diff(np.log2(errors)) / 2 < -1.8, errors


@pytest.mark.slow
def test_the_ladder_is_exact_in_symmetric_spaces():
    """With exact geodesics two rungs are enough."""
    for curvature in (1.0, -1.0):
        metric, (x, u, w) = constant(curvature), points((3,), jnp.float64)
        solution = geojax.exponential_map(metric, x, u, rtol=1e-11, atol=1e-11)
        exact = parallel_transport(metric, solution, w, method=TransportODE(rtol=1e-11, atol=1e-11))
        ladder = PoleLadder(num_steps=20, num_iterations=40)
        ts = jnp.array([0.0, 0.5, 1.0])
        carried = parallel_transport(metric, solution, w, method=ladder, ts=ts)
        np.testing.assert_allclose(carried.vector, exact.vector, atol=1e-7)


@pytest.mark.slow
def test_reverse_mode():
    """Transport is an isometry: the transpose of `g(y) P` is `g(x) P^-1`."""
    metric, w = STEIN, jnp.array([[[-0.2, 1.0], [0.4, 0.3]]])
    xs = jnp.stack(points((1, 2, 2), jnp.float64))
    curve = Polyline(jnp.array([0.0, 0.4, 1.0]), xs)
    value = lambda v: jnp.vdot(w, parallel_transport(metric, curve, v).vector)  # noqa: E731
    gradient = jax.grad(value)(xs[1])
    back = parallel_transport(metric, curve, metric.sharp(xs[-1], w), ts=curve.ts[::-1])
    np.testing.assert_allclose(gradient, metric.flat(xs[0], back.vector), rtol=1e-6)


@pytest.mark.slow
def test_failures_are_results(curved):
    _, solution, w = curved
    claim = SteinScoreMetric(whirl, 1.0, conservative=True)
    wrong = parallel_transport(claim, solution, w, throw=False)
    assert wrong.result == RESULTS.transport_drift
    with pytest.raises(RuntimeError, match="set conservative=False"):
        parallel_transport(claim, solution, w)
    undefined = SteinScoreMetric(whirl, jnp.nan * STEIN.lam)
    lost = parallel_transport(undefined, solution, w, throw=False)
    assert lost.result == RESULTS.non_finite


@pytest.mark.slow
def test_failures_of_short_methods_are_results(curved):
    """As `test_failures_are_results`, where each is a program of its own."""
    metric, solution, w = curved
    claim = SteinScoreMetric(whirl, 1.0, conservative=True)
    wrong = parallel_transport(claim, solution, w, method=METHODS["ladder"], throw=False)
    assert wrong.result == RESULTS.transport_drift
    short = TransportODE(max_steps=2)
    stopped = parallel_transport(metric, solution, w, method=short, throw=False)
    assert stopped.result == RESULTS.integration_stopped
    rough = PoleLadder(num_iterations=1)
    missed = parallel_transport(metric, solution, w, method=rough, throw=False)
    assert missed.result == RESULTS.rungs_too_far


def test_bad_input_is_refused(curved):
    metric, solution, w = curved
    with pytest.raises(ValueError, match="curve must be a GeodesicSolution or a diffrax path"):
        parallel_transport(metric, solution.curve.xs, w)
    with pytest.raises(ValueError, match="v0 must be a vector like the curve's points"):
        parallel_transport(metric, solution, w[0])
    with pytest.raises(ValueError, match="at least two times"):
        parallel_transport(metric, solution, w, ts=jnp.zeros(1))
    with pytest.raises(ValueError, match="rungs must be at least 1, got 0"):
        PoleLadder(rungs=0)


@pytest.mark.slow
def test_single_precision():
    metric = SteinScoreMetric(whirl, jnp.float32(1.0))
    xs = jnp.stack(points((3,), jnp.float32))
    curve, v = Polyline(jnp.linspace(0, 1, 3, dtype=jnp.float32), xs), xs[1]
    methods = TransportODE(), PoleLadder(rungs=16)
    ode, ladder = (parallel_transport(metric, curve, v, method=m) for m in methods)
    assert ode.vector.dtype == ladder.vector.dtype == jnp.float32
    assert relative(ladder.vector, ode.vector) < 2e-3
