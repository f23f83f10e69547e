"""`train`: writes a checkpoint and its pictures, goes on where it stopped, and refuses nonsense."""

import json

import pytest
from PIL import Image

import geojax.models
from geojax.cli._gpu_recipe import DIGITS, with_recipe
from geojax.models import loss_history

from .conftest import tiny_config
from .process import load_mnist

TRAIN = ["train", "rotated-mnist"]


@pytest.fixture
def digits(monkeypatch):
    """Twenty 8 x 8 pictures of each class in place of MNIST."""

    monkeypatch.setattr(geojax.models, "load_mnist", load_mnist)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(tiny_config()))
    return path


@pytest.mark.slow
def test_train_writes_resumes_and_shows(geojax_command, digits, config, tmp_path):
    out = tmp_path / "model"
    options = [
        "train",
        "rotated-mnist",
        "--out",
        out,
        "--config",
        config,
        "--save-every",
        "2",
        "--batch-size",
        "2",
    ]
    result = geojax_command(*options, "--steps", "2")
    assert result.exit_code == 0, result.output
    assert f"geojax demo --model {out}" in result.stdout
    assert [row[0] for row in loss_history(out)] == [2]
    assert json.loads((out / "config.json").read_text())["training"]["batch_size"] == 2
    result = geojax_command(*options, "--steps", "3")
    assert result.exit_code == 0, result.output
    assert [row[0] for row in loss_history(out)] == [2, 3]
    for name in ("loss.png", "samples.png"):
        with Image.open(out / name) as image:
            image.load()
    other = geojax_command(*options, "--steps", "3", "--seed", "5")
    assert other.exit_code == 2
    assert "holds a training run of another config" in " ".join(other.stderr.split())


@pytest.mark.slow
def test_files_that_are_no_run_are_unchanged(geojax_command, digits, config, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "loss.png").write_text("mine")
    options = ["--out", tmp_path / "model", "--config", config, "--batch-size", "2"]
    for steps in ("1", "2"):  # the second one goes on
        result = geojax_command(
            "train", "rotated-mnist", *options, "--steps", steps, "--save-every", "1"
        )
        assert result.exit_code == 0, result.output
        assert f"geojax demo --model {tmp_path / 'model-2'}" in result.stdout
    assert [row[0] for row in loss_history(tmp_path / "model-2")] == [1, 2]
    assert (tmp_path / "model" / "loss.png").read_text() == "mine"


def test_an_interruption_is_no_error(geojax_command, digits, config, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(geojax.models, "train", interrupted)
    result = geojax_command(
        "train", "rotated-mnist", "--out", tmp_path / "model", "--config", config
    )
    assert result.exit_code == 130
    assert "goes on from the last save" in result.stderr


def test_a_diverged_run_is_said(geojax_command, digits, config, tmp_path, monkeypatch):
    def diverged(*arguments, **options):
        raise FloatingPointError("the loss is nan at step 7.")

    monkeypatch.setattr(geojax.models, "train", diverged)
    result = geojax_command(
        "train", "rotated-mnist", "--out", tmp_path / "model", "--config", config
    )
    assert result.exit_code == 2
    assert "error: the loss is nan at step 7." in result.stderr


def test_bad_input(geojax_command, tmp_path, monkeypatch, config):
    monkeypatch.setenv("GEOJAX_DATA_DIR", str(tmp_path / "empty"))

    def error_of(*options):
        result = geojax_command("train", "rotated-mnist", "--out", tmp_path / "model", *options)
        assert result.exit_code == 2
        return result.stderr

    assert "error: no train-images-idx3-ubyte.gz in" in error_of("--config", config)
    assert "--steps must be at least 1" in error_of("--steps", "0")
    assert "--save-every must be at least 1, got 0" in error_of("--save-every", "0")
    assert "--batch-size must be at least 1" in error_of("--batch-size", "0")
    assert "no config file" in error_of("--config", tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    assert "is not valid JSON" in error_of("--config", tmp_path / "bad.json")
    (tmp_path / "poor.json").write_text('{"network": {}}')
    assert "lacks prediction, schedule, shape" in error_of("--config", tmp_path / "poor.json")


def test_the_recipe_for_a_gpu_is_a_config_of_its_own(geojax_command, digits, config, tmp_path):
    result = geojax_command(*TRAIN, "--gpu", "--config", config, "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert "leave --config out, or --gpu" in " ".join(result.stderr.split())
    recipe = with_recipe(geojax.models.ROTATED_MNIST_CONFIG, DIGITS)
    assert recipe["training"]["dtype"] == "bfloat16"
    assert recipe["training"]["seed"] == geojax.models.ROTATED_MNIST_CONFIG["training"]["seed"]
    assert recipe["network"]["widths"] == [128, 256]
    assert geojax.models.ROTATED_MNIST_CONFIG["network"]["widths"] == [64, 128]
