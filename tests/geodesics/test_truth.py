"""Two-point geodesics against exact values: surfaces of revolution, closed forms, identities.

Everything with N = 100 and one rule runs the same compiled function: only numbers differ.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax.scores import random_embedding
from tests.geodesics.problems import angular_momentum, clairaut_length, climb, metric, on_circle

RULES = {
    "midpoint": geojax.Midpoint(),
    "graph": geojax.LogDensityChord(),
    "quadrature": geojax.Quadrature(),
}
# radius, width, lam, the radii of the ends, the angle between them; the error at N = 100.
GAUSSIAN = (0, 1, 1, 1, 1, np.pi - np.arctan2(0.6, 0.8)), 1e-4
RING = (2, 0.25, 1, 2, 2, 2.0), 1e-4
INWARD = (2, 0.25, 1, 2, 1.5, 2.0), 1e-3
STIFF = (2, 0.25, 10, 2, 1.5, 2.0), 1e-3
CASES = {"Gaussian": GAUSSIAN, "ring": RING, "ring, inward": INWARD, "stiff ring": STIFF}
PUBLISHED = {"Gaussian": 2.25186030165255, "ring": 7.241123, "ring, inward": 7.67411,
             "stiff ring": 25.75529}  # fmt: skip

each_case = pytest.mark.parametrize("name", CASES)


# Without exact curvature, which doubles the time to compile and finds nothing in these problems;
# the solver that is the default is asked at one rule and size.
PLAIN = {"solver": geojax.GaussNewton(curvature_steps=0), "diagnostics": "price"}


def solve(case, rule="midpoint", num_segments=100, embedding=None, **options):
    radius, width, lam, start, end, angle = case
    a, b = on_circle(start, 0.3), on_circle(end, 0.3 + angle)
    if embedding is not None:
        a, b = a @ embedding, b @ embedding
    options = {"rule": RULES[rule], "num_segments": num_segments, **PLAIN, **options}
    return geojax.geodesic(metric(radius, width, lam, embedding), a, b, **options)


def exact_energy(case):
    return clairaut_length(*case) ** 2 / 2


def check(solution, case, tolerance):
    exact = exact_energy(case)
    assert abs(float(solution.energy) - exact) < tolerance * exact
    assert abs(float(solution.length) - np.sqrt(2 * exact)) < tolerance * np.sqrt(2 * exact)
    assert solution.result == geojax.RESULTS.successful
    assert solution.stats["num_steps"] <= 20
    assert 0 <= solution.stats["decrement"] <= 1e-10
    assert solution.stats["lower_bound"] <= solution.length
    assert solution.stats["path_dependence"] < 1e-6


@each_case
def test_quadrature_gives_the_published_digits(name):
    digits = len(str(PUBLISHED[name]).split(".")[1])
    assert exact_energy(CASES[name][0]) == pytest.approx(PUBLISHED[name], abs=0.6 * 10**-digits)


@each_case
@pytest.mark.parametrize("rule", RULES)
def test_energy_in_the_plane(rule, name):
    default = {"solver": None, "diagnostics": "full"} if rule == "midpoint" else {}
    check(solve(CASES[name][0], rule, **default), *CASES[name])


@each_case
def test_energy_in_fifty_dimensions_is_that_in_the_plane(name):
    case, tolerance = CASES[name]
    embedding = random_embedding(2, 50, key=jax.random.key(1))
    solution = solve(case, embedding=embedding)
    check(solution, case, tolerance)
    plane = solve(case)
    np.testing.assert_allclose(solution.energy, plane.energy, rtol=1e-8)
    expected = np.asarray(plane.curve.xs) @ np.asarray(embedding)
    np.testing.assert_allclose(solution.curve.xs, expected, atol=1e-4)
    if name == "Gaussian":
        velocity = np.asarray(plane.initial_velocity) @ np.asarray(embedding)
        np.testing.assert_allclose(solution.initial_velocity, velocity, atol=1e-4)


@pytest.mark.parametrize(
    "rule, name, sizes",
    [
        ("midpoint", "Gaussian", (50, 100)),
        ("midpoint", "ring, inward", (50, 100)),
        ("graph", "Gaussian", (25, 100)),
        ("graph", "ring", (25, 100)),
        ("quadrature", "Gaussian", (25, 100)),
        ("quadrature", "ring", (25, 100)),
    ],
)
def test_the_energy_converges_with_order_two(rule, name, sizes):
    case, _ = CASES[name]
    errors = [float(solve(case, rule, n).energy) / exact_energy(case) - 1 for n in sizes]
    slope = np.polyfit(np.log(sizes), np.log(np.abs(errors)), 1)[0]
    assert -2.15 < slope < -1.9, (slope, errors)


def test_without_lam_the_path_is_the_straight_line():
    solution = solve((2, 0.25, 0, 2, 1.5, 2.0))
    a, b = np.asarray(solution.curve.xs)[[0, -1]]
    straight = [(1 - w) * a + w * b for w in np.linspace(0, 1, 101)]
    np.testing.assert_allclose(solution.curve.xs, straight, atol=1e-15)
    np.testing.assert_allclose(solution.energy, np.sum((b - a) ** 2) / 2, rtol=1e-14)
    assert solution.stats["num_steps"] == 0 and solution.stats["decrement"] < 1e-14
    assert solution.stats["lower_bound"] == pytest.approx(float(solution.length), rel=1e-14)


def test_with_large_lam_the_path_on_a_ring_is_the_arc():
    """The excess energy over the arc's, (2 angle)^2 / 2 = 8, falls with lam."""
    gaps = []
    for lam in (1.0, 100.0, 1e4):
        case = (2, 0.25, lam, 2, 2, 2.0)
        solution = solve(case)
        assert float(solution.energy) == pytest.approx(exact_energy(case), rel=2e-4)
        radii = np.linalg.norm(solution.curve.xs, axis=1)
        gaps.append(np.max(np.abs(radii - 2)))
        assert gaps[-1] < 0.5 * lam**-0.25
    assert gaps == sorted(gaps, reverse=True) and gaps[-1] < 0.03


