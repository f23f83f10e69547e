"""Folders of diffusers: every layout gives the same model, and whatever is not read is named."""

import json
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from geojax.models import describe, diffusers, load
from geojax.models.diffusers import UNet2D, VQAutoencoder, pipeline_class
from geojax.models.diffusers._weights import parameter_names
from geojax.scores import AbstractScore, DataPrediction, NoisePrediction, NoiseRoute, VPLinear
from tests.models.stable_diffusion.checkpoints import write_checkpoint
from tests.source import ROOT

from .folders import (
    DDPM,
    LATENT,
    SIDE,
    VQ,
    tensors,
    write,
    write_component,
    write_ddpm,
    write_flat,
    write_latent,
)


def assert_same(model, other):
    ours, theirs = parameter_names(model), parameter_names(other)
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def refused(folder, *parts, error=ValueError, loader=load):
    with pytest.raises(error) as caught:
        loader(folder)
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line


@pytest.mark.slow
def test_every_layout_gives_the_same_score(tmp_path):
    score = load(write_ddpm(tmp_path / "parts"))
    assert isinstance(score, NoisePrediction)
    assert score.schedule == VPLinear()
    found = parameter_names(score.network.network)
    for name, array in tensors(UNet2D, DDPM).items():
        np.testing.assert_array_equal(found[name], array)
    flat = write_flat(tmp_path / "flat")
    assert_same(load(flat), score)
    (flat / "model_index.json").unlink()
    assert_same(load(flat), score)
    # The U-Net's folder alone, with the pipeline's scheduler beside it.
    assert_same(load(tmp_path / "parts" / "unet"), score)
    (tmp_path / "parts" / "model_index.json").unlink()
    assert_same(load(tmp_path / "parts"), score)
    folders = ("flat", "parts", "parts/unet")
    assert [pipeline_class(tmp_path / folder) for folder in folders] == [
        "UNet2DModel",
        "DDPMPipeline",
        "UNet2DModel",
    ]
    for folder in folders:
        assert describe(tmp_path / folder)["shape"] == [3, SIDE, SIDE]


@pytest.mark.slow
def test_a_score_of_clean_pictures_and_its_dtypes(tmp_path):
    folder = write_ddpm(tmp_path, {"prediction_type": "sample"}, sample_size=[SIDE, 2 * SIDE])
    assert describe(folder)["shape"] == [3, SIDE, 2 * SIDE]
    score = diffusers.load(folder, dtype=jnp.bfloat16)
    assert isinstance(score, DataPrediction)
    assert {a.dtype for a in parameter_names(score).values()} == {jnp.dtype(jnp.bfloat16)}
    out = jax.eval_shape(lambda x: score(x, 0.4), jnp.zeros((3, 4, 6)))
    assert (out.shape, out.dtype) == ((3, 4, 6), jnp.float64)
    with pytest.raises(ValueError, match=r"x must have shape \(3, h, w\) with .* by 2, got"):
        score(jnp.zeros((3, 4, 5)), 0.4)
    with pytest.raises(ValueError, match="args must be None, got int: the model has no condition"):
        score(jnp.zeros((3, 4, 4)), 0.4, 7)
    with pytest.raises(ValueError, match="dtype must be a floating one"):
        diffusers.load(folder, dtype=jnp.int32)


