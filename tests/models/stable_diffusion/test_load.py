"""Loading: every layout gives the same network, and whatever does not fit is named."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from geojax.models.stable_diffusion import load
from geojax.models.stable_diffusion._weights import parameter_names

from .checkpoints import configs, tensors, write_checkpoint

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path):
    return write_checkpoint(tmp_path / "model")


def weights_of(model):
    return parameter_names(model)


def assert_same(model, other):
    ours, theirs = parameter_names(model), parameter_names(other)
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_every_tensor_is_in_its_place(folder):
    model = load(folder)
    for part, arrays in tensors("sd1").items():
        found = parameter_names(getattr(model, part))
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == jnp.float32


def test_shards(folder):
    expected, whole = load(folder), folder / UNET
    arrays = tensors("sd1")["unet"]
    whole.unlink()
    shards = {name: f"part-{i % 3}.safetensors" for i, name in enumerate(arrays)}
    for shard in set(shards.values()):
        names = [name for name, where in shards.items() if where == shard]
        save_file({name: arrays[name] for name in names}, whole.parent / shard)
    index = whole.with_name(whole.name + ".index.json")
    index.write_text(json.dumps({"weight_map": shards}))
    assert_same(load(folder), expected)
    (whole.parent / "part-1.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no .*part-1.safetensors, which the index"):
        load(folder)


OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def test_old_names(folder):
    expected, old = load(folder), tensors("sd1")
    for new, name in OLD.items():
        old["vae"] = {
            re.sub(rf"(attentions\.\d+)\.{re.escape(new)}", rf"\1.{name}", k): a
            for k, a in old["vae"].items()
        }
    assert any(".query." in name for name in old["vae"])
    old["text_encoder"] = {f"text_model.{k}": a for k, a in old["text_encoder"].items()}
    old["text_encoder"]["text_model.embeddings.position_ids"] = np.arange(77)[None]
    assert_same(load(write_checkpoint(folder, weights=old)), expected)


def to_flax(name: str, array: np.ndarray) -> tuple[list[str], np.ndarray]:
    """A tensor as diffusers' Flax models kept it."""
    *modules, parameter = re.sub(r"\.(\d+)(?=\.)", r"_\1", name).split(".")
    if parameter == "weight" and "embedding" in modules[-1]:
        parameter = "embedding"
    elif parameter == "weight" and array.ndim == 1:
        parameter = "scale"
    elif parameter == "weight":
        parameter = "kernel"
        array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    return [*modules, parameter], array


def test_flax_msgpack(folder):
    serialization = pytest.importorskip("flax.serialization")
    expected = load(folder)
    for part, arrays in tensors("sd1").items():
        tree: dict = {}
        for name, array in arrays.items():
            keys, array = to_flax(name, array)
            # CLIP's Flax model had the layers' numbers as modules of their own.
            keys = [k for key in keys for k in key.replace("layers_", "layers ").split()]
            node = tree
            for key in keys[:-1]:
                node = node.setdefault(key, {})
            node[keys[-1]] = np.ascontiguousarray(array)
        for path in (folder / part).glob("*.safetensors"):
            path.unlink()
        clip = part == "text_encoder"
        name = "flax_model.msgpack" if clip else "diffusion_flax_model.msgpack"
        content = serialization.msgpack_serialize({"text_model": tree} if clip else tree)
        (folder / part / name).write_bytes(content)
    assert_same(load(folder), expected)
    (folder / "unet" / "diffusion_flax_model.msgpack").write_bytes(content[:1000])
    with pytest.raises(ValueError, match="is not a readable Flax file"):
        load(folder)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_other_dtypes(folder, dtype):
    found = parameter_names(load(folder, dtype=dtype))
    assert {array.dtype for array in found.values()} == {jnp.dtype(dtype)}
    half = {
        part: {name: np.asarray(jnp.asarray(a, dtype)) for name, a in arrays.items()}
        for part, arrays in tensors("sd1").items()
    }
    again = parameter_names(load(write_checkpoint(folder, weights=half)))
    assert {array.dtype for array in again.values()} == {jnp.dtype("float32")}
    for name, array in found.items():
        np.testing.assert_array_equal(array.astype(jnp.float32), again[name])


def test_variants_of_files(folder):
    expected = load(folder)
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    assert_same(load(folder), expected)


def test_one_error_lists_all_that_does_not_fit(folder):
    weights = tensors("sd1")
    unet = weights["unet"]
    unet["conv_in.wait"] = unet.pop("conv_in.weight")
    unet["conv_out.bias"] = np.zeros(5, np.float32)
    write_checkpoint(folder, weights=weights)
    with pytest.raises(ValueError, match=r"do not fit its config\.json") as error:
        load(folder)
    assert "missing: conv_in.weight" in str(error.value)
    assert "unexpected: conv_in.wait" in str(error.value)
    assert "conv_out.bias (5,) where config.json says (4,)" in str(error.value)


