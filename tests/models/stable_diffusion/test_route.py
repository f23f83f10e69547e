"""The pipeline of a checkpoint between two photographs."""

import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models.stable_diffusion import StableDiffusion, load
from geojax.scores import ClassifierFreeGuidance

from .checkpoints import write_checkpoint


@pytest.fixture
def lengths_for_prompts(monkeypatch):
    def condition(self, text):
        return np.full((77, self.unet.text_width), len(text), np.float32)

    monkeypatch.setattr(StableDiffusion, "encode_prompt", condition)


def test_a_route_is_of_the_checkpoint_and_its_prompts(tmp_path, lengths_for_prompts):
    folder = write_checkpoint(tmp_path, "small")
    model = load(folder)
    plain = model.route("a bag", noising="shared", num_steps=3)
    assert (plain.encoder, plain.decoder) == (model.encode_image, model.decode_latents)
    assert type(plain.score) is type(model.score) and plain.between is None
    assert (plain.noising, plain.num_steps, plain.rtol) == ("shared", 3, 1e-4)
    np.testing.assert_array_equal(plain.args, model.encode_prompt("a bag"))
    assert model.route("a bag", "a bag").between is None

    guided = model.route("a bag", "a doggy", guidance=2.0, negative_prompt="no", rtol=0.1)
    assert isinstance(guided.score, ClassifierFreeGuidance) and guided.rtol == 0.1
    assert [float(c[0, 0]) for c in guided.conditions] == [5, 7]
    assert float(guided.score.scale) == 2 and float(guided.score.null_args[0, 0]) == 2

    assert load(folder, dtype=jnp.bfloat16).route().rtol == 1e-2
