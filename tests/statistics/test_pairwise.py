"""Pairwise distances: right, each pair once, and never solved twice when interrupted."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import geojax
from geojax import RESULTS, pairwise_distances
from geojax.statistics import _pairwise
from geojax.statistics._fingerprint import fingerprint
from tests.geodesics.problems import metric, on_circle

SETTINGS = {"num_segments": 4, "discretisation_tolerance": 0.2, "batch_size": 4}
POINTS = jnp.stack([on_circle(1.8 + 0.1 * i, 0.3 * i) for i in range(5)])
STEIN = metric(2.0, 0.5, 1.0)


def find(points=POINTS, others=None, stein=STEIN, chunk_size=4, **options):
    options = {**SETTINGS, **options}
    return pairwise_distances(stein, points, others, chunk_size=chunk_size, **options)


@pytest.fixture
def solved(monkeypatch):
    """The number of chunks solved so far; the process 'dies' before chunk `die_before`."""
    real, log = _pairwise._solve, {"chunks": 0, "die_before": None}

    def solve(*arguments):
        if log["chunks"] == log["die_before"]:
            raise KeyboardInterrupt
        log["chunks"] += 1
        return real(*arguments)

    monkeypatch.setattr(_pairwise, "_solve", solve)
    return log


@pytest.mark.slow
def test_each_pair_is_solved_once_and_is_where_it_belongs(solved):
    found = find()
    assert found.num_geodesics == 10 and solved["chunks"] == 3
    assert str(found) == "5 x 5 distances by 10 geodesics, 0 not found"
    np.testing.assert_array_equal(found.distances, found.distances.T)
    np.testing.assert_array_equal(jnp.diagonal(found.distances), 0)
    assert np.all(found.distances >= found.lower_bounds * (1 - 1e-3))
    assert np.all(found.lower_bounds + jnp.eye(5) > 0)

    across = find(POINTS[:2], POINTS[1:])
    assert across.num_geodesics == 8
    np.testing.assert_allclose(across.distances, found.distances[:2, 1:], rtol=1e-5, atol=1e-12)


@pytest.mark.slow
def test_in_flat_space_inside_a_jit_of_the_user():
    """Points of any shape."""

    @jax.jit
    def distances(points):
        return pairwise_distances(geojax.Euclidean(), points, num_segments=2).distances

    expected = jnp.linalg.norm(POINTS[:, None] - POINTS[None], axis=-1)
    np.testing.assert_allclose(distances(POINTS.reshape(5, 1, 2)), expected, rtol=1e-12)
    single = pairwise_distances(geojax.Euclidean(), POINTS[:1])
    np.testing.assert_array_equal(single.distances, [[0.0]])
    assert single.num_geodesics == 0


def test_a_failed_pair_is_nan_with_a_message():
    found = find(POINTS.at[1].set(1e200))
    lost = np.asarray(found.result == RESULTS.non_finite)
    expected = np.zeros((5, 5), bool)
    expected[1], expected[:, 1] = True, True
    expected[1, 1] = False
    np.testing.assert_array_equal(lost, expected)
    np.testing.assert_array_equal(np.isnan(found.distances), expected)
    assert str(found) == "5 x 5 distances by 10 geodesics, 8 not found"


def test_an_interrupted_call_goes_on_where_it_stopped(solved, tmp_path):
    folder = tmp_path / "distances"
    solved["die_before"] = 2
    with pytest.raises(KeyboardInterrupt):
        find(folder=folder)
    finished = {f: f.stat().st_mtime_ns for f in folder.glob("chunk-*.npz")}
    assert len(finished) == 2
    solved["die_before"] = None
    found = find(folder=folder)
    assert solved["chunks"] == 3
    assert all(f.stat().st_mtime_ns == time for f, time in finished.items())
    again = find(folder=folder)
    assert solved["chunks"] == 3
    expected = find()
    for other in (found, again):
        np.testing.assert_array_equal(other.distances, expected.distances)
        np.testing.assert_array_equal(other.result == RESULTS.successful, True)
        assert int(other.score_evaluations) == int(expected.score_evaluations)

    # Nothing but whole chunks and the settings is left behind.
    assert sorted(f.name for f in folder.iterdir()) == [
        *(f"chunk-{i:06d}.npz" for i in range(3)),
        "settings.json",
    ]
    file = folder / "chunk-000001.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="Delete it to have it solved again"):
        find(folder=folder)
    file.unlink()
    np.testing.assert_array_equal(find(folder=folder).distances, expected.distances)
    assert solved["chunks"] == 7


@pytest.mark.parametrize(
    "change, named",
    [
        ({"points": POINTS + 1e-12}, "points"),
        ({"others": POINTS}, "chunks, others"),
        ({"stein": metric(2.0, 0.5, 1.1)}, "metric"),
        ({"num_segments": 5}, "options"),
        ({"solver": geojax.GaussNewton(rtol=1e-8)}, "solver"),
        ({"chunk_size": 5}, "chunks"),
    ],
)
def test_a_folder_of_other_settings_is_refused(change, named, tmp_path, monkeypatch):
    def never(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_pairwise, "_solve", never)
    with pytest.raises(KeyboardInterrupt):
        find(folder=tmp_path)
    with pytest.raises(ValueError, match=f"other settings: {named} differ"):
        find(folder=tmp_path, **change)


def test_progress_counts_the_chunks(capfd):
    find(progress_meter=diffrax.TextProgressMeter(minimum_increase=0.2))
    jax.effects_barrier()
    assert "100" in "".join(capfd.readouterr())


def test_bad_arguments_are_named():
    plain = pairwise_distances.__wrapped__
    for change, message in (
        ({"points": jnp.zeros(3)}, r"points must hold points, shape \(points, \*shape\)"),
        ({"others": jnp.zeros((2, 3))}, "points and others must hold points of one shape"),
        ({"chunk_size": 0}, "chunk_size must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            plain(**{"metric": geojax.Euclidean(), "points": POINTS, **change})


def test_a_fingerprint_depends_on_functions_and_their_values():
    def scaled(factor):
        return lambda x, args: factor * x

    different = [
        lambda x, args: x,
        lambda x, args: 2 * x,
        scaled(1.0),
        scaled(2.0),
        scaled(jnp.ones(2)),
        scaled(jnp.ones(2, jnp.float32)),
        scaled(jnp.ones((1, 2))),
        optax.adam(1e-2),
        optax.adam(1e-3),
        jax.jit(lambda x: x),
        jax.random.key(0),
        jax.random.key(1),
        jax.random.key_data(jax.random.key(1)),
        STEIN,
        metric(2.0, 0.5, 2.0),
        {"a": 1, "b": 2},
        [1, 2],
        (1, 2),
        12,
        None,
    ]
    digests = [fingerprint(each) for each in different]
    assert len(set(digests)) == len(digests)
    assert fingerprint(scaled(2.0)) == digests[3]
    assert fingerprint(optax.adam(1e-3)) == digests[8]
    assert fingerprint(metric(2.0, 0.5, 2.0)) == digests[14]

    def recursive(n):
        return recursive(n - 1)

    assert fingerprint(recursive) == fingerprint(recursive)
