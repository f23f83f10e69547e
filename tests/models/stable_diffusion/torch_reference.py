"""The same networks in torch, by diffusers and transformers, with the same tensors.

Imports torch when used: only `make_golden.py` and the live parity tests need it.
"""

import numpy as np

from .checkpoints import WORDS, configs, tensor

DDIM_STEPS = 10
TIMESTEP = 401


def inputs(style: str) -> dict[str, np.ndarray]:
    """Fixed inputs of the networks of a tiny checkpoint."""
    random = np.random.RandomState(7)
    width = configs(style)["unet"]["cross_attention_dim"]
    return {
        "latents": np.float32(random.standard_normal((4, 16, 8))),
        "direction": np.float32(random.standard_normal((4, 16, 8))),
        "text": np.float32(random.standard_normal((77, width))),
        "null_text": np.float32(random.standard_normal((77, width))),
        "pixels": np.float32(random.uniform(-1, 1, (3, 32, 16))),
        "tokens": np.int64(random.randint(0, WORDS, 77)),
    }


def _module(part: str, config: dict):
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    config = {k: v for k, v in config.items() if not k.startswith("_")}
    if part == "text_encoder":
        return CLIPTextModel(CLIPTextConfig(**config))
    return {"unet": UNet2DConditionModel, "vae": AutoencoderKL}[part](**config)


def state_shapes(part: str, config: dict) -> dict[str, list[int]]:
    """The names and shapes of a network's tensors, without making them."""
    import torch

    with torch.device("meta"):
        state = _module(part, config).state_dict()
    return {name.removeprefix("text_model."): list(value.shape) for name, value in state.items()}


class TorchReference:
    """What torch makes of a tiny checkpoint."""

    def __init__(self, style: str):
        import torch

        torch.set_num_threads(1)
        self.config, self.parts = configs(style), {}
        for part in ("unet", "vae", "text_encoder"):
            module = _module(part, self.config[part]).eval().requires_grad_(False)
            state = {
                name: torch.from_numpy(tensor(name.removeprefix("text_model."), tuple(old.shape)))
                for name, old in module.state_dict().items()
            }
            module.load_state_dict(state)
            self.parts[part] = module

    def unet(self, latents, timestep, text):
        return self.parts["unet"](latents[None], timestep, text[None]).sample[0]

    def outputs(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Everything that is compared, by name."""
        import torch

        x, v, text, null, pixels, tokens = (torch.from_numpy(a) for a in given.values())
        vae, scaling = self.parts["vae"], self.parts["vae"].config.scaling_factor
        forward = lambda y: self.unet(y, TIMESTEP, text)  # noqa: E731
        # The default attention of torch has no forward derivative on a CPU.
        self.parts["unet"].set_attn_processor(_plain_attention())
        out = {
            "unet": forward(x),
            "jvp": torch.func.jvp(forward, (x,), (v,))[1],
            "vjp": torch.func.vjp(forward, x)[1](v)[0],
            "encode": vae.encode(pixels[None]).latent_dist.mean[0] * scaling,
            "decode": vae.decode(x[None] / scaling).sample[0],
            "text": self.parts["text_encoder"](tokens[None]).last_hidden_state[0],
            "ddim": self.ddim(x, text, null, 3.0),
        }
        return {name: value.detach().numpy() for name, value in out.items()}

    def ddim(self, x, text, null, scale):
        """The guided trajectory of diffusers' own scheduler: every state, (steps, *shape)."""
        import torch
        from diffusers import DDIMScheduler

        scheduler = DDIMScheduler.from_config(self.config["scheduler"])
        scheduler.set_timesteps(DDIM_STEPS)
        states = []
        for timestep in scheduler.timesteps:
            prediction = self.unet(x, timestep, text)
            other = self.unet(x, timestep, null)
            prediction = other + scale * (prediction - other)
            x = scheduler.step(prediction, timestep, x, eta=0.0).prev_sample
            states.append(x)
        return torch.stack(states)

    def picture(self, tokenizer, prompt, negative_prompt, latents, guidance):
        """The pixels in [0, 1] that diffusers' pipeline draws; `tokenizer` is a folder."""
        import torch
        from diffusers import DDIMScheduler, StableDiffusionPipeline
        from transformers import CLIPTokenizer

        pipeline = StableDiffusionPipeline(
            **self.parts,
            tokenizer=CLIPTokenizer.from_pretrained(str(tokenizer), model_max_length=77),
            scheduler=DDIMScheduler.from_config(self.config["scheduler"]),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        drawn = pipeline(
            prompt,
            *(side * pipeline.vae_scale_factor for side in latents.shape[1:]),
            negative_prompt=negative_prompt,
            latents=torch.from_numpy(latents)[None],
            num_inference_steps=DDIM_STEPS,
            guidance_scale=guidance,
            output_type="pt",
        )
        return drawn.images[0].numpy()


def _plain_attention():
    from diffusers.models.attention_processor import AttnProcessor

    return AttnProcessor()