@pytest.mark.slow
def test_latents_of_a_pipeline(tmp_path):
    route = load(write_latent(tmp_path))
    assert isinstance(route, NoiseRoute) and isinstance(route.score, AbstractScore)
    assert describe(tmp_path)["shape"] == [3, SIDE, SIDE]
    random = np.random.RandomState(0)
    z = random.standard_normal((3, SIDE // 2, SIDE // 2))
    # Piecewise constant: latents near a code, and the code itself, are one picture.
    codes = tensors(VQAutoencoder, VQ)["quantize.embedding.weight"]
    far = np.sum((z[:, None] - codes.T[..., None, None]) ** 2, axis=0)
    nearest = np.float64(codes[np.argmin(far, axis=0)].transpose(2, 0, 1))
    picture = route.decode(nearest)
    assert picture.shape == (3, SIDE, SIDE)
    np.testing.assert_allclose(route.decode(z), picture, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(route.decode(z + 1e-6), picture, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_script_of_the_readme(tmp_path):
    """As a reader would run it, between two pictures, with a tiny model in the place of theirs."""
    text = (ROOT / "geojax" / "models" / "diffusers" / "README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert len(script.splitlines()) <= 20
    write_flat(tmp_path / "ddpm-celebahq-256")
    for name, level in (("a", 40), ("b", 200)):
        Image.new("RGB", (12, 10), (level, 80, 120)).save(f"{name}.png")
    exec(compile(script, "README.md", "exec"), {"__name__": "__main__"})
    with Image.open("frame-8.png") as last:
        assert last.size == (SIDE, SIDE)


def test_errors_of_other_classes_name_their_reader(tmp_path):
    for name in ("ScoreSdeVePipeline", "DiTPipeline", "StableDiffusionXLPipeline"):
        write(tmp_path / "model_index.json", {"_class_name": name})
        refused(tmp_path, "model_index.json", repr(name), "geojax.models.from_torch")
        refused(tmp_path, repr(name), loader=describe)
    (tmp_path / "model_index.json").unlink()
    write(tmp_path / "config.json", {"_class_name": "SD3Transformer2DModel"})
    refused(tmp_path, "config.json", "'SD3Transformer2DModel'", "geojax.models.from_torch")
    folder = write_checkpoint(tmp_path / "words", "small")
    refused(folder, "geojax.models.stable_diffusion.load(FOLDER)", ".route(prompt)")
    assert describe(folder)["shape"] == [3, 32, 32]


def test_other_paths_than_folders_are_refused(tmp_path):
    refused("google/ddpm-cat-256", "hf download google/ddpm-cat-256 --local-dir FOLDER")
    convert = "from_single_file(FILE).save_pretrained(FOLDER)"
    (tmp_path / "weights.ckpt").write_bytes(b"x")
    refused(tmp_path / "weights.ckpt", "names a single file.", convert)
    refused("model.safetensors", "which does not exist", convert)
    write_flat(tmp_path / "flat")
    for name in ("config.json", "diffusion_pytorch_model.safetensors", "model_index.json"):
        refused(tmp_path / "flat" / name, "is a file. Give the folder that it is in.")
    refused("mnist", "unknown model 'mnist'", "or a pipeline of diffusers.")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "not a checkpoint folder", error=FileNotFoundError)
    layout = "not a folder in the layout of diffusers"
    refused(tmp_path / "empty", layout, error=FileNotFoundError, loader=diffusers.load)


@pytest.mark.parametrize(
    "change, parts",
    [
        ({"down_block_types": ["DownBlock2D", "SkipDownBlock2D"]}, ["'SkipDownBlock2D'"]),
        ({"time_embedding_type": "fourier"}, ["time_embedding_type = 'fourier'", "'positional'"]),
        ({"num_class_embeds": 10}, ["num_class_embeds = 10"]),
        ({"resnet_time_scale_shift": "scale_shift"}, ["= 'scale_shift'", "only 'default'"]),
        ({"attention_head_dim": 3}, ["attention_head_dim = 3 does not divide 8"]),
        ({"freq_shift": 2}, ["freq_shift = 2", "only 0 or 1"]),
        ({"downsample_padding": True}, ["downsample_padding = True", "only 0 or 1"]),
        ({"sample_size": "8"}, ["sample_size = '8'", "a positive integer"]),
    ],
)
def test_a_config_that_is_not_supported(change, parts, tmp_path):
    write(tmp_path / "unet" / "config.json", DDPM | change)
    refused(tmp_path, "unet/config.json: ", *parts, "geojax.models.from_torch")


@pytest.mark.slow
def test_parts_that_do_not_fit(tmp_path):
    folder = write_latent(tmp_path / "latent")
    write(folder / "vqvae" / "config.json", VQ | {"vq_embed_dim": 4})
    refused(folder, "in_channels = 3 does not fit the 4 channels of the latents")
    write(folder / "vqvae" / "config.json", VQ | {"norm_type": "spatial"})
    refused(folder, "vqvae/config.json: norm_type = 'spatial'", "geojax.models.from_torch")
    write(folder / "vqvae" / "config.json", VQ)
    write(folder / "unet" / "config.json", LATENT | {"out_channels": 6})
    refused(folder, "out_channels = 6", "a learned variance")
    flat = write_flat(tmp_path / "flat")
    write(flat / "config.json", {k: v for k, v in DDPM.items() if k != "sample_size"})
    refused(flat, "sample_size is missing", loader=describe)
    scheduler = flat / "scheduler_config.json"
    kept = json.loads(scheduler.read_text())
    for change, part in (
        ({"_class_name": "ScoreSdeVeScheduler"}, "_class_name = 'ScoreSdeVeScheduler'"),
        ({"variance_type": "learned_range"}, "variance_type = 'learned_range'"),
        ({"beta_schedule": "sigmoid"}, "beta_schedule = 'sigmoid'"),
    ):
        write(scheduler, kept | change)
        refused(flat, "scheduler_config.json: ", part)
    scheduler.unlink()
    refused(flat, "no scheduler_config.json in", error=FileNotFoundError)


def test_weights_that_do_not_fit_or_are_pickled(tmp_path):
    folder = write_ddpm(tmp_path)
    arrays = tensors(UNet2D, DDPM)
    arrays["conv_in.wait"] = arrays.pop("conv_in.weight")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(arrays, weights)
    refused(folder, "missing: conv_in.weight", "unexpected: conv_in.wait")
    weights.rename(weights.with_suffix(".bin"))
    refused(folder, "can run code", "get the .safetensors file", error=FileNotFoundError)


@pytest.mark.slow
def test_neither_torch_nor_diffusers_is_imported(tmp_path):
    folder = write_latent(tmp_path)
    script = (
        f"import sys; from geojax.models import load; load({str(folder)!r}); "
        "print([name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_network_alone_has_its_place(tmp_path):
    """An autoencoder is no score."""
    write_component(tmp_path, VQAutoencoder, VQ)
    refused(tmp_path, "config.json: _class_name = 'VQModel'", "geojax.models.from_torch")
