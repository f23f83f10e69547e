"""The synthetic experiment: its figures, and that it can be stopped anywhere."""

import csv
import json

import jax.numpy as jnp
import numpy as np
import pytest

from geojax.experiments import CASES, RowStore, SyntheticPlan, run_synthetic, summarise
from geojax.experiments._synthetic import _scene

PLAN = SyntheticPlan(
    cases=("circle in R^2",),
    methods=("LERP", "density"),
    extrapolations=("straight line",),
    sigmas=(0.1,),
    lams=(1.0,),
    segments=(8,),
    num_pairs=2,
)


class Stopped(Exception):
    pass


def test_a_run_that_was_stopped_gives_the_table_of_one_that_was_not(tmp_path):
    def stop(done, total):
        assert total == 6
        if done == 3:
            raise Stopped

    whole = run_synthetic(PLAN, tmp_path / "whole")
    with pytest.raises(Stopped):
        run_synthetic(PLAN, tmp_path / "cut", callback=stop)
    kept = sorted((tmp_path / "cut" / "rows").iterdir())
    assert len(kept) == 3
    before = [path.stat().st_mtime_ns for path in kept]
    again = run_synthetic(PLAN, tmp_path / "cut", about={"command": "test"})
    assert [path.stat().st_mtime_ns for path in kept] == before
    for a, b in zip(whole, again, strict=True):
        for timed in ("seconds", "seconds_se"):
            a.pop(timed), b.pop(timed)
        assert a == b
    content = json.loads((tmp_path / "cut" / "synthetic.json").read_text())
    assert content["about"] == {"command": "test"}
    with (tmp_path / "cut" / "synthetic.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6
    assert (tmp_path / "cut" / "synthetic.png").stat().st_size > 0

    rows = {(row["kind"], row["method"]): row for row in whole}
    lerp, density = rows["path", "LERP"], rows["path", "density"]
    assert density["rmse"] < lerp["rmse"]
    assert lerp["score_evaluations"] == 0 < density["score_evaluations"]
    # A chord over the angle w: its middle is 1 - cos(w / 2) from the circle, its length 2 sin.
    ends = _scene("circle in R^2", PLAN).ends
    angles = 2 * jnp.arcsin(jnp.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) / 2)
    np.testing.assert_allclose(lerp["distance_max"], np.mean(1 - np.cos(angles / 2)), rtol=1e-6)
    expected = np.mean(2 * np.sin(angles / 2) / angles - 1)
    np.testing.assert_allclose(lerp["length_error"], expected, rtol=1e-6)


def test_means_and_errors():
    rows = [{"m": "a", "x": 1.0}, {"m": "a", "x": None}, {"m": "a", "x": 2.0}, {"m": "b", "x": 5.0}]
    a, b = summarise(rows, ["m"], ["x"])
    assert a == {"m": "a", "count": 3, "x": 1.5, "x_se": 0.5}
    assert b == {"m": "b", "count": 1, "x": 5.0, "x_se": None}


def test_rows_are_kept_by_their_settings(tmp_path):
    store = RowStore(tmp_path)
    store.put({"a": 1, "b": None}, {"x": float("nan")})
    assert store.get({"b": None, "a": 1}) == {"a": 1, "b": None, "x": None}
    assert store.get({"a": 2, "b": None}) is None


def test_an_unknown_case(tmp_path):
    with pytest.raises(ValueError, match=r"unknown case 'cube'. Known: circle in R"):
        run_synthetic(SyntheticPlan(cases=("cube",)), tmp_path)


def test_plans():
    assert set(SyntheticPlan.quick().cases) < set(CASES)
    assert len(SyntheticPlan.quick().rows()) < 300 < len(SyntheticPlan().rows())
