"""`geojax reproduce` in process, with a plan of closed forms."""

import json

import pytest
from typer.testing import CliRunner

from geojax.cli import app
from geojax.experiments import CharactersPlan, RotatedMnistPlan, RotatedMnistTables, SyntheticPlan

PLAN = SyntheticPlan(
    ("circle in R^2",), ("LERP",), ("straight line",), (0.1,), num_pairs=1, descents=()
)


@pytest.fixture(autouse=True)
def _closed_forms_only(monkeypatch):
    monkeypatch.setattr(SyntheticPlan, "quick", classmethod(lambda cls: PLAN))


@pytest.mark.slow
def test_it_writes_its_tables_and_prints_their_folder():
    done = CliRunner().invoke(app, ["reproduce", "synthetic", "--quick", "--out", "results"])
    assert done.exit_code == 0, done.output
    assert "Written to results" in done.output
    with open("results/synthetic.json", encoding="utf-8") as file:
        content = json.load(file)
    assert content["about"]["command"] == "geojax reproduce synthetic --quick"
    assert [row["method"] for row in content["means"]] == ["LERP", "straight line"]
    # The same plan goes on in the folder; another one does not mix with it.
    again = CliRunner().invoke(app, ["reproduce", "Synthetic", "--quick", "--out", "results"])
    assert again.exit_code == 0, again.output
    other = ["reproduce", "synthetic", "--quick", "--pairs", "2", "--out", "results"]
    refused = CliRunner().invoke(app, other)
    assert refused.exit_code == 2
    assert "a run of another plan, that of `geojax reproduce synthetic --quick`" in " ".join(
        refused.output.split()
    )


def test_tables_of_nothing_are_refused():
    options = ["reproduce", "synthetic", "--quick", "--so-far", "--out", "results"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 2
    assert "no row of this plan is measured yet in results" in " ".join(done.output.split())


def test_an_unknown_experiment():
    assert CliRunner().invoke(app, ["reproduce", "everything"]).exit_code == 2


def test_rotated_mnist_writes_its_tables_and_prints_how_to_resume(monkeypatch):
    given = {}

    def run(plan, folder, **options):
        given.update(options, plan=plan)
        options["callback"](1, 2)
        if options["chunk"] == 2:
            raise KeyboardInterrupt
        row = {"part": "between", "protocol": "clean", "method": "LERP"}
        figures = {"psnr": 13.5, "psnr_se": 0.25, "ssim": None, "ssim_se": None}
        far = [{**row, **figures, "lpips": 0.5, "lpips_se": None}]
        return RotatedMnistTables([], [], far, [])

    monkeypatch.setattr("geojax.experiments.run_rotated_mnist", run)
    options = ["reproduce", "rotated-mnist", "--quick", "--out", "results"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    assert "PSNR 13.50 ± 0.25" in done.output and "SSIM –" in done.output
    assert given["plan"] == RotatedMnistPlan.quick()
    assert given["about"]["command"] == "geojax reproduce rotated-mnist --quick"
    assert given["measure"]
    CliRunner().invoke(app, [*options, "--so-far"])
    assert not given["measure"]
    done = CliRunner().invoke(app, [*options, "--chunk", "2"])
    assert done.exit_code == 130
    assert "the same command goes on in results" in " ".join(done.output.split())


def test_characters_writes_its_tables(monkeypatch):
    given = {}

    def run(plan, folder, **options):
        given.update(options, plan=plan)
        row = {"kind": "path", "turn": None, "components": 8, "shaping": "labels", "method": "LERP"}
        return [{**row, "gamma_rmse": 0.5, "gamma_rmse_se": None, "psnr": 20.0, "psnr_se": 0.5}]

    monkeypatch.setattr("geojax.experiments.run_characters", run)
    done = CliRunner().invoke(app, ["reproduce", "characters", "--quick", "--pairs", "2"])
    assert done.exit_code == 0, done.output
    assert "γ-RMSE 0.5" in done.output and "PSNR 20.00 ± 0.50" in done.output
    assert given["plan"] == CharactersPlan.quick().of_pairs(2) and given["measure"]
    assert given["about"]["command"] == "geojax reproduce characters --quick --pairs 2"


def test_a_chunk_that_cannot_be():
    for arguments in (
        ["synthetic", "--chunk", "2"],
        ["rotated-mnist", "--chunk", "0"],
        ["characters", "--chunk", "2"],
    ):
        done = CliRunner().invoke(app, ["reproduce", *arguments])
        assert done.exit_code == 2
        assert "--chunk must be at least 1" in done.output


@pytest.mark.slow
def test_a_number_of_pairs():
    options = ["reproduce", "synthetic", "--quick", "--out", "results", "--pairs"]
    done = CliRunner().invoke(app, [*options, "2"])
    assert done.exit_code == 0, done.output
    with open("results/synthetic.json", encoding="utf-8") as file:
        content = json.load(file)
    assert content["about"]["command"] == "geojax reproduce synthetic --quick --pairs 2"
    assert {row["count"] for row in content["means"]} == {2}
    done = CliRunner().invoke(app, [*options, "0"])
    assert done.exit_code == 2 and "--pairs must be at least 1, got 0" in done.output
