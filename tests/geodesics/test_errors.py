"""A failed solve is one exception with one message; verdicts have their figures and remedies."""

import pickle
import traceback

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import FIT_RESULTS, RESULTS, GeodesicError
from geojax._verdicts import Notice
from geojax.geodesics._results import VERDICTS
from geojax.statistics._results import FIT_VERDICTS
from tests.geodesics.problems import metric, on_circle

STEIN = metric(2, 0.5, 1)
FLAT = geojax.Euclidean()
A, B = on_circle(2.0, 0.0), on_circle(1.9, 1.0)
NAN = jnp.full(2, jnp.nan)
# Without exact curvature: twice as quick to compile. One program for most tests of a kind.
PLAIN: dict = {"solver": geojax.GaussNewton(curvature_steps=0), "diagnostics": "price"}
STOPPED = {"num_segments": 4, "max_steps": 0, **PLAIN}
TWO = {"num_segments": 2, **PLAIN}
POINTS = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 2.0]])
BROKEN = POINTS.at[2].set(jnp.nan)


def square(x):
    return jnp.sum(x**2)


# Every public function that takes `throw`, in a call that fails.
FAILING = {
    "geodesic": lambda t: geojax.geodesic(STEIN, A, B, throw=t, **STOPPED),
    "geodesic_batch": lambda t: geojax.geodesic_batch(FLAT, A, jnp.stack([B, NAN]), throw=t, **TWO),
    "compile_geodesic": lambda t: geojax.compile_geodesic(FLAT, A, **TWO)(A, NAN, throw=t),
    "robust_geodesic": lambda t: geojax.robust_geodesic(
        FLAT, A, NAN, num_segments=2, max_segments=2, throw=t
    ),
    "exponential_map": lambda t: geojax.exponential_map(STEIN, A, B, max_steps=1, throw=t),
    "jacobi_field": lambda t: geojax.jacobi_field(STEIN, A, B, A, B, max_steps=1, throw=t),
    "riemannian_gradient_descent": lambda t: geojax.riemannian_gradient_descent(
        FLAT, square, A, learning_rate=1e-3, max_steps=2, gtol=1e-6, throw=t
    ),
    "parallel_transport": lambda t: geojax.parallel_transport(
        STEIN,
        geojax.geodesics.Polyline(jnp.array([0.0, 1.0]), jnp.stack([A, B])),
        B,
        drift_tolerance=0.0,
        throw=t,
    ),
    "frechet_mean": lambda t: geojax.frechet_mean(
        FLAT, BROKEN, init=A, num_segments=2, max_evaluations=2, throw=t
    ),
    "k_medoids": lambda t: geojax.k_medoids(
        jnp.abs(jnp.arange(8.0)[:, None] - jnp.arange(8.0)[None, :]),
        3,
        key=jax.random.key(1),
        num_starts=1,
        max_swaps=0,
        throw=t,
    ),
}


QUICK = ("geodesic", "compile_geodesic", "exponential_map", "k_medoids")


@pytest.mark.slow
@pytest.mark.parametrize(
    "door", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in FAILING]
)
def test_a_failed_solve_is_one_short_exception(door):
    """One type, the solution on it, its message, and no frames but this library's."""
    with pytest.raises(GeodesicError) as caught:
        FAILING[door](True)
    error = caught.value
    lines = traceback.format_exception(error)
    assert error.__cause__ is None and error.__suppress_context__
    assert len(str(error).splitlines()) == 1 and "equinox" not in str(error)
    assert "callback" not in "".join(lines)
    quiet = FAILING[door](False)
    assert type(error.solution) is type(quiet)
    assert not np.all(error.solution.successful) and not np.all(quiet.successful)
    assert error.solution.failure() == str(error)
    assert np.shape(error.result == error.result) == np.shape(quiet.successful)
    assert error.solution.message in str(error) if not np.shape(quiet.successful) else True
    assert len(str(quiet).splitlines()) < 30 and repr(quiet)


@pytest.mark.slow
def test_maps_that_return_arrays_raise_with_the_solution():
    with pytest.raises(GeodesicError, match="not finite") as caught:
        geojax.distance(FLAT, A, NAN, **TWO)
    assert caught.value.solution.result == RESULTS.non_finite
    with pytest.raises(GeodesicError, match=r"misses x1 by .* after 0 of 0|not finite") as caught:
        geojax.log_map(FLAT, A, NAN, num_segments=2, diagnostics="price")
    assert "log_map" not in str(caught.value)


def test_the_error_survives_a_process():
    error = GeodesicError("a message", {"energy": 1.0})
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "a message" and again.solution == {"energy": 1.0}
    assert isinstance(error, RuntimeError) and error.result is None


def test_inside_a_program_the_error_is_that_of_the_runtime():
    """No Python exception can be chosen there; the text is the verdict's own."""
    solve = eqx.filter_jit(lambda b: geojax.geodesic(FLAT, A, b, **TWO).energy)
    with pytest.raises(Exception, match="Check the score") as caught:
        jax.block_until_ready(solve(NAN))
    assert not isinstance(caught.value, GeodesicError)
    assert float(solve(A)) == 0


