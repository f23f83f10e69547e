"""The figures in `stats` are the calls that were made, counted at run time."""

import collections

import diffrax
import jax
import jax.numpy as jnp
import optax
import optimistix as optx
import pytest

import geojax
from geojax import GaussNewton, PathEnergy

CALLS = collections.Counter()
A, B = jnp.asarray([1.0, 0.1]), jnp.asarray([-0.8, 0.6])
LBFGS = optx.LBFGS(rtol=1e-8, atol=1e-8)
PLAIN = GaussNewton(curvature_steps=0)


def note(kind, x):
    """Counts one call each time that the program runs here, and one a lane under `jax.vmap`."""
    jax.debug.callback(lambda _: CALLS.update([kind]), x.reshape(-1)[0])


def field(x):
    return -x * (1 + jnp.sum(x**2)) + 0.3 * jnp.roll(x, 1) ** 2


@jax.custom_vjp
def reverse(x):
    note("evaluations", x)
    return field(x)


def reverse_bwd(x, cotangent):
    note("products", cotangent)
    return jax.vjp(field, x)[1](cotangent)


reverse.defvjp(lambda x: (reverse(x), x), reverse_bwd)


@jax.custom_jvp
def both(x):
    note("evaluations", x)
    return field(x)


def jvp(x, v):
    note("products", v)
    return jax.jvp(field, (x,), (v,))[1]


def vjp(x, w):
    note("products", w)
    return jax.vjp(field, x)[1](w)[0]


@both.defjvp
def both_jvp(primals, tangents):
    (x,), (v,) = primals, tangents
    return both(x), jax.custom_derivatives.linear_call(jvp, vjp, x, v)


class Score:
    """Counted where it is differentiated in reverse only, with a log-density counted likewise."""

    def __call__(self, x, args):
        return reverse(x)

    def log_density(self, x, args):
        return log_density(x)


@jax.custom_vjp
def log_density(x):
    return -jnp.sum(x**2) / 2 - jnp.sum(x**2) ** 2 / 4


def log_density_bwd(x, cotangent):
    note("evaluations", cotangent)  # the gradient of a log-density is a score
    return (cotangent * -x * (1 + jnp.sum(x**2)),)


log_density.defvjp(lambda x: (log_density(x), x), log_density_bwd)


def matrix(x, args):
    return jnp.eye(2) + jnp.outer(reverse(x), reverse(x)) / 2


def check(solution):
    jax.block_until_ready(solution.energy)
    jax.effects_barrier()
    counted = dict(CALLS)
    CALLS.clear()
    for kind in ("evaluations", "products"):
        assert int(solution.stats[f"score_{kind}"]) == counted.get(kind, 0), kind
    assert solution.stats["num_steps"] > 1
    return counted


@pytest.mark.slow
@pytest.mark.parametrize(
    "solver, rule, max_steps",
    [
        (PLAIN, geojax.Midpoint(batch_size=2), 50),
        (PLAIN, geojax.Quadrature(), 50),
        (geojax.CoarseToFine(PLAIN, levels=2), geojax.LogDensityChord(), 50),
        (geojax.Georce(), geojax.Midpoint(), 50),
        (PathEnergy(optax.adam(0.1)), geojax.Quadrature(), 4),
        pytest.param(PathEnergy(LBFGS), geojax.LogDensityChord(), 50, marks=pytest.mark.slow),
        (PathEnergy(LBFGS), geojax.Midpoint(), 50),
    ],
    ids=[
        "GN, midpoint",
        "GN, quadrature",
        "levels, graph",
        "Georce",
        "Adam",
        "LBFGS, graph",
        "LBFGS",
    ],
)
def test_two_point_problems(solver, rule, max_steps):
    CALLS.clear()
    metric = geojax.SteinScoreMetric(Score(), 1.0)
    options = {"num_segments": 4, "rule": rule, "max_steps": max_steps, "throw": False}
    options["diagnostics"] = "price"
    counted = check(geojax.geodesic(metric, A, B, solver=solver, **options))
    forward_only = isinstance(solver, GaussNewton) and isinstance(rule, geojax.Quadrature)
    assert not (forward_only and "products" in counted)


@pytest.mark.slow
@pytest.mark.parametrize(
    "solver, diagnostics",
    [
        (GaussNewton(damping=30.0), "full"),
        (PathEnergy(LBFGS), "full"),
        pytest.param(PathEnergy(LBFGS), "price", marks=pytest.mark.slow),
    ],
    ids=["GN", "LBFGS, certified", "LBFGS"],
)
def test_exact_curvature(solver, diagnostics):
    """A score that is differentiated twice: its evaluations are counted where they happen."""
    CALLS.clear()

    def score(x, args):
        note("evaluations", x)
        return 5 * field(3 * x)

    metric = geojax.SteinScoreMetric(score, 1.0)
    options = {
        "num_segments": 4,
        "diagnostics": diagnostics,
        "throw": False,
        "discretisation_tolerance": 9.0,
    }
    solution = geojax.geodesic(metric, A, B, solver=solver, **options)
    jax.block_until_ready(solution.energy)
    jax.effects_barrier()
    assert int(solution.stats["score_evaluations"]) == CALLS["evaluations"]
    CALLS.clear()


@pytest.mark.slow
def test_a_metric_that_is_not_made_of_scores_counts_itself():
    """Here each of its evaluations holds two of the score; `sharp` is one, by Cholesky."""
    CALLS.clear()
    metric = geojax.DenseMetric(matrix)
    options = {"num_segments": 4, "max_steps": 50, "diagnostics": "price", "throw": False}
    solution = geojax.geodesic(metric, A, B, solver=PathEnergy(LBFGS), **options)
    jax.block_until_ready(solution.energy)
    jax.effects_barrier()
    assert int(solution.stats["score_evaluations"]) == CALLS["evaluations"] / 2
    assert int(solution.stats["score_products"]) == CALLS["products"] / 2
    CALLS.clear()


@pytest.mark.slow
@pytest.mark.parametrize("conservative, solver", [(False, diffrax.Tsit5()), (True, diffrax.Heun())])
def test_the_exponential_map(conservative, solver):
    """With and without a last stage that serves as the next step's first."""
    CALLS.clear()
    metric = geojax.SteinScoreMetric(lambda x, args: both(x), 1.0, conservative=conservative)
    check(
        geojax.exponential_map(
            metric, A, B, num_segments=3, solver=solver, rtol=1e-3, atol=1e-3, throw=False
        )
    )


@pytest.mark.parametrize(
    "solve, most",
    [
        (lambda m: geojax.geodesic(m, A, B), 7),
        (lambda m: geojax.geodesic(m, A, B, solver=PathEnergy()), 8),
        (lambda m: geojax.exponential_map(m, A, B), 12),
    ],
    ids=["GaussNewton", "L-BFGS", "exponential_map"],
)
def test_a_program_contains_the_score_a_few_times_only(solve, most):
    """However many steps and segments: a network's compilation is what a user waits for."""
    traced = []

    def score(x, args):
        traced.append(x)
        return field(x)

    jax.eval_shape(lambda: solve(geojax.SteinScoreMetric(score, 1.0)))
    assert 0 < len(traced) <= most