def test_broken_folders(folder):
    whole = folder / UNET
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="is not a readable safetensors file"):
        load(folder)
    whole.rename(whole.with_name("diffusion_pytorch_model.bin"))
    with pytest.raises(FileNotFoundError, match=r"get the \.safetensors file"):
        load(folder)
    whole.with_name("diffusion_pytorch_model.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights in .*unet"):
        load(folder)
    whole.write_bytes(content)
    for missing in ("tokenizer/merges.txt", "vae/config.json", "scheduler/scheduler_config.json"):
        kept = (folder / missing).read_text()
        (folder / missing).unlink()
        with pytest.raises(FileNotFoundError, match=rf"no .*{missing.split('/')[0]}"):
            load(folder)
        (folder / missing).write_text(kept)
    (folder / "unet" / "config.json").write_text("[")
    with pytest.raises(ValueError, match=r"config.json is not valid JSON"):
        load(folder)


@pytest.mark.parametrize(
    "part, change, message",
    [
        ("unet", {"addition_embed_type": "text_time"}, "addition_embed_type = 'text_time'"),
        ("unet", {"class_embed_type": "timestep"}, "class_embed_type = 'timestep'"),
        ("unet", {"freq_shift": 1}, "freq_shift = 1 is not supported, only 0"),
        ("unet", {"num_attention_heads": 4}, "num_attention_heads = 4"),
        ("unet", {"down_block_types": ["DownBlock2D"]}, "down_block_types = "),
        ("unet", {"up_block_types": ["UpBlock2D", "AttnUpBlock2D"]}, "'AttnUpBlock2D'"),
        ("unet", {"block_out_channels": [8, 18]}, "norm_num_groups = 4 does not divide 18"),
        ("unet", {"block_out_channels": "8"}, "block_out_channels = '8'"),
        ("unet", {"attention_head_dim": 3}, "attention_head_dim has 3"),
        ("unet", {"in_channels": 9}, "in_channels = 9 is not supported, only the 4"),
        ("unet", {"cross_attention_dim": 16}, "cross_attention_dim = 16 does not fit"),
        ("vae", {"use_quant_conv": False}, "use_quant_conv = False is not supported, only True"),
        ("vae", {"shift_factor": 0.1}, "shift_factor = 0.1"),
        ("vae", {"latent_channels": "4"}, "latent_channels = '4'"),
        ("text_encoder", {"hidden_act": "relu"}, "hidden_act = 'relu'"),
        ("text_encoder", {"model_type": "t5"}, "model_type = 't5'"),
        ("scheduler", {"beta_schedule": "squaredcos_cap_v2"}, "beta_schedule = 'squaredcos"),
        ("scheduler", {"prediction_type": "sample"}, "prediction_type = 'sample'"),
        ("scheduler", {"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr = True"),
    ],
)
def test_a_config_that_is_not_supported(folder, part, change, message):
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    (folder / part / name).write_text(json.dumps(configs("sd1")[part] | change))
    with pytest.raises(ValueError, match=re.escape(message)):
        load(folder)


def test_other_pipelines(folder):
    index = {"_class_name": "StableDiffusionXLPipeline"}
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="_class_name = 'StableDiffusionXLPipeline'"):
        load(folder)


def test_arguments(folder):
    with pytest.raises(ValueError, match=r"hf download owner/name --local-dir FOLDER"):
        load("owner/name")
    with pytest.raises(ValueError, match="dtype must be a floating one"):
        load(folder, dtype=jnp.int32)


def test_wrong_shapes(folder):
    model = load(folder)
    text = jnp.zeros((77, 12))
    with pytest.raises(ValueError, match=r"latents must have shape \(4, h, w\).* by 2, got"):
        model.unet(jnp.zeros((4, 8, 7)), 1, text)
    with pytest.raises(ValueError, match=r"text must have shape \(tokens, 12\)"):
        model.unet(jnp.zeros((4, 8, 8)), 1, text[:, :3])
    with pytest.raises(ValueError, match=r"pixels must have shape .* by 2, got \(3, 8, 9\)"):
        model.encode_image(jnp.zeros((3, 8, 9)))
    with pytest.raises(ValueError, match=r"latents must have shape \(4, h, w\), got \(3"):
        model.decode_latents(jnp.zeros((3, 8, 8)))
    with pytest.raises(ValueError, match="tokens must be at most 77, got 78"):
        model.text_encoder(jnp.zeros(78, jnp.int32))
    with pytest.raises(ValueError, match="args must be the text condition"):
        model.score(jnp.zeros((4, 8, 8)), 0.4)


def test_weights_are_read_one_at_a_time(folder, monkeypatch):
    """At any time no more arrays live than are kept, and the one that is read."""
    from geojax.models.stable_diffusion import _files

    before, live = len(jax.live_arrays()), []
    reader = _files._reader

    def counting(file, name):
        read = reader(file, name)

        def counted(dtype):
            live.append(len(jax.live_arrays()) - before)
            return read(dtype)

        return counted

    monkeypatch.setattr(_files, "_reader", counting)
    load(folder, dtype=jnp.bfloat16)
    assert all(count <= position + 1 for position, count in enumerate(live))
