"""Loading: every layout gives the same network, and whatever does not fit is named."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models.diffusers._weights import parameter_names
from geojax.models.stable_diffusion import load

from .checkpoints import (
    configs,
    load_error,
    tensors,
    write_checkpoint,
    write_config,
    write_shards,
)

UNET = "unet/diffusion_pytorch_model.safetensors"


def weights_of(model):
    return parameter_names(model)


def assert_same(model, other):
    ours, theirs = parameter_names(model), parameter_names(other)
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.slow
def test_every_tensor_is_in_its_place(folder):
    model = load(folder)
    for part, arrays in tensors("sd1").items():
        found = parameter_names(getattr(model, part))
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == jnp.float32


@pytest.mark.slow
def test_shards(folder):
    expected, whole = load(folder), folder / UNET
    arrays = list(tensors("sd1")["unet"].items())
    whole.unlink()
    write_shards(whole.parent, *(dict(arrays[i::3]) for i in range(3)))
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


@pytest.mark.slow
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


def test_a_weight_that_occurs_twice_is_named(folder):
    weights = tensors("sd1")
    final = {name: a for name, a in weights["text_encoder"].items() if "final" in name}
    weights["text_encoder"] |= {f"text_model.{name}": array for name, array in final.items()}
    write_checkpoint(folder, weights=weights)
    # The U-Net is filled first.
    load_error(folder, r"final_layer_norm\.(bias|weight) occurs twice: .* and text_model\.final_")
    (folder / UNET).unlink()
    again = {"conv_out.bias": weights["unet"]["conv_out.bias"]}
    write_shards(folder / "unet", weights["unet"], again)
    places = r"conv_out\.bias in unet/part-0\.\w+ and conv_out\.bias in unet/part-1"
    load_error(folder, rf"conv_out\.bias occurs twice: {places}")


def test_an_index_names_files(folder):
    (folder / UNET).unlink()
    index = {"weight_map": write_shards(folder / "unet", {}) | {"conv_in.bias": ["a"]}}
    (folder / f"{UNET}.index.json").write_text(json.dumps(index))
    load_error(folder, r"index\.json: weight_map has \['a'\] for conv_in\.bias, not a file's name")


def test_weights_are_floats(folder):
    weights = tensors("sd1")
    weights["unet"]["conv_in.bias"] = np.ones(8, np.int64)
    write_checkpoint(folder, weights=weights)
    load_error(folder, r"unet .* not of 16, 32 or 64 bit floats: conv_in\.bias \(I64\)")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, pytest.param(jnp.bfloat16, marks=pytest.mark.slow)])
def test_other_dtypes(folder, dtype):
    write_config(folder, "vae", configs("sd1")["vae"] | {"force_upcast": False})
    found = parameter_names(load(folder, dtype=dtype))
    assert {array.dtype for array in found.values()} == {jnp.dtype(dtype)}
    half = {
        part: {name: a.astype(dtype) for name, a in arrays.items()}
        for part, arrays in tensors("sd1").items()
    }
    again = parameter_names(load(write_checkpoint(folder, weights=half)))
    assert {array.dtype for array in again.values()} == {jnp.dtype("float32")}
    for name, array in found.items():
        np.testing.assert_array_equal(np.asarray(array).astype(np.float32), again[name])


@pytest.mark.parametrize("stated", [{}, {"force_upcast": True}])
@pytest.mark.parametrize("dtype, vae", [(jnp.float16, jnp.float32), (jnp.bfloat16, jnp.bfloat16)])
def test_float16_is_too_narrow_for_an_autoencoder_unless_its_config_denies_it(
    folder, stated, dtype, vae
):
    write_config(folder, "vae", configs("sd1")["vae"] | stated)
    model = load(folder, dtype=dtype)
    assert {array.dtype for array in weights_of(model.vae).values()} == {jnp.dtype(vae)}
    for other in (model.unet, model.text_encoder):
        assert {array.dtype for array in weights_of(other).values()} == {jnp.dtype(dtype)}


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
    assert "conv_out.bias (5,) instead of (4,)" in str(error.value)


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


def test_arguments(folder):
    with pytest.raises(ValueError, match=r"hf download owner/name --local-dir FOLDER"):
        load("owner/name")
    with pytest.raises(ValueError, match="dtype must be a floating one"):
        load(folder, dtype=jnp.int32)


def test_other_paths_than_folders_are_refused(tmp_path):
    """A remedy that works for each: a file is converted, an address is downloaded."""
    convert = r"from_single_file\(FILE\).save_pretrained\(FOLDER\)"
    for name in ("v1-5-pruned.safetensors", "model.ckpt", "weights"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(ValueError, match=f"single file. .*{convert}") as caught:
            load(tmp_path / name)
        assert "hf download" not in str(caught.value)
    with pytest.raises(ValueError, match=f"single file, which does not exist.*{convert}"):
        load(tmp_path / "missing.safetensors")
    for address in ("owner/name", "https://huggingface.co/owner/name/tree/main"):
        with pytest.raises(ValueError, match="run `hf download owner/name --local-dir FOLDER`"):
            load(address)
    for path in (tmp_path / "missing", "./owner/name", "missing"):
        with pytest.raises(ValueError, match=r"no folder .* unet, vae.*hf download OWNER/NAME"):
            load(path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"the folder of one network.*geojax.models.load"):
        load(tmp_path)
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(ValueError, match="give the one that it is in"):
        load(tmp_path / "model_index.json")


def test_weights_that_are_not_finite(tmp_path):
    weights = tensors("small")
    weights["vae"]["quant_conv.bias"][3] = np.nan
    folder = write_checkpoint(tmp_path, "small", weights=weights)
    assert "quant_conv.bias" in load_error(folder, "entries that are not finite in float32")


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
    from geojax.models.diffusers import _files

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
