"""Loading: every layout gives the same network, and whatever does not fit is named."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models.stable_diffusion import load
from geojax.models.stable_diffusion._scheduler import read_scheduler
from geojax.models.stable_diffusion._weights import parameter_names
from geojax.scores import ScaledLinear

from .checkpoints import configs, tensors, write_checkpoint, write_config, write_shards

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path):
    return write_checkpoint(tmp_path / "model")


def load_error(folder, pattern):
    """The one line that refuses ``folder``."""
    with pytest.raises(ValueError, match=pattern) as error:
        load(folder)
    line = str(error.value)
    assert "\n" not in line
    return line


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


def test_what_is_there_twice_is_named(folder):
    weights = tensors("sd1")
    final = {name: a for name, a in weights["text_encoder"].items() if "final" in name}
    weights["text_encoder"] |= {f"text_model.{name}": array for name, array in final.items()}
    write_checkpoint(folder, weights=weights)
    # The U-Net is filled first.
    load_error(folder, r"final_layer_norm\.(bias|weight) is there twice: .* and text_model\.final_")
    (folder / UNET).unlink()
    again = {"conv_out.bias": weights["unet"]["conv_out.bias"]}
    write_shards(folder / "unet", weights["unet"], again)
    places = r"conv_out\.bias in unet/part-0\.\w+ and conv_out\.bias in unet/part-1"
    load_error(folder, rf"conv_out\.bias is there twice: {places}")


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
        ("scheduler", {"beta_start": 0.02}, "beta_start and beta_end must satisfy"),
        ("unet", {"down_block_types": [{}, "DownBlock2D"]}, "only 'DownBlock2D' or 'CrossAttn"),
        ("unet", {"use_linear_projection": "no"}, "only True or False"),
        ("vae", {"force_upcast": 1}, "only True or False"),
        ("text_encoder", {"hidden_act": ["gelu"]}, "only 'quick_gelu' or 'gelu'"),
        ("scheduler", {"beta_schedule": ["linear"]}, "only 'scaled_linear' or 'linear'"),
        ("scheduler", {"num_train_timesteps": "1000"}, "only a positive integer"),
        ("scheduler", {"num_train_timesteps": None}, "only a positive integer"),
        ("unet", {"_class_name": "UNet3DConditionModel"}, "only UNet2DConditionModel"),
        ("unet", {"_class_name": ["UNet2DConditionModel"]}, "only UNet2DConditionModel"),
        ("vae", {"_class_name": "VQModel"}, "only AutoencoderKL"),
        ("scheduler", {"_class_name": "FlowMatchEulerDiscreteScheduler"}, "only PNDMScheduler"),
        ("scheduler", {"_class_name": "LCMScheduler", "timestep_scaling": 10}, "only PNDM"),
        ("scheduler", {"timestep_scaling": 10}, "timestep_scaling = 10 is not supported."),
        ("scheduler", {"use_flow_sigmas": True}, "only False"),
        ("scheduler", {"use_dynamic_shifting": True}, "is not supported."),
        ("scheduler", {"timestep_type": "continuous"}, "only 'discrete'"),
        ("scheduler", {"trained_betas": [0.1]}, "only None"),
        ("scheduler", {"variance_type": "learned"}, "only None or 'fixed_small'"),
        ("scheduler", {"thresholding": True}, "only False"),
        ("scheduler", {"clip_sample": True}, "only False"),
        ("scheduler", {"set_alpha_to_one": True}, "only False"),
    ],
)
def test_a_config_that_is_not_supported(folder, part, change, message):
    write_config(folder, part, configs("sd1")[part] | change)
    line = load_error(folder, re.escape(message))
    assert any(field in line for field in change)
    assert f"{part}/" in line


NUMBERS = [("unet", "norm_eps"), ("vae", "scaling_factor"), ("text_encoder", "layer_norm_eps")]
NUMBERS += [("scheduler", "beta_start"), ("scheduler", "beta_end")]


@pytest.mark.parametrize("value", [None, "1", True, [1], 0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("part, field", NUMBERS)
def test_numbers_are_numbers(tmp_path, part, field, value):
    for name, config in configs("sd1").items():
        write_config(tmp_path, name, config | ({field: value} if name == part else {}))
    told = re.escape(f"{field} = {value!r} is not supported, only a positive number.")
    load_error(tmp_path, rf"^{part}/(scheduler_)?config\.json: {told}")


SD = configs("sd1")["scheduler"]
DPM = {
    "_class_name": "DPMSolverMultistepScheduler",
    "algorithm_type": "dpmsolver++",
    "dynamic_thresholding_ratio": 0.995,
    "euler_at_final": False,
    "final_sigmas_type": "zero",
    "flow_shift": 1.0,
    "lambda_min_clipped": -float("inf"),
    "lower_order_final": True,
    "prediction_type": "v_prediction",
    "sample_max_value": 1.0,
    "solver_order": 2,
    "solver_type": "midpoint",
    "thresholding": False,
    "time_shift_type": "exponential",
    "timestep_spacing": "linspace",
    "trained_betas": None,
    "use_dynamic_shifting": False,
    "use_flow_sigmas": False,
    "use_karras_sigmas": True,
    "use_lu_lambdas": False,
    "variance_type": None,
}
EULER = {
    "_class_name": "EulerDiscreteScheduler",
    "interpolation_type": "linear",
    "sigma_max": None,
    "skip_prk_steps": True,
    "timestep_type": "discrete",
    "use_karras_sigmas": False,
}
DDPM = {"_class_name": "DDPMScheduler", "clip_sample_range": 1.0, "variance_type": "fixed_small"}
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
HEUN = {"_class_name": "HeunDiscreteScheduler", "beta_schedule": "scaled_linear"}


@pytest.mark.parametrize(
    "config",
    [
        SD | {"skip_prk_steps": True, "timestep_spacing": "leading", "trained_betas": None},
        SD | {"_class_name": "FlaxDDIMScheduler", "prediction_type": "v_prediction"},
        SD | {"steps_offset": 0, "_diffusers_version": "0.4.0"},
        SD | DPM,
        SD | EULER,
        SD | DDPM,
        BETAS,
        HEUN,
    ],
    ids=["PNDM", "Flax", "offset", "DPM", "Euler", "DDPM", "old", "Heun"],
)
def test_schedulers_of_real_checkpoints(tmp_path, config):
    write_config(tmp_path, "scheduler", config)
    schedule, prediction = read_scheduler(tmp_path / "scheduler" / "scheduler_config.json")
    assert schedule == ScaledLinear(num_steps=1000, beta_start=0.00085, beta_end=0.012)
    assert prediction == config.get("prediction_type", "epsilon")


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


def test_what_is_no_folder(tmp_path):
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
