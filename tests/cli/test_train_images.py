"""`train --images`: from pictures to a model that the other commands take, and what is refused."""

import json

import numpy as np
import pytest
from PIL import Image

from geojax.cli import _train_images
from geojax.cli._pictures import Pictures, read_pictures
from geojax.cli._train_images import latent_config


def moving_squares(count=48, side=28):
    """A bright square that moves from left to right."""
    pictures = np.zeros((count, side, side), np.uint8)
    for k in range(count):
        left = k * (side - 8) // (count - 1)
        pictures[k, 10:18, left : left + 8] = 255
    return pictures


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "squares.npz"
    np.savez(path, images=moving_squares())
    return path


QUICK = ["--autoencoder-steps", "3", "--steps", "3", "--components", "2"]


@pytest.mark.slow
def test_from_nothing_to_a_geodesic_with_an_interruption(
    geojax_command, file, tmp_path, monkeypatch
):
    out = tmp_path / "squares"
    train = _train_images.train_latent_model

    def interrupted(*arguments, callback, **options):
        assert options["save_every"] == 1

        def stop(phase, step, loss):
            if phase == "denoiser":
                raise KeyboardInterrupt

        return train(*arguments, callback=stop, **options)

    command = ["train", "--images", file, "--out", out, *QUICK, "--save-every", "1"]
    monkeypatch.setattr(_train_images, "train_latent_model", interrupted)
    result = geojax_command(*command)
    assert result.exit_code == 130 and "goes on from the last save" in result.stderr
    assert (out / "training-autoencoder.safetensors").is_file()
    monkeypatch.setattr(_train_images, "train_latent_model", train)
    result = geojax_command(*command)
    assert result.exit_code == 0, result.output
    for word in ("Contrast: ", "Detour: ", "PSNR of decoded pictures", f"demo --model {out}"):
        assert word in result.stdout
    card = (out / "README.md").read_text()
    assert "Grey pictures of 28 x 28 pixels in 2 numbers" in card and "Contrast: " in card
    for name in ("loss-autoencoder.png", "loss-denoiser.png", "samples.png"):
        with Image.open(out / name) as image:
            image.load()

    options = ["--model", out, "--segments", "4", "--frames", "3", "--out"]
    result = geojax_command("demo", *options, tmp_path / "demo", "--extent", "0")
    assert result.exit_code in (0, 1), result.output  # three steps make no good model
    metrics = json.loads((tmp_path / "demo" / "metrics.json").read_text())
    assert list(metrics["methods"]) == ["LERP", "geodesic"]
    assert metrics["contrast"]["ratio"] > 0 and metrics["settings"]["lam"] > 0
    pair = sorted((tmp_path / "demo" / "frames" / "given").iterdir())
    result = geojax_command("interpolate", *pair, *options, tmp_path / "between", "--label", "3")
    assert result.exit_code == 2 and "the model has no classes" in result.stderr


def test_a_run_that_ended_before_its_first_save_begins_again(
    geojax_command, file, tmp_path, monkeypatch
):
    def stopped(config, pixels, folder, **options):
        (folder / "config.json").write_text(json.dumps(config))
        raise KeyboardInterrupt

    monkeypatch.setattr(_train_images, "train_latent_model", stopped)
    for _ in range(2):
        result = geojax_command("train", "--images", file, "--out", tmp_path / "model", *QUICK)
        assert result.exit_code == 130 and "or begins again" in result.stderr.replace("\n", " ")
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["model"]


def test_pictures_from_a_folder_and_from_a_file(tmp_path, file):
    squares = moving_squares(32)
    for k, picture in enumerate(squares):
        Image.fromarray(picture).resize((20, 20)).save(tmp_path / f"{k}.png")
    found = read_pictures(tmp_path, None, None)
    assert found.pixels.shape == (32, 28, 28, 1) and found.labels is None
    assert read_pictures(tmp_path, 32, True).pixels.shape == (32, 32, 32, 3)
    np.testing.assert_array_equal(read_pictures(file, None, None).pixels[..., 0], moving_squares())
    for name, images in (
        ("unit", moving_squares() / 255),
        ("signed", moving_squares() / 127.5 - 1),
        ("colour", np.repeat(moving_squares()[..., None], 3, axis=3)),
    ):
        path = tmp_path / f"{name}.npz"
        np.savez(path, images=images, labels=np.arange(48.0), groups=np.zeros(48))
        found = read_pictures(path, None, None)
        np.testing.assert_array_equal(found.pixels[..., 0], moving_squares())
        assert found.labels.shape == found.groups.shape == (48,)


def test_bad_input_is_refused(geojax_command, tmp_path, file):
    def refused(message, *options):
        result = geojax_command("train", "--out", tmp_path / "out", *options)
        assert result.exit_code == 2 and message in " ".join(result.stderr.split()), result.output
        assert not (tmp_path / "out").exists()

    refused("give --images FOLDER or FILE.npz, or the data set")
    refused("give --images FOLDER or FILE.npz, or the data set", "rotated-mnist", "--images", file)
    refused("does not exist", "--images", tmp_path / "none")
    refused("--side must be in 28 ... 128, got 8", "--images", file, "--side", "8")
    refused("--components must be at least 1", "--images", file, "--components", "0")
    refused("are for rotated-mnist", "--images", file, "--batch-size", "3")
    np.savez(tmp_path / "few.npz", images=moving_squares(8))
    refused("needs at least 32 pictures", "--images", tmp_path / "few.npz")
    np.savez(tmp_path / "bad.npz", images=moving_squares() * 1000.0)
    refused("of 8 bits, or floating in [0, 1] or [-1, 1]", "--images", tmp_path / "bad.npz")
    (tmp_path / "text.npz").write_text("no array")
    refused(
        "cannot be read as an .npz file of arrays. --images takes a folder",
        "--images",
        tmp_path / "text.npz",
    )


def test_the_recipe_for_a_gpu():
    pictures = Pictures(np.zeros((10, 16, 16, 3), np.uint8), None, None)
    config = latent_config(pictures, "x", {"seed": 3, "denoiser_steps": 7}, gpu=True)
    assert config["training"]["dtype"] == "bfloat16"
    assert (config["training"]["seed"], config["training"]["denoiser_steps"]) == (3, 7)
    assert config["training"]["autoencoder_steps"] == 20_000
    assert config["autoencoder"]["channels"] == 3
    assert latent_config(pictures, "x", {"dtype": "bfloat16"})["training"]["dtype"] == "bfloat16"
