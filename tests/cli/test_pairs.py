"""`interpolate --pairs`: a folder a pair, one table, rows kept, faults named by line."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from tests.programs import compilations

from .conftest import QUICK
from .test_bad_input import assert_refused


@pytest.fixture
def squares(tmp_path):
    """Four pictures in a folder, and a function that writes a list of pairs beside it."""
    (tmp_path / "squares").mkdir()
    for k in range(4):
        pixels = np.zeros((8, 8), np.uint8)
        pixels[2:6, k : k + 4] = 255
        Image.fromarray(pixels).save(tmp_path / "squares" / f"{k}.png")

    def write(*lines, header="a,b"):
        file = tmp_path / "list.csv"
        pairs = [line.replace("@", "squares/") for line in lines]
        file.write_text("\n".join([header, *pairs]) + "\n")
        return file

    return write


def rows_of(folder):
    with (folder / "pairs.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_list_is_gone_through_once_by_one_program(geojax_command, checkpoint, squares, tmp_path):
    header, out = "a,b,label_a,label_b,name", tmp_path / "out"
    lines = ["@0.png,@1.png,3,3,", "@1.png,@2.png,4,4,second", "@0.png,@3.png,5,5,"]
    command = ["interpolate", "--model", checkpoint, *QUICK, "--force", "--out", out, "--pairs"]
    result = geojax_command(*command, squares(*lines[:1], header=header))
    assert result.exit_code == 0, result.output
    kept = (out / "rows").glob("*.json").__next__().stat().st_mtime_ns
    with compilations() as compiled:
        result = geojax_command(*command, squares(*lines, header=header))
    assert result.exit_code == 0, result.output
    assert not compiled
    assert "3 pairs, 3 successful" in result.stdout
    assert min(p.stat().st_mtime_ns for p in (out / "rows").glob("*.json")) == kept

    rows = rows_of(out)
    assert [row["name"] for row in rows] == ["0001", "second", "0003"]
    for row in rows:
        assert row["verdict"] == "successful" and row["problem"] == ""
        assert 0 < float(row["energy"]) <= float(row["energy_lerp"]) * (1 + 1e-5)
        figures = json.loads((out / row["name"] / "metrics.json").read_text())
        assert figures["methods"]["geodesic"]["energy"] == float(row["energy"])
        assert figures["contrast"]["ratio"] == float(row["contrast"])
        assert figures["settings"]["label_a"] == row["label_a"]
        names = {path.name for path in (out / row["name"]).iterdir()}
        assert names >= {"paths.png", "path.gif", "path.npz", "report.html", "frames"}

    # The same as between two files.
    two = ["interpolate", tmp_path / "squares/1.png", tmp_path / "squares/2.png", "--label", "4"]
    two += ["--model", checkpoint, *QUICK, "--force", "--out", tmp_path / "two"]
    assert geojax_command(*two).exit_code == 0
    methods = [
        json.loads((f / "metrics.json").read_text())["methods"]
        for f in (out / "second", tmp_path / "two")
    ]
    assert methods[0]["geodesic"]["energy"] == pytest.approx(methods[1]["geodesic"]["energy"], 1e-5)

    # Another pair under a name whose result is kept, and other settings.
    lines[1] = "@1.png,@3.png,4,4,second"
    refused = geojax_command(*command, squares(*lines, header=header))
    assert_refused(refused, "holds the result of another pair under the name second")
    refused = geojax_command(*command, squares(*lines, header=header), "--frames", "4")
    assert_refused(refused, "holds a run of another plan")


@pytest.mark.slow
def test_a_pair_that_fails_does_not_keep_the_others(
    geojax_command, checkpoint, squares, tmp_path, monkeypatch
):
    def known(names, *_, **__):
        if "2.png" in names:
            raise ValueError("the model does not know 2.png.")
        return []

    monkeypatch.setattr("geojax.cli._known.check_known", known)
    command = ["interpolate", "--model", checkpoint, *QUICK, "--out", tmp_path / "out", "--pairs"]
    result = geojax_command(*command, squares("@0.png,@2.png", "@0.png,@1.png"))
    assert result.exit_code == 1 and "2 pairs, 1 successful" in result.stdout
    assert "failed: 0001: refused. the model does not know 2.png." in result.stderr
    rows = rows_of(tmp_path / "out")
    assert [row["verdict"] for row in rows] == ["refused", "successful"]
    assert rows[0]["problem"] == "the model does not know 2.png." and rows[0]["energy"] == ""


def test_faults_are_named_by_line_before_anything_is_computed(
    geojax_command, checkpoint, squares, tmp_path
):
    command = ["interpolate", "--model", checkpoint, "--out", tmp_path / "out", "--pairs"]
    header = "a,b,label_a,label_b,name"
    lines = [
        "@0.png,@9.png,,,",
        "@0.png,@1.png,1,,",
        "@0.png,@1.png,11,11,",
        "@0.png,@1.png,one,1,",
        "@0.png,@0.png,,,",
        "@0.png,@1.png,,,x/y",
        "@0.png,@1.png,,,same",
        "@0.png,@1.png,,,Same",
        "@0.png",
    ]
    result = geojax_command(*command, squares(*lines, header=header))
    said = " ".join(result.stderr.split())
    for text in (
        "line 2: no image file",
        "line 3: give label_a and label_b",
        "line 4: label_a must be 0 ... 9, got 11.",
        "line 5: label_a must be the number of a class, got 'one'.",
        "line 6: 0.png and 0.png are the same picture",
        "line 7: name must be the name of a folder, got 'x/y'.",
        "line 9: the name 'Same' is taken.",
        "line 10: it has more or fewer fields",
    ):
        assert text in said
    assert "line 8" not in said
    assert_refused(result, "list.csv: line 2")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "header, lines, options, message",
    [
        ("a,c", ["x,y"], [], "has an unknown column 'c': its first line must name columns a and b"),
        ("a", ["x"], [], "lacks column a or b"),
        ("a,b", [], [], "has no pairs below its first line"),
        ("a,b", ["@0.png,@1.png"], ["a.png"], "two image files A and B, or --pairs, not both"),
        ("a,b", ["@0.png,@1.png"], ["--init", "x"], "--init is for two pictures"),
        ("a,b", ["@0.png,@1.png"], ["--label", "77"], "--label must be 0 ... 9, got 77"),
        ("a,b", ["@0.png,@1.png"], ["--distributed", "x"], "must be auto or HOST:PORT,COUNT,"),
    ],
)
def test_lists_that_cannot_be(
    geojax_command, checkpoint, squares, tmp_path, header, lines, options, message
):
    command = ["interpolate", *options, "--model", checkpoint, "--out", tmp_path / "out"]
    result = geojax_command(*command, "--pairs", squares(*lines, header=header))
    assert_refused(result, message)
    assert not (tmp_path / "out").exists()


def test_two_pictures_or_a_list(geojax_command, pictures, tmp_path):
    assert_refused(geojax_command("interpolate", pictures[0]), "two image files A and B, or many")
    options = ["--distributed", "auto"]
    assert_refused(geojax_command("interpolate", *pictures, *options), "--distributed is for")
