"""`interpolate` with a tiny Stable Diffusion checkpoint, end to end; and its refusals."""

import json

import numpy as np
import pytest
from PIL import Image

from geojax.models.stable_diffusion import Tokenizer
from tests.models.stable_diffusion.checkpoints import (
    configs,
    tensors,
    write_checkpoint,
    write_config,
)

from .test_bad_input import assert_refused

QUICK = ["--segments", "4", "--frames", "3", "--denoise-steps", "2", "--chunk", "3"]
QUICK += ["--lam", "0.001", "--size", "8x16"]
FORWARD_ONLY = ["--rule", "quadrature"]


@pytest.fixture
def folder(tmp_path):
    return write_checkpoint(tmp_path / "tiny", "small")


@pytest.fixture
def photographs(tmp_path, data_file):
    subject = data_file("dreambooth_subset")
    found = sorted(p for p in subject.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [str(path) for path in found[:2]]


@pytest.fixture
def bytes_for_words(monkeypatch):
    """A tokenizer of bytes, so that nothing but the command itself is tried."""

    def tokens(self, text):
        numbers = [512, *text.encode()[: self.length - 2], 513]
        return np.asarray(numbers + [0] * (self.length - len(numbers)), np.int32)

    monkeypatch.setattr(Tokenizer, "__call__", tokens)


@pytest.mark.slow
def test_two_photographs_under_two_prompts(
    geojax_command, folder, photographs, bytes_for_words, tmp_path
):
    chosen = ["--prompt", "a bag", "--prompt-b", "a dog", "--methods", "nao, NoiseDiffusion"]
    chosen += [*FORWARD_ONLY, "--segments", "16"]
    command = ["interpolate", *photographs, "--model", folder, *QUICK, *chosen]
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        result = geojax_command(*command, "--out", out)
        assert result.exit_code == 0, result.output
        assert "Network evaluations" in result.stdout
        kinds = ("notice: ", "note: ", "progress: ")
        assert all(line.startswith(kinds) for line in result.stderr.splitlines())
    metrics = json.loads((outs[0] / "metrics.json").read_text())
    assert metrics["successful"]
    figures = metrics["methods"]["geodesic"]
    assert figures["score_products"] == 0  # the forward-only rule takes no VJP and no JVP
    assert figures["score_evaluations"] == 147 + 65 * figures["iterations"] <= 300
    # Two steps from each photograph to the noise level, and back for its reconstruction error; two
    # for each picture.
    inversion = 2 * (2 + 2)
    assert figures["network_evaluations"] == figures["score_evaluations"] + inversion + 3 * 2
    assert list(metrics["methods"]) == ["LERP", "NAO", "NoiseDiffusion", "geodesic"]
    assert metrics["settings"]["prompt_b"] == "a dog"
    assert metrics["settings"]["size"] == "8x16"
    for name in ("paths.png", "path.gif", "energy.png", "report.html"):
        assert (outs[0] / name).stat().st_size > 1000
    for name in ("given/a", "geodesic/frame_0.0000", "LERP/frame_0.5000", "NAO/frame_1.0000"):
        one, two = (np.asarray(Image.open(out / "frames" / f"{name}.png")) for out in outs)
        assert one.shape == (8, 16, 3)
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_another_metric_and_the_probability_flow(
    geojax_command, folder, pictures, bytes_for_words, tmp_path
):
    options = ["--metric", "smoothed", "--denoising", "probability_flow", "--methods", ""]
    options += [*FORWARD_ONLY, "--rtol", "0.01", "--dtype", "float16", "--frames", "2"]
    options += ["--out", tmp_path / "out"]
    result = geojax_command("interpolate", *pictures, "--model", folder, *QUICK, *options)
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(metrics["methods"]) == ["LERP", "geodesic"]
    assert metrics["settings"]["metric"] == "smoothed"
    figures = metrics["methods"]["geodesic"]
    # Eight scores a point; two pictures by the ODE, of 6 evaluations a step at least.
    assert figures["score_evaluations"] % 8 == 0
    assert figures["network_evaluations"] >= figures["score_evaluations"] + 2 * 10


@pytest.mark.slow
def test_extrapolation_under_guidance_by_the_default_rule(
    geojax_command, folder, pictures, tmp_path
):
    """Midpoint with its certificate; and the checkpoint's own tokenizer, on a text too long."""
    pytest.importorskip("transformers")
    words = ["--prompt", "a bag " * 20, "--negative-prompt", "a dog", "--guidance", "2", "--remat"]
    options = [
        *words,
        "--methods",
        "Tangent step",
        "--frames",
        "2",
        "--extent",
        "0.5",
        "--out",
        tmp_path / "out",
    ]
    result = geojax_command("extrapolate", *pictures, "--model", folder, *QUICK, *options)
    assert result.exit_code == 0, result.output
    assert "notice: the prompt has 80 tokens, the model takes 75" in result.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["successful"] and metrics["settings"]["negative_prompt"] == "a dog"
    figures = metrics["methods"]["geodesic"]
    assert figures["score_products"] > 0
    # The extension's are among them; each is two of the network's. Two steps to invert each end and
    # two back, and two for each picture.
    beyond = metrics["extension"]["score_evaluations"]
    assert figures["score_evaluations"] > beyond > 0
    frames = tmp_path / "out" / "frames" / "geodesic"
    drawn = 2 * (2 + 2) + 2 * len(list(frames.glob("frame_*.png")))
    assert figures["network_evaluations"] == 2 * (figures["score_evaluations"] + drawn)
    assert figures["pricing_evaluations"] > 0
    assert list(metrics["methods"]) == ["LERP", "tangent step", "geodesic"]
    assert (frames / "frame_1.5000.png").is_file()


def truncate(folder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def misshape(folder):
    weights = tensors("small")
    weights["unet"]["conv_out.bias"] = np.zeros(5, np.float32)
    write_checkpoint(folder, "small", weights=weights)


def doubled(folder):
    weights = tensors("small")
    bias = weights["text_encoder"]["final_layer_norm.bias"]
    weights["text_encoder"]["text_model.final_layer_norm.bias"] = bias
    write_checkpoint(folder, "small", weights=weights)


def altered(part, **fields):
    """A change of a component's configuration."""
    return lambda folder: write_config(folder, part, configs("small")[part] | fields)


@pytest.mark.parametrize(
    "change, options, text",
    [
        (lambda folder: (folder / "vae" / "config.json").unlink(), [], "vae/config.json"),
        (truncate, [], "is not a readable safetensors file"),
        (misshape, [], "conv_out.bias (5,) instead of (4,)"),
        (doubled, [], "final_layer_norm.bias occurs twice"),
        (altered("unet", class_embed_type="timestep"), [], "class_embed_type = 'timestep' is not"),
        (altered("vae", scaling_factor=None), [], "scaling_factor = None is not supported"),
        (altered("scheduler", clip_sample=True), [], "clip_sample = True is not supported"),
        (None, ["--size", "9x8"], "--size must be HEIGHTxWIDTH, both divisible by 2, got '9x8'"),
        (None, ["--chunk", "0"], "--chunk must be at least 1, got 0."),
        (None, ["--label", "3"], "are for models of classes: give --prompt."),
        (None, ["--methods", "SLERP,SLURP"], "--methods has 'SLURP'; known: LERP, SLERP, NAO"),
        (None, ["--methods", "tangent step"], "--methods has 'tangent step', which is for extrap"),
        (None, ["--metric", "norm", "--rule", "quadrature"], "needs --metric Stein or smoothed"),
        (None, ["--attention", "cudnn"], "--attention cudnn has no forward derivative"),
        (None, [*FORWARD_ONLY, "--attention", "cudnn"], "--attention cudnn needs an NVIDIA GPU"),
        (None, ["--negative-prompt", "a dog"], "--negative-prompt needs guidance"),
        (None, ["--guidance", "nan"], "--guidance must be a finite number, got nan."),
        (None, ["--model", "/no/such/folder"], "unknown model '/no/such/folder'"),
        (None, ["--rule", "log-density-chord"], "needs a model whose log-density is known"),
        (None, ["--model", "owner/name"], "hf download owner/name --local-dir FOLDER"),
        (None, ["--model", "rotated_mnist"], "--prompt is for Stable Diffusion folders"),
    ],
)
def test_refusals(geojax_command, folder, pictures, bytes_for_words, change, options, text):
    if change is not None:
        change(folder)
    options = ["--model", folder, "--size", "8", "--prompt", "a bag", *options]
    assert_refused(geojax_command("interpolate", *pictures, *options), text)
