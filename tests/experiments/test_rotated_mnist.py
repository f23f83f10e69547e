"""The Rotated MNIST experiment: its figures, its pairs, and that it can be killed anywhere."""

import csv
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from geojax.evaluation import (
    LPIPS,
    frechet_distance,
    neighbour_distances,
    psnr,
    root_mean_square,
)
from geojax.evaluation._distributions import unbiased_discrepancy
from geojax.experiments import Digits, Protocol, RotatedMnistPlan, run_rotated_mnist
from geojax.experiments._experiment import AbstractExperiment
from geojax.experiments._rotated_mnist_measures import set_distances
from geojax.experiments._rotated_mnist_plan import COSTLY, LATER
from geojax.interpolation import EXTRAPOLATORS, INTERPOLATORS, interpolator
from geojax.models import rotate
from tests.source import ROOT

from .rotated_mnist_toy import PLAN, Gaussian, blots
from .toys import check_toy


def rows_of(path):
    """The table without what no two runs share."""
    with path.open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def no_files(*arguments):
    """For what writes the tables and draws for seconds what another test looks at."""


def without_seconds(value):
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if "seconds" not in k}
    return [without_seconds(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_a_run_that_was_killed_gives_the_table_of_one_that_was_not(tmp_path):
    command = [sys.executable, "-m", "tests.experiments.rotated_mnist_toy"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    environment.pop("GEOJAX_DATA_DIR", None)
    folder = tmp_path / "cut" / "rows"
    cut = subprocess.run([*command, "20", str(tmp_path / "cut")], env=environment, cwd=ROOT)
    assert cut.returncode == -signal.SIGKILL
    assert list(folder.glob(".*.json"))  # the twentieth, whole but without its name
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("[!.]*.json")}
    assert len(kept) == 19 < len(PLAN.rows())
    folders = [str(tmp_path / "cut"), str(tmp_path / "whole")]
    subprocess.run([*command, "0", *folders], env=environment, cwd=ROOT, check=True)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    whole = rows_of(tmp_path / "whole" / "rotated_mnist.csv")
    assert len(whole) == len(PLAN.rows())
    assert rows_of(tmp_path / "cut" / "rotated_mnist.csv") == whole
    contents = [
        json.loads((tmp_path / f / "rotated_mnist.json").read_text()) for f in ("cut", "whole")
    ]
    assert without_seconds(contents[0]) == without_seconds(contents[1])
    check_toy("rotated_mnist", contents[1]["means"], rel=1e-3, abs=1e-4)


@pytest.mark.slow
def test_the_figures_and_the_files(tmp_path, monkeypatch):
    """One run, compiled for two pairs at once: all that can be said of it is said here."""
    own = Protocol(
        "noised",
        t=0.2,
        lam=1e-3,
        segments=4,
        denoise_steps=2,
        methods=("NoiseDiffusion", "Stein"),
        extrapolations=("exponential map",),
    )
    plan = dataclasses.replace(PLAN, num_pairs=2, protocols=(*PLAN.protocols, own))
    said = []

    def missing(network):
        raise FileNotFoundError

    def made(name, settings):
        compiled.append(name)
        return interpolator(name, settings)

    compiled = []
    monkeypatch.setattr(LPIPS, "load", missing)
    monkeypatch.setattr("geojax.experiments._rotated_mnist.interpolator", made)
    tables = run_rotated_mnist(
        plan, tmp_path, digits=blots(), score=Gaussian(), chunk=2,
        about={"command": "test"}, callback=lambda *counts: said.append(counts),
    )  # fmt: skip
    assert said[0] == (0, len(plan.rows())) and said[-1] == (len(plan.rows()),) * 2
    turned = [row for row in tables.rows if row["kind"] != "A to A"]
    assert {row["result"] for row in turned} == {"successful"}
    assert len(compiled) == 6  # once a method, not once a pair

    # The straight line between the clean images, against the digit turned: by hand.
    row = next(
        r for r in tables.rows
        if (r["kind"], r["delta"], r["method"], r["pair"]) == ("rotation", 60, "LERP", 1)
    )  # fmt: skip
    pair = blots().pair("rotation", 60, 1, plan.seed)
    values = []
    for share in (1 / 3, 2 / 3):
        truth = rotate(pair.upright, pair.angle + share * math.radians(60))
        values.append(psnr((1 - share) * pair.x0 + share * pair.x1, truth[None]))
    np.testing.assert_allclose(row["psnr"], np.mean(values), rtol=1e-6)
    np.testing.assert_allclose(pair.x1[0], rotate(pair.upright, pair.angle + math.pi / 3))
    assert row["deviation"] == pytest.approx(0, abs=1e-12)
    assert row["end_error"] == pytest.approx(0, abs=1e-12)
    assert row["orbit_psnr"] >= row["psnr"]
    assert 0 <= row["confidence_min"] <= row["confidence_mean"] <= 1
    other = next(r for r in turned if r["method"] == "NoiseDiffusion")
    assert other["end_error"] > 0.01 and other["deviation"] > 0.01
    # The control: from a picture to itself the straight line between clean points is the picture,
    # and what a path between noised points misses is the way there and back.
    controls = {r["method"]: r for r in tables.rows if r["kind"] == "A to A" and not r["pair"]}
    assert controls.keys() == {"LERP", "SLERP", "NoiseDiffusion", "Stein"}
    for name in ("LERP", "SLERP"):
        assert controls[name]["rms"] < 1e-12 and "psnr" not in controls[name]
        assert controls[name]["ssim"] == pytest.approx(1)
    there_and_back = controls["Stein"]
    assert there_and_back["rms"] == pytest.approx(there_and_back["end_error"], rel=1e-6) != 0
    without_truth = [r for r in tables.rows if r["kind"] == "two classes"]
    assert without_truth and all("psnr" not in r for r in without_truth)
    # No weights of LPIPS here: it is unknown, not 0.
    assert all(mean["lpips"] is mean["lpips_se"] is None for mean in tables.means + tables.far)

    assert "A to A" not in {row["kind"] for row in tables.distances}
    for kind in ("rotation", "one class", "two classes"):
        (found,) = [r for r in tables.distances if (r["kind"], r["method"]) == (kind, "Stein")]
        assert found["images"] == 2 * 2 * (2 if kind == "rotation" else 1)
        assert found["kernel"] is not None and found["frechet"] > 0
    names = {path.name for path in tmp_path.iterdir()}
    assert {
        "rotated_mnist.html",
        "by_delta.png",
        "compute.png",
        "paths_one_class_between.png",
    } <= names
    page = (tmp_path / "rotated_mnist.html").read_text()
    for text in (
        "Stein",
        "biased upwards",
        "LPIPS(squeeze) were not found",
        "180°",
        "command",
        "From A to A",
    ):
        assert text in page


@pytest.mark.slow
def test_half_a_turn_counts_whichever_way_round_it_goes(tmp_path):
    """A path that turns the other way is as good: only at 180 degrees."""
    from geojax.experiments._rotated_mnist_measures import path_measures
    from geojax.experiments._rotated_mnist_pairs import turned_by
    from geojax.models import load_classifier

    classifier, ts = load_classifier(), jnp.linspace(0, 1, 4)
    lpips = LPIPS(root_mean_square, "squeeze")  # any distance of two images
    for delta, alike in ((180, True), (60, False)):
        pair = blots().pair("rotation", delta, 0, 0)
        found = []
        for sign in (1, -1):
            frames = turned_by(pair.upright, pair.angle + sign * ts * pair.turn)
            frames = frames.at[1].add(0.01)  # not infinitely good
            frames = frames.at[2].add(0.01)
            figures, features = path_measures(classifier, lpips, pair, frames, ts, has_truth=True)
            assert features.shape == (2, 64)
            steps = neighbour_distances(frames.clip(-1, 1))
            np.testing.assert_allclose(figures["ppl"], jnp.sum(steps))
            np.testing.assert_allclose(figures["pdv"], jnp.std(steps))
            np.testing.assert_allclose(figures["lpips"] < 0.011, sign == 1 or alike)
            found.append(figures["psnr"])
        assert found[0] > 40
        assert (found[1] > 40) == alike


def test_a_pair_does_not_depend_on_other_pairs():
    digits = blots()
    pair = digits.pair("two classes", None, 3, 0)
    again = digits.pair("two classes", None, 3, 0)
    np.testing.assert_array_equal(pair.x1, again.x1)
    assert pair.labels[0] != pair.labels[1]
    first, second = digits.pair("one class", None, 3, 0).labels
    assert first == second not in (6, 9)
    turns = [digits.pair("rotation", delta, 3, 0) for delta in (30, 60, 180)]
    for turn in turns[1:]:
        np.testing.assert_array_equal(turn.upright, turns[0].upright)
        np.testing.assert_array_equal(turn.x0, turns[0].x0)
    assert len({float(turn.turn) for turn in turns}) == 3
    same = digits.pair("A to A", None, 3, 0)
    np.testing.assert_array_equal(same.x0, turns[0].x0)
    np.testing.assert_array_equal(same.x1, turns[0].x0)
    assert same.turn == 0 and same.labels == turns[0].labels
    with pytest.raises(ValueError, match="num_pairs must be at most 80"):
        digits.pair("rotation", 60, 80, 0)


@pytest.mark.slow
def test_distances_of_sets():
    """The Frechet distance of all rows is that of all features; its error shrinks with them."""
    rng = np.random.default_rng(0)
    reference = jnp.asarray(rng.standard_normal((300, 3)))
    rows = list(rng.standard_normal((40, 5, 3)) + 1)
    found = set_distances(rows, range(40), reference)
    expected = frechet_distance(jnp.asarray(np.concatenate(rows)), reference)
    np.testing.assert_allclose(found["frechet"], expected, rtol=1e-6)
    # Of means apart by d the distance is |d|^2: 2 |d| times the error of the mean's component.
    assert 0.5 < found["frechet_se"] / (2 * 3**0.5 * (1 / 200) ** 0.5) < 2
    expected = unbiased_discrepancy(jnp.asarray(np.concatenate(rows)), reference)
    np.testing.assert_allclose(found["kernel"], expected, rtol=1e-10)
    broken = [*rows, np.full((5, 3), np.nan)]
    assert set_distances(broken, range(41), reference)["images"] == 200
    assert set_distances(rows[:4], range(4), reference)["frechet_se"] is None
    assert set_distances(rows[:4], range(4), reference)["kernel_se"] is None
    assert set_distances([rows[0][:2]], [0], reference)["kernel"] is None


@pytest.mark.slow
def test_the_errors_of_distances_are_those_of_repetition():
    """Frames of one digit that say the same are one frame, in whatever order the rows come."""
    rng = np.random.default_rng(1)
    reference = jnp.asarray(rng.standard_normal((300, 3)))
    found = []
    for _ in range(30):
        digits = np.repeat(np.arange(40), 3)
        rows = np.repeat(rng.standard_normal((40, 1, 3)) + 1, 4, axis=1)[digits]
        found.append(set_distances(list(rows), digits.tolist(), reference))
    for name in ("frechet", "kernel"):
        spread = np.std([each[name] for each in found], ddof=1)
        reported = np.mean([each[f"{name}_se"] for each in found])
        assert 0.6 < reported / spread < 1.6, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_pairs": 0}, "num_pairs must be at least 1, got 0"),
        ({"until": 1.0}, "until must be above 1"),
        ({"protocols": (Protocol("a", methods=("cube",)),)}, "unknown method 'cube'. Known: LERP"),
        ({"protocols": (Protocol("a"), Protocol("a"))}, "protocols must have names of their own"),
    ],
)
def test_plans_that_cannot_be(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run_rotated_mnist(dataclasses.replace(PLAN, **change), tmp_path, digits=blots())


def test_plans():
    full = RotatedMnistPlan()
    rows = full.rows()
    pairs = {(r["delta"], r["pair"]) for r in rows if r["kind"] == "rotation"}
    assert len(pairs) >= 200
    assert len(RotatedMnistPlan.quick().rows()) < 200
    # Cheap methods of all pairs first, costly ones last and of fewer pairs.
    methods = [row["method"] for row in rows]
    last_cheap = max(i for i, name in enumerate(methods) if name == "LERP")
    assert last_cheap < methods.index("Stein") < methods.index("Stein as published")
    own = [r["pair"] for r in rows if (r["method"], r["protocol"]) == ("Stein", "noised")]
    assert set(own) == set(range(full.num_pairs))
    assert {r["pair"] for r in rows if r["method"] == "combined"} == set(range(8))
    assert {r["pair"] for r in rows if r["protocol"] == "inverted"} == set(range(8))


def test_the_same_plan_on_a_number_of_pairs():
    rows = RotatedMnistPlan().of_pairs(3).rows()
    by_method = {}
    for row in rows:
        by_method.setdefault((row["protocol"], row["part"], row["method"]), set()).add(row["pair"])
    assert all(pairs == {0, 1, 2} for pairs in by_method.values())
    assert {name for _, _, name in by_method} == {*INTERPOLATORS, *EXTRAPOLATORS} - {*LATER}
    with pytest.raises(ValueError, match="num_pairs must be at least 1, got 0"):
        RotatedMnistPlan().of_pairs(0)


def test_controls_alone():
    rows = RotatedMnistPlan(num_controls=2).of_controls().rows()
    found = {(r["kind"], r["delta"], r["pair"]) for r in rows}
    kinds = ("A to A", "one class", "two classes")
    assert found == {(kind, None, pair) for kind in kinds for pair in (0, 1)}
    assert not {row["method"] for row in rows} & {*COSTLY}


@pytest.mark.slow
def test_rows_belong_to_the_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(AbstractExperiment, "_write", no_files)
    plan = dataclasses.replace(PLAN, deltas=(60,), num_pairs=1)
    first = blots()
    other = Digits(255 - first.images, first.labels)
    found = [run_rotated_mnist(plan, tmp_path, digits=d, score=Gaussian()) for d in (first, other)]
    again = run_rotated_mnist(plan, tmp_path / "other", digits=other, score=Gaussian())
    psnrs = [[row.get("psnr") for row in tables.rows] for tables in (*found, again)]
    assert psnrs[0] != psnrs[1] == psnrs[2]


@pytest.mark.slow
def test_tables_of_the_rows_measured_so_far(tmp_path, monkeypatch):
    """Tables of a part of the plan have a note; gains are those of the same pairs."""
    part = dataclasses.replace(PLAN, num_pairs=2)
    given = {"digits": blots(), "score": Gaussian()}
    with pytest.raises(ValueError, match="no row of this plan is measured yet"):
        run_rotated_mnist(PLAN, tmp_path, measure=False, **given)
    with monkeypatch.context() as patched:
        patched.setattr(AbstractExperiment, "_write", no_files)
        run_rotated_mnist(part, tmp_path, **given)
    tables = run_rotated_mnist(PLAN, tmp_path, measure=False, **given)
    assert len(tables.rows) == len(part.rows()) < len(PLAN.rows())
    notes = json.loads((tmp_path / "rotated_mnist.json").read_text())["notes"]
    assert notes[0].startswith(f"{len(part.rows())} of the {len(PLAN.rows())} rows")
    by = {(r["delta"], r["pair"], r["method"]): r for r in tables.rows if r["delta"]}
    for (delta, pair, method), row in by.items():
        if method == "SLERP":
            straight = by[delta, pair, "LERP"]["psnr"]
            assert row["gain"] == pytest.approx(row["psnr"] - straight)
        else:
            assert row["gain"] is None
    (mean,) = [r for r in tables.far if r["method"] == "SLERP" and r["kind"] == "rotation"]
    assert mean["count"] == 4 and mean["gain_se"] < mean["psnr_se"]
