"""`inspect`: the two files, the words, and what it refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from geojax.models import turned_characters

from .test_bad_input import assert_refused

QUICK = ["--t", "0.3", "--t", "0.1", "--pairs", "1", "--segments", "4"]


def content_of(folder):
    return json.loads((folder / "inspect.json").read_text(), parse_constant=pytest.fail)


def without_seconds(content):
    return {name: value for name, value in content.items() if name != "seconds"}


@pytest.mark.slow
def test_without_images_it_draws_some_and_again_the_same(geojax_command, checkpoint, tmp_path):
    command = ["inspect", "--model", checkpoint, *QUICK, "--count", "3", "--out"]
    result = geojax_command(*command, tmp_path / "one")
    assert result.exit_code == 0, result.output
    content = content_of(tmp_path / "one")
    assert content["ts"] == pytest.approx([0.1, 0.3])
    assert content["images_drawn"] == 3 and content["settings"]["count"] == 3
    assert np.shape(content["score_norms"]) == (2, 3)
    assert np.shape(content["deviation"]) == np.shape(content["curvature"]) == (2, 2, 1)
    assert np.shape(content["dimension"]["spectrum"]) == (2, 24)
    assert {"python", "geojax", "jax"} <= set(content["versions"])
    assert {"cpu_count", "backend"} <= set(content["machine"])
    assert len(content["findings"]) == 2
    assert set(content["recommendation"]) == {"t", "lam", "reason"}
    for words in (*content["findings"], content["recommendation"]["reason"], "inspect.png"):
        assert words in result.stdout
    with Image.open(tmp_path / "one" / "inspect.png") as image:
        image.load()
        assert min(image.size) > 500
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["inspect.json", "inspect.png"]
    again = geojax_command(*command, tmp_path / "two")
    assert again.exit_code == 0
    assert without_seconds(content_of(tmp_path / "two")) == without_seconds(content)


@pytest.mark.slow
def test_a_folder_of_images_and_a_single_one(geojax_command, checkpoint, pictures, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    command = ["inspect", "--model", checkpoint, "--t", "0.3", "--segments", "4", "--lam", "0.05"]
    folder = geojax_command(*command, pictures[0].parent, "--out", tmp_path / "out")
    assert folder.exit_code == 0, folder.output
    content = content_of(tmp_path / "out")
    assert content["images_drawn"] == 0 and content["lams"] == [[0.05]]
    assert content["pairs"] == [[0, 1]]
    # One image is compared with one that the model draws.
    single = geojax_command(*command, pictures[0], "--out", tmp_path / "out")
    assert single.exit_code == 0, single.output
    content = content_of(tmp_path / "out-2")  # the first result stays
    assert content["images_drawn"] == 1 and np.shape(content["score_norms"]) == (1, 2)


@pytest.mark.parametrize(
    "options, text",
    [
        (["--t", "1.5"], "--t must be in (0, 1]; step k of T is t = k / T, got 1.5."),
        (["--lam", "0"], "--lam must be finite and above 0, got 0.0."),
        (["--count", "1"], "--count must be at least 2, got 1."),
        (["--pairs", "0"], "--pairs must be at least 1, got 0."),
        (["--segments", "1"], "--segments must be at least 2, got 1."),
        (["--seed", "-1"], "--seed must be in 0 ... 2^32 - 1, got -1."),
        (["--label", "10"], "--label must be 0 ... 9, got 10."),
        (["--model", "nonesuch"], "unknown model 'nonesuch'"),
        (["nonesuch.png"], "no image file nonesuch.png."),
        (["--out", "file"], "is a file, not a folder."),
    ],
)
def test_bad_input(geojax_command, checkpoint, tmp_path, options, text):
    (tmp_path / "file").write_text("")
    assert_refused(geojax_command("inspect", "--model", checkpoint, *options), text)


def test_bad_images(geojax_command, checkpoint, pictures, tmp_path):
    (tmp_path / "empty").mkdir()
    run = lambda *paths: geojax_command("inspect", *paths, "--model", checkpoint)  # noqa: E731
    assert_refused(run(tmp_path / "empty"), "holds no image files")
    assert_refused(run(pictures[0], pictures[0]), "are the same picture as the model sees them")


@pytest.mark.slow
def test_inspect_measures_the_contrast_of_a_latent_model(geojax_command, tmp_path):
    """With the bundled model, and pictures that it ships with."""
    glyphs = turned_characters("G", [20.75, 80.75, 140.75])[0]
    paths = [tmp_path / f"{k}.png" for k in range(3)]
    for path, picture in zip(paths, glyphs, strict=True):
        Image.fromarray(picture).save(path)
    command = ["inspect", *paths, "--model", "characters", "--t", "0.2", "--t", "0.9", "--out"]
    result = geojax_command(*command, tmp_path / "out")
    assert result.exit_code == 0, result.output
    content = content_of(tmp_path / "out")
    assert content["ts"] == pytest.approx([0.2, 0.9]) and content["t"] == pytest.approx(0.2)
    assert content["score_contrast"][0] > 10 > content["score_contrast"][1]
    assert content["knows_the_chords"] is True and content["detour"] > 1
    assert "Take t = 0.2" in result.stdout and "Detour" in result.stdout
    assert_refused(
        geojax_command(*command, tmp_path / "no", "--prompt", "a dog"), "--prompt is for"
    )
