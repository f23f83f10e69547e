"""The noise schedule and the prediction type of a checkpoint, from its scheduler's config."""

from pathlib import Path
from typing import NamedTuple

from ...scores import (
    DataPrediction,
    NoisePrediction,
    ScaledLinear,
    VelocityPrediction,
    VPCosine,
    VPLinear,
)
from ._config import choice, number, positive, read_fields
from ._files import read_json

_COSINE = "squaredcos_cap_v2"  # it caps its last beta: alpha is 5e-5 at the last step, here 0
_SCHEDULES = {"scaled_linear": ScaledLinear, "linear": VPLinear, _COSINE: VPCosine}
PREDICTIONS = {
    "epsilon": NoisePrediction,
    "v_prediction": VelocityPrediction,
    "sample": DataPrediction,
}

_USED = {
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 1e-4,
    "beta_end": 2e-2,
    "prediction_type": "epsilon",
}
# These classes have other defaults.
_USED_BY_HEUN = {"beta_start": 0.00085, "beta_end": 0.012}
_HEUN = ("HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler")
# All are samplers of one noise process. The rest (flow matching, EDM, consistency models) are not.
_CLASSES = (
    "PNDMScheduler",
    "DDIMScheduler",
    "DDPMScheduler",
    "LMSDiscreteScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    *_HEUN,
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DPMSolverSDEScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
)
_FIXED = {
    # Fields of the schedule, and of the inputs and outputs of the network.
    "trained_betas": [None],
    "rescale_betas_zero_snr": [False],
    "use_flow_sigmas": [False],
    "timestep_type": ["discrete"],
    "predict_epsilon": [True],
    "variance_type": [None, "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"],
}
# Fields of its own sampler: changes to the estimate of a clean point, and the last step.
_FIXED_OF_SAMPLER = {"thresholding": [False], "clip_sample": [False], "set_alpha_to_one": [False]}
# These set and combine the steps of the file's own sampler, or tune features that `_FIXED`
# excludes. Samplers here set their own steps, and the score is the same.
_IGNORED = (
    "algorithm_type",
    "clip_sample_range",
    "disable_corrector",
    "dynamic_thresholding_ratio",
    "euler_at_final",
    "final_sigmas_type",
    "flow_shift",
    "interpolation_type",
    "lambda_min_clipped",
    "lower_order_final",
    "noise_sampler_seed",
    "predict_x0",
    "sample_max_value",
    "sigma_max",
    "sigma_min",
    "skip_prk_steps",
    "solver_order",
    "solver_p",
    "solver_type",
    "steps_offset",
    "tensor_format",
    "time_shift_type",
    "timestep_spacing",
    "use_beta_sigmas",
    "use_exponential_sigmas",
    "use_karras_sigmas",
    "use_lu_lambdas",
)


class Process(NamedTuple):
    """The noise schedule, the prediction type by its name in `PREDICTIONS`, and the timesteps."""

    schedule: ScaledLinear | VPLinear | VPCosine
    prediction: str
    num_steps: int


def read_scheduler(path: Path, *, with_text: bool = False) -> Process:
    """The noise process of a scheduler's config.

    `with_text` is for Stable Diffusion, whose own sampler must be reproduced too; only samplers
    that neither clip nor threshold are then supported. `ValueError` names an unsupported field that
    would change the process.
    """
    config, where = read_json(path), path.name
    if path.parent.name == "scheduler":
        where = f"scheduler/{path.name}"
    heun = config.get("_class_name") in _HEUN
    fields = read_fields(
        config,
        where,
        used=_USED | (_USED_BY_HEUN if heun else {}),
        fixed=_FIXED | (_FIXED_OF_SAMPLER if with_text else {}),
        ignored=_IGNORED if with_text else (*_IGNORED, *_FIXED_OF_SAMPLER),
        classes=_CLASSES,
    )
    known = [name for name in _SCHEDULES if not with_text or name != _COSINE]
    kind = choice(where, "beta_schedule", fields["beta_schedule"], known)
    predictions = [name for name in PREDICTIONS if not with_text or name != "sample"]
    prediction = choice(where, "prediction_type", fields["prediction_type"], predictions)
    steps = positive(where, "num_train_timesteps", fields["num_train_timesteps"])
    betas = {name: number(where, name, fields[name]) for name in ("beta_start", "beta_end")}
    if kind == _COSINE:
        return Process(VPCosine(), prediction, steps)
    try:
        return Process(_SCHEDULES[kind](num_steps=steps, **betas), prediction, steps)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
