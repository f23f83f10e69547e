"""The benchmarks run, at toy size, and what they write holds together."""

import importlib
import json
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from tests.models.stable_diffusion.checkpoints import configs
from tests.source import ROOT


@pytest.fixture
def benchmark(monkeypatch):
    """A script of `benchmarks/`, imported as it finds itself when it is run."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


@pytest.mark.slow
def test_solvers(benchmark, monkeypatch, tmp_path):
    solvers = benchmark("solvers")
    ring, ends = geojax.Shell(2.0, 0.5), (jnp.asarray([2.0, 0.0]), jnp.asarray([0.0, 2.0]))
    problem = solvers.Problem("ring", ring, 1.0, *ends, 6, 4.5)
    monkeypatch.setattr(solvers, "exact_problems", lambda: [problem])
    out = tmp_path / "solvers.json"
    command = ["solvers.py", "exact", "--solvers", "gauss-newton", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    solvers.main()
    section = json.loads(out.read_text())["exact"]
    assert section["origin"]["versions"]["jax"] == jax.__version__
    (row,) = section["rows"]
    assert row["verdict"] == "successful" and row["newton_decrement"] < 1e-8
    assert row["relative_error"] == pytest.approx(row["energy"] / 4.5 - 1)


@pytest.mark.slow
def test_curves(benchmark, tmp_path):
    out = tmp_path / "curves.json"
    command = ["half-plane", "--segments", "4", "8", "--out", str(out)]
    benchmark("curves").main(command)
    coarse, fine = json.loads(out.read_text())["rows"]
    assert fine["galerkin"] < fine["spline"] < fine["polyline"] < coarse["polyline"] < 1
    assert fine["orders"]["galerkin"] > 3.5 and 1.5 < fine["orders"]["polyline"] < 2.5
    assert fine["verdict"] == "successful"


def test_a_row_takes_the_place_of_its_like(benchmark, tmp_path):
    record = benchmark("record")
    path = tmp_path / "rows.json"
    for row in ({"d": 2, "x": 1}, {"d": 3, "x": 2}, {"d": 2, "x": 3}):
        record.add_row(path, row, ("d",))
    result = json.loads(path.read_text())
    assert [(row["d"], row["x"]) for row in result["rows"]] == [(3, 2), (2, 3)]
    assert {row["commit"] for row in result["rows"]} == {result["origin"]["commit"]}


@pytest.mark.slow
def test_work_precision(benchmark, tmp_path):
    """Without peers: all contenders lower the same true energy, and the figure is drawn."""
    out = tmp_path / "work.json"
    command = "--dimensions 3 --segments 8 --limit 1 --problems ring --contenders gauss-newton "
    benchmark("work_precision").main([*(command + "georce scipy --out").split(), str(out)])
    result = json.loads(out.read_text())
    assert out.with_suffix(".png").stat().st_size > 10_000
    assert [row["solver"].split()[0] for row in result["rows"]] == ["geojax", "GEORCE", "SciPy"]
    for row in result["rows"]:
        assert len(row["seconds"]) == len(row["evaluations"]) == len(row["energies"]) > 1
        assert row["evaluations"] == sorted(row["evaluations"])
        assert row["energies"][0] > 100 and min(row["energies"]) < row["energies"][0]
    mine = result["rows"][0]
    # What a solver minimises is the energy by its own rule: the true one may end a little above.
    assert mine["status"] == "converged"
    assert mine["energies"][-1] == pytest.approx(min(mine["energies"]), rel=1e-2)
    assert {entry["solver"].split()[0] for entry in result["comparison"]} == {"GEORCE", "SciPy"}


def test_a_problem_too_large_for_a_dense_solver_is_recorded(benchmark):
    """Nothing is computed: the row says what it would take."""
    work = benchmark("work_precision")
    problem = work.place(work.CASES[0], 16384, 100)
    for name in ("georce", "geomstats"):
        _, run = work.contenders(work.CACHE)[name]
        trace = run(problem, 1.0)
        assert trace.status.startswith("not run: its matrices need") and not trace.energies


def test_a_comparison_is_at_equal_energy(benchmark):
    work = benchmark("work_precision")
    same = {"problem": "ring", "dimension": 2, "exact": 1.0, "status": ""}
    mine = {"solver": "geojax GaussNewton()", "energies": [9.0, 1.0005], "seconds": [1, 2]}
    theirs = {"solver": "peer", "energies": [9.0, 1.5, 1.005], "seconds": [10, 20, 30]}
    rows = [same | row | {"evaluations": row["seconds"]} for row in (mine, theirs)]
    (entry,) = work.comparison(rows)
    loose, tight, best = entry["to"]
    assert (loose["seconds"], loose["gauss_newton_seconds"]) == (30, 2)
    assert (tight["seconds"], tight["gauss_newton_seconds"]) == (None, 2)
    assert best["excess"] == pytest.approx(0.005) and best["seconds"] == 30


def test_the_recorder_of_peers(benchmark):
    """It keeps time, but not that of its snapshots, and stops a run at its limit."""
    recording = benchmark("peers.recording")
    recorder = recording.Recorder(0.05)

    def slow():
        time.sleep(0.2)
        return np.zeros((2, 1))

    recorder.record(slow)
    assert recorder.elapsed() < 0.05
    with pytest.raises(recording.OutOfTime):
        while True:
            recorder.evaluations += 1
            recorder.record(lambda: np.zeros((2, 1)))
    arrays = recorder.arrays()
    assert np.all(np.diff(arrays["seconds"]) > 0) and arrays["evaluations"][0] == 0


@pytest.mark.slow
def test_the_peers_score_is_ours(benchmark):
    work, recording = benchmark("work_precision"), benchmark("peers.recording")
    problem = work.place(work.CASES[1], 5, 4)
    x = jax.random.normal(jax.random.key(0), (3, 5))
    values = {"embedding": problem.embedding, "radius": 2.0, "width": 0.25}
    ours = jax.vmap(lambda y: problem.metric.score(y, None))(x)
    np.testing.assert_allclose(recording.ring_score(np.asarray(x), values, np), ours, rtol=1e-12)


@pytest.mark.slow
def test_stable_diffusion(benchmark, monkeypatch, tmp_path):
    """At its smallest, without torch: every section is there and counts what it ran."""
    script, out = benchmark("stable_diffusion"), tmp_path / "stable_diffusion.json"
    monkeypatch.setattr(script, "TOY", configs("small")["unet"] | {"sample_size": 4})
    name = "quadrature, Gauss-Newton, forward only"
    command = "--dtype float32 --batches 1 --repeats 1 --side 16 --no-torch --out"
    script.main([*command.split(), str(out), "--solvers", name])
    result = json.loads(out.read_text())
    (row,) = result["forward"]
    assert row["evaluations_per_second"] > 0 and row["gflop_per_evaluation"] > 0
    assert row["fraction_of_peak"] > 0 and result["matrix_peak_tflops"] > 0
    assert result["compile_seconds"]["cold"] > result["compile_seconds"]["warm"] > 0
    assert result["cost_in_evaluations"].keys() == {"vjp", "jvp"}
    (path,) = result["geodesic"]["rows"]
    assert path["unet_evaluations"] == 147 + 65 * path["steps"] and path["unet_products"] == 0
    assert path["steps"] > 0 and path["from_a_to_a_moves"] == 0
    contrast = result["geodesic"]["contrast"]
    assert contrast["A to A"] == 1 and contrast["A to nearly A"] == pytest.approx(1, abs=0.05)
    assert 0 < contrast["A to B"] != 1
    assert path["energy_fine"] < result["geodesic"]["straight line"]["energy_fine"]
    assert result["torch"] is None and result["peak_gib"]["process"] > 0


@pytest.mark.slow
def test_gpu_at_toy_size(benchmark, tmp_path):
    """Rows are written as they come, a failure is one, and after the limit none begins."""
    gpu, out = benchmark("gpu"), tmp_path / "gpu.json"
    gpu.main(["correctness", "--toy", "--out", str(out)])
    rows = {row["what"]: row for row in json.loads(out.read_text())["rows"]}
    assert all(row["right"] for row in rows.values())
    assert rows["half-plane length, float32"]["exact"] == pytest.approx(np.arccosh(3.0))
    gpu.main(["unet", "batch", "--toy", "--limit", "0", "--out", str(out)])
    rows = [row for row in json.loads(out.read_text())["rows"] if row["section"] != "correctness"]
    assert len(rows) > 5 and all("limit of 0 s" in row["skipped"] for row in rows)


def test_a_measurement_that_fails_is_a_row(benchmark, monkeypatch, tmp_path):
    gpu, out = benchmark("gpu"), tmp_path / "gpu.json"
    failing = {
        "unet": lambda toy: [("later", lambda: {"x": toy}, True), ("peak", lambda: 1 / 0, False)],
        "batch": lambda toy: [("lanes", lambda: {"x": 2}, False)],
    }
    monkeypatch.setattr(gpu, "SECTIONS", failing)
    gpu.main(["--toy", "--out", str(out)])
    broken, lanes, later = json.loads(out.read_text())["rows"]
    assert broken["error"] == "ZeroDivisionError: division by zero"
    assert (lanes["x"], later["x"]) == (2, True)  # what can wait comes after all sections
    with pytest.raises(SystemExit):  # a CPU is no GPU
        gpu.main([])


@pytest.mark.slow
def test_the_cost_model_agrees_with_the_counts(tmp_path):
    out = tmp_path / "scale.json"
    command = [sys.executable, ROOT / "benchmarks" / "scale.py", "--toy", "--out", out]
    subprocess.run(command, check=True, capture_output=True)
    rows = json.loads(out.read_text())["rows"]
    for row in rows:
        if row["section"] == "evaluations":
            assert row["products"] == row["predicted"] == row["evaluations"] - 2
        if row["section"] == "messages":
            assert row["numbers"] == row["predicted"]
    assert {row["section"] for row in rows} >= {"memory", "outside", "network", "pairs"}