@pytest.mark.slow
def test_messages_have_figures():
    solution = geojax.geodesic(STEIN, A, B, throw=False, **STOPPED)
    decrement = float(solution.stats["decrement"])
    assert f"it is {decrement:.2g}, tolerance 1e-10, after 0 of 0 steps" in solution.message
    assert "robust_geodesic" in solution.message
    assert float(solution.limits["decrement"]) == 1e-10
    coarse = {"num_segments": 4, "discretisation_tolerance": 1e-9, "throw": False}
    rough = geojax.geodesic(STEIN, A, B, **coarse, **PLAIN)
    assert rough.result == RESULTS.under_resolved
    off = 100 * float(rough.stats["discretisation_error"])
    assert f"by {off:.2g} %, allowed 1e-07 %" in rough.message
    assert "Raise num_segments to 16" in rough.message and "--" not in rough.message
    message = rough.notice().text("command line")
    assert "Raise --segments to 16, or lower --lam." in message and "num_segments" not in message


@pytest.mark.slow
def test_the_error_of_a_batch_names_its_failed_lanes_with_reasons():
    batch = FAILING["geodesic_batch"](False)
    np.testing.assert_array_equal(batch.successful, [True, False])
    assert batch.messages[0] == "successful" and "not finite" in batch.messages[1]
    assert batch[1].message == batch.messages[1]
    with pytest.raises(ValueError, match="batch of shape"):
        _ = batch.message
    with pytest.raises(GeodesicError, match=r"1 of 2 geodesics did not succeed: lane 1\. Lane 1: "):
        FAILING["geodesic_batch"](True)
    lines = str(batch).splitlines()
    assert lines[0] == "2 geodesics, 1 successful" and len(lines) == 4
    assert lines[2].split()[0] == "0" and lines[3].split()[-1] == "non_finite"
    np.testing.assert_array_equal(batch.end[0], B)
    np.testing.assert_allclose(batch.evaluate(0.5)[0], np.add(A, B) / 2)


@pytest.mark.slow
def test_large_batches_print_their_failures_in_a_few_lines():
    good = geojax.geodesic_batch(FLAT, A, jnp.stack([B] * 30), **TWO)
    marked = jnp.arange(30) == 17
    result = jax.vmap(lambda bad: RESULTS.where(bad, RESULTS.stalled, RESULTS.successful))(marked)
    batch = eqx.tree_at(lambda s: s.result, good, result)
    text = str(batch)
    assert len(text.splitlines()) < 15 and "stalled" in text and "20 more lanes" in text


@pytest.mark.slow
def test_several_starts_are_printed():
    straight, bent = jnp.asarray([A, B]), jnp.asarray([A, np.add(A, B), B])
    solution = geojax.geodesic(FLAT, A, B, init=[straight, bent], **TWO)
    assert "start_energies" in str(solution) and bool(solution.successful)


def test_under_transformations():
    """`successful` is an array in a program; printing there falls back on the structure."""

    @jax.jit
    def inside(b):
        solution = geojax.geodesic(FLAT, A, b, throw=False, **TWO)
        assert str(solution).startswith("GeodesicSolution(")
        return solution.successful, solution.end, solution.evaluate(0.5)

    good, end, middle = inside(B)
    assert bool(good)
    np.testing.assert_array_equal(end, B)
    np.testing.assert_allclose(middle, np.add(A, B) / 2)


@pytest.mark.parametrize("verdicts", [VERDICTS, FIT_VERDICTS], ids=["RESULTS", "FIT_RESULTS"])
def test_every_verdict_is_readable_alone_and_for_both_readers(verdicts):
    enumeration = {id(VERDICTS): RESULTS, id(FIT_VERDICTS): FIT_RESULTS}[id(verdicts)]
    assert len(enumeration) == len(verdicts.notices) + 1
    for name, notice in verdicts.notices.items():
        alone = enumeration[getattr(enumeration, name)]
        assert alone == notice.filled().text()
        for text in (alone, notice.filled().text("command line")):
            assert text.endswith(".") and not set(text) & set("[]{}"), text
        assert "--" not in alone and "=" not in notice.command_line
    names = np.asarray([["successful", *verdicts.notices]])
    np.testing.assert_array_equal(verdicts.names(verdicts.results(names)), names)
    with pytest.raises(ValueError, match="must be verdicts"):
        verdicts.results(np.asarray(["fine"]))


def test_notices():
    notice = Notice("It is {a}[ of {b:%}].", "Do x[ to {c}].", "Do --x.")
    assert notice.filled({"a": 3, "b": 1.9}).text() == "It is 3 of 190 %. Do x."
    assert notice.filled({"a": 12345, "c": 0.051234}).text() == "It is 12,345. Do x to 0.051."


@pytest.mark.slow
def test_interpolated_paths_and_continued_geodesics_have_verdicts():
    route = geojax.GeodesicInterpolator(FLAT, throw=False, **TWO)
    for end, good in ((B, True), (NAN, False)):
        path = route.solve(A, end, until=1.5, throw=False)
        found = route.run(A, end, jnp.array([0.5, 1.0]))
        assert bool(path.successful) == bool(found.successful) == good
        assert (path.message == "successful") == (found.message == "successful") == good
