"""The networks and the scores agree with diffusers', live, where torch is installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models import load
from geojax.models.diffusers import UNet2D, VQAutoencoder
from tests.models.stable_diffusion.parity import difference
from tests.models.stable_diffusion.test_parity import live

from .folders import DDPM, LATENT, SCHEDULER, SIDE, VQ, tensors, write_ddpm, write_latent

LIMIT, DERIVATIVE_LIMIT = 2e-5, 1e-4


def normal(seed, *shape):
    return np.float32(np.random.RandomState(seed).standard_normal(shape))


def in_torch(kind, config):
    """diffusers' own module with the same tensors."""
    import diffusers
    import torch

    torch.set_num_threads(1)
    module = getattr(diffusers, config["_class_name"])(
        **{name: value for name, value in config.items() if not name.startswith("_")}
    )
    arrays = {name: torch.from_numpy(array) for name, array in tensors(kind, config).items()}
    module.load_state_dict(arrays)  # strict: every name and shape is as there
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_ddpm(tmp_path_factory.mktemp("ddpm"))


@live
@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"downsample_padding": 1, "flip_sin_to_cos": True, "freq_shift": 0, "norm_eps": 1e-5},
        {"attention_head_dim": 2, "center_input_sample": True, "layers_per_block": 2},
        {"add_attention": False, "in_channels": 1, "out_channels": 1, "dropout": 0.1},
    ],
    ids=["google", "latent", "heads", "grey"],
)
def test_the_network(change, tmp_path):
    import torch

    config = DDPM | change
    score = load(write_ddpm(tmp_path, **change))
    x = normal(0, config["in_channels"], SIDE, 2 * SIDE)
    theirs = in_torch(UNet2D, config)
    for timestep in (0, 401.0, 999):
        ours = score.network.network(jnp.asarray(x), timestep)
        wanted = theirs(torch.from_numpy(x)[None], torch.tensor(timestep)).sample[0]
        assert difference(np.asarray(ours), wanted.numpy()) <= LIMIT


@live
@pytest.mark.slow
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("betas", ["linear", "squaredcos_cap_v2"])
def test_the_score_by_the_scheduler_of_diffusers(folder, prediction, betas, tmp_path):
    """`E[x_0 | x_t]` of their scheduler, made a score by Tweedie's formula."""
    import torch
    from diffusers import DDPMScheduler

    fields = {"beta_schedule": betas, "prediction_type": prediction}
    score = load(write_ddpm(tmp_path, fields))
    fields = SCHEDULER | fields | {"clip_sample": False, "variance_type": "fixed_small"}
    scheduler = DDPMScheduler.from_config(fields)
    network, x = in_torch(UNet2D, DDPM), normal(1, 3, SIDE, SIDE)
    for k in (10, 400, 900):
        given = torch.from_numpy(x)[None]
        made = scheduler.step(network(given, k).sample, k, given)
        clean, kept = made.pred_original_sample[0].numpy(), scheduler.alphas_cumprod[k].numpy()
        wanted = (np.sqrt(kept) * clean - x) / (1 - kept)
        ours = np.asarray(score(jnp.asarray(x), (k + 1) / 1000))
        assert difference(ours, wanted) <= (3e-4 if k == 10 else LIMIT)  # 1 - kept loses digits


@live
@pytest.mark.slow
def test_the_quantised_autoencoder(tmp_path):
    """Values, and the derivative through the nearest codes, which diffusers passes straight on."""
    import torch

    route = load(write_latent(tmp_path))
    theirs = in_torch(VQAutoencoder, VQ | {"scaling_factor": 1.0})
    pixels = np.tanh(normal(2, 3, SIDE, 2 * SIDE))
    z, v = normal(3, 3, SIDE // 2, SIDE), normal(4, 3, SIDE, 2 * SIDE)
    wanted = theirs.encode(torch.from_numpy(pixels)[None]).latents[0].numpy()
    assert difference(np.asarray(route.encode(jnp.asarray(pixels))), wanted) <= LIMIT
    value, pulled = jax.vjp(route.decode, jnp.asarray(z))
    given = torch.from_numpy(z).requires_grad_()
    wanted = theirs.decode(given[None]).sample[0]
    assert difference(np.asarray(value), wanted.detach().numpy()) <= LIMIT
    wanted.backward(torch.from_numpy(v))
    assert given.grad is not None
    ours = np.asarray(pulled(jnp.asarray(v))[0])
    assert difference(ours, given.grad.numpy()) <= DERIVATIVE_LIMIT


@live
@pytest.mark.slow
def test_a_picture_of_the_pipeline(tmp_path):
    """From latents at t = 1 to pixels: unscaled latents, DDIM, and the decoder with its codes."""
    import torch
    from diffusers import DDIMScheduler

    from geojax.scores import ddim_path

    route = load(write_latent(tmp_path))
    unet, vq = in_torch(UNet2D, LATENT), in_torch(VQAutoencoder, VQ)
    scheduler = DDIMScheduler.from_config(
        {"beta_schedule": "scaled_linear", "beta_start": 0.0015, "beta_end": 0.0195}
        | {"clip_sample": False, "set_alpha_to_one": False}
    )
    scheduler.set_timesteps(4)
    z = start = normal(5, 3, SIDE // 2, SIDE // 2)
    state = torch.from_numpy(z)[None]
    for k in scheduler.timesteps:
        state = scheduler.step(unet(state, k).sample, k, state).prev_sample
    levels = jnp.asarray([*(int(k) + 1 for k in scheduler.timesteps), 1]) / 1000
    ours = ddim_path(route.score, jnp.asarray(start), levels)[-1]
    assert difference(np.asarray(ours), state[0].numpy()) <= DERIVATIVE_LIMIT
    picture = vq.decode(state).sample[0].numpy()
    assert difference(np.asarray(route.decode(ours)), picture) <= DERIVATIVE_LIMIT
