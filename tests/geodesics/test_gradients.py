"""Derivatives of paths, energies and distances: implicit, finite differences and unrolled."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.geodesics import TwoPointProblem
from tests.geodesics.problems import on_circle

# radius, width, lam, then both ends
INPUTS = jnp.concatenate([jnp.asarray([2.0, 0.5, 1.0]), on_circle(2, 0), on_circle(1.5, 2.0)])
# Without exact curvature and certificates, which derivatives do not depend on.
SOLVER = geojax.GaussNewton(rtol=1e-14, curvature_steps=0)
WEIGHTS = jax.random.normal(jax.random.key(1), (9, 2))
N = 8
OPTIONS: dict = {"num_segments": N, "discretisation_tolerance": 1.0}
OPTIONS |= {"solver": SOLVER, "diagnostics": "price"}


def stein(score, lam):
    return geojax.SteinScoreMetric(score, lam)


def combined(score, lam):
    return geojax.JacobianMetric(score, 0.1 * lam) + geojax.ScoreNormMetric(score, lam)


def solve(inputs, make=stein, **options):
    radius, width, lam = inputs[:3]
    metric = make(geojax.Shell(radius, width), lam)
    options = {**OPTIONS, "throw": False, **options}
    return geojax.geodesic(metric, inputs[3:5], inputs[5:7], **options)


QUANTITIES = {
    "path": lambda s: jnp.vdot(s.curve.xs, WEIGHTS),
    "energy": lambda s: s.energy,
    "length": lambda s: s.length,
    "velocities": lambda s: jnp.sum(s.initial_velocity**2) + s.final_velocity[0],
}


def all_of_them(inputs, make=stein, rule=None):
    solution = solve(inputs, make, rule=rule)
    return jnp.stack([quantity(solution) for quantity in QUANTITIES.values()])


def differences(function, inputs, step=2e-3):
    """Differences of fourth order: central, one-sided by a lam of 0."""

    def along(i):
        one_sided = i == 2 and inputs[i] == 0
        h = step / 2 if one_sided else step  # whose constant is the larger one

        def at(shift):
            return np.asarray(function(inputs.at[i].add(shift * h)))

        if one_sided:
            return (-25 * at(0) + 48 * at(1) - 36 * at(2) + 16 * at(3) - 3 * at(4)) / (12 * h)
        return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)

    return np.stack([along(i) for i in range(len(inputs))], axis=-1)


CASES = {
    "low rank": (stein, geojax.SplineGauss()),
    "chords": (stein, geojax.LogDensityChord()),
    "sum of squares": (combined, geojax.SplineGauss()),
}


@pytest.mark.slow
@pytest.mark.parametrize("make, rule", CASES.values(), ids=CASES.keys())
def test_forward_and_reverse_agree_with_finite_differences(make, rule):
    mode = jax.jacrev if make is stein else jax.jacfwd
    function = jax.jit(lambda inputs: all_of_them(inputs, make, rule))
    derivatives = jax.jit(mode(lambda inputs: all_of_them(inputs, make, rule)))
    if make is stein:
        along = jnp.asarray(np.random.default_rng(0).normal(size=len(INPUTS)))
        forward = jax.jit(lambda x: jax.jvp(function, (x,), (along,))[1])(INPUTS)
        np.testing.assert_allclose(forward, derivatives(INPUTS) @ along, rtol=1e-6)
    # Flat space too, where learning a metric starts; one-sided differences have fewer digits.
    for inputs, tolerance in ((INPUTS, 1e-4), (INPUTS.at[2].set(0.0), 1e-3)):
        found, expected = derivatives(inputs), differences(function, inputs)
        scale = np.abs(expected).max(axis=1, keepdims=True)
        np.testing.assert_allclose(found / scale, expected / scale, atol=tolerance)


@pytest.mark.slow
def test_reverse_mode_is_the_transpose_of_forward_mode():
    """Under jit, and over a batch by vmap."""
    shifts = jnp.asarray([[0.0], [0.03]]) * jnp.ones((2, len(INPUTS)))
    batch = INPUTS[None] + shifts
    function = lambda inputs: QUANTITIES["path"](solve(inputs))  # noqa: E731
    reverse = jax.jit(jax.vmap(jax.grad(function)))(batch)
    forward = jax.jit(jax.jacfwd(function))
    for i in range(2):
        np.testing.assert_allclose(reverse[i], forward(batch[i]), rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_unrolled_differentiation_agrees():
    """The solver's own steps, differentiated one by one."""

    def unrolled(inputs):
        metric = stein(geojax.Shell(inputs[0], inputs[1]), inputs[2])
        problem = TwoPointProblem(metric, geojax.SplineGauss(), None, inputs[3:5], inputs[5:7])
        solver = geojax.GaussNewton(curvature_steps=0)
        state = solver.init(problem, jnp.zeros((N + 1, 2)))

        def step(state, _):
            return solver.step(problem, state), None

        state, _ = jax.lax.scan(step, state, length=40)
        return jnp.vdot(problem.nodes(state.offsets), WEIGHTS)

    implicit = jax.jit(jax.grad(lambda inputs: QUANTITIES["path"](solve(inputs))))(INPUTS)
    # By forward mode: reverse would multiply the infinite energy before the first step by zero.
    expected = jax.jit(jax.jacfwd(unrolled))(INPUTS)
    np.testing.assert_allclose(implicit, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_second_derivatives_of_the_energy():
    function = jax.jit(jax.grad(lambda inputs: solve(inputs).energy))
    hessian = jax.jit(jax.hessian(lambda inputs: solve(inputs).energy))(INPUTS)
    expected = differences(function, INPUTS)
    np.testing.assert_allclose(hessian, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-7 * np.abs(expected).max())


@jax.jit
def gradient_of_distance(metric, a, b):
    return jax.grad(lambda x: geojax.distance(metric, a, x, throw=False, **OPTIONS))(b)


def test_the_gradient_of_the_distance_is_the_final_covector():
    """First variation: `d distance / d x1 = g(x1) x'(1) / length`, and it takes no solve."""
    metric = stein(geojax.Shell(2.0, 0.5), 1.0)
    a, b = INPUTS[3:5], INPUTS[5:7]

    @jax.jit
    def both(b):
        solution = geojax.geodesic(metric, a, b, throw=False, **OPTIONS)
        return metric.flat(b, solution.final_velocity) / jnp.sqrt(2 * solution.energy)

    np.testing.assert_allclose(gradient_of_distance(metric, a, b), both(b), rtol=1e-8)


class Network(eqx.Module):
    mlp: eqx.nn.MLP

    def __call__(self, x, args):
        return self.mlp(x)


@pytest.mark.slow
def test_networks_get_gradients_by_all_their_parameters():
    """As for metric learning."""
    mlp = eqx.nn.MLP(2, 2, 8, 1, jax.nn.tanh, key=jax.random.key(0))
    mlp = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, mlp)

    def distance(score):
        metric = geojax.SteinScoreMetric(score, 1.0)
        return geojax.distance(metric, INPUTS[3:5], INPUTS[5:7], **OPTIONS)

    found = eqx.filter_jit(eqx.filter_grad(distance))(Network(mlp))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))

    @jax.jit
    def moved(shift):
        moved = eqx.tree_at(lambda n: n.layers[0].bias, mlp, replace_fn=lambda b: b + shift)
        return distance(Network(moved))

    step = 1e-4 * jnp.eye(8)[0]
    expected = (moved(step) - moved(-step)) / 2e-4
    np.testing.assert_allclose(found.mlp.layers[0].bias[0], expected, rtol=1e-4)


def test_a_closure_is_refused_and_never_given_a_gradient_of_zero():
    def distance(width):
        metric = geojax.SteinScoreMetric(lambda x, args: -x / width, 1.0)
        return geojax.distance(metric, INPUTS[3:5], INPUTS[5:7], **OPTIONS)

    with pytest.raises(ValueError, match="closes over a value"):
        jax.grad(distance)(2.0)


def test_coincident_ends_have_a_gradient_of_zero():
    a = INPUTS[3:5]
    gradient = gradient_of_distance(stein(geojax.Shell(2.0, 0.5), 1.0), a, a)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.slow
def test_a_path_that_is_no_minimum_has_no_derivative():
    """Stopped early, there is no implicit function: the distance is NaN, and so says its result."""
    metric, options = stein(geojax.Shell(2.0, 0.1), 10.0), {**OPTIONS, "max_steps": 1}
    assert np.isnan(geojax.distance(metric, INPUTS[3:5], INPUTS[5:7], throw=False, **options))
