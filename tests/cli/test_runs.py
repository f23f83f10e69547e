"""`demo`, `interpolate`, `extrapolate`: the files, the table, the verdict."""

import json
import os
import re
import signal

import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import pytest
from PIL import Image

import geojax
from geojax.cli import _defaults as defaults
from geojax.cli._labels import BetweenLabels
from geojax.cli._run import make_rule, make_solver
from geojax.cli._session import Session
from geojax.cli._settings import Rule, Solver
from geojax.scores import DataPrediction

from .conftest import QUICK

METHODS = ["LERP", "SLERP", "geodesic"]
FIGURES = {
    "energy",
    "energy_fine",
    "discretisation_error",
    "length",
    "lower_bound",
    "deviation",
    "picture_deviation",
    "log_density_change",
    "iterations",
    "score_evaluations",
    "seconds",
    "compile_seconds",
    "result",
}


def without_seconds(value):
    """The same JSON without the figures that no two runs share."""
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if "seconds" not in k}
    return value


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.slow
def test_demo_writes_everything_and_the_same_again(geojax_command, checkpoint, tmp_path):
    """A run takes long to compile, so this test checks everything about it."""
    options = ["demo", "--model", checkpoint, *QUICK]
    result = geojax_command(*options, "--out", tmp_path / "one")
    out = tmp_path / "one"
    assert result.exit_code == 0, result.output
    for word in ["Energy", "Length / lower bound", "Score evaluations", "report.html", *METHODS]:
        assert word in result.stdout
    assert "Traceback" not in result.output

    metrics = metrics_of(out)
    assert set(metrics) == {
        "command",
        "settings",
        "versions",
        "machine",
        "contrast",
        "metric",
        "methods",
        "extension",
        "successful",
        "problems",
        "notices",
        "notes",
        "seconds",
    }
    assert metrics["successful"] is True
    assert metrics["problems"] == []
    assert {"python", "geojax", "jax", "equinox", "diffrax"} <= set(metrics["versions"])
    assert {"cpu_count", "backend"} <= set(metrics["machine"])
    assert metrics["settings"]["segments"] == 4
    assert metrics["settings"]["max_steps"] == 200
    assert list(metrics["methods"]) == METHODS
    for method in METHODS:
        assert set(metrics["methods"][method]) >= FIGURES
    assert metrics["methods"]["geodesic"]["energy"] <= metrics["methods"]["LERP"]["energy"]
    assert metrics["methods"]["geodesic"]["result"] == "successful"
    assert metrics["extension"]["result"] == "successful"

    for name in ("paths.png", "energy.png"):
        with Image.open(out / name) as image:
            image.load()
            assert min(image.size) > 200
    with Image.open(out / "path.gif") as gif:
        assert gif.n_frames == 2 * 4 - 2
    with Image.open(out / "frames" / "given" / "a.png") as image:
        assert (image.mode, image.size) == ("L", (8, 8))
    assert {path.name for path in (out / "frames").iterdir()} == {*METHODS, "given"}
    for method in METHODS:
        assert len(list((out / "frames" / method).glob("frame_*.png"))) == 4
    page = (out / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=(?![\"']data:)", page)
    assert page.count("data:image/png;base64,") >= 2 + 3 + 3 * 4 + 2
    for word in ["Successful.", "score evaluations", f"t = {defaults.T:g}", "What it means"]:
        assert word in page
    assert not list(out.glob(".*"))

    again = geojax_command(*options, "--out", tmp_path / "one")  # which is not replaced
    assert again.exit_code == 0
    assert f"holds other files: writing to {tmp_path / 'one-2'}." in again.stderr
    assert without_seconds(metrics_of(tmp_path / "one-2")) == without_seconds(metrics)
    for file in sorted((out / "frames").rglob("*.png")):
        other = tmp_path / "one-2" / file.relative_to(out)
        assert file.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_an_interruption_keeps_the_path_and_it_goes_on(
    geojax_command, checkpoint, pictures, tmp_path, monkeypatch
):
    on_step = Session._on_step

    def interrupted(self, progress):
        if progress.num_steps == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return on_step(self, progress)

    out = tmp_path / "out"
    command = ["extrapolate", *pictures, "--model", checkpoint, *QUICK, "--force", "--out"]
    monkeypatch.setattr(Session, "_on_step", interrupted)
    result = geojax_command(*command, out)
    assert result.exit_code == 130, result.output
    assert "stopping after this step" in result.stderr
    assert f"interrupted: after step 1. The path so far is kept in {out / 'path.npz'}" in (
        result.stderr
    )
    assert f"--init {out} goes on" in result.stderr
    metrics = metrics_of(out)
    assert not metrics["successful"] and metrics["extension"] is None
    assert "was stopped before it ended" in metrics["problems"][0]
    assert "--init" in metrics["problems"][0]
    assert metrics["methods"]["geodesic"]["iterations"] == 1
    assert "Not successful." in (out / "report.html").read_text()

    monkeypatch.setattr(Session, "_on_step", on_step)
    further = geojax_command(*command, tmp_path / "further", "--init", out)
    assert further.exit_code == 0, further.output
    energy = metrics_of(tmp_path / "further")["methods"]["geodesic"]["energy"]
    assert energy < metrics["methods"]["geodesic"]["energy"]
    other = geojax_command(*command, tmp_path / "other", "--init", out, "--t", "0.5")
    assert other.exit_code == 2
    assert "holds a path between other points" in other.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_an_interruption_before_there_is_a_path(
    geojax_command, checkpoint, pictures, tmp_path, monkeypatch
):
    def interrupted(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        raise KeyboardInterrupt

    monkeypatch.setattr("geojax.cli._run.compare", interrupted)
    command = ["interpolate", *pictures, "--model", checkpoint, "--force"]
    result = geojax_command(*command, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "interrupted: no path was found yet, and nothing was written." in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_failed_solve_writes_its_files_and_exits_with_1(
    geojax_command, checkpoint, pictures, tmp_path
):
    """Seen on `interpolate`, whose pictures are converted on the way."""
    large = tmp_path / "large.png"
    colours = np.zeros((20, 10, 3), np.uint8)
    colours[5:9, 2:6] = [255, 80, 0]
    Image.fromarray(colours).save(large)
    out = tmp_path / "out"
    result = geojax_command(
        "interpolate",
        large,
        pictures[1],
        "--model",
        checkpoint,
        *QUICK,
        "--lam",
        "20",
        "--max-steps",
        "1",
        "--force",
        "--label",
        "3",
        "--out",
        out,
    )
    assert result.exit_code == 1, result.output
    lines = result.stderr.splitlines()
    assert "notice: large.png: colour made grey, 10 x 20 resized and padded to 8 x 8." in lines
    assert [line for line in lines if line.startswith("failed: The geodesic: ")]
    assert "Raise --max-steps" in result.stderr
    assert "after 1 of 1 steps" in result.stderr
    assert [line for line in lines if line.startswith("progress: 0:00 ")]
    metrics = metrics_of(out)
    assert metrics["successful"] is False
    assert "used up its steps" in metrics["problems"][0]
    assert metrics["extension"] is None
    assert metrics["settings"]["label"] == 3
    page = (out / "report.html").read_text()
    assert "Not successful." in page
    assert "large.png: colour made grey" in page
    assert "beyond B</span>" not in page
    for name in ("paths.png", "path.gif", "energy.png"):
        assert (out / name).is_file()


@pytest.mark.slow
def test_extrapolate_with_inversion(geojax_command, checkpoint, pictures, tmp_path):
    result = geojax_command(
        "extrapolate",
        *pictures,
        "--model",
        checkpoint,
        *QUICK,
        *["--lam", "0.01", "--extent", "0.25", "--noising", "Inversion", "--force"],
        *["--out", tmp_path / "out"],
    )
    assert result.exit_code == 0, result.output
    metrics = metrics_of(tmp_path / "out")
    assert metrics["settings"]["extent"] == 0.25
    assert metrics["extension"]["steps"] > 0
    frames = tmp_path / "out" / "frames" / "geodesic"
    assert sorted(path.name for path in frames.iterdir())[-1] == "frame_1.2500.png"


@pytest.mark.slow
def test_the_class_may_change_on_the_way(geojax_command, checkpoint, pictures, tmp_path):
    """A is a 2 and B a 7: at either end the score is that of its class."""
    command = ["interpolate", *pictures, "--model", checkpoint, *QUICK, "--force", "--out"]
    labels = ["--label-a", "2", "--label-b", "7"]
    result = geojax_command(*command, tmp_path / "out", *labels)
    assert result.exit_code == 0, result.output
    metrics = metrics_of(tmp_path / "out")
    assert (metrics["settings"]["label_a"], metrics["settings"]["label_b"]) == (2, 7)
    assert list(metrics["methods"]) == METHODS
    half = geojax_command(*command, tmp_path / "half", "--label-a", "2")
    assert half.exit_code == 2 and "give --label for both images, or" in half.stderr


def test_the_score_between_two_classes():
    score = DataPrediction(lambda x, t, label: x * label.astype(x.dtype), geojax.VE(0.1, 1.0))
    between = BetweenLabels(score, (2, 7))
    x = jnp.array([0.3, -0.5])
    for share, label in ((0.0, 2), (1.0, 7)):
        at_end = between(x, jnp.asarray(0.5), jnp.asarray(share))
        np.testing.assert_allclose(at_end, score(x, jnp.asarray(0.5), jnp.asarray(label)))
    middle = between(x, jnp.asarray(0.5), jnp.asarray(0.5))
    ends = [score(x, jnp.asarray(0.5), jnp.asarray(label)) for label in (2, 7)]
    np.testing.assert_allclose(middle, (ends[0] + ends[1]) / 2)


def test_every_solver_and_rule_can_be_named():
    solvers = {name: make_solver(name, 1e-3) for name in Solver}
    assert isinstance(solvers[Solver.GAUSS_NEWTON], geojax.GaussNewton)
    assert isinstance(solvers[Solver.ADAM].optimiser, optax.GradientTransformation)
    assert isinstance(solvers[Solver.LBFGS].optimiser, optimistix.AbstractMinimiser)
    assert isinstance(solvers[Solver.COARSE_TO_FINE], geojax.CoarseToFine)
    assert isinstance(solvers[Solver.LAMBDA_CONTINUATION], geojax.LambdaContinuation)
    assert {getattr(s, "solver", s).rtol for s in solvers.values()} == {1e-3}
    known = geojax.GaussianMixture(jnp.zeros((1, 2)), scales=1.0)
    kinds = [type(make_rule(name, known)) for name in Rule]
    assert kinds == [
        geojax.SplineGauss,
        geojax.Midpoint,
        geojax.LogDensityChord,
        geojax.Quadrature,
    ]
