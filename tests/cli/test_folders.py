"""No result replaces another, and none replaces a file of the user's."""

import json

import numpy as np
import pytest

from geojax.cli._folders import removed_if_empty, reserve_folder, write_json


def test_a_folder_with_any_content_is_unchanged(tmp_path, capsys):
    wanted = tmp_path / "deep" / "out"
    assert reserve_folder(str(wanted)) == wanted
    assert reserve_folder(str(wanted)) == wanted  # it is empty
    (wanted / "mine.txt").write_text("mine")
    assert capsys.readouterr().err == ""
    second = reserve_folder(str(wanted))
    assert second == tmp_path / "deep" / "out-2"
    assert f"notice: {wanted} holds other files: writing to {second}." in capsys.readouterr().err
    (second / "paths.png").write_text("a result")
    (tmp_path / "deep" / "out-3").write_text("a file of that name")
    assert reserve_folder(str(wanted)) == tmp_path / "deep" / "out-4"
    assert (wanted / "mine.txt").read_text() == "mine"
    assert not list(wanted.glob(".*")) and [p.name for p in wanted.iterdir()] == ["mine.txt"]


def test_a_run_that_goes_on_keeps_its_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other").touch()
    (tmp_path / "out-2").mkdir()
    (tmp_path / "out-2" / "run").touch()
    is_run = lambda folder: (folder / "run").exists()  # noqa: E731
    assert reserve_folder(str(tmp_path / "out"), is_run) == tmp_path / "out-2"


@pytest.mark.parametrize(
    "name, text",
    [("", "--out must be the name of a folder"), (" ", "got an empty text"), (".", "new folder")],
)
def test_names_that_are_refused(tmp_path, monkeypatch, name, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match=text):
        reserve_folder(name)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_without_results_is_removed_again(tmp_path):
    with pytest.raises(KeyError), removed_if_empty(reserve_folder(str(tmp_path / "empty"))):
        raise KeyError
    with removed_if_empty(reserve_folder(str(tmp_path / "full"))) as folder:
        (folder / "result").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_json_is_written_whole_and_has_no_nan(tmp_path):
    file = tmp_path / "figures.json"
    write_json(file, {"a": [1.5, float("nan")], "b": {"c": -np.inf}})
    assert json.loads(file.read_text(), parse_constant=pytest.fail) == {
        "a": [1.5, None],
        "b": {"c": None},
    }
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert json.loads(file.read_text())["a"] == [1.5, None]
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]
