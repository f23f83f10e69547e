"""k-medoids against the best of all subsets."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax import k_medoids

KEY = jax.random.key(0)
CLOUD = jax.random.normal(jax.random.key(5), (12, 2))
DISTANCES = jnp.linalg.norm(CLOUD[:, None] - CLOUD[None, :], axis=-1)


def best_cost(distances, num_clusters, weights):
    subsets = np.asarray(list(itertools.combinations(range(len(distances)), num_clusters)))
    return min(float(weights @ distances[:, s].min(axis=1)) for s in subsets)


@pytest.mark.slow
@pytest.mark.parametrize("num_clusters", [1, 2, 3])
def test_it_finds_the_best_of_all_subsets(num_clusters):
    weights = jnp.linspace(0.5, 2.0, 12)
    for w in (jnp.ones(12), weights):
        clusters = k_medoids(DISTANCES, num_clusters, w, key=KEY, num_starts=6)
        exact = best_cost(np.asarray(DISTANCES), num_clusters, np.asarray(w))
        assert float(clusters.cost) == pytest.approx(exact, rel=1e-12)
        assert bool(clusters.successful)
        nearest = clusters.medoids[jnp.argmin(DISTANCES[:, clusters.medoids], axis=1)]
        np.testing.assert_array_equal(clusters.medoids[clusters.labels], nearest)


def test_every_point_a_cluster():
    clusters = k_medoids(DISTANCES, 12, key=KEY)
    np.testing.assert_array_equal(clusters.medoids, np.arange(12))
    assert float(clusters.cost) == 0


@pytest.mark.slow
def test_points_that_coincide_are_no_obstacle():
    """The start must not draw one of them twice."""
    x = jnp.asarray([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    clusters = k_medoids(jnp.abs(x[:, None] - x[None, :]), 4, key=KEY, max_swaps=0, throw=False)
    assert len(set(clusters.medoids.tolist())) == 4
    assert float(clusters.cost) == 0


@pytest.mark.slow
def test_without_swaps_it_is_not_called_converged():
    """With one start there is something left to gain."""
    start = k_medoids(DISTANCES, 3, key=jax.random.key(1), num_starts=1, max_swaps=0, throw=False)
    end = k_medoids(DISTANCES, 3, key=jax.random.key(1), num_starts=1)
    assert not bool(start.successful) and int(start.num_swaps) == 0
    assert "Raise max_swaps" in start.message
    assert int(end.num_swaps) > 0 and float(end.cost) < float(start.cost)


def test_bad_input_is_refused():
    for bad in (jnp.nan, jnp.inf, -1.0):
        with pytest.raises(RuntimeError, match="distances must be finite and at least 0"):
            k_medoids(DISTANCES.at[2, 3].set(bad), 2, key=KEY)
    plain = inspect.unwrap(k_medoids)
    for change, message in (
        ({"distances": DISTANCES[:3]}, "must be a square matrix"),
        ({"num_clusters": 13}, "num_clusters must be from 1 to 12, got 13"),
        ({"num_starts": 0}, "num_starts must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            plain(**{"distances": DISTANCES, "num_clusters": 2, "key": KEY, **change})
