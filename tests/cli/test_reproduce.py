"""``geojax reproduce`` in process, with a plan of closed forms."""

import json

import pytest
from typer.testing import CliRunner

from geojax.cli import app
from geojax.experiments import SyntheticPlan

PLAN = SyntheticPlan(("circle in R^2",), ("LERP",), ("straight line",), (0.1,), num_pairs=1)


@pytest.fixture(autouse=True)
def _closed_forms_only(monkeypatch):
    monkeypatch.setattr(SyntheticPlan, "quick", classmethod(lambda cls: PLAN))


def test_it_writes_its_tables_and_says_where():
    done = CliRunner().invoke(app, ["reproduce", "synthetic", "--quick", "--out", "results"])
    assert done.exit_code == 0, done.output
    assert "Written to results" in done.output
    with open("results/synthetic.json", encoding="utf-8") as file:
        content = json.load(file)
    assert content["about"]["command"] == "geojax reproduce synthetic --quick"
    assert [row["method"] for row in content["means"]] == ["LERP", "straight line"]


def test_an_unknown_experiment():
    assert CliRunner().invoke(app, ["reproduce", "everything"]).exit_code == 2
