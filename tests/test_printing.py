"""Every kind of solution and result can be printed, single and in batches, and says something."""

import jax
import jax.numpy as jnp
import pytest

import geojax
from geojax import RESULTS
from geojax.statistics import FIT_RESULTS

FLAT = geojax.Euclidean()
A, B = jnp.asarray([2.0, 0.0]), jnp.asarray([0.0, 2.0])
POINTS = jnp.stack([A, B, A + B])
FOUR = {"num_segments": 4}
LINE = jnp.stack([A, B])
BENT = jnp.stack([A, A + B, B])
GEODESICS = {
    "single": lambda: geojax.geodesic(FLAT, A, B, **FOUR),
    "several starts": lambda: geojax.geodesic(FLAT, A, B, init=[LINE, BENT], **FOUR),
    "batch": lambda: geojax.geodesic_batch(FLAT, POINTS, A, **FOUR),
    "vmap": lambda: jax.vmap(lambda b: geojax.geodesic(FLAT, A, b, throw=False, **FOUR))(POINTS),
    "batch of several starts": lambda: jax.vmap(
        lambda b: geojax.geodesic(FLAT, A, b, init=[jnp.stack([A, b])] * 2, throw=False, **FOUR)
    )(POINTS),
    "robust": lambda: geojax.robust_geodesic(FLAT, A, B, **FOUR),
    "exponential map": lambda: geojax.exponential_map(FLAT, A, B, num_segments=2),
}


QUICK = ("single", "batch of several starts")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in GEODESICS]
)
def test_geodesics(name):
    found = GEODESICS[name]()
    lines = str(found).splitlines()
    lanes = found.energy.size if found.energy.ndim else None
    if lanes is None:
        assert lines[0].startswith("geodesic with ") and lines[0].endswith(": successful")
        shown = [line.split()[0] for line in lines[1:]]
        assert shown == ["energy", "length", *found.stats]
        return
    assert lines[0] == f"{lanes} geodesics, {lanes} successful"
    assert len(lines) == 2 + lanes and "energy" in lines[1]


def fits():
    """What curvature and statistics return, by name."""
    shot = geojax.exponential_map(FLAT, A, B, num_segments=2)
    times = jnp.asarray([0.0, 1.0, 2.0])
    distances = geojax.pairwise_distances(FLAT, POINTS, **FOUR)
    key = jax.random.key(0)
    return {
        "transport": geojax.parallel_transport(FLAT, shot, B),
        "Jacobi field": geojax.jacobi_field(FLAT, A, B, A, B, num_segments=2),
        "Ricci curvature": geojax.ricci_curvature(FLAT, A, B),
        "descent": geojax.riemannian_gradient_descent(
            FLAT, lambda x: jnp.sum(x**2), A, learning_rate=0.1, max_steps=3, throw=False
        ),
        "dimension": geojax.intrinsic_dimension(
            geojax.NoisedSphere(2.0), A, jnp.asarray([0.1]), key=key
        ),
        "mean": geojax.frechet_mean(FLAT, POINTS, **FOUR),
        "principal geodesics": geojax.principal_geodesics(FLAT, POINTS, 1, **FOUR),
        "regression": geojax.geodesic_regression(FLAT, times, POINTS, **FOUR),
        "distances": distances,
        "clusters": geojax.k_medoids(distances.distances, 2, key=key),
    }


@pytest.mark.slow
def test_curvature_and_statistics():
    for name, found in fits().items():
        text = str(found)
        assert text and "Traced" not in text, name
        for field in getattr(found, "stats", {}):
            assert field in text, name


@pytest.mark.parametrize("results", [RESULTS, FIT_RESULTS])
def test_results(results):
    """A verdict is one or more whole sentences, each of them another."""
    members = [getattr(results, name) for name in results._name_to_item]
    texts = [results[member] for member in members]
    assert len(members) > 4 and len(set(texts)) == len(texts)
    for member, text in zip(members, texts, strict=True):
        assert str(member) and "Traced" not in str(member)
        if member == results.successful:
            continue
        assert len(text) > 40 and text.endswith("."), text
        assert not set("{}[]") & set(text), text
