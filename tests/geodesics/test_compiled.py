"""A solve that is compiled ahead of time: once for all pairs, and equal to `geodesic`."""

import jax.numpy as jnp
import numpy as np
import pytest

import geojax

SOLVER = geojax.GaussNewton(curvature_steps=0)
OPTIONS: dict = {"num_segments": 6, "diagnostics": "price"}


def test_one_program_serves_all_pairs():
    """A score's Python runs where a program is traced, not where one is called."""
    traced = []

    def score(x, args):
        traced.append(x.shape)
        return args * (2 / jnp.linalg.norm(x) - 1) * x

    metric = geojax.SteinScoreMetric(score, 0.5)
    a, factor = jnp.asarray([2.0, 0.0]), jnp.asarray(4.0)
    solve = geojax.compile_geodesic(metric, a, solver=SOLVER, args=factor, **OPTIONS)
    count = len(traced)
    assert count > 0
    pairs = [(jnp.asarray([0.5, 1.8]), factor), (jnp.asarray([1.0, 1.5]), jnp.asarray(6.0))]
    found = [solve(a, b, args=args) for b, args in pairs]
    again = solve(a, pairs[0][0], init=found[0].curve.xs)
    assert len(traced) == count
    for solution, (b, args) in zip(found, pairs, strict=True):
        same = geojax.geodesic(metric, a, b, solver=SOLVER, args=args, **OPTIONS)
        np.testing.assert_allclose(solution.curve.xs, same.curve.xs, rtol=1e-12)
        np.testing.assert_allclose(solution.energy, same.energy, rtol=1e-12)
    assert again.stats["num_steps"] < found[0].stats["num_steps"]

    with pytest.raises(ValueError, match=r"must have shape \(2,\) and dtype float64"):
        solve(jnp.zeros(3), jnp.ones(3))
