"""The commands with tiny folders of diffusers: pixels or latents, with words and without."""

import json

import numpy as np
import pytest
from PIL import Image

from geojax.models.stable_diffusion import Tokenizer
from tests.models.diffusers.folders import SIDE, SMALL, write, write_ddpm, write_flat, write_latent
from tests.models.stable_diffusion.checkpoints import write_checkpoint

from .test_bad_input import assert_refused

FEW = ["--segments", "4", "--frames", "3", "--denoise-steps", "2", "--lam", "0.001"]
# Forward evaluations only: no derivative of the network is compiled.
QUICK = [*FEW, "--rule", "quadrature", "--segments", "16"]


@pytest.fixture
def colours(tmp_path):
    """Two pictures in colour, of another size than the model's."""
    paths = [tmp_path / f"{name}.png" for name in ("a", "b")]
    for path, colour in zip(paths, [(200, 40, 90), (30, 90, 220)], strict=True):
        pixels = np.full((2 * SIDE, 3 * SIDE, 3), 120, np.uint8)
        pixels[4:10, 4:14] = colour
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture(autouse=True)
def _bytes_for_words(monkeypatch):
    def tokens(self, text):
        numbers = [512, *text.encode()[: self.length - 2], 513]
        return np.asarray(numbers + [0] * (self.length - len(numbers)), np.int32)

    monkeypatch.setattr(Tokenizer, "__call__", tokens)


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def good(result):
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.slow
def test_between_two_pictures_by_pixels_and_their_evaluation(geojax_command, colours, tmp_path):
    folder, out = write_flat(tmp_path / "ddpm-cat-256", **SMALL), tmp_path / "out"
    command = ["interpolate", *colours, "--model", folder, *QUICK, "--methods", "nao"]
    result = good(geojax_command(*command, "--out", out))
    assert f"resized and padded to {SIDE} x {SIDE}" in result.stderr
    metrics = metrics_of(out)
    assert metrics["successful"] and metrics["settings"]["size"] == f"{SIDE}x{SIDE}"
    assert list(metrics["methods"]) == ["LERP", "NAO", "geodesic"]
    for name in ("given/a", "geodesic/frame_0.5000"):
        assert np.asarray(Image.open(out / "frames" / f"{name}.png")).shape == (SIDE, SIDE, 3)
    assert (out / "paths.png").stat().st_size > 1000
    good(geojax_command("evaluate", out, "--out", tmp_path / "measures"))
    measured = json.loads((tmp_path / "measures" / "evaluate.json").read_text())
    assert list(measured["paths"]) == list(metrics["methods"])


@pytest.mark.slow
def test_between_the_pairs_of_a_list(geojax_command, colours, tmp_path):
    folder, out = write_flat(tmp_path / "ddpm-cat-256", **SMALL), tmp_path / "out"
    file = tmp_path / "list.csv"
    file.write_text("a,b,name\na.png,b.png,there\nb.png,a.png,back\n")
    command = ["interpolate", "--pairs", file, "--model", folder, *QUICK, "--out", out]
    assert "2 pairs, 2 successful" in good(geojax_command(*command)).stdout
    there, back = (metrics_of(out / name) for name in ("there", "back"))
    assert there["settings"]["chunk"] == 4 and there["settings"]["name"] == "there"
    energies = [each["methods"]["geodesic"]["energy"] for each in (there, back)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-2)  # rtol is 1e-3
    file.write_text("a,b,label_a,label_b\na.png,b.png,1,1\n")
    result = geojax_command(*command)
    assert_refused(result, "line 2: label_a is for models of classes.")


@pytest.mark.slow
def test_another_size_and_on_beyond_by_the_default_rule(geojax_command, colours, tmp_path):
    folder, out = write_ddpm(tmp_path / "tiny", **SMALL), tmp_path / "out"
    options = ["--size", "4x6", "--extent", "0.5", "--chunk", "3", "--remat", "--frames", "2"]
    command = ["extrapolate", *colours, "--model", folder, *FEW, *options]
    good(geojax_command(*command, "--out", out))
    metrics = metrics_of(out)
    assert metrics["successful"] and metrics["extension"]["score_evaluations"] > 0
    last = np.asarray(Image.open(out / "frames" / "geodesic" / "frame_1.5000.png"))
    assert last.shape == (4, 6, 3)


