"""Configurations: those of real checkpoints are read, what is not supported is named."""

import json
import re

import pytest

from geojax.models.diffusers._scheduler import read_scheduler
from geojax.models.stable_diffusion import load
from geojax.scores import ScaledLinear

from .checkpoints import configs, load_error, write_config


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
    message = re.escape(f"{field} = {value!r} is not supported, only a positive number.")
    load_error(tmp_path, rf"^{part}/(scheduler_)?config\.json: {message}")


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
    path = tmp_path / "scheduler" / "scheduler_config.json"
    process = read_scheduler(path, with_text=True)
    assert process.schedule == ScaledLinear(num_steps=1000, beta_start=0.00085, beta_end=0.012)
    assert process.prediction == config.get("prediction_type", "epsilon")


def test_other_pipelines(folder):
    index = {"_class_name": "StableDiffusionXLPipeline"}
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="_class_name = 'StableDiffusionXLPipeline'"):
        load(folder)