@pytest.mark.parametrize("start, end", [(2.4, 1.2), (2.5, 2.1), (1.0, 1.9)])
def test_radial_paths_have_a_closed_form(start, end):
    solution = solve((2, 0.25, 1, start, end, 0.0))
    exact = climb(2, 0.25, 1, start, end)
    assert float(solution.length) == pytest.approx(exact, rel=1e-3)
    xs = np.asarray(solution.curve.xs)
    directions = xs / np.linalg.norm(xs, axis=1, keepdims=True)
    np.testing.assert_allclose(directions, np.tile(on_circle(1, 0.3), (101, 1)), atol=1e-12)


def test_in_one_dimension_the_distance_is_an_integral():
    """d = integral sqrt(1 + lam s^2), here for the Gaussian, as a point of shape (1,)."""
    line = geojax.Shell(jnp.asarray(0.0), jnp.asarray(0.7), dim=1)
    stein = geojax.SteinScoreMetric(line, 2.0)
    found = geojax.distance(stein, jnp.asarray([0.2]), jnp.asarray([1.7]), num_segments=64, **PLAIN)
    assert float(found) == pytest.approx(climb(0, 0.7, 2.0, 0.2, 1.7), rel=2e-4)


# Identities --------------------------------------------------------------------------------------


def test_the_curve_between_exchanged_ends_is_the_same_one_reversed():
    case, _ = INWARD
    radius, width, lam, start, end, angle = case
    stein = metric(radius, width, lam)
    a, b = on_circle(start, 0.0), on_circle(end, angle)
    options = {"num_segments": 100, "rule": RULES["midpoint"], **PLAIN}
    there = geojax.geodesic(stein, a, b, **options)
    back = geojax.geodesic(stein, b, a, **options)
    np.testing.assert_allclose(there.length, back.length, rtol=1e-10)
    np.testing.assert_allclose(there.curve.xs, back.curve.xs[::-1], atol=1e-5)
    np.testing.assert_allclose(there.initial_velocity, -back.final_velocity, atol=1e-4)


def test_distances_satisfy_the_axioms_and_the_bound():
    """Symmetry, the triangle inequality and the chord in the graph as lower bound."""
    stein = metric(2, 0.5, 0.5)
    places = [on_circle(2.0, 0.0), on_circle(2.3, 0.8), on_circle(1.6, 1.9), on_circle(1.9, -1.1)]

    def log_density(x):
        return -((np.linalg.norm(x) - 2) ** 2) / (2 * 0.5**2)

    def length(a, b):
        found = geojax.geodesic(stein, a, b, num_segments=100, rule=RULES["midpoint"], **PLAIN)
        change = log_density(b) - log_density(a)
        chord = np.sqrt(np.sum(np.subtract(b, a) ** 2) + 0.5 * change**2)
        np.testing.assert_allclose(found.stats["lower_bound"], chord, rtol=1e-12)
        assert found.length >= chord
        return float(found.length)

    d = np.asarray([[length(a, b) if a is not b else 0.0 for b in places] for a in places])
    np.testing.assert_allclose(d, d.T, rtol=1e-9)
    for k in range(len(places)):
        assert np.all(d <= d[:, [k]] + d[[k], :] + 1e-3)


def speed(stein, x, v):
    return float(norm_of(stein, jnp.asarray(x), v))


norm_of = jax.jit(lambda stein, x, v: stein.norm(x, v))


def test_the_speed_becomes_constant():
    """The segments of a discrete geodesic become equally long as they become short."""
    defects = [float(solve(GAUSSIAN[0], num_segments=n).stats["speed_defect"]) for n in (50, 100)]
    assert defects[1] < defects[0] / 3.5 and defects[1] < 1e-3
    solution = solve(GAUSSIAN[0])
    radius, width, lam, *_ = GAUSSIAN[0]
    stein = metric(radius, width, lam)
    velocities = solution.initial_velocity, solution.final_velocity
    for x, v in zip(np.asarray(solution.curve.xs)[[0, -1]], velocities, strict=True):
        assert speed(stein, x, v) == pytest.approx(float(solution.length), rel=1e-3)


@pytest.mark.parametrize("rule", RULES)
def test_end_velocities_are_those_of_the_smooth_geodesic(rule):
    """By Clairaut: x' has angular momentum c = r^2 theta' and constant speed."""
    solution = solve(GAUSSIAN[0], rule)
    start, end = np.asarray(solution.curve.xs)[[0, -1]]
    momenta = [
        angular_momentum(start, solution.initial_velocity),
        angular_momentum(end, solution.final_velocity),
    ]
    assert momenta[0] == pytest.approx(momenta[1], rel=1e-6)
    stein = metric(0, 1, 1)
    exact = clairaut_length(*GAUSSIAN[0])
    assert speed(stein, start, solution.initial_velocity) == pytest.approx(exact, rel=2e-4)
