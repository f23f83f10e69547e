"""From a prompt to a picture, with a tokenizer of bytes where transformers is not asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models.diffusers._attention import attend
from geojax.models.stable_diffusion import Tokenizer, ddim_levels, text_to_image

from .parity import tiny_model


@pytest.fixture
def _bytes_for_words(monkeypatch):
    tokens = lambda self, text: np.asarray([*text.encode().ljust(77)], np.int32)  # noqa: E731
    monkeypatch.setattr(Tokenizer, "__call__", tokens)


@pytest.mark.slow
@pytest.mark.usefixtures("_bytes_for_words")
def test_a_picture_of_a_prompt():
    model = tiny_model("small")

    def draw(prompt):
        size = {"height": 8, "width": 16}
        return text_to_image(model, prompt, key=jax.random.key(3), num_steps=2, eta=0.5, **size)

    (one, evaluations), (same, _), (other, _) = draw("a bag"), draw("a bag"), draw("a dog")
    assert evaluations == 2 * 2  # two steps, under guidance
    assert one.shape == (3, 8, 16)
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_arguments():
    with pytest.raises(ValueError, match="divisible by 2, got 9 and 8"):
        text_to_image(tiny_model("small"), "a", key=jax.random.key(0), height=9, width=8)
    with pytest.raises(ValueError, match=r"num_steps must be in 1 \.\.\. 999, got 0"):
        ddim_levels(0)


@pytest.mark.usefixtures("_bytes_for_words")
@pytest.mark.slow
def test_the_probability_flow_agrees_with_many_steps_of_ddim():
    def draw(**options):
        size = {"height": 4, "width": 8, "guidance": 2.0, "key": jax.random.key(3)}
        return text_to_image(tiny_model("small"), "a bag", **size, **options)

    flow, evaluations = draw(num_steps=100, sampler="probability_flow", rtol=1e-5)
    assert 2 * 20 < evaluations < 2 * 1000 and evaluations % 2 == 0
    scale = np.abs(flow).max()
    few, many = (np.abs(draw(num_steps=n).pixels - flow).max() / scale for n in (10, 500))
    assert many < 5e-3 and many < few / 4


def test_the_flow_draws_nothing():
    options = {"key": jax.random.key(0), "sampler": "probability_flow", "eta": 0.5}
    with pytest.raises(ValueError, match="eta must be 0 with sampler='probability_flow'"):
        text_to_image(tiny_model("small"), "a bag", **options)


def test_attention_falls_back_where_cudnn_cannot():
    """On a CPU, whatever the width of the heads."""
    q = jax.random.normal(jax.random.key(0), (4, 16)).astype(jnp.bfloat16)
    expected = attend(q, q, q, 2)
    np.testing.assert_array_equal(attend(q, q, q, 2, "cudnn"), expected)