@pytest.mark.slow
def test_between_two_pictures_by_latents(geojax_command, colours, tmp_path):
    folder, out = write_latent(tmp_path / "ldm", **SMALL), tmp_path / "out"
    command = ["interpolate", *colours, "--model", folder, *QUICK, "--dtype", "bfloat16"]
    good(geojax_command(*command, "--out", out))
    assert metrics_of(out)["settings"]["dtype"] == "bfloat16"
    frame = np.asarray(Image.open(out / "frames" / "geodesic" / "frame_0.5000.png"))
    assert frame.shape == (SIDE, SIDE, 3)


WORDS = ["--prompt", "a cat", "--prompt-b", "a dog", "--size", "8x16"]


@pytest.mark.slow
@pytest.mark.parametrize("options, size", [([], (SIDE, SIDE, 3)), (WORDS, (8, 16, 3))])
def test_demo_draws_two_pictures_of_the_model(geojax_command, options, size, tmp_path):
    folder, out = tmp_path / "model", tmp_path / "out"
    folder = write_checkpoint(folder, "small") if options else write_ddpm(folder, **SMALL)
    command = ["demo", "--model", folder, *QUICK, "--extent", "0", *options]
    result = good(geojax_command(*command, "--out", out))
    assert "LERP" in result.stdout
    a, b = (np.asarray(Image.open(out / "frames" / "given" / f"{name}.png")) for name in "ab")
    assert a.shape == b.shape == size and not np.array_equal(a, b)
    assert "drew itself" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_inspect_takes_every_kind_of_folder(geojax_command, colours, tmp_path):
    levels = ["--t", "0.2", "--t", "0.5"]
    for folder, given in (
        (write_latent(tmp_path / "ldm", **SMALL), []),
        (write_checkpoint(tmp_path / "words", "small"), colours[:1]),
        (write_ddpm(tmp_path / "large", **SMALL, sample_size=72), []),
    ):
        out = tmp_path / f"{folder.name}-out"
        good(geojax_command("inspect", *given, "--model", folder, *levels, "--out", out))
        content = json.loads((out / "inspect.json").read_text())
        assert content["ts"] == pytest.approx([0.2, 0.5])
        assert content["pictures_of_the_model"] == 2 - len(given)
        assert np.shape(content["score_contrast"]) == (2,)


@pytest.mark.slow
def test_inspect_of_pixels(geojax_command, tmp_path):
    folder, out = write_ddpm(tmp_path / "ddpm", **SMALL), tmp_path / "out"
    options = ["--t", "0.3", "--pairs", "1", "--segments", "4", "--count", "2", "--lam", "0.001"]
    good(geojax_command("inspect", "--model", folder, *options, "--out", out))
    content = json.loads((out / "inspect.json").read_text())
    assert content["images_drawn"] == 2 and np.shape(content["score_norms"]) == (1, 2)
    assert (out / "inspect.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "command, options, text",
    [
        ("interpolate", ["--prompt", "a cat"], "--prompt is for Stable Diffusion folders, and"),
        ("interpolate", ["--attention", "xla"], "--attention is for Stable Diffusion folders"),
        ("interpolate", ["--label", "3"], "--label-b are for models of classes."),
        ("interpolate", ["--size", "9"], "--size must be HEIGHTxWIDTH, both divisible by 2"),
        ("interpolate", ["--metric", "norm", "--rule", "quadrature"], "needs --metric Stein or"),
        ("demo", ["--prompt", "a cat"], "--prompt is for Stable Diffusion folders, and"),
        ("demo", ["--guidance", "3"], "--guidance is for Stable Diffusion folders"),
        ("inspect", ["--prompt", "a cat"], "--prompt is for Stable Diffusion folders, and"),
        ("inspect", ["--label", "3"], "--label must be left out: the model has no classes"),
        ("interpolate", ["--model", "other"], "_class_name = 'DiTPipeline' is not supported"),
        ("inspect", ["--model", "other"], "geojax.models.from_torch"),
        ("demo", ["--model", "model.ckpt"], "from_single_file(FILE).save_pretrained(FOLDER)"),
        ("demo", ["--model", "google/ddpm-cat-256"], "hf download google/ddpm-cat-256"),
        ("demo", ["--model", "characters", "--chunk", "2"], "--chunk is for folders of diffusers"),
    ],
)
def test_refusals(geojax_command, colours, tmp_path, command, options, text):
    folder = write_ddpm(tmp_path / "tiny")
    write(tmp_path / "other" / "model_index.json", {"_class_name": "DiTPipeline"})
    given = colours if command == "interpolate" else []
    assert_refused(geojax_command(command, *given, "--model", folder, *options), text)
