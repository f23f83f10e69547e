"""From a prompt to a picture, with a tokenizer of bytes where transformers is not asked for."""

import jax
import numpy as np
import pytest

from geojax.models.stable_diffusion import Tokenizer, ddim_levels, text_to_image

from .parity import tiny_model


@pytest.fixture
def _bytes_for_words(monkeypatch):
    tokens = lambda self, text: np.asarray([*text.encode().ljust(77)], np.int32)  # noqa: E731
    monkeypatch.setattr(Tokenizer, "__call__", tokens)


@pytest.mark.usefixtures("_bytes_for_words")
def test_a_picture_of_a_prompt():
    model = tiny_model("small")

    def draw(prompt):
        size = {"height": 8, "width": 16}
        return text_to_image(model, prompt, key=jax.random.key(3), num_steps=2, eta=0.5, **size)

    one, same, other = draw("a bag"), draw("a bag"), draw("a dog")
    assert one.shape == (3, 8, 16)
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_arguments():
    with pytest.raises(ValueError, match="divisible by 2, got 9 and 8"):
        text_to_image(tiny_model("small"), "a", key=jax.random.key(0), height=9, width=8)
    with pytest.raises(ValueError, match=r"num_steps must be in 1 \.\.\. 1000, got 0"):
        ddim_levels(0)
