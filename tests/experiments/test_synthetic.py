"""The synthetic experiment: its figures, and that it can be stopped anywhere."""

import csv
import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.evaluation import EmbeddedSphere
from geojax.experiments import (
    CASES,
    RowStore,
    SyntheticPlan,
    run_synthetic,
    summarise,
    synthetic_figures,
)
from geojax.experiments._synthetic_cases import make_scene
from geojax.experiments._synthetic_figures import best_settings
from geojax.experiments._synthetic_measures import Programs
from geojax.experiments._synthetic_network import kept, train

from .toys import check_toy

PLAN = SyntheticPlan(
    cases=("circle in R^2",),
    methods=("LERP", "density flow"),
    extrapolations=("straight line",),
    sigmas=(0.1,),
    lams=(1.0,),
    segments=(8,),
    num_pairs=2,
    descents=(),
)


class Stopped(Exception):
    pass


@pytest.mark.slow
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
    run_synthetic(PLAN, tmp_path / "cut", measure=False)
    notes = json.loads((tmp_path / "cut" / "synthetic.json").read_text())["notes"]
    assert len(notes) == 1 and notes[0].startswith("3 of the 6 rows of the plan are measured")
    assert notes[0] in (tmp_path / "cut" / "synthetic.html").read_text()
    again = run_synthetic(PLAN, tmp_path / "cut", about={"command": "test"})
    assert [path.stat().st_mtime_ns for path in kept] == before
    for a, b in zip(whole, again, strict=True):
        for timed in ("seconds", "seconds_se"):
            a.pop(timed), b.pop(timed)
        assert a == b
    content = json.loads((tmp_path / "cut" / "synthetic.json").read_text())
    assert content["about"] == {"command": "test"} and content["notes"] == []
    with (tmp_path / "cut" / "synthetic.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6
    for name in ("synthetic.png", "synthetic_paths.png", "synthetic_extrapolation.png"):
        assert (tmp_path / "cut" / name).stat().st_size > 0
    page = (tmp_path / "cut" / "synthetic.html").read_text()
    assert "http" not in page and "density" in page

    check_toy("synthetic", whole, rel=0.02, abs=1e-4)  # a density flow depends on rounding
    rows = {(row["kind"], row["method"]): row for row in whole}
    lerp, density = rows["path", "LERP"], rows["path", "density flow"]
    assert density["rmse"] < lerp["rmse"]
    assert lerp["score_evaluations"] == 0 < density["score_evaluations"]
    # A chord over the angle w: its middle is 1 - cos(w / 2) from the circle, its length 2 sin.
    ends = make_scene("circle in R^2", 2, PLAN.until, PLAN.seed, tmp_path, 0).ends
    angles = 2 * jnp.arcsin(jnp.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) / 2)
    np.testing.assert_allclose(lerp["distance_max"], np.mean(1 - np.cos(angles / 2)), rtol=1e-6)
    expected = np.mean(2 * np.sin(angles / 2) / angles - 1)
    np.testing.assert_allclose(lerp["length_error"], expected, rtol=1e-6)


@pytest.mark.slow
def test_between_components_only_the_distance_is_known(tmp_path):
    plan = dataclasses.replace(PLAN, cases=("across two moons",), methods=("LERP",))
    (row,) = run_synthetic(plan, tmp_path)  # nothing beyond a point that no geodesic leads to
    assert row["rmse"] is row["length_error"] is row["energy_ratio"] is None
    assert row["distance_max"] > 0.05


