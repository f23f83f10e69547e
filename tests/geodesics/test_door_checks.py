"""Options in the wrong place, scores without a derivative: every message names the remedy."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix as optx
import pytest

import geojax
from geojax import GaussNewton, PathEnergy
from tests.programs import compilations

A, B = jnp.asarray([1.0, 0.1]), jnp.asarray([-0.8, 0.6])
PAIR = jnp.stack([A, B])
METRIC = geojax.SteinScoreMetric(lambda x, args: -x)
LINE = geojax.geodesics.Polyline(jnp.asarray([0.0, 1.0]), PAIR)
LBFGS = PathEnergy(optx.LBFGS(rtol=1e-6, atol=1e-6))
PLAIN = GaussNewton(curvature_steps=0)


DOORS = {
    "geodesic": lambda *args, **options: geojax.geodesic(METRIC, A, B, *args, **options),
    "geodesic_batch": lambda *a, **options: geojax.geodesic_batch(METRIC, A, PAIR, *a, **options),
    "robust_geodesic": lambda *a, **options: geojax.robust_geodesic(METRIC, A, B, *a, **options),
    "compile_geodesic": lambda *a, **options: geojax.compile_geodesic(METRIC, A, *a, **options),
    "distance": lambda *a, **options: geojax.distance(METRIC, A, B, *a, **options),
    "log_map": lambda *a, **options: geojax.log_map(METRIC, A, B, *a, **options),
}
STATISTICS = {
    "frechet_mean": lambda **options: geojax.frechet_mean(METRIC, PAIR, **options),
    "pairwise_distances": lambda **options: geojax.pairwise_distances(METRIC, PAIR, **options),
    "principal_geodesics": lambda **o: geojax.principal_geodesics(METRIC, PAIR, 1, **o),
    "interpolator": lambda **o: geojax.GeodesicInterpolator(METRIC, **o)(A, B, jnp.ones(1)),
}


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("door", DOORS)
def test_options_of_a_two_point_door(door):
    solve = DOORS[door]
    for option in (GaussNewton(), diffrax.Tsit5(), optax.adam(1e-2)):
        with pytest.raises(ValueError, match=rf"args must .*{type(option).__name__}.*solver=\.\."):
            solve(option)
    with pytest.raises(ValueError, match=r"args must .* got Midpoint.*by name: rule=\.\."):
        solve(geojax.Midpoint())
    for solver, message in (
        ("GaussNewton", "got 'GaussNewton'. Pass the object, not its name"),
        (3, "got 3"),
        (GaussNewton, r"got the class GaussNewton. .*solver=GaussNewton\(\)"),
        (optax.adam(1e-2), r"got Gradient.*solver=PathEnergy\(optimiser=\.\.\.\)"),
        (optx.BFGS(1e-3, 1e-3), r"got BFGS.*solver=PathEnergy\(optimiser=\.\.\.\)"),
        (optx.Newton(1e-3, 1e-3), r"got Newton.*Shooting\(root_finder=\.\.\.\)"),
        (diffrax.Tsit5(), r"got Tsit5.*Shooting\(integrator=\.\.\.\); exponential_map"),
        (geojax.Midpoint(), r"got Midpoint. It is a rule: rule=\.\.\."),
    ):
        with pytest.raises(ValueError, match=f"solver must be a geojax solver.*{message}"):
            solve(solver=solver)
    for rule, message in (
        ("midpoint", "got 'midpoint'. Pass the object"),
        (geojax.Midpoint, r"got the class Midpoint. .*rule=Midpoint\(\)"),
        (GaussNewton(), r"got GaussNewton. It is a solver: solver=\.\.\."),
    ):
        with pytest.raises(ValueError, match=f"rule must be a geojax rule.*{message}"):
            solve(rule=rule)


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("door", STATISTICS)
def test_the_solver_of_a_statistic(door):
    with pytest.raises(ValueError, match=r"solver must be .* got 'shooting'. Pass the object"):
        STATISTICS[door](solver="shooting")


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: geojax.exponential_map(METRIC, A, B, solver=GaussNewton()), "geodesic.*solver="),
        (lambda: geojax.exponential_map(METRIC, A, B, GaussNewton()), r"args must .*solver=\.\.\."),
        (lambda: geojax.exponential_map(METRIC, A, B, solver="Tsit5"), "Pass the object"),
        (lambda: geojax.exponential_map(METRIC, A, jnp.ones(3)), "x0 and v0 must have one shape"),
        (lambda: geojax.exponential_map(METRIC, A, B.astype(complex)), "v0 must be real"),
        (lambda: geojax.jacobi_field(METRIC, A, B, A, A, solver=GaussNewton()), "Runge-Kutta"),
        (
            lambda: geojax.parallel_transport(METRIC, LINE, A, method="ladder"),
            "method must be a geojax transport.*got 'ladder'. Pass the object",
        ),
        (lambda: geojax.curvature.TransportODE(solver=3), "solver must be an explicit Runge-Kutta"),
        (lambda: geojax.CoarseToFine(3), "solver must be a geojax solver.*got 3"),
        (lambda: geojax.LambdaContinuation(optax.sgd(0.1)), r"solver=PathEnergy\(optimiser="),
        (lambda: PathEnergy(3), r"optimiser must be .*got 3. A learning rate.*optax.adam"),
        (lambda: PathEnergy(optax.adam), r"got function. Call it: optimiser=optax.adam\("),
        (lambda: PathEnergy(optx.Newton(1e-3, 1e-3)), "optimiser must be .* got Newton"),
        (lambda: geojax.Shooting(integrator=diffrax.Kvaerno5()), "integrator must be .*Kvaerno5"),
        (lambda: geojax.Shooting(root_finder=GaussNewton()), "root_finder must be .* optimistix"),
        (lambda: geojax.geodesic(lambda x, args: -x, A, B), r"SteinScoreMetric\(score, lam\)"),
        (lambda: geojax.geodesic(geojax.Euclidean, A, B), r"metric=Euclidean\(\)"),
        (lambda: geojax.geodesic(METRIC, A, B, progress_meter=True), "progress_meter must be"),
        (lambda: geojax.geodesic(METRIC, A, A.astype(complex)), "x1 must be real"),
        (lambda: geojax.geodesic(METRIC, A[:0], A[:0]), r"x0 must not be empty, got shape \(0,\)"),
        (lambda: geojax.SteinScoreMetric(METRIC), "score must be a callable .*SteinScoreMetric"),
    ],
)
def test_options_elsewhere(call, message):
    with pytest.raises(ValueError, match=message):
        call()


SCORES = {
    "one argument": (lambda x: -x, r"Wrap a function f\(x\) as lambda x, args: f\(x\)"),
    "a time": (lambda x, t, args: -x, r"pass score.at\(t\)"),
    "a time, args by default": (lambda x, t, args=None: -x, r"pass score.at\(t\)"),
    "a class": (geojax.Shell, r"Pass an instance of it: Shell\(\.\.\.\)"),
    "every time": (geojax.GaussianMixture(A[None]), r"score.at\(0.4\)"),
}
METRICS = {
    "Stein": geojax.SteinScoreMetric,
    "smoothed": lambda s: geojax.SmoothedSteinScoreMetric(s, PAIR, 0.1),
    "Jacobian": geojax.JacobianMetric,
    "norm": geojax.ScoreNormMetric,
    "density": lambda s: geojax.DensityMetric(s, 0.1, reference=A),
    "sum": lambda s: 0.5 * (geojax.SteinScoreMetric(s) + geojax.Euclidean()),
    "mixed sum": lambda s: 0.5 * geojax.SteinScoreMetric(s) + geojax.ScoreNormMetric(s),
}


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("metric", METRICS)
def test_a_score_is_judged_in_words(metric):
    """Its arguments when the metric is made, what it returns when the metric is evaluated."""
    make = METRICS[metric]
    for score, remedy in SCORES.values():
        with pytest.raises(ValueError, match=f"score must be a callable .*{remedy}"):
            make(score)
    exact = make(lambda x, args: -x).flat(A, B)
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        flat = make(lambda x, args, dtype=dtype: (-x).astype(dtype)).flat(A, B)
        assert flat.dtype == A.dtype
        np.testing.assert_allclose(flat, exact, rtol=5e-2)
    for score, message in (
        (lambda x, args: -x.astype(complex), "of real numbers, got complex128"),
        (lambda x, args: -jnp.sum(x), r"got shape \(\).*from_log_density"),
        (lambda x, args: -x[None], r"got shape \(1, 2\).*without a batch axis"),
        (lambda x, args: (-x,), "got a tuple of 1"),
        (lambda x, args: None, "got None"),
    ):
        for call in (make(score).flat, make(score).acceleration, make(score).inner):
            given = (A, B, B) if call.__name__ == "inner" else (A, B)
            with pytest.raises(ValueError, match=rf"score must return .*\(2,\), .*{message}"):
                jax.eval_shape(call, *given)


@pytest.mark.slow
def test_a_score_in_half_precision_is_solved_with():
    """The path is that of the score in full precision, to the digits that it has."""
    options = {"num_segments": 4, "solver": PLAIN, "diagnostics": "price", "throw": False}
    exact = geojax.geodesic(METRIC, A, B, **options)
    half = geojax.SteinScoreMetric(lambda x, args: (-x).astype(jnp.bfloat16))
    found = geojax.geodesic(half, A, B, **options)
    assert found.curve.xs.dtype == A.dtype
    np.testing.assert_allclose(found.length, exact.length, rtol=2e-2)


def test_decoders_and_matrices_are_judged_in_words():
    for make, function, message in (
        (geojax.PullbackMetric, lambda x: (x, x), "decoder must return one array.* tuple"),
        (geojax.PullbackMetric, lambda x: None, "decoder must return one array.*None"),
        (geojax.PullbackMetric, lambda x: x.astype(complex), "decoder must .*complex128"),
        (geojax.DenseMetric, lambda x: jnp.eye(3), r"shape \(2, 2\).*got \(3, 3\)"),
        (geojax.DenseMetric, lambda x: (1.0, 2.0), r"of shape \(2, 2\), got a tuple"),
        (geojax.DenseMetric, lambda x: jnp.eye(2, dtype=complex), "function must .*complex128"),
        (geojax.OperatorMetric, lambda x: jnp.eye(2), "For a matrix use DenseMetric"),
    ):
        metric = make(lambda x, args, function=function: function(x))
        with pytest.raises(ValueError, match=message):
            metric.flat(A, B)
    for make in (geojax.PullbackMetric, geojax.DenseMetric, geojax.OperatorMetric):
        with pytest.raises(ValueError, match=r"Wrap a function f\(x\) as lambda x, args: f\(x\)"):
            make(lambda x: x)
    half = geojax.PullbackMetric(lambda x, args: (2 * x).astype(jnp.bfloat16))
    np.testing.assert_allclose(half.flat(A, B), 4 * B, rtol=1e-2)
    whole = geojax.DenseMetric(lambda x, args: [[2, 0], [0, 3]])
    np.testing.assert_allclose(whole.flat(A, B), jnp.asarray([2.0, 3.0]) * B, rtol=1e-12)


def _field(x):
    return -x * (1 + jnp.sum(x**2))


@jax.custom_vjp
def reverse_only(x):
    return _field(x)


reverse_only.defvjp(lambda x: (reverse_only(x), x), lambda x, w: jax.vjp(_field, x)[1](w))


def without_derivative(x):
    like = jax.ShapeDtypeStruct(x.shape, x.dtype)
    return jax.pure_callback(lambda x: np.asarray(-x), like, x, vmap_method="sequential")


FEW: dict = {"num_segments": 3, "max_steps": 30, "throw": False}


@pytest.mark.slow
def test_a_score_without_a_forward_derivative():
    """What the message says works: the path is that of the score with all its derivatives."""
    metric = geojax.SteinScoreMetric(lambda x, args: reverse_only(x))
    message = r"JVP.*custom_vjp.*solver=GaussNewton\(curvature_steps=0\) and diagnostics='price'"
    with pytest.raises(ValueError, match=message):
        geojax.geodesic(metric, A, B, **FEW)
    remedy = {**FEW, "solver": PLAIN, "diagnostics": "price"}
    found = geojax.geodesic(metric, A, B, **remedy)
    exact = geojax.geodesic(geojax.SteinScoreMetric(lambda x, args: _field(x)), A, B, **remedy)
    np.testing.assert_allclose(found.curve.xs, exact.curve.xs, rtol=1e-9)

    norm = geojax.ScoreNormMetric(lambda x, args: reverse_only(x))
    with pytest.raises(
        ValueError, match=r"JVP.*solver=PathEnergy\(optimiser=.*diagnostics='price'"
    ):
        geojax.geodesic(norm, A, B, **FEW)
    found = geojax.geodesic(norm, A, B, solver=LBFGS, diagnostics="price", **FEW)
    assert np.all(np.isfinite(found.curve.xs))


@pytest.mark.parametrize(
    "call",
    [
        lambda m: geojax.exponential_map(m, A, B, num_segments=2, throw=False),
        lambda m: m.acceleration(A, B),
        lambda m: m.christoffel(A, B, B),
        lambda m: geojax.sectional_curvature(m, A, A, B),
        lambda m: geojax.JacobianMetric(m.score).flat(A, B),
        lambda m: geojax.geodesic(geojax.JacobianMetric(m.score), A, B, **FEW),
    ],
    ids=["exponential map", "acceleration", "christoffel", "curvature", "flat", "Jacobian"],
)
@pytest.mark.parametrize("score", [reverse_only, without_derivative], ids=["no JVP", "none"])
def test_where_a_derivative_cannot_be_done_without(call, score):
    metric = geojax.SteinScoreMetric(lambda x, args: score(x))
    with pytest.raises(ValueError, match=r"derivative.* is needed of .*jax.custom_jvp"):
        call(metric)


@pytest.mark.slow
def test_a_score_without_any_derivative():
    metric = geojax.SteinScoreMetric(lambda x, args: without_derivative(x))
    with pytest.raises(
        ValueError, match=r"callback.*with rule=Quadrature\(\) too it takes no derivative"
    ):
        geojax.geodesic(metric, A, B, **FEW)
    rule = geojax.Quadrature()
    found = geojax.geodesic(metric, A, B, solver=PLAIN, diagnostics="price", rule=rule, **FEW)
    exact = geojax.geodesic(METRIC, A, B, solver=PLAIN, diagnostics="price", rule=rule, **FEW)
    np.testing.assert_allclose(found.curve.xs, exact.curve.xs, rtol=1e-9)


def test_points_are_taken_as_numbers():
    options = {"solver": PLAIN, "diagnostics": "price", **FEW}
    whole = geojax.geodesic(METRIC, [1, 0], np.asarray([0, 1], np.uint8), **options)
    same = geojax.geodesic(METRIC, jnp.asarray([1.0, 0.0]), jnp.asarray([0.0, 1.0]), **options)
    np.testing.assert_array_equal(whole.curve.xs, same.curve.xs)


def test_another_number_does_not_compile_a_solve_anew():
    """Of the level, the weight of the metric, the radius, a tolerance."""
    density = geojax.GaussianMixture(PAIR, 0.7)

    def solve(number):
        metric = geojax.SteinScoreMetric(density.at(number), number) + 0.1 * geojax.Euclidean()
        metric = metric + geojax.SteinScoreMetric(geojax.Shell(1 + number, number), number)
        return geojax.geodesic(
            metric, A, B, solver=PLAIN, diagnostics="price", discretisation_tolerance=number, **FEW
        )

    first = solve(0.5)
    with compilations() as compiled:
        second = solve(0.45)
    assert not compiled
    assert not np.allclose(first.length, second.length)
