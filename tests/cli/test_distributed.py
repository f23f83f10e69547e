"""Commands in two processes: one is killed and started again, and the table is the same."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from geojax._shares import own_and_others
from geojax.cli._console import say, tell
from geojax.cli._distributed import _read, join
from geojax.cli._folders import reserve_folder
from geojax.cli._rows import is_run
from geojax.models import build_score, loss_history, save_checkpoint
from tests.models.networks import random_weights
from tests.processes import free_address, killed, output, start

from .conftest import QUICK, tiny_config


def command(*arguments, at=("kill", "none", 0), process=None, address=""):
    """A command; as a process of two at an address where that is given."""
    several = () if process is None else ("--distributed", f"{address},2,{process}")
    return start("tests.cli.process", *at, *arguments, *several)


def table(path):
    """Without what no two runs share."""
    with path.open() as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    assert rows
    return rows


def kill_and_go_on(*arguments, folder):
    """Two processes write files in `folder`: one is killed and started again beside the other.

    **Returns:** what process 0 says.
    """
    of_two = {"address": free_address()}
    first = command(*arguments, at=("wait", folder, 2), process=0, **of_two)
    killed(command(*arguments, at=("kill", folder, 1), process=1, **of_two))
    assert first.poll() is None  # goes on, and waits at its second file
    again = output(command(*arguments, process=1, **of_two))
    assert "Written" not in again and "rmse" not in again  # it says nothing
    assert first.poll() is None
    Path("go").touch()
    return output(first)


@pytest.mark.slow
def test_reproduce_with_a_process_that_is_killed_and_started_again():
    arguments = "reproduce", "synthetic", "--quick", "--out"
    output(command(*arguments, "alone"))
    said = kill_and_go_on(*arguments, "shared", folder="rows")
    assert "Written to shared" in said
    assert len(list(Path("shared/rows").glob("[!.]*.json"))) == 6
    assert table(Path("shared/synthetic.csv")) == table(Path("alone/synthetic.csv"))


@pytest.mark.slow
def test_pairs_with_a_process_that_is_killed_and_started_again(tmp_path):
    """Process 1 dies as it would name the last file of its first pair, its row."""
    model, pictures = tmp_path / "model", []
    save_checkpoint(model, random_weights(build_score, tiny_config()), tiny_config())
    for left in range(4):
        pixels = np.zeros((8, 8), np.uint8)
        pixels[2:6, left : left + 4] = 255
        pictures.append(f"{left}.png")
        Image.fromarray(pixels).save(tmp_path / pictures[-1])
    lines = [f"{pictures[0]},{name}" for name in pictures[1:]]
    (tmp_path / "list.csv").write_text("\n".join(["a,b", *lines, "1.png,2.png"]))
    arguments = "interpolate", "--pairs", tmp_path / "list.csv", "--model", model, *QUICK
    arguments = *arguments, "--force", "--out"
    output(command(*arguments, "alone"))
    said = kill_and_go_on(*arguments, "shared", folder="rows")
    assert "4 pairs, 4 successful" in said
    assert table(Path("shared/pairs.csv")) == table(Path("alone/pairs.csv"))
    for name in ("0001", "0004"):
        drawn = [Path(folder, name, "paths.png").read_bytes() for folder in ("alone", "shared")]
        assert drawn[0] == drawn[1]


@pytest.mark.slow
def test_training_goes_on_from_the_last_save_when_one_process_was_killed(tmp_path):
    """Process 0 dies while it saves for the second time, between two files."""
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(tiny_config()))
    options = "train", "rotated-mnist", "--config", config, "--steps", 3, "--save-every", 1
    output(command(*options, "--out", "alone"))
    of_two = {"address": free_address()}
    arguments = *options, "--out", "shared"
    second = command(*arguments, process=1, **of_two)
    killed(command(*arguments, at=("kill", "shared", 7), process=0, **of_two))
    second.kill()  # it would end by itself, when no sign of life comes for half a minute
    second.communicate()
    assert [row[0] for row in loss_history("shared")] == [1]
    of_two = {"address": free_address()}
    both = [command(*arguments, process=process, **of_two) for process in range(2)]
    said = [output(process) for process in both]
    assert "Try it: geojax demo" in said[0] and "Try it" not in said[1]
    assert Path("shared/samples.png").is_file()
    for name in ("model.safetensors", "training.safetensors"):
        alone, shared = (load_file(f"{folder}/{name}") for folder in ("alone", "shared"))
        assert alone.keys() == shared.keys()
        for key, value in alone.items():
            np.testing.assert_allclose(shared[key], value, rtol=1e-4, atol=1e-4, err_msg=key)
    rows = [np.asarray(loss_history(folder))[:, :2] for folder in ("alone", "shared")]
    np.testing.assert_allclose(*rows, rtol=1e-4)


@pytest.mark.parametrize(
    "text, message",
    [
        ("10.0.0.1", "must be auto or HOST:PORT,COUNT,INDEX"),
        ("10.0.0.1:80,2", "must be auto or HOST:PORT,COUNT,INDEX"),
        ("10.0.0.1:80,two,0", "must be auto or HOST:PORT,COUNT,INDEX"),
        (":80,2,0", "must be auto or HOST:PORT,COUNT,INDEX"),
        ("10.0.0.1:80000,2,0", "the port must be in 1 ... 65535, got 80000"),
        ("10.0.0.1:80,2,2", "INDEX must be in 0 ... COUNT - 1, got 2 of 2"),
    ],
)
def test_addresses_that_cannot_be(text, message):
    with pytest.raises(ValueError, match=message):
        _read(text)


def test_addresses():
    assert _read("Auto") == (None, None, None)
    assert _read("[::1]:1234,4,3") == ("[::1]:1234", 4, 3)


def test_auto_where_there_is_no_job(monkeypatch):
    def initialize(*arguments, **options):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr("jax.distributed.initialize", initialize)
    with pytest.raises(ValueError, match=r"finds no job of many processes here.*Give HOST:PORT"):
        join("auto", together=True)


def test_a_process_that_is_not_the_first_shows_only_errors(monkeypatch, capsys):
    monkeypatch.setattr("geojax.cli._console._quiet_as", "process 3")
    for kind in ("notice", "error"):
        tell(kind, "something is wrong.")
    say("done")
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err == "error of process 3: something is wrong.\n"


def test_processes_take_one_folder(monkeypatch):
    monkeypatch.setattr("jax.process_count", lambda: 2)
    for _ in range(2):
        assert reserve_folder("out", lambda folder: False) == Path("out")
        Path("out/.plan-x.json").touch()  # another process is about to write its plan
    Path("out/plan.json").touch()
    assert reserve_folder("out", is_run) == Path("out")
    with pytest.raises(ValueError, match="--out out holds other files: with --distributed"):
        reserve_folder("out", lambda folder: False)


@pytest.mark.parametrize("count", [1, 3])
def test_every_piece_belongs_to_one_process_and_all_do_the_rest(monkeypatch, count):
    monkeypatch.setattr("jax.process_count", lambda: count)
    owned = []
    for index in range(count):
        monkeypatch.setattr("jax.process_index", lambda index=index: index)
        own, others = own_and_others(range(10))
        assert sorted(own + others) == list(range(10)) and own == sorted(own)
        owned += own
    assert sorted(owned) == list(range(10))