@pytest.mark.slow
def test_levels_share_a_program_and_descents_keep_to_the_manifold(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(Programs, "__exit__", lambda self, *_: made.append(len(self._made)))
    plan = dataclasses.replace(
        PLAN,
        methods=(),
        extrapolations=(),
        sigmas=(0.1, 0.2),
        lams=(10.0, 100.0),
        descents=("Euclidean", "Stein"),
    )
    rows = {(r["method"], r["sigma"], r["lam"]): r for r in run_synthetic(plan, tmp_path)}
    assert made == [2] and len(rows) == 6
    plain, held = rows["Euclidean", 0.1, None], rows["Stein", 0.1, 100.0]
    assert plain["distance_mean"] == pytest.approx(rows["Euclidean", 0.2, None]["distance_mean"])
    assert held["distance_mean"] < 0.8 * plain["distance_mean"]
    assert held["missed"] < plain["missed"] and held["successful"] == 1


@pytest.mark.slow
def test_a_network_is_trained_once(tmp_path):
    circle, key = EmbeddedSphere(1), jax.random.key(0)
    path = tmp_path / "networks" / "circle.eqx"
    first = kept(path, circle, 40, key=key)
    written = path.stat().st_mtime_ns
    again = kept(path, circle, 40, key=key)
    assert path.stat().st_mtime_ns == written
    at = eqx.filter_jit(lambda score: score(jnp.asarray([1.3, 0.0]), 0.5))
    np.testing.assert_array_equal(at(first), at(again))
    assert np.any(at(first) != at(train(circle, 1, key=key)))
    assert at(first)[0] < 0  # back to the circle


def _means(kind, method, values, lam=None, figure="rmse", successful=1.0):
    blank = dict.fromkeys(("rmse", "rmse_se", "distance_mean", "distance_mean_se"))
    setting = {"kind": kind, "method": method, "sigma": 0.1, "lam": lam, "segments": 8}
    setting["successful"] = successful
    return [
        {**blank, **setting, "case": case, figure: value, f"{figure}_se": 0.1 * value}
        for case, value in values.items()
    ]


def test_pictures_show_each_method_at_one_setting():
    means = [
        *_means("path", "LERP", {"circle": 1.0, "torus": 1.0}),
        *_means("path", "Stein", {"circle": 0.1, "torus": 0.9}, lam=1.0),
        *_means("path", "Stein", {"circle": 0.2, "torus": 0.2}, lam=10.0),
        *_means("path", "Stein", {"circle": 0.01}, lam=100.0),  # not measured on all
        *_means("path", "Stein", {"circle": 0.01, "torus": 0.01}, lam=1e3, successful=0.2),
        *_means("beyond", "straight line", {"circle": 1.0}),
        *_means("descent", "Euclidean", {"circle": 0.3}, figure="distance_mean"),
    ]
    chosen = [row for row in best_settings(means) if row["method"] == "Stein"]
    assert [(row["case"], row["lam"]) for row in chosen] == [("circle", 10.0), ("torus", 10.0)]
    pictures = synthetic_figures(means)
    assert list(pictures) == [
        "synthetic",
        "synthetic_extrapolation",
        "synthetic_projection",
        "synthetic_sweeps",
    ]
    shown = {text.get_text() for text in pictures["synthetic"].figure.axes[0].texts}
    assert shown == {"100 %", "20 %"}


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
    full = SyntheticPlan.full()
    assert set(full.cases) == set(CASES)
    assert len(SyntheticPlan.quick().rows()) < 5000 < len(full.rows())
    few = full.of_pairs(3)
    assert len(few.rows()) * full.num_pairs == len(full.rows()) * 3
    with pytest.raises(ValueError, match="num_pairs must be at least 1, got 0"):
        full.of_pairs(0)


@pytest.mark.slow
def test_a_pair_is_determined_by_its_number(tmp_path):
    few, many = (
        np.asarray(make_scene("circle in R^2", number, 1.5, 0, tmp_path, 0).ends)
        for number in (3, 130)
    )
    np.testing.assert_array_equal(few, many[:3])
    assert len(np.unique(many[:, 0], axis=0)) == 130


def test_further_plans_share_the_truth(tmp_path):
    other = dataclasses.replace(SyntheticPlan(cases=("circle in R^2",)), until=2.0)
    plan = SyntheticPlan(cases=("circle in R^2",), further=(other,))
    with pytest.raises(ValueError, match=r"further plans must have the plan's until, 1.5, got 2"):
        run_synthetic(plan, tmp_path)
